"""What a flag's `filters` may hold (PostHog's `filters_schema.py`): strict types, unknown keys dropped."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

GroupTypeIndex = Annotated[int, Field(ge=0, le=4)]
Operator = Literal[
    "exact", "is_not", "icontains", "not_icontains", "icontains_multi", "not_icontains_multi", "regex",
    "not_regex", "starts_with", "not_starts_with", "ends_with", "not_ends_with", "gt", "gte", "lt", "lte",
    "is_set", "is_not_set", "is_date_exact", "is_date_after", "is_date_before", "in", "not_in",
    "flag_evaluates_to", "semver_eq", "semver_neq", "semver_gt", "semver_gte", "semver_lt", "semver_lte",
    "semver_tilde", "semver_caret", "semver_wildcard",
]  # fmt: skip
_ALIASES = {"min": "gte", "max": "lte"}
Json = dict[str, Any]


def _percentage(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("A valid number is required.")  # noqa: TRY004 pydantic reads ValueError
    if not 0 <= value <= 100:  # noqa: PLR2004 per cent
        raise ValueError("Ensure this value is between 0 and 100.")
    return value


def _percentage_or_none(value: object) -> object:
    return None if value is None else _percentage(value)


# Not `int | float`, whose error would name the alternative in the field's path.
Percentage = Annotated[Any, BeforeValidator(_percentage)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


def _canonical(operator: object) -> object:
    return _ALIASES.get(operator, operator) if isinstance(operator, str) else operator


def _as_text(payload: object) -> object:
    """A payload is kept as JSON in a string; what comes as JSON is written out."""
    return payload if isinstance(payload, str) else json.dumps(payload)


class Property(_Part):
    """One filter of a condition."""

    key: str
    type: Literal["person", "cohort", "group", "flag"] = "person"
    operator: Annotated[Operator | None, BeforeValidator(_canonical)] = None
    value: Any = None
    negation: bool | None = None
    group_type_index: GroupTypeIndex | None = None
    label: str | None = None
    cohort_name: str | None = None
    group_key_names: Json | None = None


class Group(_Part):
    """One release condition."""

    properties: list[Property] | None = None
    rollout_percentage: Annotated[Any, BeforeValidator(_percentage_or_none)] = None
    variant: str | None = None
    aggregation_group_type_index: GroupTypeIndex | None = None
    description: str | None = None
    sort_key: str | None = None
    exposure_frozen: bool | None = None
    exposure_frozen_cohort: int | None = None


class Variant(_Part):
    """One variant of a multivariate flag."""

    key: Annotated[str, Field(min_length=1)]
    name: str | None = None
    rollout_percentage: Percentage


class Multivariate(_Part):
    """The variants."""

    variants: list[Variant]


class Holdout(_Part):
    """People an experiment leaves out of everything."""

    id: int
    exclusion_percentage: Percentage


class Filters(_Part):
    """The whole; keys that were not given stay absent."""

    groups: list[Group] = []
    multivariate: Multivariate | None = None
    payloads: dict[str, Annotated[str, BeforeValidator(_as_text)]] | None = None
    aggregation_group_type_index: GroupTypeIndex | None = None
    bucketing_identifier: Literal["distinct_id", "device_id"] | None = None
    holdout: Holdout | None = None
    feature_enrollment: bool | None = None
    early_exit: bool | None = None


class FlagFields(BaseModel):
    """What a client may write; what is absent keeps its value."""

    key: Annotated[str, Field(min_length=1, max_length=400)] = ""
    name: str = ""
    active: bool = True
    filters: Filters = Filters()
    deleted: bool = False
    archived: bool = False
    ensure_experience_continuity: bool | None = False
    evaluation_runtime: Literal["server", "client", "all"] | None = "all"
    bucketing_identifier: Literal["distinct_id", "device_id"] | None = None
    is_remote_configuration: bool | None = False
    has_encrypted_payloads: bool | None = False
    tags: list[Annotated[str, Field(max_length=255)]] = []
    evaluation_contexts: list[str] = []
    rollback_conditions: Any = None
    performed_rollback: bool | None = None
    creation_context: Literal[
        "feature_flags", "experiments", "surveys", "early_access_features", "web_experiments", "product_tours"
    ] = "feature_flags"
    analytics_dashboards: list[int] = []
    version: int | None = None

    def given(self) -> Json:
        """The fields the client sent, as they are stored."""
        return self.model_dump(exclude_unset=True, exclude={"version"})
