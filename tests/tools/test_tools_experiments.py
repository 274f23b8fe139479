"""Experiments from the plan to the shipped variant, as an agent leads them."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.server.app import App
from posthog_mcp.settings import Settings

ALL = {"POSTHOG_MCP_AREAS": "all", "POSTHOG_MCP_ACCESS": "full"}
BUYS = {"type": "funnel", "name": "Buys", "events": [{"event": "bought"}]}


@pytest.fixture
def settings(sandbox: SandboxProcess, tmp_path: Path) -> Settings:
    """Every tool, and nobody to ask."""
    own = {**ALL, "POSTHOG_MCP_DATA_DIR": str(tmp_path), "POSTHOG_MCP_UNATTENDED_DELETES": "true"}
    return Settings.load({**sandbox.environment, **own})


async def create(agent, name: str, **more: Any) -> dict[str, Any]:
    fields = {"metrics": [BUYS], "allow_unknown_events": True, **more}
    return await agent.record("create_experiment", name=name, flag_key=name, **fields)


async def launch(agent, name: str, **more: Any) -> dict[str, Any]:
    return await agent.record("change_experiment_state", experiment=name, action="launch", **more)


async def people(agent, name: str, variant: str, count: int, buy: int, **paid: Any) -> None:
    """`count` people who got the variant, of whom the first `buy` bought."""
    seen = {"$feature_flag": name, "$feature_flag_response": variant}
    events: list[dict[str, Any]] = [
        {"event": "$feature_flag_called", "distinct_id": f"{name}-{variant}-{number}", "properties": seen}
        for number in range(count)
    ]
    events += [
        {"event": "bought", "distinct_id": f"{name}-{variant}-{number}", "properties": paid}
        for number in range(buy)
    ]
    for start in range(0, len(events), 100):
        await agent.record("capture_events", events=events[start : start + 100], wait=True)


async def test_an_experiment_is_led_from_the_plan_to_the_shipped_variant(agent, name):
    made = await create(
        agent,
        name,
        description="A shorter cart sells more",
        metrics=[
            BUYS,
            {"type": "mean", "name": "Spent", "secondary": True,
             "events": [{"event": "bought", "math": "sum", "property": "total"}]},
        ],
        minimum_detectable_effect=20,
        baseline=0.12,
        exposures_per_day=400,
    )  # fmt: skip
    assert (made["state"], made["flag"]["active"]) == ("draft", False)
    assert made["running_time_calculation"] == {
        "minimum_detectable_effect": 20, "recommended_sample_size": 5867, "recommended_running_time": 15,
    }  # fmt: skip
    assert [metric["of"] for metric in made["metrics"]] == ["bought", "sum of total of bought"]
    launched = await launch(agent, name)
    assert (launched["was"], launched["state"], launched["flag"]["active"]) == ("draft", "running", True)

    await people(agent, name, "control", 100, 20, total=10)
    await people(agent, name, "test", 100, 50, total=10)
    text = await agent.ask("get_experiment_results", experiment=name)
    assert "Exposed: control 100, test 100; 200 in all." in text
    assert "The split fits the flag's shares (p 1)." in text
    assert "Of the 5867 people planned 3 % are there" in text
    # 50 of 100 against 20 of 100: e 1.5, V = 0.25/(100·0.04) + 0.25·0.16/(100·0.0016) = 0.3125.
    assert "Buys: test does better than control (50.0 % against 20.0 %, +150.0 %, 99.6 % to win)." in text
    found = await agent.rows("get_experiment_results", experiment=name, metric="buys")
    assert found == [
        ["Buys", "control", "100", "20.0 %", "", "", "", "baseline"],
        ["Buys", "test", "100", "50.0 %", "+150.0 %", "+40.4 % to +259.6 %", "99.6 % to win", "better"],
    ]
    spent = await agent.rows("get_experiment_results", experiment=name)
    assert [row[3] for row in spent if row[0] == "Spent (secondary)"] == ["2", "5"]

    ended = await agent.record(
        "change_experiment_state", experiment=name, action="end", conclusion="won", comment="Clear"
    )
    assert (ended["state"], ended["conclusion"], ended["flag"]["active"]) == ("stopped", "won", True)
    assert "ship_experiment_variant" in ended["next"]
    shipped = await agent.record("ship_experiment_variant", experiment=name, variant="test", to_everyone=True)
    assert shipped["flag"]["variants"] == "control 0 %, test 100 %"
    assert shipped["flag"]["who_gets_it"][0] == "everyone: 100 %"
    rows = await agent.rows("list_experiments", search=name)
    assert rows[0][1:4] == [name, "stopped", name]
    assert rows[0][8] == "won"
    evaluated = await agent.rows("evaluate_flags", distinct_id=f"{name}-anybody", flags=[name])
    assert evaluated[0][1] == "test"


async def test_a_split_that_is_no_chance_is_said_before_anything_is_concluded(agent, name):
    await create(agent, name, statistics="frequentist")
    await launch(agent, name)
    await people(agent, name, "control", 120, 30)
    await people(agent, name, "test", 60, 30)
    text = await agent.ask("get_experiment_results", experiment=name)
    assert "Sample-ratio mismatch (p 7.7e-06)" in text
    assert text.index("Sample-ratio mismatch") < text.index("Buys:")
    assert "test does better than control (50.0 % against 25.0 %, +100.0 %, p 0.016)" in text


async def test_without_anybody_exposed_the_answer_says_what_exposes(agent, name):
    await create(agent, name)
    await launch(agent, name)
    text = await agent.ask("get_experiment_results", experiment=name)
    assert f"Nobody was exposed yet: the application must ask for the flag {name}" in text
    assert "send $feature_flag_called" in text
    await create(agent, f"{name}-own", exposure_event="cart opened")
    await launch(agent, f"{name}-own")
    assert "send cart opened" in await agent.ask("get_experiment_results", experiment=f"{name}-own")
    await agent.record("change_experiment_state", experiment=f"{name}-own", action="pause")
    paused = await agent.ask("get_experiment_results", experiment=f"{name}-own")
    assert "Nobody is exposed while the flag is off" in paused


async def test_few_people_are_too_few_to_tell(agent, name):
    await create(agent, name)
    await launch(agent, name)
    await people(agent, name, "control", 12, 6)
    await people(agent, name, "test", 11, 9)
    text = await agent.ask("get_experiment_results", experiment=name)
    assert "Buys: too early to tell (fewer than 50 people)." in text
    assert "The split" not in text


async def test_a_launch_without_a_metric_is_refused_and_can_be_wanted(agent, name):
    made = await create(agent, name, metrics=[])
    assert "no metric" in made["warnings"][0]
    refused = await agent.refusal("change_experiment_state", experiment=name, action="launch")
    assert f"{name} was not launched. It has no metric" in refused
    dry = await agent.record("change_experiment_state", experiment=name, action="launch", dry_run=True)
    assert dry["against_it"] == ["It has no metric, so nothing could be concluded."]
    assert (await agent.record("get_experiment", experiment=name))["state"] == "draft"
    launched = await launch(agent, name, anyway=True)
    assert launched["state"] == "running"
    assert launched["launched_in_spite_of"] == dry["against_it"]


async def test_a_launch_that_reaches_nobody_is_refused(agent, name):
    await create(agent, name, rollout_percentage=0)
    refused = await agent.refusal("change_experiment_state", experiment=name, action="launch")
    assert "reaches 0 % of people" in refused


async def test_a_launch_on_a_flag_that_another_experiment_runs_on_is_refused(agent, name):
    first = await create(agent, name)
    await launch(agent, name)
    second = await agent.record(
        "create_experiment", name=f"{name} again", flag_key=name, metrics=[BUYS], allow_unknown_events=True
    )
    assert any("is on already" in warning for warning in second["warnings"])
    assert any(str(first["id"]) in warning for warning in second["warnings"])
    refused = await agent.refusal("change_experiment_state", experiment=second["id"], action="launch")
    assert f"carries another running experiment: {name} ({first['id']})" in refused


async def test_a_flag_that_exists_is_taken_only_as_it_is(agent, name):
    shares = [{"key": "control", "rollout_percentage": 30}, {"key": "b", "rollout_percentage": 70}]
    await agent.record("create_flag", key=name, variants=shares, active=False)
    other = [{"key": "control", "rollout_percentage": 50}, {"key": "b", "rollout_percentage": 50}]
    refused = await agent.refusal("create_experiment", name=name, flag_key=name, variants=other)
    assert "exists with control 30 %, b 70 %" in refused
    made = await create(agent, name, variants=shares)
    assert made["flag"]["variants"] == "control 30 %, b 70 %"
    await agent.record("create_flag", key=f"{name}-plain")
    refused = await agent.refusal("create_experiment", name=name, flag_key=f"{name}-plain")
    assert "no variants" in refused


async def test_a_dry_run_shows_the_request_and_makes_nothing(agent, name):
    paid = {"event": "paid", "math": "sum", "property": "total"}
    dry = await agent.record("create_experiment", name=name, flag_key=name, dry_run=True, metrics=[
        {"type": "ratio", "events": [paid, {"event": "seen"}], "window": "7d"},
        {"type": "retention", "events": [{"event": "seen"}, {"event": "seen"}], "returns": "1-7d"},
        {"type": "mean", "goal": "decrease", "events": [
            {"event": "failed", "filters": [{"property": "fatal", "value": "true"},
                                            {"property": "plan", "value": ["pro", "max"], "on": "person"}]}]},
    ])  # fmt: skip
    ratio, retention, mean = dry["would_create"]["metrics"]
    assert ratio["numerator"] == {
        "kind": "EventsNode", "event": "paid", "name": "paid", "math": "sum", "math_property": "total",
    }  # fmt: skip
    assert (ratio["conversion_window"], ratio["conversion_window_unit"]) == (7, "day")
    assert (retention["retention_window_start"], retention["retention_window_end"]) == (1, 7)
    assert mean["goal"] == "decrease"
    assert mean["source"]["properties"] == [
        {"key": "fatal", "type": "event", "value": "true", "operator": "exact"},
        {"key": "plan", "type": "person", "value": ["pro", "max"], "operator": "exact"},
    ]
    assert dry["would_create"]["feature_flag"]["filters"]["groups"][0]["rollout_percentage"] == 100
    assert "No rows." in await agent.ask("list_experiments", search=name)


async def test_events_may_be_named_alone_and_metrics_come_as_text(agent, name):
    metrics = '[{"type": "funnel", "events": ["signed up", {"event": "bought"}]}]'
    dry = await agent.record("create_experiment", name=name, flag_key=name, dry_run=True, metrics=metrics)
    series = dry["would_create"]["metrics"][0]["series"]
    assert [step["event"] for step in series] == ["signed up", "bought"]
    slip = '[{"type": "funnel", "events": [{"event": "a", "fliters": []}]}]'
    refused = await agent.refusal("create_experiment", name=name, flag_key=name, metrics=slip)
    assert "fliters" in refused


async def test_an_event_nobody_ever_sent_is_no_slip_unless_said(agent, name):
    metric = {"type": "funnel", "events": [{"event": f"{name} happened"}]}
    refused = await agent.refusal("create_experiment", name=name, flag_key=name, metrics=[metric])
    assert f"never seen: {name} happened" in refused
    assert "allow_unknown_events" in refused


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ({"type": "mean", "events": [{"event": "a"}, {"event": "b"}]}, "a mean metric has 1 `events`, not 2"),
        ({"type": "mean", "events": [{"event": "a", "math": "sum"}]}, "needs a `property`"),
        ({"type": "mean", "events": [{"event": "a", "property": "x"}]}, "takes no `property`"),
        ({"type": "funnel", "events": [{"event": "a"}], "window": "soon"}, "write 12h, 7d or 2w"),
        ({"type": "retention", "events": [{"event": "a"}, {"event": "b"}]}, "1-7d is from day 1 to day 7"),
        (
            {"type": "funnel", "events": [{"event": "a", "filters": [{"property": "x"}]}]},
            "`x` exact needs a value",
        ),
    ],
)
async def test_a_metric_that_does_not_fit_is_refused_with_what_to_write(agent, name, metric, words):
    refused = await agent.refusal("create_experiment", name=name, flag_key=name, metrics=[metric])
    assert words in refused


async def test_variants_need_a_control_and_shares_that_add_up(agent, name):
    for variants, words in (
        (
            [{"key": "a", "rollout_percentage": 50}, {"key": "b", "rollout_percentage": 50}],
            "one of them `control`",
        ),
        (
            [{"key": "control", "rollout_percentage": 50}, {"key": "b", "rollout_percentage": 40}],
            "add up to 100",
        ),
    ):
        refused = await agent.refusal("create_experiment", name=name, flag_key=name, variants=variants)
        assert words in refused


async def test_an_update_changes_only_what_it_names(agent, name):
    await create(agent, name, description="Why")
    before = await agent.record("get_experiment", experiment=name)
    added = {"type": "mean", "name": "Clicks", "events": [{"event": "clicked"}]}
    change = {"add_metrics": [added], "several_variants": "first_seen", "allow_unknown_events": True}
    dry = await agent.record("update_experiment", experiment=name, **change, dry_run=True)
    assert {each["field"] for each in dry["would_change"]} == {
        "metrics[1]", "exposure_criteria.multiple_variant_handling",
    }  # fmt: skip
    assert (await agent.record("get_experiment", experiment=name)) == before
    after = await agent.record("update_experiment", experiment=name, **change)
    assert [metric["name"] for metric in after["metrics"]] == ["Buys", "Clicks"]
    assert after["metrics"][0] == before["metrics"][0]
    assert after["exposure_criteria"] == {
        "filterTestAccounts": True,
        "multiple_variant_handling": "first_seen",
    }
    assert (after["description"], after["flag"]) == (before["description"], before["flag"])
    removed = await agent.record(
        "update_experiment", experiment=name, remove_metrics=["Buys"], description=""
    )
    assert [metric["name"] for metric in removed["metrics"]] == ["Clicks"]
    assert "description" not in removed
    same = await agent.record("update_experiment", experiment=name, name=name)
    assert same["changed"] == "nothing: it is so already"
    refused = await agent.refusal("update_experiment", experiment=name, remove_metrics=["Buys"])
    assert "no metric is `Buys`" in refused
    assert "Clicks" in refused


async def test_an_experiment_is_paused_resumed_archived_and_begun_again(agent, name):
    await create(agent, name)
    await launch(agent, name)
    for action, state in (
        ("pause", "paused"),
        ("resume", "running"),
        ("end", "stopped"),
        ("archive", "stopped"),
    ):
        changed = await agent.record("change_experiment_state", experiment=name, action=action)
        assert changed["state"] == state
    assert "No rows." in await agent.ask("list_experiments", search=name)
    assert (await agent.rows("list_experiments", search=name, state="archived"))[0][1] == name
    assert (await agent.record("change_experiment_state", experiment=name, action="reset"))[
        "state"
    ] == "draft"


async def test_a_step_that_does_not_fit_says_what_posthog_says(agent, name):
    await create(agent, name)
    refused = await agent.refusal("change_experiment_state", experiment=name, action="pause")
    assert "has not been launched yet" in refused
    assert "draft" in await agent.refusal("get_experiment_results", experiment=name)
    wrong = {"experiment": name, "action": "launch", "conclusion": "won"}
    assert "go with `action` end" in await agent.refusal("change_experiment_state", **wrong)


async def test_an_experiment_is_found_by_id_and_name_and_near_names_are_told(agent, name):
    made = await create(agent, name)
    for known in (made["id"], name.upper()):
        assert (await agent.record("get_experiment", experiment=known))["id"] == made["id"]
    assert f"Similar: {name}" in await agent.refusal("get_experiment", experiment=f"{name}x")


async def test_a_metric_that_cannot_be_computed_leaves_the_others_standing(agent, name, sandbox):
    broken = {
        "type": "mean",
        "name": "Broken",
        "events": [{"event": "bought", "math": "sum", "property": "x"}],
    }
    await create(agent, name, metrics=[broken, BUYS])
    made = await launch(agent, name)
    gone = {"kind": "EventsNode", "event": "bought", "math": "hogql", "math_hogql": "sum(nowhere)"}
    metrics = [{"kind": "ExperimentMetric", "metric_type": "mean", "name": "Broken", "source": gone}]
    async with httpx2.AsyncClient(base_url=sandbox.url) as api:
        key = {"Authorization": "Bearer phx_sandbox"}
        path = f"/api/projects/1/experiments/{made['id']}/"
        kept = (await api.get(path, headers=key)).json()["metrics"][1:]
        reply = await api.patch(path, headers=key, json={"metrics": metrics + kept})
        assert reply.status_code == 200, reply.text
    text = await agent.ask("get_experiment_results", experiment=name)
    assert "Broken: PostHog cannot compute it: Unable to resolve field: nowhere" in text
    assert "Buys: too early to tell" in text
    assert "There are: Broken, Buys" in await agent.refusal(
        "get_experiment_results", experiment=name, metric="Luck"
    )


async def call(client: Client, tool: str, **arguments: Any) -> tuple[bool, str]:
    answer = await client.call_tool(tool, arguments)
    return not answer.is_error, answer.content[0].text


async def test_a_variant_is_shipped_by_a_persons_word_alone(client, human, name):
    await call(
        client, "create_experiment", name=name, flag_key=name, metrics=[BUYS],
        allow_unknown_events=True, rollout_percentage=20,
    )  # fmt: skip
    ship = {"experiment": name, "variant": "test"}
    done, text = await call(client, "ship_experiment_variant", **ship)
    assert not done
    assert "is a draft" in text
    await call(client, "change_experiment_state", experiment=name, action="launch")
    done, text = await call(client, "ship_experiment_variant", experiment=name, variant="tset")
    assert not done
    assert "has control, test" in text
    assert human.asked == []
    done, text = await call(client, "ship_experiment_variant", **ship, dry_run=True)
    assert done
    assert "test 100 %" in text
    human.types = "something else"
    done, text = await call(client, "ship_experiment_variant", **ship)
    assert not done
    assert text.startswith("Nothing was done.")
    assert '"state":"running"' in (await call(client, "get_experiment", experiment=name))[1]
    human.types = name
    done, text = await call(client, "ship_experiment_variant", **ship, conclusion="won")
    assert done, text
    assert '"variants":"control 0 %, test 100 %"' in text
    assert '"who_gets_it":["everyone: 20 %"]' in text
    assert f"Ship test of the experiment {name}" in human.asked[-1]
    assert "everyone: 20 %, and the experiment ends" in human.asked[-1]


async def test_without_full_access_there_is_no_way_to_ship(sandbox, tmp_path):
    settings = Settings.load(
        {**sandbox.environment, "POSTHOG_MCP_AREAS": "all", "POSTHOG_MCP_DATA_DIR": str(tmp_path)}
    )
    app = App(settings)
    async with Client(app.server()) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
    await app.close()
    assert "change_experiment_state" in names
    assert "ship_experiment_variant" not in names
