"""Finding persons: by what is known of them, and by what they did."""

import re
from typing import Any

from pydantic import Field, model_validator

from posthog_mcp.render import Table
from posthog_mcp.render.times import to_the_second
from posthog_mcp.tool import Access, Context, Project, ProjectInput, tool
from posthog_mcp.tool.filter_rows import FilterRows, person_filters
from posthog_mcp.tool.filters import Filter
from posthog_mcp.tool.persons import PROFILES, events_of, flat, people, read, shown_ids, text_of
from posthog_mcp.tool.row_conditions import event_conditions
from posthog_mcp.tool.selecting import cursor_of, is_cursor, read_cursor, select, within
from posthog_mcp.tool.short import Names, Short
from posthog_mcp.tool.times import Moment

Json = dict[str, Any]
_SEARCH = (
    "(positionCaseInsensitive(toString(properties.email), {search}) > 0"
    " OR positionCaseInsensitive(toString(properties.name), {search}) > 0"
    " OR positionCaseInsensitive(toString(id), {search}) > 0"
    " OR id IN (SELECT person_id FROM person_distinct_ids"
    " WHERE positionCaseInsensitive(distinct_id, {search}) > 0))"
)
_EMAIL = "lower(toString(properties.email)) = {email}"
_DISTINCT_ID = "id IN (SELECT person_id FROM person_distinct_ids WHERE distinct_id = {distinct_id})"
_ASKED_FOR = (
    "SELECT toString(person_id), argMax(JSONExtractRaw(properties, '$feature_flag_response'), timestamp),"
    " max(timestamp) FROM events WHERE event = '$feature_flag_called'"
    " AND properties.$feature_flag = {flag} AND person_id IN {ids} AND "
)
_ON_PERSON = 'A row is about the person unless it says "on": "event".'
_FEW_IDS = 5
_OFFSET = re.compile(r"[0-9]{1,9}")


class FindPersons(ProjectInput):
    """Arguments of find_persons."""

    search: Short = Field("", description="Part of a name, email, distinct id or uuid.")
    email: Short = Field("", description="Exactly this email, in any case.")
    distinct_id: Short = Field("", description="Exactly this distinct id.")
    filters: FilterRows = Field(
        default_factory=list[Filter],
        description='Rows: [{"property":"plan","operator":"exact","value":"pro","on":"person"}]; on cohort '
        "takes its id as property; with event also on event, session, flag.",
    )
    event: Short = Field("", description="Who did this event, latest first.")
    date_from: Moment = Field("-30d", description="Since when.")
    date_to: Moment = Field("", description="Until when.")
    flag: Short = Field(
        "",
        description="With event: add this flag's value, on the event and when last asked for.",
    )
    show: Names = Field(
        default_factory=list[str],
        description="Properties to add: the person's, with event those of their latest.",
    )
    limit: int = Field(50, ge=1, le=200, description="How many.")
    cursor: Short = Field("", description="From the answer before.")

    @model_validator(mode="after")
    def _fits(self) -> "FindPersons":
        if self.flag and not self.event:
            raise ValueError("has a flag without an event; evaluate_flags tells what a person gets now")
        if not self.event and (self.given("date_from") or self.date_to):
            raise ValueError("has a period without an event; query_hogql finds persons by created_at")
        if self.cursor and not (is_cursor(self.cursor) if self.event else _OFFSET.fullmatch(self.cursor)):
            raise ValueError("has a cursor from elsewhere: pass the one this call's answer ended with")
        return self


@tool(area="persons", access=Access.READ, title="Find persons", scopes=("query:read",))
async def find_persons(ctx: Context, args: FindPersons) -> Table:
    """Find persons by what is known of them, or by an event they did: who hit an error, and had a flag on?

    For an error: event $exception, a filter on $exception_issue_id, $exception_types or $exception_values.
    """
    project = await ctx.project(args)
    return await (_by_event(ctx, project, args) if args.event else _known(ctx, project, args))


async def _known(ctx: Context, project: Project, args: FindPersons) -> Table:
    filters = person_filters(args.filters, "Name the event as well, to filter on what somebody did.")
    where, values = _wanted(args)
    if args.distinct_id:
        where.append(_DISTINCT_ID)
        values["distinct_id"] = args.distinct_id
    start = int(args.cursor or 0)
    page = await people(ctx, project, where, values, filters=filters, limit=args.limit, offset=start)
    columns = ["person", "name", "email", "distinct_ids", "identified", "created"]
    return Table(
        about=[f"Persons of project {project}, newest first{_filtered(args)}.{page.freshness}"],
        columns=[*columns, *args.show],
        rows=[
            [*_row(each), *(flat(each["properties"].get(name)) for name in args.show)] for each in page.found
        ],
        more=lambda shown: f"cursor={start + shown}",
        has_more=page.more,
        outsiders=frozenset({"name", "email", "distinct_ids", *args.show}),
        empty=[
            f"No person with a profile fits. {PROFILES}: look for their events with list_events.",
            "Who was created a moment ago may not be there yet.",
        ],
    )


def _wanted(args: FindPersons) -> tuple[list[str], Json]:
    """What is asked of a person, as conditions on HogQL's table of persons."""
    where: list[str] = []
    values: Json = {}
    if args.search.strip():
        where.append(_SEARCH)
        values["search"] = args.search.strip()
    if args.email.strip():
        where.append(_EMAIL)
        values["email"] = args.email.strip().lower()
    return where, values


def _row(person: Json) -> list[Any]:
    properties: Json = person["properties"]
    ids = ", ".join(shown_ids(person["distinct_ids"], _FEW_IDS))
    name, email = text_of(properties, "name", "Name", "username"), text_of(properties, "email", "Email")
    return [person["id"], name, email, ids, person.get("is_identified"), person.get("created_at")]


