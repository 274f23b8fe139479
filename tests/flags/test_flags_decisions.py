"""Flags decided from their definitions: the rules one by one, with the reference's own examples."""

from __future__ import annotations

import gc
import weakref
from datetime import UTC, date, datetime
from hashlib import sha1
from typing import Any

import pytest

from posthog_mcp.flags import Absence, Decision, FlagSet, Reason, UnknownFlagError, compile_flags

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def prop(key: str, value: Any = None, operator: str | None = None, **more: Any) -> dict[str, Any]:
    return {"key": key, "type": "person", "operator": operator, "value": value, **more}


def condition(*properties: dict[str, Any], rollout: float | None = None, **more: Any) -> dict[str, Any]:
    return {"properties": list(properties), "rollout_percentage": rollout, **more}


def flag(key: str, *groups: dict[str, Any], **more: Any) -> dict[str, Any]:
    filters = {"groups": list(groups), **more.pop("filters", {})}
    return {"id": 7, "key": key, "active": True, "version": 3, "filters": filters, **more}


def flags(*definitions: dict[str, Any], **more: Any) -> FlagSet:
    body = {"flags": list(definitions), "group_type_mapping": {"0": "company", "1": "project"}, **more}
    return compile_flags(body)


def decide(definition: dict[str, Any], distinct_id: str = "u-17", **context: Any) -> Decision:
    return flags(definition).evaluate(definition["key"], distinct_id, now=NOW, **context)


def matches(filter_: dict[str, Any], **properties: Any) -> bool | str | None:
    return decide(flag("f", condition(filter_)), person_properties=properties).value


def place(text: str) -> float:
    return int(sha1(text.encode()).hexdigest()[:15], 16) / 0xFFFFFFFFFFFFFFF  # noqa: S324 PostHog's hash


def test_a_flag_that_is_off_is_false_before_anything_else():
    off = flag("f", condition(), active=False, ensure_experience_continuity=True)
    assert decide(off).value is False


def test_no_conditions_is_false_and_one_without_filters_is_everybody():
    assert decide(flag("f")).value is False
    assert decide(flag("f", condition())).value is True


def test_the_rollout_is_inclusive_at_the_place_of_the_hash():
    at = place("new-nav.u-17") * 100
    for share, expected in ((at, True), (at + 1e-9, True), (at - 1e-9, False), (0, False), (100, True)):
        assert decide(flag("new-nav", condition(rollout=share))).value is expected, share


def test_variants_are_laid_out_in_order_by_their_own_hash():
    names = {"variants": [{"key": key, "rollout_percentage": 25} for key in ("a", "b", "c")]}
    split = flag("new-nav", condition(), filters={"multivariate": names})
    for number in range(100):
        at = place(f"new-nav.u-{number}variant")
        expected = next((key for key, end in (("a", 0.25), ("b", 0.5), ("c", 0.75)) if at < end), True)
        assert decide(split, f"u-{number}").value == expected


def test_a_condition_may_name_the_variant():
    names = {"multivariate": {"variants": [{"key": key, "rollout_percentage": 50} for key in ("a", "b")]}}
    named = decide(flag("f", condition(variant="b"), filters=names))
    assert (named.value, named.variant, named.condition_index) == ("b", "b", 0)
    assert decide(flag("f", condition(variant="gone"), filters=names)).value in ("a", "b")


def test_holdouts_come_before_conditions_and_hash_apart():
    held = flag("f", condition(), filters={"holdout": {"id": 3, "exclusion_percentage": 30}})
    for number in range(50):
        expected = "holdout-3" if place(f"holdout-u-{number}") <= 0.3 else True
        assert decide(held, f"u-{number}").value == expected
    everyone = flag("f", condition(), filters={"holdout": {"id": 3, "exclusion_percentage": 140}})
    assert decide(everyone).value == "holdout-3"
    half = flag("f", condition(), filters={"holdout": {"id": 3, "exclusion_percentage": None}})
    assert decide(half).value is True


def test_early_exit_ends_at_the_first_rollout_that_excludes():
    groups = (condition(rollout=0), condition())
    assert decide(flag("f", *groups)).value is True
    assert decide(flag("f", *groups, filters={"early_exit": True})).value is False


def test_a_filter_that_rules_out_outweighs_one_that_cannot_be_told():
    both = condition(prop("unknown", "x"), prop("plan", "pro"))
    assert decide(flag("f", both), person_properties={"plan": "free"}).value is False
    undecided = decide(flag("f", both), person_properties={"plan": "pro"})
    assert (undecided.value, undecided.reason) == (None, Reason.MISSING_CONTEXT)
    assert undecided.needs == ("person_properties.unknown",)


