"""Web analytics: how many visit a site or an app, from where, and what they look at."""

from typing import Any, Literal

from pydantic import Field, field_validator

from posthog_mcp.render import Table
from posthog_mcp.tool import Access, Context, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.filter_rows import EventFilterRow, EventFilterRows, filtered_by
from posthog_mcp.tool.filters import posthog_filter
from posthog_mcp.tool.queries import answer_of
from posthog_mcp.tool.selecting import freshness
from posthog_mcp.tool.times import Moment, iso, parse_time

Json = dict[str, Any]
_BREAKDOWNS = {
    "page": "Page",
    "entry_page": "InitialPage",
    "exit_page": "ExitPage",
    "referrer": "InitialReferringDomain",
    "channel": "InitialChannelType",
    "utm_source": "InitialUTMSource",
    "utm_medium": "InitialUTMMedium",
    "utm_campaign": "InitialUTMCampaign",
    "country": "Country",
    "device": "DeviceType",
    "browser": "Browser",
    "os": "OS",
}
_WITH_BOUNCES = ("page", "entry_page")
_PREFIX = "context.columns."
_VALUE = "breakdown_value"
# PostHog's columns; what else it sends only helps to draw.
_COLUMNS = (
    "visitors",
    "views",
    "bounce_rate",
    "total_conversions",
    "unique_conversions",
    "conversion_rate",
)
_SHARES = ("bounce_rate", "conversion_rate")
_EMPTY = [
    (
        "Web analytics counts $pageview and $screen events that carry a $session_id: PostHog's SDKs for web "
        "and mobile send them."
    ),
    "Widen the period or drop a filter.",
]
_FILTERED = ("event", "person", "session", "cohort")


class QueryWeb(ProjectInput):
    """Arguments of query_web."""

    by: Literal[
        "overview",
        "page",
        "entry_page",
        "exit_page",
        "referrer",
        "channel",
        "utm_source",
        "utm_medium",
        "utm_campaign",
        "country",
        "device",
        "browser",
        "os",
    ] = Field("overview", description="Totals, or a row for each of these.")
    date_from: Moment = Field("-7d", description="-30d or 2026-03-01.")
    date_to: Moment = Field("", description="Default: today.")
    compare: bool = Field(default=False, description="With the period before.")
    goal: str = Field("", description="Conversions to this event, instead of views.")
    filters: EventFilterRows = Field(
        default_factory=list[EventFilterRow],
        description='Rows that must hold: [{"property": "$host", "value": "a.com", "on": "event"}].',
    )
    without_test_accounts: bool = Field(default=True, description="Leave internal users out.")
    limit: int = Field(20, ge=1, le=200, description="How many rows.")
    offset: int = Field(0, ge=0, description="How many to skip.")

    @field_validator("filters")
    @classmethod
    def _can_be_seen(cls, rows: list[EventFilterRow]) -> list[EventFilterRow]:
        for row in rows:
            if row.on not in _FILTERED:
                raise ValueError(
                    f"web analytics filters on {', '.join(_FILTERED)}, not on {row.on} (`{row.property}`)"
                )
        return rows


@tool(area="web", access=Access.READ, title="Query web analytics", scopes=("query:read",), default=False)
async def query_web(ctx: Context, args: QueryWeb) -> Table:
    """Visitors, views, sessions, duration and bounce rate of a site, or visitors by page, source, device."""
    project = await ctx.project(args)
    now = ctx.now()
    if args.date_to and parse_time(args.date_to, now) < parse_time(args.date_from, now):
        raise ToolFailure("Nothing was asked.", "date_to is before date_from.", "Correct one of them.")
    dates = {"date_from": _date(args.date_from, now), "date_to": _date(args.date_to, now) or None}
    query: Json = {
        "kind": "WebOverviewQuery",
        "dateRange": dates,
        "properties": [posthog_filter(row) for row in args.filters],
        "filterTestAccounts": args.without_test_accounts,
    }
    if args.compare:
        query["compareFilter"] = {"compare": True}
    if args.goal:
        query["conversionGoal"] = {"customEventName": args.goal}
    if args.by != "overview":
        query |= {
            "kind": "WebStatsTableQuery",
            "breakdownBy": _BREAKDOWNS[args.by],
            "limit": args.limit,
            "offset": args.offset,
        }
        if args.by in _WITH_BOUNCES and not args.goal:
            query["includeBounceRate"] = True
    answer = await answer_of(ctx, project, query)
    facts = f"{filtered_by(args.filters)}{freshness(answer)}"
    about = [f"Web analytics of project {project}, {_period(answer, args)}.{facts}"]
    if args.goal and not _converted(answer):
        about.append(f"Nobody did `{args.goal}`: list_definitions has the exact names of events.")
    if args.by == "overview":
        return _overview(answer, about, compare=args.compare)
    return _breakdown(answer, about, args)


