"""Cohorts: sets of persons by filters, or by a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from posthog_mcp.sandbox.api.activity_log import entries, numbered, record
from posthog_mcp.sandbox.api.cohort_lists import people_in, uploaded
from posthog_mcp.sandbox.cohorts.documents import kind_of, new, shown
from posthog_mcp.sandbox.cohorts.filters import leaves
from posthog_mcp.sandbox.flags.documents import properties_of
from posthog_mcp.sandbox.http.errors import hard_delete_refused, invalid, not_found
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.sandbox import Sandbox
    from posthog_mcp.sandbox.store import Document

_KIND = "cohort"
_LIST = "/api/projects/{project_id}/cohorts/"
_ONE = "/api/projects/{project_id}/cohorts/{id}/"
_WRITABLE = ("name", "description", "filters", "groups", "query", "deleted")


class CohortFields(BaseModel):
    """What can be written; what is absent keeps its value."""

    name: Annotated[str, Field(max_length=400)] | None = None
    description: Annotated[str, Field(max_length=1000)] = ""
    is_static: bool = False
    filters: dict[str, Any] | None = None
    groups: list[dict[str, Any]] = []
    query: dict[str, Any] | None = None
    deleted: bool = False
    create_static_person_ids: list[str] = Field([], alias="_create_static_person_ids")


@route("GET", _LIST, scope="cohort:read")
async def list_cohorts(call: Call) -> Reply:
    """Newest first; `search`, `type`, `created_by_id` and `hide_behavioral_cohorts` narrow."""
    query = call.query
    words, kind, author = query.get("search", "").lower(), query.get("type"), query.get("created_by_id")
    hide = query.get("hide_behavioral_cohorts", "").lower() == "true"
    found = [
        one
        for one in reversed(call.sandbox.store.all(_KIND))
        if not one["deleted"]
        and words in (one["name"] or "").lower()
        and (kind is None or one["is_static"] is (kind == "static"))
        and (author is None or str(one["created_by"]["id"]) == author)
        and not (hide and _has_behaviour(call.sandbox, one))
    ]
    return Reply(counted(call, found, show=shown))


@route("POST", _LIST, scope="cohort:write")
async def create_cohort(call: Call) -> Reply:
    """Make one and find its members: by filters, or with a list, a query or a file for a static one."""
    body, file_ids = await uploaded(call)
    fields = checked(CohortFields, body)
    _check(call.sandbox, fields, None)
    listed = file_ids + await _listed(call, fields) if fields.is_static else []
    cohort = call.sandbox.store.create(_KIND, _document(call.sandbox, fields))
    call.sandbox.cohorts.add(cohort["id"], listed)
    cohort = await call.sandbox.cohorts.calculate(cohort)
    record(call.sandbox, "created", "Cohort", cohort["id"], name=cohort["name"] or "")
    return Reply(shown(cohort), 201)


@route("GET", _ONE, scope="cohort:read")
async def get_cohort(call: Call) -> Reply:
    """One; deleted ones are not found."""
    return Reply(shown(find(call)))


@route("PATCH", _ONE, scope="cohort:write")
@route("PUT", _ONE, scope="cohort:write")
async def update_cohort(call: Call) -> Reply:
    """Change what is given; new filters or people are counted at once."""
    body, file_ids = await uploaded(call)
    before = find(call, deleted=body.get("deleted") is False)
    fields = checked(CohortFields, body)
    given = {name: getattr(fields, name) for name in fields.model_fields_set & set(_WRITABLE)}
    if given.get("deleted") and not before["deleted"]:
        _check_unused(call.sandbox, before)
    if "filters" in given and not before["is_static"]:
        _check(call.sandbox, fields, before["id"])
    listed = file_ids + await _listed(call, fields) if before["is_static"] else []
    after: Document = {**before, **given, "is_static": before["is_static"]}
    call.sandbox.store.put(_KIND, after["id"], after)
    if listed or "filters" in given:
        call.sandbox.cohorts.add(after["id"], listed)
        after = await call.sandbox.cohorts.calculate(after)
    was = {name: before[name] for name in given}
    activity = "deleted" if after["deleted"] and not before["deleted"] else "updated"
    record(call.sandbox, activity, "Cohort", after["id"], name=after["name"] or "", before=was, after=given)
    return Reply(shown(after))


@route("DELETE", _ONE, scope="cohort:write")
async def delete_cohort(call: Call) -> Reply:
    """Refused, as in PostHog."""
    find(call)
    raise hard_delete_refused()


@route("GET", _ONE + "activity/", scope="activity_log:read")
async def list_cohort_activity(call: Call) -> Reply:
    """What was changed about it."""
    return Reply(numbered(call, entries(call.sandbox, ["Cohort"], call.params["id"])))


@route("GET", _LIST + "activity/", scope="activity_log:read")
async def list_activity_of_cohorts(call: Call) -> Reply:
    """What was changed about cohorts."""
    return Reply(numbered(call, entries(call.sandbox, ["Cohort"])))


@route("GET", _ONE + "duplicate_as_static_cohort/", scope="cohort:write")
async def duplicate_as_static(call: Call) -> Reply:
    """A static cohort of whoever is in this one now."""
    source = find(call)
    if source["is_static"]:
        raise invalid("Cannot duplicate a static cohort as a static cohort.")
    fields = CohortFields(name=f"{source['name']} (static copy)", is_static=True)  # pyright: ignore[reportCallIssue]
    copy = call.sandbox.store.create(_KIND, _document(call.sandbox, fields))
    call.sandbox.cohorts.add(copy["id"], await people_in(call.sandbox, source))
    return Reply(shown(await call.sandbox.cohorts.calculate(copy)))


def find(call: Call, *, deleted: bool = False) -> Document:
    """The cohort the path names; 404 when there is none."""
    number = call.params["id"]
    found = call.sandbox.store.get(_KIND, int(number)) if number.isdigit() else None
    if found is None or (found["deleted"] and not deleted):
        raise not_found()
    return found


def _document(sandbox: Sandbox, fields: CohortFields) -> Document:
    written = {name: getattr(fields, name) for name in _WRITABLE}
    filters = None if fields.is_static else fields.filters
    return new(sandbox, **written | {"is_static": fields.is_static, "filters": filters})


async def _listed(call: Call, fields: CohortFields) -> list[str]:
    """The persons that a static cohort's query or ids name."""
    people = call.sandbox.ingest.people
    known = [uuid for uuid in fields.create_static_person_ids if people.get(uuid.lower())]
    if fields.query is not None:
        known += await people_in(call.sandbox, fields.query)
    return known


