"""HogQL: any question in SQL, and the names to ask it with."""

import difflib
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, model_validator

from posthog_mcp.api.errors import Invalid
from posthog_mcp.render import Record, Result, Table
from posthog_mcp.tool import (
    Access,
    Context,
    Input,
    JsonObject,
    Project,
    ProjectInput,
    ToolFailure,
    handles,
    queries,
    tool,
)
from posthog_mcp.tool.selecting import freshness

_EVENTS = "/api/projects/{project_id}/event_definitions/"
_PROPERTIES = "/api/projects/{project_id}/property_definitions/"
# Types whose values cannot carry words.
_WORDLESS = ("Int", "UInt", "Float", "Decimal", "Bool", "Date", "UUID", "Nothing", "Interval")
Json = dict[str, Any]


class QueryHogql(ProjectInput):
    """Arguments of query_hogql."""

    query: str = Field(
        min_length=1,
        max_length=65_536,
        description="One SELECT: SELECT event, count() FROM events WHERE timestamp > now() - INTERVAL 7 DAY "
        "GROUP BY event ORDER BY count() DESC LIMIT 20",
    )
    values: JsonObject = Field(
        default_factory=dict, description='What {name} in the query stands for: {"name": "order placed"}.'
    )
    format: Literal["text", "json"] = Field("text", description="A table, or JSON for programs.")
    unchecked: bool = Field(default=False, description="Send a query that our grammar cannot read.")


@tool(area="query", access=Access.READ, title="Query with HogQL", scopes=("query:read",))
async def query_hogql(ctx: Context, args: QueryHogql) -> Table | Record:
    """Ask anything with HogQL, PostHog's SQL: events, persons, sessions, groups, cohorts.

    Always filter on timestamp. properties.x, person.properties.x, session.$entry_pathname need no join.
    Without LIMIT 100 rows come back; OFFSET is refused: continue with a WHERE on the last row. Put values
    that are not yours into `values`. describe_schema has the names. A long query answers with a handle for
    get_query_status.
    """
    notes = queries.checked(args.query, args.values, unchecked=args.unchecked)
    project = await ctx.project(args)
    query: Json = {"kind": "HogQLQuery", "query": args.query}
    if args.values:
        query["values"] = args.values
    try:
        return _shown(project, await queries.answer_of(ctx, project, query), notes)
    except queries.StillRunning as running:
        # The handle of a long query would be as long: its rows can be shown without it.
        return queries.handed_over(ctx, running)
    except Invalid as error:
        # What may be misspelt explains the refusal; that it would have been slow does not.
        names = [note for note in notes if not note.startswith(("No LIMIT", "No time range"))]
        error.next_step = " ".join([*names, error.next_step])
        raise


class GetQueryStatus(Input):
    """Arguments of get_query_status."""

    handle: str = Field(min_length=1, max_length=handles.LONGEST, description="As the tool answered it.")
    cancel: bool = Field(default=False, description="Stop the query instead.")
    format: Literal["text", "json"] = Field("text", description="A table, or JSON for programs.")


@tool(area="query", access=Access.READ, title="Get a long query's result", scopes=("query:read",))
async def get_query_status(ctx: Context, args: GetQueryStatus) -> Result:
    """Wait for a query that a tool answered with a handle: that tool's answer, or a handle once more."""
    ticket = handles.opened(ctx, args.handle)
    if args.cancel:
        project = await queries.stop(ctx, ticket)
        return Record({"stopped": True, "project": str(project)})
    if ticket.tool:
        return await ctx.repeat(ticket)
    try:
        return _shown(*await queries.look(ctx, ticket), [])
    except queries.StillRunning as running:
        return queries.handed_over(ctx, running)


def _shown(project: Project, answer: Json, notes: list[str]) -> Table:
    columns: list[str] = answer.get("columns") or []
    types: list[list[str]] = answer.get("types") or []
    return Table(
        about=[f"Project {project}, times in {answer.get('timezone') or 'UTC'}.{freshness(answer)}", *notes],
        columns=columns,
        rows=answer.get("results") or [],
        more=_rest(answer),
        has_more=bool(answer.get("hasMore")),
        outsiders=frozenset(name for name, kind in types if _carries_words(kind)),
        empty=[
            "Check the names (describe_schema), the period, and the exact spelling of values.",
            "Events sent a moment ago may not be there yet.",
        ],
    )


