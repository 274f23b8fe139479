"""The people, or groups, behind a point of an insight."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.dates import parse_date
from posthog_mcp.sandbox.compiler.trees import all_of, compare, field
from posthog_mcp.sandbox.experiments.trees import constant, query
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.insights import funnel_people, lifecycle, paths, retention, stickiness
from posthog_mcp.sandbox.insights.asking import Asking
from posthog_mcp.sandbox.insights.breakdowns import OTHER
from posthog_mcp.sandbox.insights.paths_query import PathsQuery
from posthog_mcp.sandbox.insights.paths_query import plan_of as paths_plan
from posthog_mcp.sandbox.insights.periods import after
from posthog_mcp.sandbox.insights.retention_query import RetentionQuery
from posthog_mcp.sandbox.insights.retention_query import plan_of as retention_plan
from posthog_mcp.sandbox.insights.trend_plan import Plan, TrendsQuery
from posthog_mcp.sandbox.insights.trend_plan import plan_of as trends_plan
from posthog_mcp.sandbox.insights.trend_rows import event_rows
from posthog_mcp.sandbox.queries.models import NotComputed, QueryModel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from posthog_mcp.sandbox.insights.breakdowns import CohortSplit
    from posthog_mcp.sandbox.insights.periods import Period

KINDS = ("InsightActorsQuery", "FunnelsActorsQuery", "StickinessActorsQuery")
Json = dict[str, Any]


class InsightActorsQuery(QueryModel):
    """A point of an insight; which fields name it depends on the kind of the insight."""

    kind: Literal["InsightActorsQuery", "StickinessActorsQuery"]
    source: Json
    includeRecordings: NotComputed = None  # noqa: N815 - PostHog's name
    day: str | int | None = None
    status: str | None = None
    interval: int | None = None
    series: int | None = None
    breakdown: str | int | list[str | int] | None = None
    compare: Literal["current", "previous"] | None = None
    operator: Literal["gte", "lte", "exact"] | None = None


@dataclass(frozen=True, slots=True)
class Behind:
    """Who is behind a point.

    Attributes:
        tree: One row for each: `actor`, and what the kind of insight knows, `event_count` or `appearances`.
        group: The index of the group type; None for persons.
    """

    tree: ast.SelectQuery
    group: int | None = None


async def people_behind(asking: Asking, source: Json) -> Behind:
    """Who is behind the point that the source of an ActorsQuery names.

    Raises:
        ApiError: 400 for a point that the insight does not have.
        CompileError: The insight names what the project does not have.
    """
    if source.get("kind") == "FunnelsActorsQuery":
        found = await funnel_people.people(asking, source)
        group = found.model.aggregation_group_type_index
        return Behind(listed(found.actors, as_group=group is not None), group)
    asked = InsightActorsQuery.read(source)
    kind = str(asked.source.get("kind"))
    behind = _KINDS.get(kind)
    if behind is None:
        raise invalid(f"The sandbox cannot list the people of a {kind}.", "query__source")
    return await behind(asking, asked)


def listed(actors: dict[str, int], *, as_group: bool) -> ast.SelectQuery:
    """Actors known by now, each with its number of events, as a query."""
    if not actors:
        nobody = "SELECT key AS actor, 0 AS event_count FROM groups WHERE false"
        return query(nobody if as_group else nobody.replace("key", "id").replace("groups", "persons"))
    pairs = ast.Array(
        exprs=[ast.Tuple(exprs=[constant(actor), constant(count)]) for actor, count in actors.items()]
    )
    actor = "tupleElement(one, 1)" if as_group else "toUUID(tupleElement(one, 1))"
    return query(
        f"SELECT {actor} AS actor, tupleElement(one, 2) AS event_count"  # noqa: S608 - words of ours
        " FROM (SELECT arrayJoin({pairs}) AS one)",
        pairs=pairs,
    )


async def events_behind(asking: Asking, source: Json) -> ast.SelectQuery:
    """The ids of the events behind the point that the source of an EventsQuery names, as one column.

    Raises:
        ApiError: 400 for a point that the insight does not have, and for insights other than trends.
        CompileError: The insight names what the project does not have.
    """
    asked = InsightActorsQuery.read(source)
    if (kind := asked.source.get("kind")) != "TrendsQuery":
        raise invalid(f"The sandbox can list the events of a TrendsQuery, not of a {kind}.", "source")
    rows, point, _ = await _point(asking, asked)
    return query("SELECT id FROM {rows} WHERE {point}", rows=rows, point=point)


async def _trends(asking: Asking, asked: InsightActorsQuery) -> Behind:
    rows, point, group = await _point(asking, asked)
    tree = query(
        "SELECT actor, count() AS event_count FROM {rows} WHERE {point} GROUP BY actor",
        rows=rows,
        point=point,
    )
    return Behind(tree, group)


async def _point(asking: Asking, asked: InsightActorsQuery) -> tuple[ast.SelectQuery, ast.Expr, int | None]:
    """The rows of a series of trends, which of them are the point's, and the group type they count."""
    plan = await trends_plan(asking, TrendsQuery.read(asked.source))
    index = asked.series or 0
    if not 0 <= index < len(plan.model.series):
        raise invalid(f"The insight has {len(plan.model.series)} series, not one at {index}.", "series")
    period = plan.previous if asked.compare == "previous" and plan.previous else plan.period
    # Before the rows, which a period without buckets has none of.
    bucket = _bucket(asking, plan, period, asked.day)
    cohort, values = _breakdown(plan, asked)
    rows = event_rows(replace(plan.counting(index, period, cohort), people=True, ids=True))
    conditions = [compare("==", field("bucket"), constant(bucket))]
    conditions += [
        compare("==", field(f"split_{number}"), constant(value)) for number, value in enumerate(values)
    ]
    node = plan.model.series[index]
    group = (node.math_group_type_index or 0) if node.math == "unique_group" else None
    return rows, all_of(conditions), group


