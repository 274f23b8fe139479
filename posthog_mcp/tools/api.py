"""The rest of PostHog's API, for what no other tool does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field, field_validator

from posthog_mcp.api.requests import path_of
from posthog_mcp.render import Record, Table, Text
from posthog_mcp.render.record import dumps
from posthog_mcp.tool import Access, Context, Input, JsonObject, ProjectInput, ToolFailure, tool

if TYPE_CHECKING:
    from posthog_mcp.api.openapi import Field as ApiField

_MOST_FIELDS = 15
_SHOWN_TO_A_PERSON = 500
Json = dict[str, Any]


class FindEndpoint(Input):
    """Arguments of find_endpoint."""

    search: str = Field(
        min_length=1,
        max_length=200,
        description="Words such as `list actions`; or an endpoint, written as here, for all its fields.",
    )
    limit: int = Field(10, ge=1, le=50, description="How many at most.")


@tool(area="api", access=Access.READ, title="Find an endpoint", keys=(), default=False)
async def find_endpoint(ctx: Context, args: FindEndpoint) -> Table:
    """Find endpoints of PostHog's API for what no other tool does, with their parameters and body fields.

    `with` names the tool that calls it; * marks what is required.
    """
    from posthog_mcp.tool import endpoints  # noqa: PLC0415 - 5 ms that most starts can do without

    known = await endpoints.operations(ctx)
    exact = endpoints.named(known, args.search)
    found = [exact] if exact else endpoints.search(known, args.search)
    most = None if exact else _MOST_FIELDS
    return Table(
        about=[f"Endpoints of {ctx.api.hosts.private} for {args.search}."],
        columns=["endpoint", "with", "query", "body", "scopes", "about"],
        rows=[
            [
                str(one),
                "read_endpoint" if endpoints.only_asks(one) else "write_endpoint",
                _listed(one.query, most),
                _listed(one.body, most),
                " ".join(endpoints.endpoint_of(one).scopes),
                one.summary,
            ]
            for one in found[: args.limit]
        ],
        total=len(found),
        more=lambda shown: f"narrower words, or a limit above {shown}",
        empty=["Use the words of PostHog's own addresses: actions, cohorts, batch_exports, integrations."],
    )


class ReadEndpoint(ProjectInput):
    """Arguments of read_endpoint."""

    endpoint: str = Field(
        max_length=300, description="As find_endpoint writes it: GET /api/projects/{project_id}/actions/{id}/"
    )
    ids: JsonObject = Field(
        default_factory=dict, description='What the other {…} of its path stand for: {"id": "12"}.'
    )
    query: JsonObject = Field(default_factory=dict, description='Query parameters: {"limit": 20}.')
    body: JsonObject = Field(default_factory=dict, description="Body, for a POST that only asks.")
    fields: list[str] = Field(
        default_factory=list, max_length=50, description="Only these fields of each object."
    )

    @field_validator("fields")
    @classmethod
    def _apart(cls, value: list[str]) -> list[str]:
        return [name.strip() for names in value for name in names.split(",")]


@tool(area="api", access=Access.READ, title="Read an endpoint", default=False)
async def read_endpoint(ctx: Context, args: ReadEndpoint) -> Table | Text:
    """Read from any endpoint of PostHog's API that find_endpoint shows and that changes nothing."""
    from posthog_mcp.tool import endpoints  # noqa: PLC0415 - 5 ms that most starts can do without

    asked = await endpoints.asked(ctx, args.endpoint, args.ids, args.project_id)
    if not asked.only_asks:
        raise ToolFailure(
            f"{asked.endpoint} was not called.",
            "It may change something, and read_endpoint only asks.",
            "write_endpoint calls it, on a server with full access.",
        )
    body = args.body if asked.endpoint.method == "POST" else None
    answer = (await ctx.api.call(asked.endpoint, asked.params, query=args.query, body=body)).body
    about = f"{asked.endpoint.method} {path_of(asked.endpoint, asked.params)}"
    where = f", project {asked.project}" if asked.project else ""
    listed, total = _objects(answer)
    if unknown := _not_fields(args.fields, [answer] if listed is None else listed):
        where += f", without {', '.join(unknown)}: there is no such field"
    if listed is None:
        return Text(f"{about}{where}.", dumps(_only(answer, args.fields)))
    return _table(f"{about}{where}.", [_only(one, args.fields) for one in listed], total, args.query)


def _not_fields(names: list[str], found: list[Any]) -> list[str]:
    """The names that are no field of any object found, if there are objects."""
    fields = {field for one in found if isinstance(one, dict) for field in cast("Json", one)}
    return [name for name in names if name not in fields] if fields else []


