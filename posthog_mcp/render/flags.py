"""Feature flags in words: who gets what."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

_SIGNS = {
    "exact": "=",
    "is_not": "≠",
    "icontains": "contains",
    "not_icontains": "does not contain",
    "starts_with": "starts with",
    "not_starts_with": "does not start with",
    "ends_with": "ends with",
    "not_ends_with": "does not end with",
    "regex": "matches",
    "not_regex": "does not match",
    "gt": ">",
    "gte": "≥",
    "lt": "<",
    "lte": "≤",
    "is_set": "is set",
    "is_not_set": "is not set",
    "is_date_before": "before",
    "is_date_after": "after",
    "is_date_exact": "on",
    "flag_evaluates_to": "is",
    "semver_eq": "= version",
    "semver_neq": "≠ version",
    "semver_gt": "> version",
    "semver_gte": "≥ version",
    "semver_lt": "< version",
    "semver_lte": "≤ version",
    "semver_tilde": "about version ~",
    "semver_caret": "compatible with version ^",
    "semver_wildcard": "is version",
}
_REASONS = {
    "no_condition_match": "No matching condition set",
    "out_of_rollout_bound": "Out of rollout bound",
    "no_group_type": "No group type",
    "super_condition_value": "Super condition value",
    "holdout_condition_value": "Holdout condition value",
    "flag_disabled": "Feature flag is disabled",
    "missing_dependency": "Flag cannot be evaluated due to missing dependency",
}
NAMELESS: Mapping[int, str] = MappingProxyType({})
Json = dict[str, Any]


def reason_in_words(code: str, condition_index: int | None = None) -> str:
    """PostHog's code for why a flag has its value, in the words PostHog has for it."""
    if code == "condition_match":
        return f"Matched condition set {(condition_index or 0) + 1}"
    return _REASONS.get(code, code)


def conditions(filters: Json, group_types: Mapping[int, str] = NAMELESS) -> list[str]:
    """Each release condition as one sentence: `email contains @acme.com: 50 %`, `every company: 10 %`.

    Args:
        filters: The flag's.
        group_types: What the project calls its types of groups, by number.
    """
    own = filters.get("aggregation_group_type_index")
    return [
        _condition(group, _kind(group.get("aggregation_group_type_index", own), group_types))
        for group in _objects(filters.get("groups"))
    ]


def variants(filters: Json) -> str:
    """The variants with their shares: `control 50 %, test 50 %`; empty for a flag that is on or off."""
    multivariate: Json = filters.get("multivariate") or {}
    return ", ".join(
        f"{item.get('key')} {_percent(item.get('rollout_percentage'))}"
        for item in _objects(multivariate.get("variants"))
    )


def _kind(index: int | None, group_types: Mapping[int, str]) -> str:
    """What a condition is about; empty for persons."""
    return "" if index is None else group_types.get(index, f"group of type {index}")


def _condition(group: Json, kind: str) -> str:
    rows = " and ".join(filter_in_words(item) for item in _objects(group.get("properties")))
    who = (f"{kind} with {rows}" if kind else rows) if rows else f"every {kind}" if kind else "everyone"
    variant = f" → {group['variant']}" if group.get("variant") else ""
    return f"{who}: {_percent(group.get('rollout_percentage'))}{variant}"


def filter_in_words(item: Json) -> str:
    """One of PostHog's property filters: `plan = pro or team`."""
    operator, value = item.get("operator") or "exact", item.get("value")
    if item.get("type") == "cohort":
        return f"{'not ' if operator == 'not_in' else ''}in cohort {item.get('cohort_name') or value}"
    # A flag is kept by its id; the label is its key when the filter was made.
    name = (
        f"flag {item.get('label') or item.get('key')}" if item.get("type") == "flag" else str(item.get("key"))
    )
    if operator in ("is_set", "is_not_set"):
        return f"{name} {_SIGNS[operator]}"
    several = cast("list[Any]", value) if isinstance(value, list) else [value]
    return f"{name} {_SIGNS.get(operator, operator)} {' or '.join(map(_plain, several))}"


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _percent(share: float | None) -> str:
    return f"{100 if share is None else share:g} %"


def _objects(value: Any) -> list[Json]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Json", item) for item in items if isinstance(item, dict)]
