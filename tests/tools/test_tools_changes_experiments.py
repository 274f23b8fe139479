"""Experiments go every way there and back: each state is undone, and the undoing as well."""

import re
from typing import Any

import httpx2
import pytest

from posthog_mcp.settings import Settings


@pytest.fixture
def settings(unattended: Settings) -> Settings:
    return unattended


class Lead:
    """Leads one experiment, and looks at it past our tools."""

    def __init__(self, agent: Any, posthog: httpx2.AsyncClient, name: str) -> None:
        self.agent, self.posthog, self.name, self.id = agent, posthog, name, 0

    async def create(self) -> int:
        metric = {"type": "funnel", "name": "Buys", "events": [{"event": "bought"}]}
        made = await self.agent.record(
            "create_experiment",
            name=self.name,
            flag_key=self.name,
            metrics=[metric],
            allow_unknown_events=True,
        )
        self.id = made["id"]
        return made["change"]

    async def go(self, action: str, **more: Any) -> int:
        """Change its state; gives the number of the change."""
        call = {"experiment": str(self.id), "action": action, **more}
        return (await self.agent.record("change_experiment_state", **call))["change"]

    async def undo(self, change: int) -> Any:
        """Undo a change; gives the number of the undoing, or several."""
        return (await self.agent.record("undo_change", change=change))["change"]

    async def look(self) -> dict[str, Any]:
        """What an undo has to restore, as PostHog has it."""
        answer = await self.posthog.get(f"/experiments/{self.id}/")
        assert answer.status_code == 200, answer.text
        found = answer.json()
        names = ("start_date", "end_date", "conclusion", "conclusion_comment", "archived", "status")
        return {name: found[name] for name in names} | {"on": found["feature_flag"]["active"]}


@pytest.fixture
async def lead(agent: Any, posthog: httpx2.AsyncClient, name: str) -> Lead:
    return Lead(agent, posthog, name)


STEPS = [
    ["launch"],
    ["launch", "pause"],
    ["launch", "pause", "resume"],
    ["launch", "end"],
    ["launch", "pause", "end"],
    ["launch", "end", "archive"],
    ["launch", "end", "archive", "unarchive"],
    ["launch", "end", "reset"],
    ["launch", "pause", "reset"],
]


@pytest.mark.parametrize("steps", STEPS, ids=["-".join(steps) for steps in STEPS])
async def test_each_state_is_taken_back_and_made_again(lead, steps):
    await lead.create()
    for step in steps[:-1]:
        await lead.go(step)
    before = await lead.look()
    told = {"conclusion": "won", "comment": "Clear"} if steps[-1] == "end" else {}
    change = await lead.go(steps[-1], **told)
    after = await lead.look()
    assert after != before
    undone = await lead.undo(change)
    assert await lead.look() == before
    # One change of the experiment, and where the flag is to be switched one of the flag.
    for number in reversed([undone] if isinstance(undone, int) else undone):
        await lead.undo(number)
    assert await lead.look() == after


async def test_a_launch_is_not_undone_once_the_experiment_has_ended(lead):
    await lead.create()
    launched = await lead.go("launch")
    await lead.go("end")
    refused = await lead.agent.refusal("undo_change", change=launched)
    assert '`state` became "running" and is "stopped"' in refused
    assert (await lead.look())["status"] == "stopped"


async def test_a_dry_run_of_a_launch_undone_says_what_becomes_of_the_flag(lead):
    await lead.create()
    change = await lead.go("launch")
    shown = await lead.agent.record("undo_change", change=change, dry_run=True)
    assert shown["body"]["start_date"] is None
    assert [each["field"] for each in shown["would_change"]] == ["start_date", "flag_active"]
    assert (await lead.look())["status"] == "running"


async def test_metrics_and_words_are_restored(lead):
    await lead.create()
    path = f"/experiments/{lead.id}/"
    before = (await lead.posthog.get(path)).json()
    changed = await lead.agent.record(
        "update_experiment",
        experiment=str(lead.id),
        name=f"{lead.name} renamed",
        description="Other",
        remove_metrics=["Buys"],
        add_metrics=[{"type": "mean", "name": "Spent", "secondary": True,
                      "events": [{"event": "bought", "math": "sum", "property": "total"}]}],
        allow_unknown_events=True,
    )  # fmt: skip
    await lead.undo(changed["change"])
    after = (await lead.posthog.get(path)).json()
    names = ("name", "description", "metrics", "metrics_secondary")
    assert {name: after[name] for name in names} == {name: before[name] for name in names}


async def test_a_created_experiment_is_put_away_and_its_flag_named(lead):
    made = await lead.create()
    undone = await lead.agent.record("undo_change", change=made)
    assert undone["next"] == "Its flag is still there: delete_flag takes it away."
    assert (await lead.posthog.get(f"/experiments/{lead.id}/")).status_code == 404
    await lead.undo(undone["change"])
    assert (await lead.look())["status"] == "draft"


async def test_a_created_experiment_that_runs_stays(lead):
    made = await lead.create()
    await lead.go("launch")
    assert '`state` became "draft" and is "running"' in await lead.agent.refusal("undo_change", change=made)


async def test_a_shipped_variant_has_no_way_back_and_the_journal_says_what_was(lead):
    await lead.create()
    await lead.go("launch")
    shipped = await lead.agent.record("ship_experiment_variant", experiment=str(lead.id), variant="test")
    refused = await lead.agent.refusal("undo_change", change=shipped["change"])
    assert "PostHog has no way back from `ship_variant`." in refused
    text = await lead.agent.ask("list_changes", kind="experiment")
    assert re.search(r"flag_filters\.multivariate\.variants\[0\]\.rollout_percentage: 50(\.0)? → 0", text)


async def test_a_flag_an_experiment_runs_on_gets_its_key_back_with_its_life(lead, name):
    await lead.create()
    await lead.go("launch")
    await lead.go("end")
    deleted = await lead.agent.record("delete_flag", flag=name)
    restored = await lead.undo(deleted["change"])
    flag = await lead.agent.record("get_flag", flag=name)
    assert flag["key"] == name
    await lead.undo(restored)
    assert "no flag" in await lead.agent.refusal("get_flag", flag=name)
