"""`StickinessQuery`: on how many days, or other intervals, people did something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from posthog_mcp.sandbox.compiler.filters import hogql_expression
from posthog_mcp.sandbox.compiler.trees import all_of, call, compare, select
from posthog_mcp.sandbox.experiments.trees import constant, query
from posthog_mcp.sandbox.insights.asking import Asking, alias
from posthog_mcp.sandbox.insights.models import (
    CompareFilter,
    Drawn,
    InsightDates,
    InsightQuery,
    Interval,
    Node,
)
from posthog_mcp.sandbox.insights.periods import Period, bucket_of, period_of, previous_of
from posthog_mcp.sandbox.insights.series import (
    actor_of,
    check_series,
    filters_of_query,
    has_actor,
    matching,
    name_of,
    shown,
)
from posthog_mcp.sandbox.queries.models import Model

if TYPE_CHECKING:
    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.queries.asked import Answer

COMPARED = {"gte": ">=", "lte": "<=", "exact": "="}
Json = dict[str, Any]


class Criteria(Model):
    """How often somebody must have done it for an interval to count."""

    operator: Literal["gte", "lte", "exact"]
    value: int


class StickinessFilter(Drawn):
    """How intervals are counted."""

    DRAWN = frozenset({
        "display", "hiddenLegendIndexes", "legendPosition", "resultCustomizationBy", "resultCustomizations",
        "showLegend", "showMultipleYAxes", "showValuesOnSeries",
    })  # fmt: skip

    stickinessCriteria: Criteria | None = None  # noqa: N815 - PostHog's names, here and below
    computedAs: Literal["non_cumulative", "cumulative"] | None = None  # noqa: N815


class StickinessQuery(InsightQuery):
    """The query object."""

    kind: Literal["StickinessQuery"]
    dateRange: InsightDates | None = None  # noqa: N815
    series: Annotated[list[Node], Field(min_length=1)]
    interval: Interval | None = None
    intervalCount: Annotated[int, Field(ge=1)] | None = None  # noqa: N815
    stickinessFilter: StickinessFilter | None = None  # noqa: N815
    compareFilter: CompareFilter | None = None  # noqa: N815


@dataclass(frozen=True, slots=True)
class Plan:
    """What a StickinessQuery counts, over its own period and the one it is compared with."""

    model: StickinessQuery
    period: Period
    previous: Period | None
    asking: Asking

    @property
    def cumulative(self) -> bool:
        """Whether n intervals mean n or more."""
        given = self.model.stickinessFilter
        return given is not None and given.computedAs == "cumulative"

    def epochs(self, period: Period) -> list[int]:
        """The beginnings of what is counted: buckets, or so many of them together, from the end."""
        together = self.model.intervalCount or 1
        return period.epochs[::-1][together - 1 :: together][::-1] or period.epochs[:1]


async def plan_of(asking: Asking, model: StickinessQuery) -> Plan:
    """What the query counts.

    Raises:
        ApiError: 400 for a series that cannot be counted so.
        CompileError: The query names what the project does not have.
    """
    world = asking.world
    check_series(model.series)
    earliest = await asking.earliest(model.dateRange, [matching(node, world) for node in model.series])
    period = period_of(model.dateRange, model.interval or "day", world, earliest)
    compare, previous = model.compareFilter, None
    if compare and compare.compare:
        previous = previous_of(period, model.dateRange, compare, world)
    return Plan(model, period, previous, asking)


async def stickiness(asking: Asking) -> Answer:
    """How many actors had exactly n intervals, or n and more, for each n."""
    plan = await plan_of(asking, StickinessQuery.read(asking.asked.query))
    periods = {"current": plan.period} | ({"previous": plan.previous} if plan.previous else {})
    results: list[Json] = []
    for when, period in periods.items():
        for index in range(len(plan.model.series)):
            result = await _result(plan, index, period)
            results.append(result | ({"compare": True, "compare_label": when} if plan.previous else {}))
    return asking.answer(results, plan.period)


async def _result(plan: Plan, index: int, period: Period) -> Json:
    counts: dict[int, int] = {}
    if period.starts:
        totals = query(
            "SELECT intervals, count() AS number FROM {people} GROUP BY intervals",
            people=people(plan, index, period),
        )
        counts = {int(row[0]): int(row[1]) for row in await plan.asking.rows(totals)}
    numbers = range(1, len(plan.epochs(period)) + 1)
    if plan.cumulative:
        data = [sum(count for had, count in counts.items() if had >= number) for number in numbers]
    else:
        data = [counts.get(number, 0) for number in numbers]
    node, world = plan.model.series[index], plan.asking.world
    more = " or more" if plan.cumulative else ""
    return {
        "count": sum(counts.values()),
        "data": data,
        "days": list(numbers),
        "labels": [f"{number} {period.interval}{'' if number == 1 else 's'}{more}" for number in numbers],
        "label": name_of(node, world),
        "action": shown(node, index, world),
        "filter": {"insight": "STICKINESS"},
    }


def people(plan: Plan, index: int, period: Period) -> ast.SelectQuery:
    """One row for each actor: `actor, intervals`, the number of those that count."""
    node, world = plan.model.series[index], plan.asking.world
    group = (node.math_group_type_index or 0) if node.math == "unique_group" else None
    actor = actor_of(group)
    where = [period.within(), matching(node, world), filters_of_query(plan.model, world), has_actor(group)]
    if node.math == "hogql" and node.math_hogql:
        actor = call("toString", hogql_expression(node.math_hogql))
        where.append(compare("!=", call("ifNull", actor, constant("")), constant("")))
    events = select(
        [alias("actor", actor), alias("bucket", bucket_of(plan.epochs(period)))],
        "events",
        where=all_of(where),
    )
    criteria = plan.model.stickinessFilter and plan.model.stickinessFilter.stickinessCriteria
    operator, value = (COMPARED[criteria.operator], criteria.value) if criteria else (">=", 1)
    return query(
        "SELECT actor, count() AS intervals FROM (SELECT actor, bucket FROM {events}"  # noqa: S608 - words of ours
        f" GROUP BY actor, bucket HAVING count() {operator} {{value}}) GROUP BY actor",
        events=events,
        value=constant(value),
    )