def test_a_later_condition_may_decide_what_an_earlier_one_could_not():
    assert decide(flag("f", condition(prop("unknown", "x")), condition())).value is True


@pytest.mark.parametrize(
    ("filter_", "given", "expected"),
    [
        (prop("seats", "10", "gt"), "9", False),
        (prop("seats", "10", "gt"), True, False),
        (prop("seats", "ten", "gt"), 11, None),
        (prop("plan", ["Pro"]), "PRO", True),
        (prop("plan", "Pro"), "PRO", True),
        (prop("plan", []), "true", True),
        (prop("beta", ["true"]), True, True),
        (prop("beta", False), "banana", True),
        (prop("beta", ["true"]), "yes", False),
        (prop("beta", ["true"], "is_not"), "yes", True),
        (prop("n", 1.0), "1.0", True),
        (prop("n", {"b": [1, None], "a": "é"}), {"a": "é", "b": [1, None]}, True),
        (prop("n", "x"), float("nan"), None),
        (prop("city", "ÉCLAIR", "icontains"), "éclair", False),
        (prop("city", "É", "starts_with"), "Éclair", True),
        (prop("mail", "@ACME", "icontains"), "a@acme.com", True),
        (prop("n", "null"), None, True),
        (prop("n", None, "is_set"), None, True),
        (prop("n", "x", "is_not_set"), None, False),
        (prop("n", 5, "lt"), None, False),
        (prop("v", "1.4.2", "semver_tilde"), "1.4.9", True),
        (prop("v", "1.4.2", "semver_tilde"), "1.5.0", False),
        (prop("v", "0.4.2", "semver_caret"), "0.5.0", False),
        (prop("v", "0.0.2", "semver_caret"), "0.0.3", False),
        (prop("v", "1.4.2", "semver_caret"), "v1.99", True),
        (prop("v", "1.4.*", "semver_wildcard"), "1.4.0-beta", True),
        (prop("v", "1.4", "semver_eq"), "1.04.0", None),
        (prop("v", "1.4", "semver_gt"), None, False),
        (prop("x", "(a+)+", "regex"), "aaa", None),
        (prop("x", "(", "regex"), "aaa", False),
        (prop("x", "(", "not_regex"), "aaa", False),
        (prop("x", "", "regex"), "aaa", True),
        (prop("x", "a$", "regex"), "a\n", False),
        (prop("x", r"\w+", "regex"), "é", True),
        (prop("x", r"\w+", "regex"), "a\u0301", None),
        (prop("x", 1, "between"), 1, None),
    ],
)
def test_operators(filter_: dict[str, Any], given: Any, expected: bool | None):
    assert matches(filter_, **{filter_["key"]: given}) is expected


def test_matching_version_two_compares_the_words_true_and_false_as_text():
    body = flags(flag("f", condition(prop("beta", False))), property_matching_version=2)
    assert body.evaluate("f", "u", person_properties={"beta": "banana"}).value is False
    assert body.evaluate("f", "u", person_properties={"beta": "FALSE"}).value is True


@pytest.mark.parametrize(
    ("value", "given", "expected"),
    [
        ("-7d", "2026-03-25T00:00:00Z", True),
        ("7d", "2026-03-24T11:59:59Z", False),
        ("-2m", "2026-01-28T12:00:01Z", True),
        ("-2m", "2026-01-28T11:59:59Z", False),
        ("-1y", datetime(2025, 4, 1, tzinfo=UTC), True),
        ("-1y", date(2025, 3, 31), False),
        ("2025", "2025-03-31T00:00:01", True),
        ("2026-01-01", "2026-01-01T01:00:00+02:00", False),
        ("-7d", "last week", None),
        ("-7d", 5, None),
        ("9999y", "2026-01-01", None),
        ("soon", "2026-01-01", None),
        ("soon", None, False),
    ],
)
def test_dates(value: str, given: Any, expected: bool | None):
    assert matches(prop("since", value, "is_date_after"), since=given) is expected


def test_absence_proves_nothing_to_a_caller_and_everything_to_the_server():
    definitions = {"flags": [flag("f", condition(prop("plan", "x", "is_not_set")))]}
    assert compile_flags(definitions).evaluate("f", "u").value is None
    assert compile_flags(definitions, absence=Absence.KNOWN).evaluate("f", "u").value is True


def test_the_distinct_id_is_a_property_too():
    assert decide(flag("f", condition(prop("distinct_id", ["u-17"])))).value is True


