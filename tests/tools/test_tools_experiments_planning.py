"""How many people an experiment needs, from what the project's people do today."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.settings import Settings

DAY = timedelta(days=1)
NOW = datetime.now(UTC)


@pytest.fixture
def settings(sandbox: SandboxProcess, tmp_path: Path) -> Settings:
    return Settings.load(
        {**sandbox.environment, "POSTHOG_MCP_AREAS": "all", "POSTHOG_MCP_DATA_DIR": str(tmp_path)}
    )


async def plan(agent, name: str, metric: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What a dry run plans for a first metric."""
    fields = {"minimum_detectable_effect": 10, "metrics": [metric], **more}
    dry = await agent.record("create_experiment", name=name, flag_key=name, dry_run=True, **fields)
    return {**dry["would_create"]["running_time_calculation"], "from": dry["planned_from"]}


async def did(agent, *events: tuple[str, str, float, dict[str, Any]]) -> None:
    """Events as (name, person, days ago, properties)."""
    sent = [
        {"event": event, "distinct_id": who, "timestamp": (NOW - ago * DAY).isoformat(), "properties": more}
        for event, who, ago, more in events
    ]
    await agent.record("capture_events", events=sent, wait=True)


def ratio(above: str, below: str, **more: Any) -> dict[str, Any]:
    paid = {"event": above, "math": "sum", "property": "total", "filters": more.pop("filters", [])}
    return {"type": "ratio", "events": [paid, {"event": below}], **more}


def retention(start: str, end: str, returns: str) -> dict[str, Any]:
    return {"type": "retention", "events": [{"event": start}, {"event": end}], "returns": returns}


async def test_a_ratio_is_planned_from_what_people_paid_and_did_lately(agent, name):
    # 3 by order; (M - 3D)² is 34 on average and D is 2, so that the variance is 34 / 2² = 8.5.
    for number, total in enumerate((14, 8, 4, -2)):
        who = f"{name}-{number}"
        await did(
            agent,
            (f"{name} paid", who, 3, {"total": total, "currency": "EUR"}),
            (f"{name} ordered", who, 3, {}),
            (f"{name} ordered", who, 2, {}),
            (f"{name} paid", who, 45, {"total": 1_000}),
        )
    metric = ratio(f"{name} paid", f"{name} ordered")
    found = await plan(agent, name, metric, exposures_per_day=100)
    assert found == {
        "minimum_detectable_effect": 10,
        "recommended_sample_size": 3023,
        "recommended_running_time": 31,
        "from": "4 people of the last 30 days: 3, variance 8.5",
    }
    # Of three variants half as many again; with a value of one's own only the variance is measured.
    three = [
        {"key": key, "rollout_percentage": share} for key, share in (("control", 34), ("a", 33), ("b", 33))
    ]
    assert (await plan(agent, name, metric, variants=three))["recommended_sample_size"] == 4534
    assert (await plan(agent, name, metric, baseline=6))["recommended_sample_size"] == 756
    none = [{"property": "currency", "value": '["USD","CHF"]'}]
    filtered = await plan(agent, name, ratio(f"{name} paid", f"{name} ordered", filters=none))
    assert filtered["from"] == "4 people of the last 30 days: too little, so there is no sample size"
    assert "recommended_sample_size" not in filtered
    assert (await plan(agent, name, metric | {"window": "1d"}))["from"].startswith("0 people of the last 1d")


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        ({"property": "plan", "value": "pro"}, 1),
        ({"property": "plan", "value": '["pro","free"]'}, 2),
        ({"property": "plan", "operator": "is_not", "value": "pro"}, 2),
        ({"property": "plan", "operator": "icontains", "value": "R"}, 2),
        ({"property": "plan", "operator": "not_icontains", "value": "R"}, 1),
        ({"property": "plan", "operator": "regex", "value": "^fr"}, 1),
        ({"property": "plan", "operator": "not_regex", "value": "^fr"}, 2),
        ({"property": "plan", "operator": "starts_with", "value": "F"}, 1),
        ({"property": "plan", "operator": "not_ends_with", "value": "o"}, 2),
        ({"property": "seats", "operator": "gt", "value": "9"}, 1),
        ({"property": "seats", "operator": "lte", "value": "9"}, 1),
        ({"property": "seats", "operator": "is_set"}, 2),
        ({"property": "plan", "operator": "is_not_set"}, 1),
        ({"property": "trial", "value": "true"}, 1),
        ({"property": "since", "operator": "is_date_before", "value": "2026-01-01"}, 1),
        ({"property": "tier", "value": "gold", "on": "person"}, 1),
        ({"property": "cart", "value": "test", "on": "flag"}, 1),
    ],
)
async def test_the_filters_of_a_metric_count_when_it_is_measured(agent, name, row, kept):
    bought = f"{name} bought"
    await did(
        agent,
        (bought, f"{name}-1", 1, {"total": 5, "plan": "pro", "seats": 10, "$set": {"tier": "gold"}}),
        (
            bought,
            f"{name}-2",
            1,
            {"total": 7, "plan": "free", "seats": "9", "trial": True, "since": "2025-03-01"},
        ),
        (bought, f"{name}-3", 1, {"total": 9, "$feature/cart": "test"}),
        *((f"{name} seen", f"{name}-{number}", 1, {}) for number in (1, 2, 3)),
    )
    counted = {"event": bought, "filters": [row]}
    found = await plan(agent, name, {"type": "ratio", "events": [counted, {"event": f"{name} seen"}]})
    assert found["from"].startswith(f"3 people of the last 30 days: {kept / 3:.4g}, ")


