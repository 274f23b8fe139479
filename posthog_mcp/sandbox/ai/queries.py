"""The query kinds `TracesQuery` and `TraceQuery`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from posthog_mcp.hogql import ast, print_hogql
from posthog_mcp.sandbox.ai.trace import Event, trace_of
from posthog_mcp.sandbox.compiler import CompileError
from posthog_mcp.sandbox.compiler.dates import parse_date
from posthog_mcp.sandbox.compiler.filters import property_filters
from posthog_mcp.sandbox.compiler.trees import all_of
from posthog_mcp.sandbox.compiler.world import MAX_ROWS
from posthog_mcp.sandbox.experiments.trees import between, constant, expr, moment, query
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.queries.asked import Answer, Asked, Ran, common, refused, run
from posthog_mcp.sandbox.queries.hogql import DateRange
from posthog_mcp.sandbox.queries.models import NotComputed, QueryModel, whole_group

if TYPE_CHECKING:
    from datetime import datetime

    from posthog_mcp.sandbox.compiler.world import World
    from posthog_mcp.sandbox.sandbox import Sandbox

JSON = dict[str, Any]

_PAGE = 100
_MARGIN = timedelta(minutes=10)  # a trace may begin before the period, or go on after it
_COLUMNS = (
    "id", "createdAt", "person", "totalLatency", "inputTokens", "outputTokens", "inputCost", "outputCost",
    "totalCost", "traceName", "events",
)  # fmt: skip
_ID = "toString(properties.$ai_trace_id)"
_IN_A_TRACE = (
    "event IN ('$ai_generation', '$ai_embedding', '$ai_span', '$ai_trace', '$ai_metric', '$ai_feedback')"
    f" AND notEmpty(ifNull({_ID}, ''))"
)


class TracesQuery(QueryModel):
    """The query object."""

    kind: Literal["TracesQuery"]
    dateRange: DateRange | None = None  # noqa: N815 - PostHog's names, here and below
    limit: Annotated[int, Field(ge=1, le=1000)] | None = None
    offset: Annotated[int, Field(ge=0)] | None = None
    filterTestAccounts: bool | None = None  # noqa: N815
    filterSupportTraces: bool | None = None  # noqa: N815
    showColumnConfigurator: bool | None = None  # noqa: N815
    properties: list[dict[str, Any]] | None = None
    personId: str | None = None  # noqa: N815
    groupKey: str | None = None  # noqa: N815
    groupTypeIndex: Annotated[int, Field(ge=0, le=4)] | None = None  # noqa: N815
    includeSentiment: NotComputed = None  # noqa: N815
    randomOrder: bool | None = None  # noqa: N815


class TraceQuery(QueryModel):
    """The query object for one trace."""

    kind: Literal["TraceQuery"]
    traceId: str  # noqa: N815
    dateRange: DateRange | None = None  # noqa: N815
    includeSentiment: NotComputed = None  # noqa: N815
    properties: list[dict[str, Any]] | None = None


async def traces_query(asked: Asked) -> Answer:
    """A page of traces, newest first.

    Raises:
        ApiError: 400 for a filter that cannot be run.
    """
    model = TracesQuery.read(asked.query)
    whole_group(model.groupKey, model.groupTypeIndex)
    limit, offset = model.limit or _PAGE, model.offset or 0
    try:
        start, end = _period(model.dateRange, asked.world)
        having = _having(model, asked.world)
    except CompileError as error:
        raise refused(error) from error
    tree = query(
        f"SELECT {_ID} AS id, min(timestamp) AS began FROM events"  # noqa: S608 - words of ours
        f" WHERE {_IN_A_TRACE} AND {{near}} GROUP BY id"
        " HAVING began >= {start} AND began <= {end} AND {having}"
        f" ORDER BY {'cityHash64(id)' if model.randomOrder else 'began DESC'}, id"
        f" LIMIT {limit} OFFSET {offset}",
        near=between(start - _MARGIN, end + _MARGIN),
        start=moment(start),
        end=moment(end),
        having=having,
    )
    found = await run(asked, tree, one_more=True)
    ids = [row[0] for row in found.rows]
    traces, read = await _traces(asked, ids, (start, end), whole=False)
    return _answer(asked, found, print_hogql(tree), traces, read)


async def trace_query(asked: Asked) -> Answer:
    """One trace with all its events; no result where none of them is in the period."""
    model = TraceQuery.read(asked.query)
    try:
        period = _period(model.dateRange, asked.world)
        wanted = property_filters(model.properties or [])
    except CompileError as error:
        raise refused(error) from error
    tree = query(
        f"SELECT {_ID} AS id FROM events"  # noqa: S608 - words of ours
        f" WHERE {_IN_A_TRACE} AND {{near}} AND {_ID} = {{trace}} AND {{wanted}} GROUP BY id LIMIT 1",
        near=between(period[0] - _MARGIN, period[1] + _MARGIN),
        trace=constant(model.traceId),
        wanted=wanted,
    )
    found = await run(asked, tree, one_more=True)
    traces, read = await _traces(asked, [row[0] for row in found.rows], period, whole=True)
    return _answer(asked, found, print_hogql(tree), traces, read)


def _period(given: DateRange | None, world: World) -> tuple[datetime, datetime]:
    start = (given.date_from if given else None) or "-7d"
    end = given.date_to if given else None
    since = world.now - timedelta(days=4 * 365) if start == "all" else parse_date(start, world).moment
    return since, parse_date(end, world).moment if end and end != "all" else world.now


def _having(model: TracesQuery, world: World) -> ast.Expr:
    """What some event of the trace must be like."""
    conditions: list[ast.Expr] = []
    filters = [*(model.properties or ()), *(world.test_account_filters if model.filterTestAccounts else ())]
    if filters:
        conditions.append(expr("countIf({matches}) > 0", matches=property_filters(filters)))
    if model.personId is not None:
        conditions.append(expr("countIf(toString(person_id) = {id}) > 0", id=constant(model.personId)))
    if model.groupKey is not None and model.groupTypeIndex is not None:
        group = f"countIf(`$group_{model.groupTypeIndex}` = {{key}}) > 0"
        conditions.append(expr(group, key=constant(model.groupKey)))
    return all_of(conditions)


async def _traces(
    asked: Asked, ids: list[str], period: tuple[datetime, datetime], *, whole: bool
) -> tuple[list[JSON], int]:
    """The traces of these ids in their order, and the bytes read for them."""
    if not ids:
        return [], 0
    tree = query(
        f"SELECT {_ID} AS id, toString(uuid), event, timestamp, distinct_id, properties FROM events"  # noqa: S608 - words of ours
        f" WHERE {_IN_A_TRACE} AND {{near}} AND id IN {{ids}} ORDER BY timestamp, uuid LIMIT {MAX_ROWS}",
        near=between(period[0] - _MARGIN, period[1] + _MARGIN),
        ids=ast.Array(exprs=[constant(one) for one in ids]),
    )
    ran = await run(asked, tree)
    events: dict[str, list[Event]] = {}
    for trace_id, uuid, name, timestamp, distinct_id, properties in ran.rows:
        event = Event(uuid, name, timestamp, distinct_id, json.loads(properties))
        events.setdefault(trace_id, []).append(event)
    return [
        trace_of(one, events[one], whole=whole) | {"person": _person(asked.sandbox, events[one][0])}
        for one in ids
    ], ran.read_bytes


def _person(sandbox: Sandbox, event: Event) -> JSON | None:
    person = sandbox.ingest.people.person_of(event.distinct_id)
    if person is None:
        return None
    return {
        "uuid": person.uuid,
        "distinct_id": event.distinct_id,
        "created_at": iso(person.created_at),
        "properties": person.properties,
    }


def _answer(asked: Asked, found: Ran, hogql: str, traces: list[JSON], read: int) -> Answer:
    body = common(asked, found, hogql) | {"columns": list(_COLUMNS), "results": traces, "types": []}
    return Answer(body, found.read_bytes + read)