async def _by_event(ctx: Context, project: Project, args: FindPersons) -> Table:
    """Who did an event: also people without a profile, whom PostHog knows by their events alone."""
    conditions, values, words = within(ctx, args.date_from, args.date_to)
    narrower, row_values = await event_conditions(ctx, project, args.filters)
    conditions += narrower
    about_person, more_values = _wanted(args)
    if about_person:
        inner = " AND ".join(about_person)
        conditions.append(f"person_id IN (SELECT id FROM persons WHERE {inner})")  # noqa: S608 - our own words
    if args.distinct_id:
        condition, ids = events_of(args.distinct_id)
        conditions.append(condition)
        more_values |= ids
    names = [*([f"$feature/{args.flag}"] if args.flag else []), *args.show]
    values |= {"event": args.event, **more_values, **row_values}
    values |= {f"p{place}": name for place, name in enumerate(names)}
    having = ""
    if args.cursor:
        having = " HAVING (last_time, person_id) < (toDateTime({cursor_time}), toUUID({cursor_uuid}))"
        values |= read_cursor(args.cursor)
    picked = "".join(
        f", argMax(JSONExtractRaw(properties, {{p{place}}}), timestamp)" for place in range(len(names))
    )
    query = (
        "SELECT toString(person_id), argMax(distinct_id, timestamp), count(), max(timestamp) AS last_time,"  # noqa: S608
        f" count() OVER (){picked} FROM events WHERE event = {{event}} AND "
        f"{' AND '.join(conditions)} GROUP BY person_id{having}"
        f" ORDER BY last_time DESC, person_id DESC LIMIT {args.limit}"
    )
    rows = await select(ctx, project, query, values)
    return await _doers(ctx, project, args, rows, words)


async def _doers(
    ctx: Context, project: Project, args: FindPersons, rows: list[list[Any]], words: str
) -> Table:
    ids = [str(row[0]) for row in rows]
    known = await _profiles(ctx, project, ids)
    asked = await _asked_for(ctx, project, args, ids)
    table = [_doer(row, known.get(str(row[0])), asked.get(str(row[0]), ""), args) for row in rows]
    total = rows[0][4] if rows else 0
    about = [f"Who did {args.event} in project {project}, {words}, latest first{_filtered(args)}."]
    if args.flag:
        about.append(_split(args.flag, [row[7] for row in table]))
        if rows and not asked and all(row[7] is None for row in table):
            about.append(f"None of them sent or asked for {args.flag}; list_flags shows every key.")
    if len(known) < len(rows):
        about.append(f"Those without identified have no profile. {PROFILES}; identify_person links them.")
    columns = ["person", "name", "email", "distinct_id", "identified", "times", "last"]
    flag = [f"{args.flag} on it", f"{args.flag} last asked for"] if args.flag else []
    return Table(
        about=about,
        columns=[*columns, *flag, *args.show],
        rows=table,
        total=None if args.cursor else total,
        more=lambda shown: f"cursor={cursor_of(rows[shown - 1][3], ids[shown - 1])}",
        has_more=total > len(rows),
        outsiders=frozenset({"name", "email", "distinct_id", *flag, *args.show}),
        empty=[
            f"Nobody did {args.event} so, {words}. Check the name (describe_schema), or widen the period.",
            *([_ON_PERSON] if any(row.on == "person" for row in args.filters) else []),
            "Events sent a moment ago may not be there yet.",
        ],
    )


def _doer(row: list[Any], profile: list[Any] | None, asked: str, args: FindPersons) -> list[Any]:
    person, distinct_id, times, last, _, *values = row
    name, email, identified = profile or ["", "", None]
    shown = [read(value) for value in values]
    if args.flag:
        shown[1:1] = [asked]
    return [person, name, email, distinct_id, identified, times, last, *shown]


async def _profiles(ctx: Context, project: Project, ids: list[str]) -> dict[str, list[Any]]:
    """Name, email and whether identified, by uuid, of those who have a profile."""
    if not ids:
        return {}
    text = (
        "SELECT toString(id), properties.name, properties.email, is_identified FROM persons"
        " WHERE id IN {ids} LIMIT 200"
    )
    return {str(row[0]): row[1:] for row in await select(ctx, project, text, {"ids": ids})}


async def _asked_for(ctx: Context, project: Project, args: FindPersons, ids: list[str]) -> dict[str, str]:
    """What applications got when they last asked for the flag, and when: not every event carries flags."""
    if not (args.flag and ids):
        return {}
    conditions, values, _ = within(ctx, args.date_from, args.date_to)
    text = f"{_ASKED_FOR}{' AND '.join(conditions)} GROUP BY person_id LIMIT 200"
    rows = await select(ctx, project, text, {**values, "flag": args.flag, "ids": ids})
    return {str(row[0]): f"{_plain(read(row[1]))} at {to_the_second(row[2])}" for row in rows}


def _split(flag: str, values: list[Any]) -> str:
    """For how many of those shown it was on. Its values stay in the table: outsiders can write them."""
    absent = sum(value is None for value in values)
    off = sum(value in (False, "false", "") for value in values)
    unsent = f", not sent with the event for {absent}" if absent else ""
    return f"Of those shown, {flag} was on for {len(values) - absent - off}, off for {off}{unsent}."


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _filtered(args: FindPersons) -> str:
    """What narrowed them, in words."""
    given = [
        f"{name} {getattr(args, name)}" for name in ("search", "email", "distinct_id") if getattr(args, name)
    ]
    given += [f"{row.on} {row.property}" for row in args.filters]
    return f", by {', '.join(given)}" if given else ""