def test_group_flags_hash_and_match_the_group():
    group = flag("f", condition(prop("plan", "pro"), rollout=50), filters={"aggregation_group_type_index": 0})
    assert decide(group).value is False
    missing = decide(group, groups={"company": "acme"})
    assert (missing.reason, missing.needs) == (Reason.MISSING_CONTEXT, ("group_properties.company",))
    for key in ("acme", "initech", "umbrella", 17):
        given = decide(group, groups={"company": key}, group_properties={"company": {"plan": "pro"}})
        assert given.value is (place(f"f.{key}") <= 0.5)
    unmapped = flag("f", condition(), filters={"aggregation_group_type_index": 9})
    assert decide(unmapped).reason is Reason.UNSUPPORTED_DEFINITION


def test_a_condition_may_be_about_a_group_of_its_own():
    mixed = flag("f", condition(prop("$group_key", "acme"), aggregation_group_type_index=0))
    assert decide(mixed).value is False
    assert decide(mixed, groups={"company": "acme"}).reason is Reason.MISSING_CONTEXT
    assert decide(mixed, groups={"company": "acme"}, group_properties={"company": {}}).value is True


def test_devices_are_hashed_where_the_flag_says_so():
    device = flag("f", condition(rollout=50), bucketing_identifier="device_id")
    assert decide(device).needs == ("device_id",)
    assert decide(device, device_id="d-1").value is (place("f.d-1") <= 0.5)


def test_enrollment_asks_for_the_persons_own_choice():
    early = flag("beta", condition(), filters={"feature_enrollment": True})
    assert decide(early).needs == ("person_properties.$feature_enrollment/beta",)
    for given, expected in ((True, True), ("true", True), ("yes", False), (False, False)):
        assert decide(early, person_properties={"$feature_enrollment/beta": given}).value is expected


def test_the_old_early_access_form_needs_the_server_unless_told_otherwise():
    old = flag("f", condition(), filters={"super_groups": [{"properties": [prop("x", "true")]}]})
    decision = decide(old)
    assert (decision.reason, decision.needs_server) == (Reason.UNSUPPORTED_DEFINITION, True)
    assert "early-access" in flags(old).warnings[0]
    assert compile_flags({"flags": [old]}, ignore_super_groups=True).evaluate("f", "u").value is True


COHORTS = {
    "1": {"type": "AND", "values": [prop("plan", "pro"), prop("seats", 5, "gt", negation=True)]},
    "2": {"type": "OR", "values": [{"key": "id", "type": "cohort", "value": 1}, prop("vip", "true")]},
    "3": {"type": "XOR", "values": []},
    "4": {},
    "5": {"type": "AND", "values": [{"key": "id", "type": "cohort", "value": 5}]},
}


@pytest.mark.parametrize(
    ("cohort", "operator", "properties", "expected"),
    [
        (1, "in", {"plan": "pro", "seats": 3}, True),
        (1, None, {"plan": "pro", "seats": 9}, False),
        (1, "not_in", {"plan": "pro", "seats": 9}, True),
        (1, "in", {"plan": "free"}, False),
        (1, "in", {"plan": "pro"}, None),
        (2, "in", {"plan": "free", "vip": "true"}, True),
        (2, "in", {"vip": True}, True),
        (2, "gt", {"vip": True}, None),
        (3, "in", {}, None),
        (4, "in", {}, True),
        (5, "in", {}, None),
        (77, "in", {}, None),
    ],
)
def test_cohorts(cohort: int, operator: str | None, properties: dict[str, Any], expected: bool | None):
    wants = {"key": "id", "type": "cohort", "value": cohort, "operator": operator}
    body = flags(flag("f", condition(wants)), cohorts=COHORTS)
    assert body.evaluate("f", "u", person_properties=properties).value is expected


def test_a_cohort_that_is_not_here_ends_the_flag():
    wants = {"key": "id", "type": "cohort", "value": 77}
    decision = decide(flag("f", condition(wants), condition()))
    assert (decision.value, decision.needs_server) == (None, True)


def on(key: str, value: Any = True, chain: list[str] | None = None, **more: Any) -> dict[str, Any]:
    own_chain = [key] if chain is None else chain
    return {
        "key": key,
        "type": "flag",
        "operator": "flag_evaluates_to",
        "value": value,
        "dependency_chain": own_chain,
        **more,
    }