def _date(words: str, now: Any) -> str:
    """As PostHog reads it in the project's time zone; to it, `-30m` would be months."""
    return iso(parse_time(words, now)) if words.strip().lower().endswith(("m", "now")) else words


def _period(answer: Json, args: QueryWeb) -> str:
    dates: Json = answer.get("resolved_date_range") or {}
    start = str(dates.get("date_from") or answer.get("dateFrom") or args.date_from)[:19]
    end = str(dates.get("date_to") or answer.get("dateTo") or args.date_to or "today")[:19]
    zone = answer.get("timezone") or "UTC"
    return f"{start} to {end} ({zone}){', beside the period before' if args.compare else ''}"


def _converted(answer: Json) -> bool:
    """Whether anybody reached the goal."""
    results: list[Any] = answer.get("results") or []
    names: list[str] = answer.get("columns") or []
    if not names:
        return any(item["key"] == "total conversions" and item.get("value") for item in results)
    place = names.index(f"{_PREFIX}total_conversions")
    return any((row[place][0] if isinstance(row[place], list) else row[place]) for row in results)


def _overview(answer: Json, about: list[str], *, compare: bool) -> Table:
    items: list[Json] = answer.get("results") or []
    rows: list[list[Any]] = []
    for item in items:
        row = [item["key"], _measured(item.get("value"), item)]
        if compare:
            change = item.get("changeFromPreviousPct")
            row += [_measured(item.get("previous"), item), None if change is None else f"{change:+.0f} %"]
        rows.append(row)
    names = ["measure", "value", *(["before", "change"] if compare else [])]
    if items and not items[0].get("value"):
        about = [*about, *_EMPTY]
    return Table(about=about, columns=names, rows=rows, empty=_EMPTY)


def _measured(value: float | None, item: Json) -> str | None:
    if value is None:
        return None
    match item.get("kind"):
        case "percentage":
            return f"{value:.1f} %"
        case "duration_s":
            return f"{value:.0f} s"
        case _:
            return f"{value:g}"


def _breakdown(answer: Json, about: list[str], args: QueryWeb) -> Table:
    found: list[list[Any]] = answer.get("results") or []
    columns: list[str] = answer.get("columns") or []
    names = [name.removeprefix(_PREFIX) for name in columns]
    shown = [(place, name) for place, name in enumerate(names) if name in _COLUMNS]
    headings = [args.by]
    for _, name in shown:
        words = name.replace("_", " ")
        headings += [words, f"{words} before"] if args.compare else [words]
    return Table(
        about=about,
        columns=headings,
        rows=[_row(row, names.index(_VALUE), shown, compare=args.compare) for row in found],
        more=lambda count: f"offset={args.offset + count}",
        has_more=bool(answer.get("hasMore")),
        outsiders=frozenset({args.by}),
        empty=_EMPTY,
    )


def _row(row: list[Any], value: int, shown: list[tuple[int, str]], *, compare: bool) -> list[Any]:
    cells: list[Any] = ["(none)" if row[value] in (None, "") else row[value]]
    for place, name in shown:
        pair: list[float | None] = row[place] if isinstance(row[place], list) else [row[place], None]
        cells += [_number(each, name) for each in (pair[:2] if compare else pair[:1])]
    return cells


def _number(value: float | None, name: str) -> str | float | None:
    return f"{100 * value:.1f} %" if value is not None and name in _SHARES else value
