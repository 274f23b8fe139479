"""Surveys made, changed, launched, stopped and deleted, with the flags of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from posthog_mcp.flags.values import as_dict
from posthog_mcp.sandbox.api.activity_log import record
from posthog_mcp.sandbox.flags.documents import KIND as FLAG
from posthog_mcp.sandbox.flags.documents import variants_of
from posthog_mcp.sandbox.http.errors import invalid, required
from posthog_mcp.sandbox.http.times import iso, read_iso
from posthog_mcp.sandbox.http.validate import checked
from posthog_mcp.sandbox.surveys import targeting
from posthog_mcp.sandbox.surveys.documents import KIND, Survey
from posthog_mcp.sandbox.surveys.schema import NOT_KEPT, SurveyFields

if TYPE_CHECKING:
    from posthog_mcp.sandbox.sandbox import Sandbox

SCOPE = "Survey"
Json = dict[str, Any]


def create(sandbox: Sandbox, body: Json) -> Survey:
    """Make a survey of a request's body, and the flags of its own.

    Raises:
        ApiError: 400 for what PostHog does not take.
    """
    fields = checked(SurveyFields, body)
    for name in ("name", "type", "questions"):
        if not getattr(fields, name):
            raise required(name)
    survey: Survey = {
        **SurveyFields().model_dump(exclude=NOT_KEPT),
        "targeting_flag_id": None,
        **fields.given(),
        "id": str(uuid4()),
        "internal_targeting_flag_id": None,
        "created_at": iso(sandbox.clock()),
        "created_by": sandbox.project.user.basic(),
    }
    _check(sandbox, survey)
    with sandbox.store.transaction():
        survey = _targeted(sandbox, survey, fields)
        number = sandbox.store.create(KIND, survey)["id"]
        survey = {**survey, "number": number}
        sandbox.store.put(KIND, number, survey)
        targeting.switch(sandbox, survey)
        record(sandbox, "created", SCOPE, survey["id"], name=survey["name"])
    return survey


def change(sandbox: Sandbox, before: Survey, body: Json) -> Survey:
    """Change the fields a request's body gives; nested objects and lists are replaced whole.

    Raises:
        ApiError: 400 for what PostHog does not take.
    """
    fields = checked(SurveyFields, body)
    given = fields.given()
    if given.get("type", "") is None or given.get("name", "named") == "":
        raise invalid("This field may not be null.", "type" if given.get("name") else "name", "null")
    after: Survey = {**before, **given}
    _check(sandbox, after)
    with sandbox.store.transaction():
        after = _targeted(sandbox, after, fields)
        return save(sandbox, before, after)


def launch(sandbox: Sandbox, survey: Survey) -> Survey:
    """Start now; nothing happens to one that was started.

    Raises:
        ApiError: 400 for an archived survey, and for one whose end is past.
    """
    if survey["archived"]:
        raise invalid("Cannot launch an archived survey. Unarchive it first.")
    if survey["end_date"] and read_iso(survey["end_date"]) <= sandbox.clock():
        raise invalid("Cannot launch a survey whose end date is in the past.", "end_date")
    if survey["start_date"]:
        return survey
    return change(sandbox, survey, {"start_date": iso(sandbox.clock())})


def stop(sandbox: Sandbox, survey: Survey) -> Survey:
    """End now; nothing happens to one that has ended.

    Raises:
        ApiError: 400 for an archived survey.
    """
    if survey["archived"]:
        raise invalid("Cannot stop an archived survey. Unarchive it first.")
    if survey["end_date"]:
        return survey
    return change(sandbox, survey, {"end_date": iso(sandbox.clock())})


def delete(sandbox: Sandbox, survey: Survey) -> None:
    """Really delete it, and the flags of its own; the linked flag stays."""
    with sandbox.store.transaction():
        targeting.drop(sandbox, survey, "targeting_flag")
        targeting.drop(sandbox, survey, "internal_targeting_flag")
        sandbox.store.remove(KIND, survey["number"])
        record(sandbox, "deleted", SCOPE, survey["id"], name=survey["name"])


def save(sandbox: Sandbox, before: Survey, after: Survey) -> Survey:
    """Store a survey, its flags on while it runs, and log what differs; nothing happens if nothing does."""
    fields = [name for name in after if before.get(name) != after[name]]
    if not fields:
        return before
    with sandbox.store.transaction():
        sandbox.store.put(KIND, after["number"], after)
        targeting.switch(sandbox, after)
        was, now = ({name: one[name] for name in fields} for one in (before, after))
        record(sandbox, "updated", SCOPE, after["id"], name=after["name"], before=was, after=now)
    return after


def _targeted(sandbox: Sandbox, survey: Survey, fields: SurveyFields) -> Survey:
    remove = bool(fields.remove_targeting_flag)
    return targeting.target(sandbox, survey, fields.targeting_flag_filters, remove=remove)


def _check(sandbox: Sandbox, survey: Survey) -> None:
    for other in sandbox.store.all(KIND):
        if other["name"] == survey["name"] and other["id"] != survey["id"]:
            raise invalid("There is already a survey with this name.", "name", "unique")
    for name in ("linked_flag_id", "targeting_flag_id"):
        _check_flag(sandbox, survey[name], name)
    variant = as_dict(survey["conditions"]).get("linkedFlagVariant")
    if variant:
        _check_variant(sandbox, survey["linked_flag_id"], variant)
    start, end = survey["start_date"], survey["end_date"]
    if start and end and read_iso(end) < read_iso(start):
        raise invalid("End date must be after the start date.", "end_date")


def _check_flag(sandbox: Sandbox, number: int | None, attr: str) -> None:
    if number is None:
        return
    flag = sandbox.store.get(FLAG, number)
    if flag is None or flag["deleted"]:
        raise invalid("Feature Flag with this ID does not exist", attr, "does_not_exist")


def _check_variant(sandbox: Sandbox, flag_id: int | None, variant: str) -> None:
    if flag_id is None:
        raise invalid("linkedFlagVariant can only be used with a linked_flag_id", "conditions")
    known = [one["key"] for one in variants_of(sandbox.store.get(FLAG, flag_id) or {"filters": {}})]
    if variant != "any" and variant not in known:
        raise invalid(f"Feature flag variant '{variant}' does not exist on the linked flag", "conditions")