def _breakdown(plan: Plan, asked: InsightActorsQuery) -> tuple[CohortSplit | None, list[str]]:
    """The cohort, or the values, of the point; all values where they were added up."""
    given = asked.breakdown
    if given is None:
        return None, []
    if plan.cohorts:
        for cohort in plan.cohorts:
            if str(cohort.value) == str(given):
                return cohort, []
        raise invalid(f"The insight has no cohort {given}.", "breakdown")
    values = [str(value) for value in (given if isinstance(given, list) else [given])]
    if OTHER in values:
        return None, []
    if len(values) != len(plan.splits):
        raise invalid(f"The insight is split by {len(plan.splits)} properties.", "breakdown")
    return None, values


def _bucket(asking: Asking, plan: Plan, period: Period, day: str | int | None) -> int:
    """The beginning of the point's bucket; 0 where the whole range is one."""
    if plan.filter.whole:
        if day is not None:
            raise invalid("This insight has one value for the whole range: leave out day.", "day")
        return 0
    return _bucket_of(asking, period, day)


def _bucket_of(asking: Asking, period: Period, day: str | int | None) -> int:
    if day is None:
        raise invalid("day is required: the beginning of an interval.", "day", "required")
    at = parse_date(str(day), asking.world).moment
    place = bisect_right(period.epochs, int(at.timestamp())) - 1
    if place < 0 or at >= after(period.starts[-1], period.interval):
        raise invalid(f"{day} lies outside the date range of the insight.", "day")
    return period.epochs[place]


async def _lifecycle(asking: Asking, asked: InsightActorsQuery) -> Behind:
    plan = await lifecycle.plan_of(asking, lifecycle.LifecycleQuery.read(asked.source))
    bucket = _bucket_of(asking, plan.period, asked.day)
    if asked.status is not None and asked.status not in lifecycle.STATUSES:
        raise invalid(f"status must be one of {', '.join(lifecycle.STATUSES)}.", "status")
    statuses = [asked.status] if asked.status else lifecycle.STATUSES
    tree = query(
        "SELECT DISTINCT actor FROM {people} WHERE bucket = {bucket} AND status IN {statuses}",
        people=lifecycle.statuses(plan),
        bucket=constant(bucket),
        statuses=ast.Tuple(exprs=[constant(status) for status in statuses]),
    )
    return Behind(tree, plan.model.aggregation_group_type_index)


async def _stickiness(asking: Asking, asked: InsightActorsQuery) -> Behind:
    plan = await stickiness.plan_of(asking, stickiness.StickinessQuery.read(asked.source))
    index = asked.series or 0
    if not 0 <= index < len(plan.model.series):
        raise invalid(f"The insight has {len(plan.model.series)} series, not one at {index}.", "series")
    number = str(asked.day)
    if not number.isdecimal():
        raise invalid("day must be a number of intervals.", "day")
    period = plan.previous if asked.compare == "previous" and plan.previous else plan.period
    operator = stickiness.COMPARED[asked.operator or ("gte" if plan.cumulative else "exact")]
    tree = query(
        f"SELECT actor FROM {{people}} WHERE intervals {operator} {{number}}",  # noqa: S608 - words of ours
        people=stickiness.people(plan, index, period),
        number=constant(int(number)),
    )
    node = plan.model.series[index]
    return Behind(tree, (node.math_group_type_index or 0) if node.math == "unique_group" else None)


async def _retention(asking: Asking, asked: InsightActorsQuery) -> Behind:
    plan = await retention_plan(asking, RetentionQuery.read(asked.source))
    row = asked.interval or 0
    if not 0 <= row < len(plan.period.starts):
        raise invalid(f"The insight has {len(plan.period.starts)} rows, not one at {row}.", "interval")
    given = asked.breakdown if isinstance(asked.breakdown, list) else [asked.breakdown]
    cohort = next((one for one in plan.cohorts if str(one.value) == str(given[0])), None)
    conditions = [compare("==", field("row"), constant(row))]
    if plan.splits and asked.breakdown is not None:
        values = [str(value) for value in given]
        conditions += [
            compare("==", field(f"split_{number}"), constant(value))
            for number, value in enumerate(values[: len(plan.splits)])
        ]
    tree = query(
        "SELECT actor, arraySort(arrayDistinct(arrayFlatten(groupArray(appearances)))) AS appearances"
        " FROM (SELECT actor, appearances FROM {people} WHERE {point}) GROUP BY actor",
        people=retention.people(plan, cohort),
        point=all_of(conditions),
    )
    return Behind(tree, plan.model.aggregation_group_type_index)


async def _paths(asking: Asking, asked: InsightActorsQuery) -> Behind:
    plan = await paths_plan(asking, PathsQuery.read(asked.source))
    group = plan.model.aggregation_group_type_index
    return Behind(listed(await paths.people_on(plan), as_group=group is not None), group)


_KINDS: dict[str, Callable[[Asking, InsightActorsQuery], Awaitable[Behind]]] = {
    "LifecycleQuery": _lifecycle,
    "PathsQuery": _paths,
    "RetentionQuery": _retention,
    "StickinessQuery": _stickiness,
    "TrendsQuery": _trends,
}
