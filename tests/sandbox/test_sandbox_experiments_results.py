"""Exposures and metrics computed from events whose answers are known."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from experiment_making import (
    DAY,
    EXPERIMENTS,
    HOUR,
    START,
    M,
    People,
    act,
    ask,
    events_node,
    exposures,
    funnel,
    make,
    mean,
    results,
    sums,
)
from flag_making import make as make_flag
from flag_making import variants

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.sandbox import Options, Sandbox
from posthog_mcp.sandbox.seed import fill

if TYPE_CHECKING:
    from httpx2 import AsyncClient

Experiment = dict[str, Any]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def options() -> Options:
    """Thirty days after the start, for good."""
    return Options(throttles=Throttles(scope="off"), clock=lambda: START + 30 * DAY)


@pytest.fixture
async def running(api: AsyncClient) -> Experiment:
    return await make(api, start_date=START.isoformat(), exposure_criteria={"filterTestAccounts": False})


@pytest.fixture
def people(sandbox: Sandbox) -> People:
    return People(sandbox, "cart")


async def with_criteria(api: AsyncClient, experiment: Experiment, **criteria: Any) -> Experiment:
    body = {"exposure_criteria": criteria, "allow_unknown_events": True}
    reply = await api.patch(f"{EXPERIMENTS}{experiment['id']}/", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


# -- exposures


async def test_everybody_counts_once_on_the_day_they_were_first_exposed(api, running, people):
    first = people.new("control", HOUR)
    people.see(first, "control", 3 * DAY)
    people.new("control", 2 * DAY)
    people.new("test", 2 * DAY)
    await people.send()
    answer = await exposures(api, running)
    assert answer["total_exposures"] == {"control": 2, "test": 1}
    control = answer["timeseries"][0]
    assert control["variant"] == "control"
    assert control["days"][:3] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert control["exposure_counts"][:4] == [1, 1, 2, 2]
    assert len(control["days"]) == len(control["exposure_counts"]) == 31


async def test_only_variants_of_the_experiment_within_its_time_are_exposures(api, running, people):
    people.new(False)
    people.new("holdout-3")
    people.new("test", -HOUR)
    people.new("test", 11 * DAY)
    other = {"$feature_flag": "else", "$feature_flag_response": "test"}
    people.do(people.new(), "$feature_flag_called", **other)
    people.new("test", timedelta(0))
    people.new("test", 10 * DAY)
    await people.send()
    ended = {"end_date": (START + 10 * DAY).isoformat()}
    assert (await exposures(api, running, **ended))["total_exposures"] == {"control": 0, "test": 2}


async def test_who_saw_two_variants_is_left_out_or_belongs_to_the_first(api, running, people):
    both = people.new("control", HOUR)
    people.see(both, "test", 2 * HOUR)
    people.do(both, "bought", 3 * HOUR)
    people.new("test")
    await people.send()
    counted = await exposures(api, running)
    assert counted["total_exposures"] == {"control": 0, "test": 1, "$multiple": 1}
    assert await sums(api, running, funnel("bought")) == {"control": (0, 0), "test": (1, 0)}
    running = await with_criteria(api, running, multiple_variant_handling="first_seen")
    assert (await exposures(api, running))["total_exposures"] == {"control": 1, "test": 1}
    assert await sums(api, running, funnel("bought")) == {"control": (1, 1), "test": (1, 0)}


async def test_an_event_of_ones_own_can_expose_where_it_carries_the_variant(api, running, people):
    config = {
        "kind": "ExperimentEventExposureConfig",
        "event": "cart opened",
        "properties": [{"key": "size", "type": "event", "operator": "gt", "value": 1}],
    }
    for size, variant in ((1, "control"), (2, "control"), (3, "test"), (4, "other")):
        people.do(people.new(), "cart opened", size=size, **{"$feature/cart": variant})
    people.new("test")
    await people.send()
    running = await with_criteria(api, running, exposure_config=config)
    assert (await exposures(api, running))["total_exposures"] == {"control": 1, "test": 1}


async def test_an_action_can_expose(api, running, people):
    steps = [{"event": "cart opened"}]
    action = (await api.post("/api/projects/1/actions/", json={"name": "Opens", "steps": steps})).json()
    people.do(people.new(), "cart opened", **{"$feature/cart": "test"})
    await people.send()
    running = await with_criteria(api, running, exposure_config={"kind": "ActionsNode", "id": action["id"]})
    assert (await exposures(api, running))["total_exposures"] == {"control": 0, "test": 1}


async def test_test_accounts_are_left_out_unless_the_experiment_keeps_them(api, running, people, sandbox):
    sandbox.project.settings["test_account_filters"] = [
        {"key": "host", "type": "event", "operator": "is_not", "value": "localhost"}
    ]
    people.see(people.new(), "control", host="localhost")
    people.see(people.new(), "control", host="example.com")
    await people.send()
    assert (await exposures(api, running))["total_exposures"]["control"] == 2
    for criteria in ({"filterTestAccounts": True}, {}):
        running = await with_criteria(api, running, **criteria)
        assert (await exposures(api, running))["total_exposures"]["control"] == 1


async def test_a_split_that_cannot_be_chance_is_reported(api, running, people):
    for number in range(150):
        people.new("control" if number < 110 else "test")
    await people.send()
    mismatch = (await exposures(api, running))["sample_ratio_mismatch"]
    assert mismatch["expected"] == {"control": 75, "test": 75}
    assert mismatch["p_value"] < 1e-7


async def test_leaving_out_people_biases_an_uneven_split_while_it_runs(api, people):
    await make_flag(
        api,
        "cart",
        {"groups": [{"properties": []}], "multivariate": variants(("control", 90), ("test", 10))},
    )
    running = await make(api, start_date=START.isoformat())
    people.see(people.new("control"), "test")
    for _ in range(3):
        people.new("control")
    await people.send()
    assert (await exposures(api, running))["bias_risk"] == {"multiple_variant_percentage": 25}
    ended = await act(api, running, "end")
    assert (await exposures(api, ended, end_date=(START + DAY).isoformat()))["bias_risk"] is None


async def test_groups_are_exposed_where_the_flag_is_about_groups(api, people):
    filters = {
        "groups": [{"properties": [], "rollout_percentage": 100}],
        "multivariate": variants(("control", 50), ("test", 50)),
        "aggregation_group_type_index": 0,
    }
    await make_flag(api, "cart", filters)
    running = await make(api, start_date=START.isoformat())
    for company in ("acme", "acme", "hooli"):
        who = people.new()
        groups = {"$groups": {"company": company}}
        people.see(who, "test" if company == "acme" else "control", **groups)
        people.do(who, "bought", **groups)
    people.new("test")
    await people.send()
    assert (await exposures(api, running))["total_exposures"] == {"control": 1, "test": 1}
    assert await sums(api, running, mean("bought")) == {"control": (1, 1), "test": (1, 2)}


async def test_a_draft_has_no_exposures_and_no_results(api):
    draft = await make(api)
    answer = await exposures(api, draft)
    assert (answer["timeseries"], answer["total_exposures"]) == ([], {})
    query = {"kind": "ExperimentQuery", "experiment_id": draft["id"], "metric": funnel("bought")}
    assert "has not been launched" in (await ask(api, query, 400))["detail"]


# -- metrics


async def test_events_count_from_the_exposure_to_the_end_of_the_window(api, running, people):
    who = people.new("test", HOUR)
    for at in (HOUR - MINUTE, HOUR, 3 * HOUR - MINUTE, 3 * HOUR, 29 * DAY):
        people.do(who, "viewed", at)
    people.new("control")
    await people.send()
    assert await sums(api, running, mean("viewed")) == {"control": (1, 0), "test": (1, 4)}
    window = {"conversion_window": 2, "conversion_window_unit": "hour"}
    assert await sums(api, running, mean("viewed", **window)) == {"control": (1, 0), "test": (1, 2)}


async def test_a_window_reaches_behind_the_end_and_exposures_do_not(api, people):
    ended = await make(
        api, start_date=START.isoformat(), end_date=(START + DAY).isoformat(),
        exposure_criteria={"filterTestAccounts": False},
    )  # fmt: skip
    who = people.new("test", 23 * HOUR)
    people.do(who, "viewed", 25 * HOUR)
    people.new("test", 25 * HOUR)
    await people.send()
    assert (await sums(api, ended, mean("viewed")))["test"] == (1, 0)
    window = {"conversion_window": 3, "conversion_window_unit": "hour"}
    assert (await sums(api, ended, mean("viewed", **window)))["test"] == (1, 1)


@pytest.mark.parametrize(
    ("math", "expected"),
    [
        ({}, 4),
        ({"math": "sum", "math_property": "price"}, 12),
        ({"math": "avg", "math_property": "price"}, 3),
        ({"math": "min", "math_property": "price"}, 0),
        ({"math": "max", "math_property": "price"}, 8),
        ({"math": "sum", "math_property": "price", "math_multiplier": 0.5}, 6),
        ({"math": "unique_session"}, 2),
        ({"math": "dau"}, 1),
        ({"math": "hogql", "math_hogql": "max(properties.price) "}, 8),
        ({"math": "hogql", "math_hogql": "properties.price * 2"}, 24),
        ({"math": "hogql", "math_hogql": "count()"}, 4),
        ({"properties": [{"key": "price", "type": "event", "operator": "gt", "value": 3}]}, 2),
    ],
    ids=lambda value: str(value.get("math_hogql") or value.get("math")) if isinstance(value, dict) else "",
)
async def test_a_mean_is_of_what_its_math_says(api, running, people, math, expected):
    who = people.new("test")
    for price, session in ((4, "s1"), (8, "s2"), (0, "s2"), (None, None)):
        known = {"price": price, "$session_id": session}
        people.do(who, "bought", **{name: value for name, value in known.items() if value is not None})
    people.new("test")
    await people.send()
    assert (await sums(api, running, mean("bought", **math)))["test"] == (2, expected)


async def test_a_session_property_counts_once_for_each_session(api, running, people):
    who, session = people.new("test"), "0195510f-8000-7000-8000-000000000001"
    for minutes in (0, 5, 10):
        people.do(who, "viewed", 2 * HOUR + minutes * MINUTE, **{"$session_id": session})
    await people.send()
    duration = {
        "math": "sum",
        "math_property": "$session_duration",
        "math_property_type": "session_properties",
    }
    assert (await sums(api, running, mean("viewed", **duration)))["test"] == (1, 600)


async def test_outliers_are_clipped_at_quantiles_of_everybody(api, running, people):
    for number in range(10):
        who = people.new("control" if number % 2 else "test")
        for _ in range(number):
            people.do(who, "viewed")
    await people.send()
    clipped = await sums(api, running, mean("viewed", lower_bound_percentile=0.2, upper_bound_percentile=0.8))
    # Of the values 0 to 9 the quantiles are 2 and 8.
    assert clipped == {"control": (5, 2 + 3 + 5 + 7 + 8), "test": (5, 2 + 2 + 4 + 6 + 8)}
    without_zeros = mean("viewed", upper_bound_percentile=0.5, ignore_zeros=True)
    # The median of 1 to 9 is 5.
    assert (await sums(api, running, without_zeros))["control"] == (5, 1 + 3 + 5 + 5 + 5)


async def test_a_threshold_makes_a_yes_or_no_of_a_number(api, running, people):
    for times in (0, 1, 2, 3):
        who = people.new("test")
        for _ in range(times):
            people.do(who, "viewed")
    await people.send()
    assert (await sums(api, running, mean("viewed", threshold=2)))["test"] == (4, 2)


STEPS = ("viewed", "added", "bought")


@pytest.mark.parametrize(
    ("order", "done", "reached"),
    [
        ("ordered", "viewed added bought", 3),
        ("ordered", "viewed bought added", 2),
        ("ordered", "added viewed other bought added bought", 3),
        ("ordered", "bought", 0),
        ("unordered", "bought viewed", 2),
        ("unordered", "bought added viewed", 3),
        ("strict", "viewed added bought", 3),
        ("strict", "viewed other added", 2),
        ("strict", "viewed bought added", 1),
        ("strict", "added viewed added bought", 0),
    ],
)
async def test_a_funnel_goes_as_far_as_its_order_allows(api, running, people, *, order, done, reached):
    who = people.new("test", HOUR)
    for number, event in enumerate(done.split(), start=1):
        people.do(who, event, 2 * HOUR + number * MINUTE)
    await people.send()
    found = await results(api, running, funnel(*STEPS, funnel_order_type=order))
    assert found["test"]["step_counts"] == [int(reached > step) for step in range(3)]
    assert found["test"]["sum"] == int(reached == 3)


async def test_the_window_of_a_funnel_counts_from_the_exposure(api, running, people):
    who = people.new("test", HOUR)
    people.do(who, "viewed", 2 * HOUR)
    people.do(who, "added", 4 * HOUR)
    await people.send()
    window = {"conversion_window": 2, "conversion_window_unit": "hour"}
    assert (await results(api, running, funnel("viewed", "added", **window)))["test"]["step_counts"] == [1, 0]


async def test_the_first_exposure_is_no_step_even_when_it_matches_one(api, running, people):
    config = {"kind": "ExperimentEventExposureConfig", "event": "cart opened", "properties": []}
    running = await with_criteria(api, running, exposure_config=config, filterTestAccounts=False)
    seen = {"$feature/cart": "test"}
    once, twice = people.new(), people.new()
    people.do(once, "cart opened", HOUR, **seen)
    people.do(twice, "cart opened", HOUR, **seen)
    people.do(twice, "cart opened", 2 * HOUR, **seen)
    await people.send()
    assert (await sums(api, running, funnel("cart opened")))["test"] == (2, 1)


async def test_a_ratio_keeps_both_sums_and_their_product(api, running, people):
    for spent, orders in ((10, 2), (30, 1), (0, 0)):
        who = people.new("test")
        for _ in range(orders):
            people.do(who, "ordered")
        if spent:
            people.do(who, "paid", total=spent)
    await people.send()
    metric = {
        **M,
        "metric_type": "ratio",
        "numerator": events_node("paid", math="sum", math_property="total"),
        "denominator": events_node("ordered"),
    }
    found = (await results(api, running, metric))["test"]
    assert (found["number_of_samples"], found["sum"], found["sum_squares"]) == (3, 40, 1000)
    assert (found["denominator_sum"], found["denominator_sum_squares"]) == (3, 5)
    assert found["numerator_denominator_sum_product"] == 50


def retention(start: int, end: int, unit: str, handling: str = "first_seen") -> dict[str, Any]:
    return {
        **M,
        "metric_type": "retention",
        "start_event": events_node("started"),
        "completion_event": events_node("returned"),
        "retention_window_start": start,
        "retention_window_end": end,
        "retention_window_unit": unit,
        "start_handling": handling,
    }


async def test_retention_is_of_those_who_start_and_come_back_in_time(api, running, people):
    people.new("test")
    for back in (None, 20 * HOUR, 26 * HOUR, 3 * DAY, 8 * DAY + 10 * HOUR, 9 * DAY):
        who = people.new("test", HOUR)
        people.do(who, "started", 2 * HOUR)  # at 11:00
        if back is not None:
            people.do(who, "returned", back)
    await people.send()
    # By whole days: 20 hours after 9:00 is the next day, and day 7 ends at midnight.
    assert (await sums(api, running, retention(1, 7, "day")))["test"] == (6, 3)
    assert (await sums(api, running, retention(20, 72, "hour")))["test"] == (6, 2)


async def test_the_start_itself_is_no_return(api, running, people):
    who = people.new("test", HOUR)
    people.do(who, "started", 2 * HOUR)
    await people.send()
    metric = retention(0, 7, "day") | {"completion_event": events_node("started")}
    assert (await sums(api, running, metric))["test"] == (1, 0)


async def test_retention_can_start_with_the_last_start(api, running, people):
    who = people.new("test", HOUR)
    people.do(who, "started", DAY)
    people.do(who, "started", 10 * DAY)
    people.do(who, "returned", 12 * DAY)
    await people.send()
    assert (await sums(api, running, retention(1, 3, "day")))["test"] == (1, 0)
    assert (await sums(api, running, retention(1, 3, "day", "last_seen")))["test"] == (1, 1)


async def test_breakdowns_split_by_the_first_exposure_and_add_up(api, running, people):
    for browser in ("Chrome", "Chrome", "Safari", None):
        who = people.new()
        people.see(who, "test", **({"$browser": browser} if browser else {}))
        people.see(who, "test", 5 * HOUR, **{"$browser": "Opera"})
        people.do(who, "bought")
    await people.send()
    metric = funnel("bought", breakdownFilter={"breakdowns": [{"property": "$browser", "type": "event"}]})
    query = {"kind": "ExperimentQuery", "experiment_id": running["id"], "metric": metric}
    answer = await ask(api, query)
    split = {
        one["breakdown_value"][0]: one["variants"][0]["number_of_samples"]
        for one in answer["breakdown_results"]
    }
    assert split == {"$$_posthog_breakdown_null_$$": 1, "Chrome": 2, "Safari": 1}
    assert answer["variant_results"][0]["number_of_samples"] == 4


async def test_people_who_were_merged_are_one(api, running, people):
    before = people.new("test", HOUR)
    people.do("known", "$identify", 2 * HOUR, **{"$anon_distinct_id": before})
    people.do("known", "bought", 3 * HOUR)
    await people.send()
    assert (await sums(api, running, funnel("bought")))["test"] == (1, 1)


async def test_excluded_variants_do_not_count(api, people):
    running = await make(
        api,
        start_date=START.isoformat(),
        parameters={
            "feature_flag_variants": [
                {"key": "control", "split_percent": 40},
                {"key": "a", "split_percent": 40},
                {"key": "b", "split_percent": 20},
            ]
        },
        excluded_variants=["b"],
    )
    people.new("a")
    people.new("b")
    await people.send()
    assert await sums(api, running, funnel("bought")) == {"control": (0, 0), "a": (1, 0)}


async def test_days_are_those_of_the_project(api, sandbox, running, people):
    sandbox.project.settings["timezone"] = "Pacific/Auckland"
    people.new("test", timedelta(0))  # at 22:00 of the first day there
    late = people.new("test", 3 * HOUR)  # at 1:00 of the second
    people.do(late, "started", 3 * HOUR)
    people.do(late, "returned", 25 * HOUR)  # at 23:00 of the second
    await people.send()
    (_, series) = (await exposures(api, running))["timeseries"]
    assert series["days"][:2] == ["2026-03-01", "2026-03-02"]
    assert series["exposure_counts"][:2] == [1, 2]
    assert (await sums(api, running, retention(1, 7, "day")))["test"] == (1, 0)
    assert (await sums(api, running, retention(0, 0, "day")))["test"] == (1, 1)


# -- whole answers


async def test_statistics_follow_the_experiments_method(api, running, people):
    for number in range(400):
        who = people.new("control" if number % 2 else "test")
        if number % (5 if number % 2 else 4) == 0:
            people.do(who, "bought")
    await people.send()
    found = (await results(api, running, funnel("bought")))["test"]
    assert found["method"] == "bayesian"
    assert found["chance_to_win"] > 0.99
    assert found["significant"] is True
    reply = await api.patch(
        f"{EXPERIMENTS}{running['id']}/", json={"stats_config": {"method": "frequentist"}}
    )
    assert reply.status_code == 200
    found = (await results(api, running, funnel("bought")))["test"]
    assert found["method"] == "frequentist"
    assert found["p_value"] < 0.05
    low, high = found["confidence_interval"]
    assert low < 1.5 < high
    assert "chance_to_win" not in found


async def test_too_few_people_have_sums_and_no_statistics(api, running, people):
    people.do(people.new("test"), "bought")
    await people.send()
    found = await results(api, running, funnel("bought"))
    assert found["control"]["validation_failures"] == [
        "not-enough-exposures", "not-enough-metric-data", "baseline-mean-is-zero",
    ]  # fmt: skip
    assert found["test"]["sum"] == 1
    assert found["test"]["chance_to_win"] is None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"metric": funnel("x")}, "experiment_id is required"),
        ({"metric": funnel("x"), "experiment_id": 999}, "Experiment with id 999 not found"),
        ({"metric": {**M, "metric_type": "median"}}, "metric_type"),
        ({"metric": {**M, "metric_type": "funnel", "series": []}}, "at least 1 item"),
        ({"metric": mean("x", math="sum")}, "needs a math_property"),
        ({"metric": mean("x", math="hogql", math_hogql="sum(a, b)")}, "one plain argument"),
        ({"metric": {**M, "metric_type": "mean", "source": {"kind": "ActionsNode", "id": 77}}}, "77"),
    ],
)
async def test_what_cannot_be_computed_is_refused_in_words(api, running, query, words):
    if "required" not in words:
        query = {"experiment_id": running["id"], **query}
    assert words in (await ask(api, {"kind": "ExperimentQuery", **query}, 400))["detail"]


async def test_the_answers_have_posthogs_shape(api, running):
    answer = await ask(
        api, {"kind": "ExperimentQuery", "experiment_id": running["id"], "metric": funnel("bought")}
    )
    assert {"baseline", "variant_results", "breakdown_results", "hogql", "is_cached", "timezone"} <= set(
        answer
    )
    assert answer["baseline"] == {
        "key": "control", "number_of_samples": 0, "sum": 0, "sum_squares": 0, "step_counts": [0],
        "validation_failures": ["not-enough-exposures", "not-enough-metric-data", "baseline-mean-is-zero"],
    }  # fmt: skip
    assert "results" not in answer


async def test_random_lives_come_out_as_counted_by_hand(api, running, people):
    draw = random.Random(5)
    lives: list[tuple[str, timedelta, list[tuple[timedelta, str, int]]]] = []
    for _ in range(80):
        variant, at = draw.choice(["control", "test"]), draw.randint(0, 20) * HOUR
        who = people.new(variant, at)
        deeds = sorted(
            (draw.randint(0, 6_000) * MINUTE, draw.choice(STEPS), draw.randint(0, 9))
            for _ in range(draw.randint(0, 8))
        )
        for moment, event, price in deeds:
            people.do(who, event, moment, price=price)
        lives.append((variant, at, deeds))
    await people.send()

    def by_hand(value: Any) -> dict[str, tuple[int, float]]:
        found = {"control": (0, 0), "test": (0, 0)}
        for variant, at, deeds in lives:
            # Within two days, and not before the exposure.
            counted = [deed for deed in deeds if at <= deed[0] < at + 2 * DAY]
            count, total = found[variant]
            found[variant] = (count + 1, total + value(counted))
        return found

    def through_all(deeds: list[tuple[timedelta, str, int]]) -> int:
        step = 0
        for _, event, _ in deeds:
            step += step < 3 and event == STEPS[step]
        return int(step == 3)

    window = {"conversion_window": 2, "conversion_window_unit": "day"}
    assert await sums(api, running, funnel(*STEPS, **window)) == by_hand(through_all)
    spent = mean("bought", math="sum", math_property="price", **window)
    assert await sums(api, running, spent) == by_hand(
        lambda deeds: sum(price for _, event, price in deeds if event == "bought")
    )


async def test_the_seeded_experiment_has_the_answer_its_plan_has(api, sandbox):
    answers = await fill(sandbox, "small")
    assert answers is not None
    (experiment,) = (await api.get(EXPERIMENTS)).json()["results"]
    expected = answers.experiment()
    assert await sums(api, experiment, experiment["metrics"][0]) == expected
    totals = (await exposures(api, experiment))["total_exposures"]
    assert totals == {variant: count for variant, (count, _) in expected.items()}
    checklist = (await results(api, experiment, experiment["metrics"][0]))["checklist"]
    assert checklist["chance_to_win"] > 0.99


async def test_values_beyond_any_number_are_refused_and_a_ratio_by_nothing_has_no_answer(
    api, running, people
):
    for variant in ("control", "test"):
        for number in range(60):
            who = people.new(variant)
            people.do(who, "bought", total=1e300, one=number)
    await people.send()
    source = events_node("bought", math="sum", math_property="total")
    query = {"kind": "ExperimentQuery", "experiment_id": running["id"]}
    refused = await ask(api, query | {"metric": {**M, "metric_type": "mean", "source": source}}, status=400)
    assert "too large" in refused["detail"]
    ratio = {
        **M,
        "metric_type": "ratio",
        "numerator": events_node("bought", math="sum", math_property="one"),
        "denominator": events_node("nothing"),
    }
    found = await results(api, running, ratio)
    assert (found["test"]["sum"], found["test"]["chance_to_win"]) == (1770, None)
