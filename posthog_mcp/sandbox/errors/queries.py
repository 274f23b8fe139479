"""The query kind `ErrorTrackingQuery`: issues with what their events add up to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from posthog_mcp.hogql import ast, print_hogql
from posthog_mcp.sandbox.compiler import CompileError
from posthog_mcp.sandbox.compiler.dates import parse_date
from posthog_mcp.sandbox.compiler.filters import property_filters
from posthog_mcp.sandbox.compiler.trees import all_of
from posthog_mcp.sandbox.compiler.world import MAX_ROWS
from posthog_mcp.sandbox.experiments.trees import between, constant, expr, query
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.queries.asked import Answer, Asked, Ran, common, refused, run
from posthog_mcp.sandbox.queries.hogql import DateRange
from posthog_mcp.sandbox.queries.models import Model, NotComputed, QueryModel, whole_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthog_mcp.sandbox.compiler.world import World

JSON = dict[str, Any]

_TOKEN = re.compile(r'"([^"]*)"|\'([^\']*)\'|(\S+)')
_MOST_TOKENS = 100
_LONGEST_RANGE = timedelta(days=4 * 365)  # what `all` stands for
_PAGE = 50
_EVENT = ("uuid", "distinct_id", "timestamp", "properties")
_SEARCHED = (
    "properties.$exception_types", "properties.$exception_values", "properties.$exception_sources",
    "properties.$exception_functions", "properties.email", "person.properties.email",
)  # fmt: skip


class Assignee(Model):
    """A user or a role."""

    type: Literal["user", "role"]
    id: int | str


class ErrorTrackingQuery(QueryModel):
    """The query object."""

    kind: Literal["ErrorTrackingQuery"]
    dateRange: DateRange  # noqa: N815 - PostHog's names, here and below
    orderBy: Literal["last_seen", "first_seen", "occurrences", "users", "sessions"]  # noqa: N815
    volumeResolution: Annotated[int, Field(ge=0, le=200)]  # noqa: N815
    orderDirection: Literal["ASC", "DESC"] | None = None  # noqa: N815
    issueId: str | None = None  # noqa: N815
    status: Literal["archived", "active", "resolved", "pending_release", "suppressed", "all"] | None = None
    assignee: Assignee | None = None
    filterGroup: dict[str, Any] | None = None  # noqa: N815
    filterTestAccounts: bool | None = None  # noqa: N815
    searchQuery: str | None = None  # noqa: N815
    withAggregations: bool | None = None  # noqa: N815
    withFirstEvent: bool | None = None  # noqa: N815
    withLastEvent: bool | None = None  # noqa: N815
    limit: Annotated[int, Field(ge=1)] | None = None
    offset: Annotated[int, Field(ge=0)] | None = None
    personId: str | None = None  # noqa: N815
    groupKey: str | None = None  # noqa: N815
    groupTypeIndex: Annotated[int, Field(ge=0, le=4)] | None = None  # noqa: N815
    useQueryV2: bool | None = None  # noqa: N815
    useQueryV3: bool | None = None  # noqa: N815
    pendingFingerprintIssueStateUpdates: NotComputed = None  # noqa: N815

    @property
    def descending(self) -> bool:
        """Whether the largest come first."""
        return (self.orderDirection or ("ASC" if self.orderBy == "first_seen" else "DESC")) == "DESC"


@dataclass(frozen=True, slots=True)
class _Bins:
    """Equal stretches of the period, for the volume of each issue."""

    start: datetime
    width: timedelta
    count: int

    def labels(self) -> list[str]:
        return [iso(self.start + number * self.width) for number in range(self.count)]


async def error_tracking_query(asked: Asked) -> Answer:
    """Issues with an event in the period, as many as a page holds.

    Raises:
        ApiError: 400 for a filter or a search that cannot be run.
    """
    model = ErrorTrackingQuery.read(asked.query)
    whole_group(model.groupKey, model.groupTypeIndex)
    try:
        start, end = _period(model.dateRange, asked.world)
        where = _where(model, asked.world, start, end)
    except CompileError as error:
        raise refused(error) from error
    tree = _aggregates(where)
    ran = await run(asked, tree)
    found = [issue for row in ran.rows if (issue := _issue(asked, model, ran.columns, row)) is not None]
    found.sort(key=lambda issue: (_key(issue, model.orderBy), issue["id"]), reverse=model.descending)
    limit, offset = model.limit or _PAGE, model.offset or 0
    page = found[offset : offset + limit]
    bins = _Bins(start, (end - start) / max(model.volumeResolution, 1), model.volumeResolution)
    read = ran.read_bytes + await _add_volume(asked, model, where, page, bins)
    for name, wanted in (("first_event", model.withFirstEvent), ("last_event", model.withLastEvent)):
        read += await _add_event(asked, where, page, name) if wanted and page else 0
    body = common(asked, ran, print_hogql(tree)) | {
        "columns": ["error", *(["occurrences", "sessions", "users", "volume"] if page else [])],
        "results": page,
        "hasMore": len(found) > offset + limit,
        "limit": limit,
        "offset": offset,
        "types": [],
    }
    return Answer(body, read)


def _period(given: DateRange, world: World) -> tuple[datetime, datetime]:
    start = (
        world.now - _LONGEST_RANGE
        if given.date_from == "all"
        else parse_date(given.date_from or "-7d", world).moment
    )
    end = parse_date(given.date_to, world).moment if given.date_to and given.date_to != "all" else world.now
    return start, max(start, end)


def _where(model: ErrorTrackingQuery, world: World, start: datetime, end: datetime) -> ast.Expr:
    conditions = [expr("event = '$exception' AND isNotNull(issue_id)"), between(start, end)]
    if model.issueId is not None:
        conditions.append(expr("toString(issue_id) = {id}", id=constant(model.issueId)))
    if model.personId is not None:
        conditions.append(expr("toString(person_id) = {id}", id=constant(model.personId)))
    if model.groupKey is not None and model.groupTypeIndex is not None:
        column = f"`$group_{model.groupTypeIndex}` = {{key}}"
        conditions.append(expr(column, key=constant(model.groupKey)))
    if model.filterGroup:
        conditions.append(property_filters(model.filterGroup))
    if model.filterTestAccounts and world.test_account_filters:
        conditions.append(property_filters(world.test_account_filters))
    return all_of([*conditions, *_search(model.searchQuery or "")])


def _search(text: str) -> list[ast.Expr]:
    """Every token must occur somewhere."""
    tokens = [found for parts in _TOKEN.findall(text) if (found := "".join(parts))]
    if len(tokens) > _MOST_TOKENS:
        raise invalid("Too many search tokens")
    anywhere = " OR ".join(
        f"position(lower(coalesce(toString({name}), '')), {{token}}) > 0" for name in _SEARCHED
    )
    return [expr(anywhere, token=constant(token.lower())) for token in tokens]


def _aggregates(where: ast.Expr) -> ast.SelectQuery:
    return query(
        "SELECT toString(issue_id) AS id, count(DISTINCT uuid) AS occurrences,"
        " count(DISTINCT nullIf($session_id, '')) AS sessions, count(DISTINCT person_id) AS users,"
        " max(timestamp) AS last_seen,"
        " argMax(JSONExtract(ifNull(toString(properties.$exception_functions), '[]'), 'Array(String)'),"
        " timestamp) AS functions,"
        " argMax(JSONExtract(ifNull(toString(properties.$exception_sources), '[]'), 'Array(String)'),"
        " timestamp) AS sources,"
        " argMax(ifNull(toString(properties.$lib), ''), timestamp) AS library"
        " FROM events WHERE {where} GROUP BY id LIMIT {most}",
        where=where,
        most=constant(MAX_ROWS),
    )


def _issue(asked: Asked, model: ErrorTrackingQuery, columns: list[str], row: list[Any]) -> JSON | None:
    """The item of one row; None where its issue is gone or not asked for."""
    values = dict(zip(columns, row, strict=True))
    issue = asked.sandbox.ingest.issues.get(values["id"])
    if issue is None or (model.status not in (None, "all") and issue["status"] != model.status):
        return None
    if model.assignee is not None and issue["assignee"] != model.assignee.model_dump():
        return None
    counted = {name: values[name] for name in ("occurrences", "sessions", "users")}
    return {
        "id": issue["id"],
        "status": issue["status"],
        "name": issue["name"],
        "description": issue["description"],
        "first_seen": issue["first_seen"],
        "last_seen": values["last_seen"],
        "assignee": issue["assignee"],
        "library": values["library"] or None,
        "function": values["functions"][-1] if values["functions"] else None,
        "source": values["sources"][-1] if values["sources"] else None,
        "first_event": None,
        "last_event": None,
        "external_issues": [],
        "aggregations": counted,
    }


def _key(issue: JSON, order: str) -> Any:
    return issue[order] if order in ("first_seen", "last_seen") else issue["aggregations"][order]


async def _add_volume(
    asked: Asked, model: ErrorTrackingQuery, where: ast.Expr, page: Sequence[JSON], bins: _Bins
) -> int:
    """Write how many events of each issue fall in each bin, in place; the bytes read."""
    if model.withAggregations is False:
        for issue in page:
            issue["aggregations"] = None
        return 0
    counts: dict[tuple[str, int], int] = {}
    read = 0
    if page and bins.count:
        micros = max(bins.width // timedelta(microseconds=1), 1)
        tree = query(
            "SELECT toString(issue_id) AS id, intDiv(toUnixTimestamp64Micro(timestamp) - {start}, {width})"
            " AS bin, count(DISTINCT uuid) AS value"
            " FROM events WHERE {where} AND toString(issue_id) IN {ids} GROUP BY id, bin LIMIT {most}",
            start=constant(int(bins.start.timestamp() * 1_000_000)),
            width=constant(micros),
            where=where,
            ids=_ids(page),
            most=constant(MAX_ROWS),
        )
        ran = await run(asked, tree)
        read = ran.read_bytes
        for issue_id, number, value in ran.rows:
            place = (issue_id, min(int(number), bins.count - 1))
            counts[place] = counts.get(place, 0) + value
    labels = bins.labels()
    for issue in page:
        values = [counts.get((issue["id"], number), 0) for number in range(bins.count)]
        issue["aggregations"] |= {
            "volumeRange": values,
            "volume_buckets": [
                {"label": label, "value": value} for label, value in zip(labels, values, strict=True)
            ],
        }
    return read


async def _add_event(asked: Asked, where: ast.Expr, page: Sequence[JSON], name: str) -> int:
    """Write the first or the last event of each issue, in place; the bytes read."""
    side = "argMin" if name == "first_event" else "argMax"
    picked = ", ".join(f"{side}({column}, timestamp) AS its_{column}" for column in _EVENT)
    tree = query(
        f"SELECT toString(issue_id) AS id, {picked} FROM events"  # noqa: S608 - words of ours
        " WHERE {where} AND toString(issue_id) IN {ids} GROUP BY id LIMIT {most}",
        where=where,
        ids=_ids(page),
        most=constant(MAX_ROWS),
    )
    ran: Ran = await run(asked, tree)
    events = {row[0]: dict(zip(_EVENT, row[1:], strict=True)) for row in ran.rows}
    for issue in page:
        issue[name] = events.get(issue["id"])
    return ran.read_bytes


def _ids(page: Sequence[JSON]) -> ast.Array:
    return ast.Array(exprs=[constant(issue["id"]) for issue in page])