def _objects(answer: Any) -> tuple[list[Json] | None, int | None]:
    """The objects of a list, and how many there are in all; None for an answer of another form."""
    fields = cast("Json", answer) if isinstance(answer, dict) else {"results": answer}
    results: Any = fields.get("results")
    if not isinstance(results, list) or not all(isinstance(one, dict) for one in cast("list[Any]", results)):
        return None, None
    listed, count = cast("list[Json]", results), fields.get("count")
    more = bool(fields.get("next") or fields.get("has_next") or fields.get("hasMore"))
    return listed, count if isinstance(count, int) else None if more else len(listed)


def _table(about: str, listed: list[Json], total: int | None, query: Json) -> Table:
    columns = list(dict.fromkeys(name for one in listed for name in one))
    before = str(query.get("offset"))
    start = int(before) if before.isdecimal() else 0
    ends = total is not None and start + len(listed) >= total
    return Table(
        about=[about],
        columns=columns,
        rows=[[one.get(name) for name in columns] for one in listed],
        # Behind an offset, those in front of it are not to be counted as left.
        total=None if start else total,
        more=lambda shown: f'query {{"offset": {start + shown}}}, or fewer `fields`',
        has_more=not ends,
        outsiders=frozenset(columns),
        empty=["There is nothing, or the query leaves nothing."],
    )


def _only(value: Any, fields: list[str]) -> Any:
    if not fields or not isinstance(value, dict):
        return value
    found = cast("Json", value)
    return {name: found[name] for name in fields if name in found}


class WriteEndpoint(ProjectInput):
    """Arguments of write_endpoint."""

    endpoint: str = Field(
        max_length=300,
        description="As find_endpoint writes it: PATCH /api/projects/{project_id}/actions/{id}/",
    )
    ids: JsonObject = Field(
        default_factory=dict, description='What the other {…} of its path stand for: {"id": "12"}.'
    )
    query: JsonObject = Field(default_factory=dict, description="Query parameters.")
    body: JsonObject = Field(default_factory=dict, description='Body: {"name": "Signed up"}.')
    dry_run: bool = Field(default=False, description="Show the request, send nothing.")


@tool(area="api", access=Access.FULL, title="Write to an endpoint", destructive=True, default=False)
async def write_endpoint(ctx: Context, args: WriteEndpoint) -> Record:
    """Call any endpoint of PostHog's API that find_endpoint shows; a person must agree to each call.

    Prefer the tools made for the object: they check what is sent. Most objects are deleted by a PATCH with
    {"deleted": true}.
    """
    from posthog_mcp.tool import endpoints  # noqa: PLC0415 - 5 ms that most starts can do without

    asked = await endpoints.asked(ctx, args.endpoint, args.ids, args.project_id)
    if asked.only_asks:
        raise ToolFailure(
            f"{asked.endpoint} was not called.", "It changes nothing.", "read_endpoint calls it unasked."
        )
    path = path_of(asked.endpoint, asked.params)
    request = f"{asked.endpoint.method} {path}"
    about: Json = {"request": request, **({"project": asked.project} if asked.project else {})}
    if args.dry_run:
        return Record({"dry_run": True, **about, "query": args.query, "body": args.body})
    name = path.strip("/").rpartition("/")[2]
    await ctx.consent(_act(request, asked.project, args), name, "It may be that this cannot be taken back.")
    body = None if asked.endpoint.method == "DELETE" and not args.body else args.body
    answer = await ctx.api.call(asked.endpoint, asked.params, query=args.query, body=body)
    # It may have been one that flags depend on.
    await ctx.flags_changed()
    return Record({**about, "status": answer.status, "answer": answer.body}, frozenset({"answer"}))


def _act(request: str, project: str, args: WriteEndpoint) -> str:
    """What a person agrees to, in a sentence."""
    where = f" in project {project}" if project else ""
    sent = {name: part for name, part in (("query", args.query), ("body", args.body)) if part}
    text = json.dumps(sent, ensure_ascii=False)
    shown = (
        text
        if len(text) <= _SHOWN_TO_A_PERSON
        else f"{text[:_SHOWN_TO_A_PERSON]}… ({len(text):,} characters)"
    )
    return f"Send {request}{where}{f' with {shown}' if sent else ''}."


def _listed(fields: tuple[ApiField, ...], most: int | None) -> str:
    """The required ones first, as far as there is room."""
    sorted_fields = sorted(fields, key=lambda field: not field.required)
    shown = ", ".join(map(str, sorted_fields[:most]))
    return shown if most is None or len(fields) <= most else f"{shown}, {len(fields) - most} more"
