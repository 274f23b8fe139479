"""`LifecycleQuery`: how many are new, return, come back or went away, by time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from posthog_mcp.sandbox.compiler.trees import all_of, call, compare, field, select
from posthog_mcp.sandbox.experiments.trees import constant, query
from posthog_mcp.sandbox.insights.asking import Asking, alias
from posthog_mcp.sandbox.insights.labels import days, labels
from posthog_mcp.sandbox.insights.models import ByActor, Drawn, InsightDates, Interval, Node
from posthog_mcp.sandbox.insights.periods import Period, before, between, bucket_of, numbers, period_of
from posthog_mcp.sandbox.insights.series import (
    actor_of,
    check_series,
    filters_of_query,
    has_actor,
    matching,
    name_of,
    shown,
)
from posthog_mcp.sandbox.queries.models import NotComputed

if TYPE_CHECKING:
    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.queries.asked import Answer

STATUSES = ("new", "returning", "resurrecting", "dormant")
_MATHS = ("total", "dau")
Json = dict[str, Any]


class LifecycleFilter(Drawn):
    """All of it is about drawing: every status is computed whatever is shown."""

    DRAWN = frozenset({
        "legendPosition", "showLegend", "showPercentagesOnSeries", "showValuesOnSeries", "stacked",
        "toggledLifecycles",
    })  # fmt: skip


class LifecycleQuery(ByActor):
    """The query object, of one series."""

    kind: Literal["LifecycleQuery"]
    dateRange: InsightDates | None = None  # noqa: N815 - PostHog's names, here and below
    series: Annotated[list[Node], Field(min_length=1, max_length=1)]
    interval: Interval | None = None
    lifecycleFilter: LifecycleFilter | None = None  # noqa: N815
    customAggregationTarget: NotComputed = None  # noqa: N815


@dataclass(frozen=True, slots=True)
class Plan:
    """What a LifecycleQuery counts."""

    model: LifecycleQuery
    period: Period
    asking: Asking


async def plan_of(asking: Asking, model: LifecycleQuery) -> Plan:
    """What the query counts.

    Raises:
        ApiError: 400 for a series that is counted in another way than by people.
        CompileError: The query names what the project does not have.
    """
    check_series(model.series, _MATHS)
    events = [matching(model.series[0], asking.world)]
    earliest = await asking.earliest(model.dateRange, events)
    return Plan(model, period_of(model.dateRange, model.interval or "day", asking.world, earliest), asking)


async def lifecycle(asking: Asking) -> Answer:
    """Four lines; who went away counts negatively."""
    plan = await plan_of(asking, LifecycleQuery.read(asking.asked.query))
    period, node = plan.period, plan.model.series[0]
    counts: dict[tuple[str, int], int] = {}
    if period.starts:
        totals = query(
            "SELECT status, bucket, count() AS number FROM {people} GROUP BY status, bucket",
            people=statuses(plan),
        )
        counts = {(status, bucket): number for status, bucket, number in await asking.rows(totals)}
    results: list[Json] = []
    for status in STATUSES:
        sign = -1.0 if status == "dormant" else 1.0
        data = [sign * counts[status, epoch] if (status, epoch) in counts else 0.0 for epoch in period.epochs]
        name = name_of(node, asking.world)
        results.append(
            {
                "status": status,
                "label": f"{name} - {status}",
                "data": data,
                "count": sum(data),
                "days": days(period),
                "labels": labels(period),
                "action": shown(node, 0, asking.world) | {"math": "total"},
            }
        )
    return asking.answer(results, period)


def statuses(plan: Plan) -> ast.SelectQuery:
    """One row for each actor, bucket and status: `actor, bucket, status`."""
    model, period, world = plan.model, plan.period, plan.asking.world
    group = model.aggregation_group_type_index
    # The bucket before the range tells who returns to its first one, or went away in it.
    begin = before(period.starts[0], period.interval)
    epochs = [int(begin.timestamp()), *period.epochs]
    created = field("person" if group is None else f"group_{group}", "created_at")
    events = select(
        [
            alias("actor", actor_of(group)),
            alias("place", call("indexOf", numbers(epochs), bucket_of(epochs))),
            alias("made", created),
        ],
        "events",
        where=all_of(
            [
                between(begin, period.end.replace(microsecond=0)),
                matching(model.series[0], world),
                filters_of_query(model, world),
                has_actor(group),
                compare("!=", field("person_mode"), constant("propertyless")),
            ]
        ),
    )
    people = query(
        "SELECT actor, groupUniqArray(place) AS places, indexOf({epochs}, {made}) AS born"
        " FROM (SELECT actor, place, made FROM {events}) GROUP BY actor",
        epochs=numbers(epochs),
        made=bucket_of(epochs, "min(made)"),
        events=events,
    )
    return query(
        "SELECT actor, arrayElement({epochs}, tupleElement(what, 1)) AS bucket,"
        " tupleElement(what, 2) AS status"
        " FROM (SELECT actor, arrayJoin(arrayConcat("
        "arrayMap(p -> tuple(p, multiIf(has(places, p - 1), 'returning',"
        " p = arrayMin(places) AND p = born, 'new', 'resurrecting')), arrayFilter(p -> p > 1, places)),"
        "arrayMap(p -> tuple(p + 1, 'dormant'),"
        " arrayFilter(p -> p < {last} AND NOT has(places, p + 1), places))"
        ")) AS what FROM {people})",
        epochs=numbers(epochs),
        last=constant(len(epochs)),
        people=people,
    )