SPLIT = flag(
    "split",
    condition(variant="a"),
    filters={"multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]}},
)


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        (on("split"), True),
        (on("split", value="a"), True),
        (on("split", value="A"), False),
        (on("split", value=False), False),
        (on("off", value=False), True),
        (on("off"), False),
        (on("sticky"), Reason.UNRESOLVED_DEPENDENCY),
        (on("asks"), Reason.UNRESOLVED_DEPENDENCY),
        (on("gone"), Reason.UNSUPPORTED_DEFINITION),
        (on("split", chain=[]), Reason.UNSUPPORTED_DEFINITION),
        (on("group"), Reason.UNRESOLVED_DEPENDENCY),
        (on("split", operator="exact"), False),
        (on("split", value=None), False),
    ],
)
def test_dependencies(filter_: dict[str, Any], expected: bool | Reason):
    others = [
        SPLIT,
        flag("off", condition(), active=False),
        flag("sticky", condition(), ensure_experience_continuity=True),
        flag("asks", condition(prop("plan", "pro"))),
        flag("group", condition(), filters={"aggregation_group_type_index": 0}),
    ]
    decision = flags(flag("f", condition(filter_)), *others).evaluate("f", "u")
    assert (decision.reason if decision.value is None else decision.value) is expected


def test_flags_in_a_circle_stay_undecided():
    body = flags(flag("a", condition(on("b"))), flag("b", condition(on("a"))))
    assert body.evaluate("a", "u").reason is Reason.UNRESOLVED_DEPENDENCY


def test_payloads_are_parsed_with_the_text_beside_them():
    payloads = {"true": '{"a": [1]}', "b": "{oops"}
    first = decide(flag("f", condition(), filters={"payloads": payloads}))
    assert (first.payload, first.payload_text) == ({"a": [1]}, '{"a": [1]}')
    first.payload["a"].append(2)
    assert first.payload == {"a": [1]}
    names = {"variants": [{"key": "b", "rollout_percentage": 100}]}
    broken = decide(flag("f", condition(), filters={"payloads": payloads, "multivariate": names}))
    assert (broken.payload, broken.payload_text) == ("{oops", "{oops")
    encrypted = flag("f", condition(), filters={"payloads": payloads}, has_encrypted_payloads=True)
    assert decide(encrypted).payload is None


def test_a_decision_carries_the_definitions_id_version_and_runtime():
    decision = decide(flag("f", condition(), evaluation_runtime="client"))
    assert (decision.flag_id, decision.version, decision.runtime) == (7, 3, "client")


def test_a_flag_that_is_not_there_is_not_a_flag_that_is_off():
    with pytest.raises(UnknownFlagError, match="'nope'"):
        flags().evaluate("nope", "u")


@pytest.mark.parametrize(
    "filters",
    [
        {"groups": [{"rollout_percentage": "50"}]},
        {"groups": [{}], "holdout": {"id": 1, "exclusion_percentage": "x"}},
        {"groups": [{}], "multivariate": {"variants": [{"key": "a", "rollout_percentage": []}]}},
    ],
)
def test_a_malformed_flag_spoils_only_itself(filters: dict[str, Any]):
    body = flags({"key": "bad", "active": True, "filters": filters}, flag("good", condition()))
    assert body.evaluate("bad", "u").reason is Reason.UNSUPPORTED_DEFINITION
    assert body.evaluate("good", "u").value is True
    assert len(body.warnings) == 1


@pytest.mark.parametrize(
    "filters", [None, {}, {"groups": None}, {"groups": [None]}, {"groups": [{"properties": [5]}]}]
)
def test_what_is_missing_or_of_another_kind_never_raises(filters: Any):
    body = flags({"key": "odd", "active": True, "filters": filters})
    assert body.evaluate("odd", "u").value in (True, False, None)


def test_ids_that_are_no_utf8_are_evaluated_all_the_same():
    assert decide(flag("f", condition(rollout=100)), "half \ud83d").value is True


def test_all_flags_at_once_are_the_flags_one_by_one():
    body = flags(SPLIT, flag("on", condition()), flag("asks", condition(prop("plan", "pro"))))
    everything = body.evaluate_all("u")
    assert everything == {key: body.evaluate(key, "u") for key in body}
    assert (len(body), "on" in body, body.definition("on")["id"]) == (3, True, 7)


def test_a_set_that_is_replaced_is_freed_without_the_collector_of_garbage():
    needs = {"key": "a", "type": "flag", "operator": "flag_evaluates_to", "value": True}
    definitions = [
        flag("a", condition(prop("plan", "pro"), rollout=50)),
        flag("b", condition(needs | {"dependency_chain": ["a"]}), condition(prop("id", 1, type="cohort"))),
    ]
    cohort = {"type": "OR", "values": [prop("plan", "pro"), prop("seats", 3, "gt")]}
    gc.disable()
    try:
        set_ = flags(*definitions, cohorts={"1": cohort})
        set_.evaluate_all("u-17", person_properties={"plan": "pro", "seats": 4})
        set_.explain("b", "u-17", person_properties={"plan": "pro"})
        freed = weakref.ref(set_._flags["b"].decide)  # an inner part tells of circles
        del set_
        assert freed() is None
    finally:
        gc.enable()