def _rest(answer: Json) -> Callable[[int], str]:
    """How to get at the rows that are not shown; PostHog names its limit where it set one itself."""
    first = "add LIMIT (50,000 at most)" if answer.get("limit") else "select fewer or shorter columns"
    return lambda shown: f"{first}, or add a WHERE that starts behind row {shown} in the order of the query."


def _carries_words(kind: str) -> bool:
    inner = kind.removeprefix("LowCardinality(").removeprefix("Nullable(")
    return not inner.startswith(_WORDLESS)


class DescribeSchema(ProjectInput):
    """Arguments of describe_schema."""

    table: str = Field("", max_length=200, description="A table, for its columns.")
    event: str = Field("", max_length=200, description="An event, for the properties seen on it.")
    search: str = Field("", max_length=200, description="Part of an event's or a property's name.")
    limit: int = Field(50, ge=1, le=200, description="How many of each.")

    @model_validator(mode="after")
    def _fits(self) -> "DescribeSchema":
        if self.table and (self.event or self.search):
            raise ValueError("`table` goes alone: it shows all columns")
        return self


@tool(
    area="query",
    access=Access.READ,
    title="Describe the schema",
    scopes=("query:read", "event_definition:read", "property_definition:read"),
)
async def describe_schema(ctx: Context, args: DescribeSchema) -> Table:
    """Names for query_hogql: tables and events; one table's columns; one event's properties; a search."""
    project = await ctx.project(args)
    if args.table:
        rows, what = _columns(args.table, await _tables(ctx, project)), f"Columns of {args.table}"
    elif args.event:
        query = {"event_names": [args.event], "filter_by_event_names": True, "limit": args.limit}
        query |= {"search": args.search} if args.search else {}
        rows, what = await _properties(ctx, project, query), f"Properties of {args.event}"
    elif args.search:
        query = {"search": args.search, "limit": args.limit}
        rows = [*await _events(ctx, project, query), *await _properties(ctx, project, query)]
        what = f"Events and properties with {args.search} in the name"
    else:
        tables = [
            ["table", name, "", ", ".join(fields)] for name, fields in (await _tables(ctx, project)).items()
        ]
        rows, what = [*tables, *await _events(ctx, project, {"limit": args.limit})], "Tables and events"
    return Table(
        about=[f"{what}, project {project}."],
        columns=["kind", "name", "type", "about"],
        rows=rows,
        outsiders=frozenset() if args.table else frozenset({"name", "about"}),
        empty=["No such name was seen in this project: search for a part of it, or give nothing to see all."],
    )


async def _tables(ctx: Context, project: Project) -> dict[str, dict[str, str]]:
    """Columns with their types by table, the project's own tables included."""
    body = {"query": {"kind": "DatabaseSchemaQuery"}}
    tables: dict[str, Json] = (await ctx.api.post(queries.QUERY, body, project_id=project.id))["tables"]
    return {
        name: {field: str(known.get("type") or "") for field, known in table["fields"].items()}
        for name, table in tables.items()
    }


def _columns(table: str, tables: dict[str, dict[str, str]]) -> list[list[Any]]:
    if table not in tables:
        near = difflib.get_close_matches(table, tables, n=3)
        raise ToolFailure(
            f"There is no table `{table}`.",
            f"Similar: {', '.join(near)}." if near else f"There are {', '.join(sorted(tables))}.",
            "describe_schema without arguments lists them with their columns.",
        )
    return [["column", name, kind, ""] for name, kind in tables[table].items()]


async def _events(ctx: Context, project: Project, query: Json) -> list[list[Any]]:
    page = await ctx.api.get(_EVENTS, query=query, project_id=project.id)
    return [
        ["event", item["name"], "", _joined(item.get("description"), _seen(item.get("last_seen_at")))]
        for item in page["results"]
    ]


async def _properties(ctx: Context, project: Project, query: Json) -> list[list[Any]]:
    page = await ctx.api.get(_PROPERTIES, query={"type": "event", **query}, project_id=project.id)
    return [
        ["property", item["name"], item.get("property_type") or "", item.get("description") or ""]
        for item in page["results"]
    ]


def _seen(time: str | None) -> str:
    return f"last seen {time}" if time else ""


def _joined(*parts: str | None) -> str:
    return "; ".join(part for part in parts if part)
