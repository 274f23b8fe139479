"""Why a flag has its value, condition by condition."""

from __future__ import annotations

from typing import Any

import pytest
from generate import Generator

from posthog_mcp.flags import Explanation, compile_flags


def explain(flag: dict[str, Any], distinct_id: str = "u-1", **context: Any) -> Explanation:
    body = {"flags": [{"active": True, **flag}], "group_type_mapping": {"0": "company"}}
    return compile_flags(body).explain(flag["key"], distinct_id, **context)


def prop(key: str, value: Any, operator: str = "exact") -> dict[str, Any]:
    return {"key": key, "type": "person", "operator": operator, "value": value}


def test_each_condition_says_what_was_compared_with_what():
    groups = [
        {"properties": [prop("plan", ["team"]), prop("seats", 5, "gt")]},
        {"properties": [prop("country", ["DE"])]},
        {"properties": [], "rollout_percentage": 0},
        {"properties": [], "rollout_percentage": 100},
        {"properties": []},
    ]
    given = {"plan": "pro", "seats": 9}
    explanation = explain({"key": "f", "filters": {"groups": groups}}, person_properties=given)
    assert explanation.decision.value is True
    assert explanation.subject == "the person 'u-1'"
    outcomes = [each.outcome for each in explanation.conditions]
    assert outcomes == ["no_match", "undecided", "outside_rollout", "match", "not_reached"]
    plan, seats = explanation.conditions[0].filters
    assert (plan.given, plan.wanted, plan.matched) == ("pro", ["team"], False)
    assert plan.why == "plan is 'pro'; exact ['team'] does not hold"
    assert (seats.given, seats.matched) == (9, True)
    country = explanation.conditions[1].filters[0]
    assert (country.given, country.matched, country.why) == (
        None,
        None,
        "person_properties.country was not passed",
    )
    outside = explanation.conditions[2]
    assert outside.rollout_percentage == 0
    assert outside.bucket is not None
    assert outside.bucket > 0
    assert f"{outside.bucket:g} is beyond the rollout of 0 %" in outside.why


def test_holdouts_and_variants_show_their_places():
    names = {"variants": [{"key": "a", "rollout_percentage": 100}]}
    filters = {"groups": [{}], "multivariate": names, "holdout": {"id": 3, "exclusion_percentage": 100}}
    explanation = explain({"key": "f", "filters": filters})
    assert explanation.decision.value == "holdout-3"
    assert "holdout 3 takes 100 %" in explanation.holdout
    assert explanation.holdout.endswith(": held out")
    assert explanation.variant_bucket is not None
    assert [each.outcome for each in explanation.conditions] == ["not_reached"]


def test_a_group_that_was_not_passed_leaves_nobody():
    filters = {"groups": [{}], "aggregation_group_type_index": 0}
    explanation = explain({"key": "f", "filters": filters})
    assert (explanation.subject, explanation.decision.code) == ("", "no_group_type")
    assert [each.why for each in explanation.conditions] == ["its group was not passed"]
    without_properties = explain({"key": "f", "filters": filters}, groups={"company": "acme"})
    assert "group_properties.company" in without_properties.conditions[0].why
    with_group = explain(
        {"key": "f", "filters": filters}, groups={"company": "acme"}, group_properties={"company": {}}
    )
    assert with_group.subject == "the group 'acme'"


def test_a_switched_off_flag_reaches_no_condition():
    explanation = explain({"key": "f", "active": False, "filters": {"groups": [{}]}})
    assert explanation.decision.code == "flag_disabled"
    assert [each.outcome for each in explanation.conditions] in ([], ["not_reached"])


@pytest.mark.parametrize("seed", range(20))
def test_explanations_agree_with_the_decisions_they_explain(seed: int):
    generator = Generator(seed)
    definitions = generator.definitions()
    flags = compile_flags(definitions)
    for _ in range(10):
        subject = generator.subject()
        for key in flags:
            decision = flags.evaluate(key, **subject)
            explanation = flags.explain(key, **subject)
            assert explanation.decision == decision
            matched = [each.index for each in explanation.conditions if each.outcome == "match"]
            if decision.code == "condition_match":
                assert matched == [decision.condition_index]
            else:
                assert matched == []
