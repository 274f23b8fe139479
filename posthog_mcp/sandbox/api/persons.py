"""Persons: read, corrected, deleted and split by hand. They are made by events alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from posthog_mcp.sandbox.api import activity_log
from posthog_mcp.sandbox.http.errors import ApiError, invalid, not_found, required
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.ingest import Person
    from posthog_mcp.sandbox.sandbox import Sandbox

_LIST = "/api/projects/{project_id}/persons/"
_ONE = "/api/projects/{project_id}/persons/{id}/"
_AT_ONCE = 1000
_DISPLAY = ("email", "Email", "name", "Name", "username", "Username", "UserName")


@route("GET", _ONE, scope="person:read", bucket="analytics")
async def get_person(call: Call) -> Reply:
    """One person, by uuid."""
    return Reply(shown(call.sandbox, find(call)))


@route("PATCH", _ONE, scope="person:write", bucket="analytics")
@route("PUT", _ONE, scope="person:write", bucket="analytics")
async def update_person(call: Call) -> Reply:
    """Merge `properties` into the person's."""
    person, body = find(call), await call.json()
    properties = body.get("properties")
    if "properties" not in body:
        raise required("properties")
    if not isinstance(properties, dict):
        raise invalid("Expected a dictionary of items.", "properties", "not_a_dict")
    await _set(call, person, cast("dict[str, Any]", properties))
    return Reply(None, 202)


@route("POST", _ONE + "update_property/", scope="person:write", bucket="analytics")
async def update_person_property(call: Call) -> Reply:
    """Write one property."""
    person, body = find(call), await call.json()
    for name in ("value", "key"):
        if name not in body:
            # PostHog writes this one by hand, with code and detail the wrong way round.
            raise ApiError(400, "validation_error", "This field is required.", "required", name)
    await _set(call, person, {str(body["key"]): body["value"]})
    return Reply(None, 202)


@route("POST", _ONE + "delete_property/", scope="person:write", bucket="analytics")
async def delete_person_property(call: Call) -> Reply:
    """Remove one property, or a list of them."""
    person, body = find(call), await call.json()
    unset = body.get("$unset")
    names: list[Any] = cast("list[Any]", unset) if isinstance(unset, list) else [unset]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise required("$unset")
    if len(names) > _AT_ONCE:
        raise invalid(f"Ensure this field has no more than {_AT_ONCE} elements.", "$unset", "max_length")
    await _set(call, person, {}, names)
    return Reply({"success": True}, 201)


@route("DELETE", _ONE, scope="person:write", bucket="analytics")
async def delete_person(call: Call) -> Reply:
    """Delete a person, and its events where `delete_events` is named, whatever its value: as PostHog does."""
    await _delete(call, [find(call)], delete_events="delete_events" in call.query)
    return Reply(None, 202)


@route("POST", _LIST + "bulk_delete/", scope="person:write", bucket="analytics")
async def delete_persons(call: Call) -> Reply:
    """Delete persons by `ids` (uuids) or `distinct_ids`; those not there are skipped."""
    body = await call.json()
    given = body.get("ids") or body.get("distinct_ids")
    if not given:
        raise invalid("You need to specify either distinct_ids or ids")
    if not isinstance(given, list) or len(cast("list[Any]", given)) > _AT_ONCE:
        raise invalid(f"You can only pass {_AT_ONCE} ids in one call")
    ids = [str(one) for one in cast("list[Any]", given)]
    people = call.sandbox.ingest.people
    found = map(people.get, ids) if body.get("ids") else map(people.person_of, ids)
    persons = {person.uuid: person for person in found if person is not None}
    if not body.get("keep_person"):
        await _delete(call, persons.values(), delete_events=bool(body.get("delete_events")))
    return Reply({"persons_found": len(persons), "persons_deleted": len(persons), "errors": []}, 202)


@route("POST", _ONE + "split/", scope="person:write", bucket="analytics")
async def split_person(call: Call) -> Reply:
    """Give every distinct id but the main one a person of its own."""
    person, body = find(call), await call.json()
    main = body.get("main_distinct_id")
    if main is not None and main not in call.sandbox.ingest.people.distinct_ids(person.uuid):
        raise invalid("The main distinct id does not belong to this person.", "main_distinct_id")
    await call.sandbox.ingest.split_person(person, main)
    activity_log.record(call.sandbox, "split_person", "Person", person.uuid, name=person.uuid)
    return Reply({"success": True}, 201)


@route("GET", _LIST + "cohorts/", scope=("person:read", "cohort:read"), bucket="analytics")
async def list_cohorts_of_person(call: Call) -> Reply:
    """The cohorts a person is in."""
    person = call.sandbox.ingest.people.get(_uuid(call.query.get("person_id", "")))
    if person is None:
        raise not_found()
    rows = await call.sandbox.engine.query(
        "SELECT DISTINCT cohort_id FROM ph.cohort_people FINAL WHERE person_id = {person:UUID}",
        {"person": person.uuid},
    )
    cohorts = [call.sandbox.store.get("cohort", int(row[0])) for row in rows.rows]
    return Reply({"results": [cohort for cohort in cohorts if cohort and not cohort["deleted"]]})


@route("GET", _LIST + "activity/", scope="activity_log:read")
async def list_persons_activity(call: Call) -> Reply:
    """What was done to persons by hand."""
    return Reply(activity_log.numbered(call, activity_log.entries(call.sandbox, ["Person"])))


@route("GET", _ONE + "activity/", scope="activity_log:read")
async def list_person_activity(call: Call) -> Reply:
    """What was done to this person by hand."""
    found = activity_log.entries(call.sandbox, ["Person"], call.params["id"])
    return Reply(activity_log.numbered(call, found))


def find(call: Call) -> Person:
    """The person the path names; 404 when there is none."""
    person = call.sandbox.ingest.people.get(_uuid(call.params["id"]))
    if person is None:
        raise not_found()
    return person


def shown(sandbox: Sandbox, person: Person) -> dict[str, Any]:
    """A person as the API shows it."""
    ids = sandbox.ingest.people.distinct_ids(person.uuid)
    return {
        "id": person.uuid,
        "type": "person",
        "name": display_name(sandbox, person, ids),
        "distinct_ids": ids,
        "properties": person.properties,
        "created_at": iso(person.created_at),
        "uuid": person.uuid,
        "last_seen_at": iso(person.last_seen_at) if person.last_seen_at else None,
    }


def display_name(sandbox: Sandbox, person: Person, distinct_ids: list[str]) -> str:
    """The property the project shows people by, else a distinct id, else the uuid."""
    for name in sandbox.project.settings["person_display_name_properties"] or _DISPLAY:
        if person.properties.get(name):
            return str(person.properties[name])
    return distinct_ids[0] if distinct_ids else person.uuid


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as error:
        raise not_found() from error


async def _set(call: Call, person: Person, values: dict[str, Any], unset: list[str] | None = None) -> None:
    names = [*values, *(unset or [])]
    before = {name: person.properties.get(name) for name in names}
    after = await call.sandbox.ingest.set_person_properties(person, values, unset)
    now = {name: after.properties.get(name) for name in names}
    activity_log.record(
        call.sandbox, "updated", "Person", person.uuid, name=person.uuid, before=before, after=now
    )


async def _delete(call: Call, persons: Iterable[Person], *, delete_events: bool) -> None:
    for person in list(persons):
        await call.sandbox.ingest.delete_person(person, delete_events=delete_events)
        activity_log.record(call.sandbox, "deleted", "Person", person.uuid, name=person.uuid)
