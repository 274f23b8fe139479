"""The people of cohorts: listed, uploaded, added and removed."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from starlette.datastructures import UploadFile

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.api.persons import shown
from posthog_mcp.sandbox.compiler import CompileError
from posthog_mcp.sandbox.compiler.query_kinds import actors_query
from posthog_mcp.sandbox.compiler.trees import compare, field, select
from posthog_mcp.sandbox.http.errors import invalid, not_found
from posthog_mcp.sandbox.http.paging import limit_offset, links
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.queries.actors import ActorsQuery, people_of
from posthog_mcp.sandbox.queries.asked import fetch, refused
from posthog_mcp.sandbox.queries.world import world_of

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.ingest import Person
    from posthog_mcp.sandbox.sandbox import Sandbox
    from posthog_mcp.sandbox.store import Document

_ONE = "/api/projects/{project_id}/cohorts/{id}/"
_MOST = 50_000
_AT_ONCE = 10_000


@route("GET", _ONE + "persons/", scope=("cohort:read", "person:read"), bucket="analytics")
async def list_cohort_persons(call: Call) -> Reply:
    """The members, newest persons first."""
    cohort = _cohort(call)
    limit, offset = limit_offset(call)
    uuids = await people_in(call.sandbox, cohort)
    people = call.sandbox.ingest.people
    persons, total = people.search(call.query.get("search", ""), uuids=uuids, limit=limit, offset=offset)
    pages = links(call, limit, offset, more=offset + limit < total)
    return Reply({**pages, "results": [shown(call.sandbox, person) for person in persons]})


@route("PATCH", _ONE + "add_persons_to_static_cohort/", scope="cohort:write")
async def add_persons(call: Call) -> Reply:
    """Put persons on the list of a static cohort."""
    cohort, body = _static(call), await call.json()
    given = body.get("person_ids")
    if not isinstance(given, list) or not given:
        raise invalid("person_ids must not be empty.", "person_ids")
    ids = [str(one) for one in cast("list[Any]", given)]
    if len(ids) > _AT_ONCE:
        raise invalid(f"At most {_AT_ONCE} persons can be added at once.", "person_ids")
    known = [uuid.lower() for uuid in ids if call.sandbox.ingest.people.get(uuid.lower())]
    if not known:
        raise invalid("No valid users to add to cohort", "person_ids")
    call.sandbox.cohorts.add(cohort["id"], known)
    await call.sandbox.cohorts.calculate(cohort)
    return Reply({"success": True})


@route("PATCH", _ONE + "remove_person_from_static_cohort/", scope="cohort:write")
async def remove_person(call: Call) -> Reply:
    """Take a person off the list; one who is not on it is no mistake."""
    cohort, body = _static(call), await call.json()
    person = call.sandbox.ingest.people.get(str(body.get("person_id")).lower())
    if person is None:
        raise not_found("Person not found.")
    call.sandbox.cohorts.remove(cohort["id"], person.uuid)
    await call.sandbox.cohorts.calculate(cohort)
    return Reply({"success": True})


async def people_in(sandbox: Sandbox, source: Document) -> list[str]:
    """The ids of the persons in a cohort, or that a HogQLQuery or ActorsQuery names.

    Raises `ApiError` 400 for another kind of query, or one without a column of ids.
    """
    try:
        tree = _tree(sandbox, source)
    except CompileError as error:
        raise refused(error) from error
    tree.limit = ast.Constant(value=_MOST)
    ran = await fetch(sandbox, tree)
    return list(dict.fromkeys(row[0] for row in ran.rows))


def _tree(sandbox: Sandbox, source: Document) -> ast.SelectQuery:
    world = world_of(sandbox)
    if "kind" not in source:
        same = compare("in cohort", field("id"), ast.Constant(value=source["id"]))
        return select([field("id")], "persons", where=same)
    if source["kind"] == "HogQLQuery":
        ids = people_of(source, world)
        return select([field("id")], "persons", where=compare("in", field("id"), ids))
    if source["kind"] != "ActorsQuery":
        raise invalid("Query must be a HogQLQuery or an ActorsQuery", "query")
    model = ActorsQuery.read(source)
    inner = people_of(model.source, world) if model.source is not None else None
    body = {**model.model_dump(exclude_none=True), "select": ["id"], "orderBy": ["created_at DESC"]}
    return replace(actors_query(body, world, inner), offset=None)


async def uploaded(call: Call) -> tuple[dict[str, Any], list[str]]:
    """A body of JSON, or of a form with a `csv` file: its fields, and the persons the file names."""
    if not call.request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await call.json(), []
    fields: dict[str, Any] = {}
    ids: list[str] = []
    async with call.request.form(max_files=1) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                ids += _read_csv(call.sandbox, (await value.read()).decode("utf-8-sig", "replace"))
            else:
                fields[name] = value
    if "is_static" in fields:
        fields["is_static"] = str(fields["is_static"]).lower() in ("true", "1")
    return fields, ids


def _read_csv(sandbox: Sandbox, text: str) -> list[str]:
    """Persons by distinct_id, person_id or email, whichever the header names; unknown ones are skipped."""
    rows = [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    if not rows:
        raise invalid("CSV file is empty", "csv")
    people = sandbox.ingest.people
    header = [cell.strip().lower().replace("-", "_").replace(" ", "_") for cell in rows[0]]
    found: list[Person | None] = []
    for name in ("person_id", "distinct_id", "email"):
        if name in header:
            cells = [row[header.index(name)].strip() for row in rows[1:] if len(row) > header.index(name)]
            if name == "email":
                found = [person for cell in cells for person in people.search(email=cell)[0]]
            else:
                find = people.get if name == "person_id" else people.person_of
                found = [find(cell) for cell in cells]
            break
    else:
        if len(header) > 1:
            raise invalid("CSV file must have a column called distinct_id, person_id or email", "csv")
        found = [people.person_of(row[0].strip()) for row in rows]
    return [person.uuid for person in found if person is not None]


def _cohort(call: Call) -> Document:
    number = call.params["id"]
    found = call.sandbox.store.get("cohort", int(number)) if number.isdigit() else None
    if found is None or found["deleted"]:
        raise not_found()
    return found


def _static(call: Call) -> Document:
    cohort = _cohort(call)
    if not cohort["is_static"]:
        raise invalid("Can only change the persons of static cohorts")
    return cohort