async def test_retention_is_planned_from_those_who_could_have_come_back(agent, name):
    start, end = f"{name} began", f"{name} came"
    for number, back in enumerate((1, 3, 7, None, 9)):
        who = f"{name}-{number}"
        came = [] if back is None else [(end, who, 20.0 - back, {})]
        await did(agent, (start, who, 20, {}), *came)
    await did(agent, (start, f"{name}-late", 2, {}), (end, f"{name}-late", 1, {}))
    found = await plan(agent, name, retention(start, end, "1-7d"))
    assert found["from"] == "5 people of the last 30 days: 0.6, variance 0.24"
    assert found["recommended_sample_size"] == 2134  # 16 · 0.24 / 0.06² · 2
    # With a start that is its own completion, the same event is no return.
    again = await plan(agent, name, retention(start, start, "0-7d"))
    assert again["from"] == "5 people of the last 30 days: too little, so there is no sample size"
    given = await plan(agent, name, retention("nobody knows", "it yet", "1-4w"), baseline=0.6)
    assert given["from"] == "the baseline given: 0.6, variance 0.24"


async def test_names_and_values_from_anybody_are_nothing_but_names_and_values(agent, name):
    odd = f"{name} ') OR 1=1 -- {{v0}}"
    await did(agent, (odd, name, 1, {"total": 4, "pl'an": "a\\'b"}))
    rows = [{"property": "pl'an", "value": "a\\'b"}]
    found = await plan(agent, name, ratio(odd, odd, filters=rows))
    assert found["from"] == "1 people of the last 30 days: 4, variance 0"


@pytest.mark.parametrize(
    ("metric", "more", "words"),
    [
        (ratio("a", "b", filters=[{"property": "x", "operator": "is_date_after", "value": "soon"}]), {},
         "compares times, and `soon` is no time"),
        (ratio("a", "b", filters=[{"property": "x", "value": "1", "on": "session"}]), {},
         "Sessions are filtered by"),
        (ratio("a", "b", filters=[{"property": "x", "value": "1", "on": "group"}]), {},
         "is on a group, which metrics cannot look at"),
        ({"type": "funnel", "events": [{"event": "a"}]}, {"baseline": 12}, "a share below 1, such as 0.12"),
        ({"type": "funnel", "events": [{"event": "a"}]}, {}, "needs `baseline` to plan with"),
        (ratio("a", "b", filters=[{"property": "x", "operator": "semver_gt", "value": "1"}]), {},
         "Only flags and cohorts compare versions"),
        (retention("a", "b", "7-1d"), {}, "`returns` 7-1d ends before it begins"),
    ],
)  # fmt: skip
async def test_what_cannot_be_planned_says_why(agent, name, metric, more, words):
    refused = await agent.refusal(
        "create_experiment", name=name, flag_key=name, metrics=[metric], minimum_detectable_effect=10, **more
    )
    assert words in refused
    assert "it is {" not in refused


async def test_a_plan_that_would_take_years_is_warned_of_and_kept_with_the_experiment(agent, name):
    metric = {"type": "funnel", "events": [{"event": "bought"}]}
    made = await agent.record(
        "create_experiment", name=name, flag_key=name, metrics=[metric], allow_unknown_events=True,
        minimum_detectable_effect=1, baseline=0.5, exposures_per_day=100,
    )  # fmt: skip
    # 16 · 0.25 / 0.005² · 2
    assert made["running_time_calculation"]["recommended_sample_size"] == 320_000
    assert made["planned_from"] == "the baseline given: 0.5, variance 0.25"
    assert made["warnings"] == [
        "It would take 3200 days: look for a larger effect, or decide by another metric."
    ]


async def test_an_existing_flag_counts_with_the_variants_it_has(agent, name):
    shares = [
        {"key": key, "rollout_percentage": share} for key, share in (("control", 50), ("a", 25), ("b", 25))
    ]
    await agent.record("create_flag", key=name, variants=shares, active=False)
    found = await plan(agent, name, {"type": "funnel", "events": [{"event": "a"}]}, baseline=0.5)
    assert found["recommended_sample_size"] == 4_800  # 16 · 0.25 / 0.05² · 3