def _check(sandbox: Sandbox, fields: CohortFields, own_id: int | None) -> None:
    if fields.is_static:
        return
    if not fields.filters or "properties" not in fields.filters:
        raise invalid("Must contain a 'properties' key with type and values", "filters")
    sandbox.cohorts.check(fields.filters, own_id)
    behaviour = any(leaf.get("type") == "behavioral" for leaf in leaves(fields.filters))
    if own_id is not None and behaviour and _used_in(sandbox, own_id):
        detail = "Behavioral filters cannot be added to cohorts used in feature flags."
        raise invalid(detail, "filters", "behavioral_cohort_found")


def _check_unused(sandbox: Sandbox, cohort: Document) -> None:
    keys = _used_in(sandbox, cohort["id"])
    if keys:
        names = ", ".join(keys)
        raise invalid(f"This cohort is used in {len(keys)} active feature flag(s): {names}")


def _used_in(sandbox: Sandbox, cohort_id: int) -> list[str]:
    """Keys of the active flags that ask for the cohort."""
    return [
        flag["key"]
        for flag in sandbox.store.all("feature_flag")
        if flag["active"]
        and not flag["deleted"]
        and any(
            each.get("type") == "cohort" and str(each.get("value")) == str(cohort_id)
            for each in properties_of(flag)
        )
    ]


def _has_behaviour(sandbox: Sandbox, cohort: Document) -> bool:
    """Whether behaviour decides, here or in a cohort this one refers to."""
    if kind_of(cohort) == "behavioral":
        return True
    for leaf in leaves(cohort["filters"] or {}):
        if leaf.get("type") == "cohort" and str(leaf.get("value")).isdecimal():
            other = sandbox.store.get(_KIND, int(leaf["value"]))
            if other and _has_behaviour(sandbox, other):
                return True
    return False
