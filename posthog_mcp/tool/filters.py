"""Filters, in one form for every tool: rows of property, operator, value, and what the property is on."""

import json
from typing import Any, Literal, cast

from pydantic import Field, model_validator

from posthog_mcp.tool.arguments import Input, ValueText

Operator = Literal[
    "exact",
    "is_not",
    "icontains",
    "not_icontains",
    "starts_with",
    "not_starts_with",
    "ends_with",
    "not_ends_with",
    "regex",
    "not_regex",
    "gt",
    "gte",
    "lt",
    "lte",
    "is_set",
    "is_not_set",
    "is_date_exact",
    "is_date_before",
    "is_date_after",
    "in",
    "not_in",
    "flag_evaluates_to",
    "semver_eq",
    "semver_neq",
    "semver_gt",
    "semver_gte",
    "semver_lt",
    "semver_lte",
    "semver_tilde",
    "semver_caret",
    "semver_wildcard",
]
_OF_COHORTS: dict[Operator, Operator] = {"in": "exact", "not_in": "is_not"}
_WITHOUT_VALUE = ("is_set", "is_not_set")


class Filter(Input):
    """One row: all rows must hold."""

    property: str = Field(
        min_length=1, max_length=400, description="Property name; a cohort's id or a flag's key for those."
    )
    operator: Operator = Field("exact", description="How to compare; is_set and is_not_set take no value.")
    value: ValueText = Field(
        "", max_length=4_000, description='Text; for any of several a JSON list: ["a","b"].'
    )
    on: Literal["event", "person", "session", "group", "cohort", "flag"] = Field(
        "person", description="What has the property."
    )

    @model_validator(mode="after")
    def _fits(self) -> "Filter":
        if self.on == "cohort" and not self.property.isdigit():
            raise ValueError(f"`{self.property}` is no cohort: give the cohort's id as property")
        if self.on != "cohort" and self.operator not in _WITHOUT_VALUE and not self.value:
            raise ValueError(f"`{self.property}` {self.operator} needs a value")
        if self.on != "flag" and self.operator == "flag_evaluates_to":
            raise ValueError(f"`{self.property}` {self.operator} is for rows on a flag")
        if self.on != "cohort":  # of a property PostHog keeps them, and flags never match
            self.operator = _OF_COHORTS.get(self.operator, self.operator)
        return self


def posthog_filter(row: Filter) -> dict[str, Any]:
    """The row as PostHog's own property filter: `{key, type, operator, value}`."""
    if row.on == "cohort":
        operator = "not_in" if row.operator in ("not_in", "is_not") else "in"
        return {"key": "id", "type": "cohort", "value": int(row.property), "operator": operator}
    if row.on == "flag":
        value: Any = {"true": True, "false": False}.get(row.value.lower(), row.value)
        return {"key": row.property, "type": "flag", "value": value, "operator": "flag_evaluates_to"}
    value = row.operator if row.operator in _WITHOUT_VALUE else _several(row.value)
    return {"key": row.property, "type": row.on, "value": value, "operator": row.operator}


def _several(text: str) -> str | list[Any]:
    if not text.startswith("["):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text  # a text may begin with a bracket
    return cast("list[Any]", value) if isinstance(value, list) else text
