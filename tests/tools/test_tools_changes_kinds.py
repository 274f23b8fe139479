"""What is recorded by nature: objects of every kind, whichever tool changes them."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.settings import Settings

QUESTION = [{"type": "open", "question": "Why?"}]


@pytest.fixture
def settings(unattended: Settings) -> Settings:
    return unattended


@pytest.fixture
async def posthog(sandbox: SandboxProcess) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": "Bearer phx_sandbox"}
    base = sandbox.environment["POSTHOG_HOST"]
    async with httpx2.AsyncClient(base_url=base, headers=headers, trust_env=False) as client:
        yield client


async def look(posthog: httpx2.AsyncClient, path: str) -> dict[str, Any]:
    answer = await posthog.get(f"/api/projects/1/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_cohort_goes_back_to_its_conditions(agent, posthog, name):
    made = await agent.record("save_cohort", name=name, filters=[{"property": "plan", "value": "pro"}])
    before = await look(posthog, f"cohorts/{made['id']}/")
    changed = await agent.record(
        "save_cohort", cohort=str(made["id"]), name=f"{name} b", filters=[{"property": "plan", "value": "x"}]
    )
    await agent.record("undo_change", change=changed["change"])
    after = await look(posthog, f"cohorts/{made['id']}/")
    assert (after["name"], after["filters"]) == (before["name"], before["filters"])
    await agent.record("undo_change", change=made["change"])
    assert (await posthog.get(f"/api/projects/1/cohorts/{made['id']}/")).status_code == 404


async def test_a_survey_that_was_stopped_is_shown_again_by_a_persons_word(agent, posthog, name):
    made = await agent.record("create_survey", name=name, questions=QUESTION)
    await agent.record("launch_survey", survey=name)
    stopped = await agent.record("update_survey", survey=name, state="stop")
    assert (await look(posthog, f"surveys/{made['id']}/"))["end_date"]
    await agent.record("undo_change", change=stopped["change"])
    assert (await look(posthog, f"surveys/{made['id']}/"))["end_date"] is None
    launched = next(row for row in await agent.rows("list_changes") if row[4] == "launch")
    assert "no way back from `launch`" in await agent.refusal("undo_change", change=int(launched[0]))


async def test_a_survey_that_was_removed_has_no_way_back(agent, name):
    await agent.record("create_survey", name=name, questions=QUESTION)
    removed = await agent.record("delete_survey", survey=name)
    assert "no way back from `removed`" in await agent.refusal("undo_change", change=removed["change"])
    assert (await agent.rows("list_changes", kind="survey"))[0][4] == "removed"


async def test_an_error_is_reopened_and_unassigned(agent, posthog, name):
    exception = {"type": name, "value": "Oh", "mechanism": {"handled": False}}
    event = {
        "event": "$exception",
        "distinct_id": "ann",
        "properties": {"$exception_list": [exception], "$exception_fingerprint": name},
    }
    await posthog.post("/batch/", json={"api_key": "phc_sandbox", "batch": [event]})
    [row] = await agent.rows("list_errors", search=name)
    path = f"error_tracking/issues/{row[0]}/"
    before = await look(posthog, path)
    changed = await agent.record("update_error", error_id=row[0], status="resolved", assign_to="me")
    after = await look(posthog, path)
    assert after["status"] == "resolved"
    for number in reversed(changed["change"]):
        undone = await agent.record("undo_change", change=number)
        assert undone["written_by_outsiders"] == ["name", "changed"]
    restored = await look(posthog, path)
    assert (restored["status"], restored["assignee"]) == (before["status"], before["assignee"])
    assert "Written by outsiders: object, what changed." in await agent.ask("list_changes", kind="issue")


async def test_what_leads_to_a_person_is_not_kept_once_they_are_deleted(agent, posthog, name, tmp_path):
    event = {"event": "x", "distinct_id": name, "properties": {"$set": {"email": f"{name}@acme.com"}}}
    await posthog.post("/batch/", json={"api_key": "phc_sandbox", "batch": [event]})
    removed = await agent.record("delete_person", person=name)
    assert "no way back" in await agent.refusal("undo_change", change=removed["change"])
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("journal.db*"))
    assert b"delete_person" in kept
    assert f"{name}@acme.com".encode() not in kept


async def test_a_write_to_any_endpoint_is_recorded(agent, posthog, name):
    action = await agent.record(
        "write_endpoint",
        endpoint="POST /api/projects/{project_id}/actions/",
        body={"name": name, "steps": []},
    )
    number = action["answer"]["id"]
    changed = await agent.record(
        "write_endpoint",
        endpoint="PATCH /api/projects/{project_id}/actions/{id}/",
        ids={"id": str(number)},
        body={"description": "Said by an agent"},
    )
    await agent.record("undo_change", change=changed["change"])
    assert (await look(posthog, f"actions/{number}/"))["description"] != "Said by an agent"
    await agent.record("undo_change", change=action["change"])
    assert (await posthog.get(f"/api/projects/1/actions/{number}/")).status_code == 404
