"""The flags a survey makes for itself: whom it is for, and who has answered or dismissed it already."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any

from posthog_mcp.flags.values import as_list
from posthog_mcp.sandbox.flags import writing as flags
from posthog_mcp.sandbox.flags.documents import KIND as FLAG
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.surveys.documents import Survey, flag_of, iteration, status

if TYPE_CHECKING:
    from posthog_mcp.sandbox.sandbox import Sandbox

_PREFIX = "survey-targeting-"
_LETTERS = string.ascii_lowercase + string.digits
_EVERYBODY = (100, None)
Json = dict[str, Any]


def target(sandbox: Sandbox, survey: Survey, filters: Json | None, *, remove: bool) -> Survey:
    """The survey with its targeting flag made, changed or taken away.

    Args:
        sandbox: Where.
        survey: As it will be stored.
        filters: Whom it is for, as the filters of a flag; None leaves that as it is.
        remove: For everybody again.

    Raises:
        ApiError: 400 for filters a flag cannot have, and for those that take in everybody.
    """
    if remove:
        drop(sandbox, survey, "targeting_flag")
        survey = {**survey, "targeting_flag_id": None}
    elif filters is not None:
        _check(filters)
        flag = flag_of(sandbox, survey, "targeting_flag")
        if flag is None:
            made = _make(sandbox, f"Targeting flag for survey {survey['name']}", filters, "")
            survey = {**survey, "targeting_flag_id": made["id"]}
        else:
            flags.change(sandbox, flag, {"filters": filters})
    return _remember(sandbox, survey)


def switch(sandbox: Sandbox, survey: Survey) -> None:
    """Put its own flags on while it runs, and off otherwise."""
    running = status(survey) == "running" and not survey["archived"]
    for name in ("targeting_flag", "internal_targeting_flag"):
        flag = flag_of(sandbox, survey, name)
        if flag is not None and flag["active"] is not running:
            flags.switch(sandbox, flag, active=running)


def drop(sandbox: Sandbox, survey: Survey, name: str) -> None:
    """Really delete one of its own flags."""
    flag = flag_of(sandbox, survey, name)
    if flag is not None:
        sandbox.store.remove(FLAG, flag["id"])


def _remember(sandbox: Sandbox, survey: Survey) -> Survey:
    """Leave out who has answered or dismissed it, unless it is shown every time."""
    if survey["schedule"] == "always":
        drop(sandbox, survey, "internal_targeting_flag")
        return {**survey, "internal_targeting_flag_id": None}
    number = iteration(survey, sandbox.clock())["current_iteration"]
    key = f"{survey['id']}/{number}" if number else survey["id"]
    rows = [
        {"key": f"$survey_{what}/{key}", "value": "is_not_set", "operator": "is_not_set", "type": "person"}
        for what in ("dismissed", "responded")
    ]
    filters: Json = {"groups": [{"variant": "", "rollout_percentage": 100, "properties": rows}]}
    flag = flag_of(sandbox, survey, "internal_targeting_flag")
    if flag is not None:
        flags.change(sandbox, flag, {"filters": filters})
        return survey
    made = _make(sandbox, f"Targeting flag for survey {survey['name']}", filters, "-custom")
    return {**survey, "internal_targeting_flag_id": made["id"]}


def _make(sandbox: Sandbox, name: str, filters: Json, suffix: str) -> Json:
    key = _PREFIX + "".join(secrets.choice(_LETTERS) for _ in range(10)) + suffix
    body = {"key": key, "name": name, "filters": filters, "active": False, "creation_context": "surveys"}
    return flags.create(sandbox, body)


def _check(filters: Json) -> None:
    groups = as_list(filters.get("groups"))
    if any(not group.get("properties") and group.get("rollout_percentage") in _EVERYBODY for group in groups):
        raise invalid(
            "Invalid operation: User targeting rolls out to everyone. If you want to roll out to everyone, "
            "delete this targeting",
            "targeting_flag_filters",
        )
