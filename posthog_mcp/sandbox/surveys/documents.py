"""Surveys as the store keeps them, as the private API shows them, and as SDKs get them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from posthog_mcp.flags.values import as_dict, as_list
from posthog_mcp.sandbox.flags.documents import KIND as FLAG
from posthog_mcp.sandbox.flags.documents import minimal
from posthog_mcp.sandbox.http.errors import not_found
from posthog_mcp.sandbox.http.times import iso, read_iso

if TYPE_CHECKING:
    from posthog_mcp.sandbox.flags.documents import Flag
    from posthog_mcp.sandbox.sandbox import Sandbox

KIND = "survey"
Survey = dict[str, Any]
Status = Literal["draft", "running", "complete"]
FLAGS = ("linked_flag", "targeting_flag", "internal_targeting_flag")
_OWN = ("number", "targeting_flag_id", "internal_targeting_flag_id")
_PUBLIC = (
    "id", "name", "description", "type", "schedule", "questions", "conditions", "appearance", "start_date",
    "end_date", "current_iteration", "current_iteration_start_date", "enable_partial_responses",
    "base_language", "translations",
)  # fmt: skip


def find(sandbox: Sandbox, survey_id: str) -> Survey:
    """The survey of an id in a path.

    Raises:
        ApiError: 404 when there is none.
    """
    for survey in sandbox.store.all(KIND):
        if survey["id"] == survey_id.lower():
            return survey
    raise not_found()


def status(survey: Survey) -> Status:
    """From its dates."""
    if survey["start_date"] is None:
        return "draft"
    return "running" if survey["end_date"] is None else "complete"


def is_live(survey: Survey, now: datetime) -> bool:
    """Whether SDKs show it now."""
    if survey["archived"] or status(survey) != "running":
        return False
    return read_iso(survey["start_date"]) <= now


def flag_of(sandbox: Sandbox, survey: Survey, name: str) -> Flag | None:
    """One of its flags: `linked_flag`, `targeting_flag` or `internal_targeting_flag`."""
    number = survey[f"{name}_id"]
    flag = sandbox.store.get(FLAG, number) if number is not None else None
    return None if flag is None or flag["deleted"] else flag


def questions_of(survey: Survey) -> list[dict[str, Any]]:
    """Its questions, in order."""
    return as_list(survey["questions"])


def iteration_starts(survey: Survey) -> list[datetime]:
    """When each of its iterations begins; none for a survey that does not repeat, or a draft."""
    count, days = survey["iteration_count"], survey["iteration_frequency_days"]
    if not (survey["start_date"] and count and days):
        return []
    start = read_iso(survey["start_date"])
    return [start + number * timedelta(days=days) for number in range(count)]


def iteration(survey: Survey, now: datetime) -> dict[str, Any]:
    """The fields that say which iteration runs."""
    starts = iteration_starts(survey)
    begun = [start for start in starts if start <= now] or starts[:1]
    return {
        "iteration_start_dates": [iso(start) for start in starts],
        "current_iteration": len(begun) or None,
        "current_iteration_start_date": iso(begun[-1]) if begun else None,
    }


def shown(sandbox: Sandbox, survey: Survey) -> dict[str, Any]:
    """A survey as the private API answers it."""
    flags = {name: flag_of(sandbox, survey, name) for name in FLAGS}
    return {
        **{name: value for name, value in survey.items() if name not in _OWN},
        **iteration(survey, sandbox.clock()),
        **{name: minimal(sandbox, flag) if flag else None for name, flag in flags.items()},
        "linked_flag_id": survey["linked_flag_id"],
        "feature_flag_keys": [
            *({"key": f"{name}_key", "value": flag["key"] if flag else None} for name, flag in flags.items()),
            *_variant(survey),
        ],
        "user_access_level": "manager",
    }


def for_clients(sandbox: Sandbox, survey: Survey) -> dict[str, Any]:
    """A survey as SDKs get it: its flags by key, which the SDK evaluates for its own person."""
    whole = {**survey, **iteration(survey, sandbox.clock())}
    flags = {name: flag_of(sandbox, survey, name) for name in FLAGS}
    return {
        **{name: whole[name] for name in _PUBLIC},
        **{f"{name}_key": flag["key"] for name, flag in flags.items() if flag},
        "feature_flag_keys": shown(sandbox, survey)["feature_flag_keys"],
    }


def _variant(survey: Survey) -> list[dict[str, Any]]:
    variant = as_dict(survey["conditions"]).get("linkedFlagVariant")
    return [{"key": "linked_flag_variant", "value": variant}] if variant else []
