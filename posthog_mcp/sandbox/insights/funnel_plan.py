"""A FunnelsQuery: its steps and exclusions as conditions on events, and the events of each actor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING

import anyio.to_thread

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.filters import hogql_expression
from posthog_mcp.sandbox.compiler.trees import all_of, any_of, call, compare, field, select
from posthog_mcp.sandbox.experiments.trees import constant, expr, query
from posthog_mcp.sandbox.insights.asking import Asking, alias
from posthog_mcp.sandbox.insights.breakdowns import (
    CohortSplit,
    check_values,
    cohorts_of,
    properties_of,
    text_value,
)
from posthog_mcp.sandbox.insights.funnel_query import FIRST_TIME, FunnelsFilter, FunnelsQuery, check
from posthog_mcp.sandbox.insights.funnel_steps import Event, Rules
from posthog_mcp.sandbox.insights.models import ActionsNode, EventsNode
from posthog_mcp.sandbox.insights.periods import Period, between, on_days, period_of, previous_of
from posthog_mcp.sandbox.insights.series import actor_of, filters_of_query, has_actor, matching, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthog_mcp.sandbox.compiler.world import World
    from posthog_mcp.sandbox.insights.asking import Row

_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3_600,
    "day": 86_400,
    "week": 7 * 86_400,
    "month": 31 * 86_400,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a FunnelsQuery counts.

    Attributes:
        model: The query.
        period: Conversions behind its end are not seen.
        previous: The period it is compared with.
        cohorts: Cohorts to split by.
        splits: Values to split by, as text.
        asking: The project and the engine.
    """

    model: FunnelsQuery
    period: Period
    previous: Period | None
    cohorts: list[CohortSplit]
    splits: list[ast.Expr]
    asking: Asking

    @property
    def filter(self) -> FunnelsFilter:
        """How the funnel is counted."""
        return self.model.funnelsFilter or FunnelsFilter()

    @property
    def rules(self) -> Rules:
        """Of the state machine."""
        optional = frozenset(step for step, node in enumerate(self.model.series, 1) if node.optionalInFunnel)
        order = self.filter.funnelOrderType or "ordered"
        return Rules(len(self.model.series), self.window * 1_000_000, order, optional)

    @property
    def window(self) -> int:
        """The seconds after the first step in which the others count."""
        given = self.filter
        return (given.funnelWindowInterval or 14) * _SECONDS[given.funnelWindowIntervalUnit or "day"]

    @property
    def first(self) -> int:
        """The step, from 1, that times and trends begin with."""
        return (self.filter.funnelFromStep or 0) + 1

    @property
    def last(self) -> int:
        """The step, from 1, that times and trends end with."""
        to = self.filter.funnelToStep
        return len(self.model.series) if to is None else to + 1

    def before(self) -> Plan | None:
        """The same for the period it is compared with."""
        return replace(self, period=self.previous, previous=None) if self.previous else None

    async def actors(self, cohort: CohortSplit | None = None) -> list[tuple[str, list[Event]]]:
        """Each actor with its events, by time."""
        rows = await self.asking.rows(_rows(self, cohort))
        # Some hundred thousand events take seconds, in which others want answers.
        return await anyio.to_thread.run_sync(_actors, rows, self)


async def plan_of(asking: Asking, model: FunnelsQuery) -> Plan:
    """What the query counts.

    Raises:
        ApiError: 400 for what cannot be computed.
        CompileError: The query names what the project does not have.
    """
    world = asking.world
    check(model)
    check_values(model.breakdownFilter)
    events = [matching(node, world) for node in model.series]
    earliest = await asking.earliest(model.dateRange, events)
    period = period_of(model.dateRange, model.interval or "day", world, earliest)
    compare, previous = model.compareFilter, None
    if compare and compare.compare:
        previous = previous_of(period, model.dateRange, compare, world)
    days = _days(model)
    period, previous = period.on(days), previous.on(days) if previous else None
    splits = [text_value(one, "") for one in properties_of(model.breakdownFilter)]
    return Plan(model, period, previous, cohorts_of(model.breakdownFilter, world), splits, asking)


def _days(model: FunnelsQuery) -> list[int]:
    return (model.dateRange.daysOfWeek if model.dateRange else None) or []


def _rows(plan: Plan, cohort: CohortSplit | None) -> ast.SelectQuery:
    model, world, group = plan.model, plan.asking.world, plan.model.aggregation_group_type_index
    steps = [_step(node, world) for node in model.series]
    excluded = [matching(node, world) for node in plan.filter.exclusions or []]
    strict = plan.rules.order == "strict"
    where = [
        between(plan.period.start, plan.period.end),
        constant(value=True) if strict else any_of([*steps, *excluded]),
        filters_of_query(model, world),
        on_days(_days(model)),
        has_actor(group),
        *([cohort.where] if cohort else []),
    ]
    actor = actor_of(group)
    if text := plan.filter.funnelAggregateByHogQL:
        actor = call("toString", hogql_expression(text))
        where.append(compare("!=", call("ifNull", actor, constant("")), constant("")))
    events = select(
        [
            alias("actor", actor),
            alias("at", call("toUnixTimestamp64Micro", field("timestamp"))),
            alias("steps", _bits(steps)),
            alias("excluded", _bits(excluded)),
            alias("split", ast.Array(exprs=plan.splits or [constant("")])),
        ],
        "events",
        where=all_of(where),
    )
    return query(
        "SELECT actor, groupArray(tuple(at, steps, excluded, split)) AS listed FROM {events}"
        " GROUP BY actor HAVING max(steps) > 0",
        events=events,
    )


def _step(node: EventsNode | ActionsNode, world: World) -> ast.Expr:
    """Which events are the step; by its math, only the first that a person ever did."""
    events = matching(node, world)
    if node.math not in FIRST_TIME:
        return events
    firsts = select(
        [alias("first", call("argMin", field("uuid"), field("timestamp")))],
        "events",
        where=named(node, world) if node.math == "first_time_for_user" else events,
        group_by=[field("person_id")],
    )
    return all_of([events, compare("in", field("uuid"), firsts)])


def _bits(conditions: Sequence[ast.Expr]) -> ast.Expr:
    """A number with one bit for each condition that holds."""
    if not conditions:
        return constant(0)
    named = {f"b{number}": one for number, one in enumerate(conditions)}
    return expr(" + ".join(f"if({{{name}}}, {2**number}, 0)" for number, name in enumerate(named)), **named)


def _actors(rows: list[Row], plan: Plan) -> list[tuple[str, list[Event]]]:
    spans = [range(one.funnelFromStep + 1, one.funnelToStep + 1) for one in plan.filter.exclusions or []]
    steps = len(plan.model.series)

    @cache
    def steps_of(mask: int) -> tuple[int, ...]:
        return tuple(step for step in range(1, steps + 1) if mask >> (step - 1) & 1)

    @cache
    def taints_of(mask: int) -> tuple[int, ...]:
        return tuple(step for number, span in enumerate(spans) if mask >> number & 1 for step in span)

    def of_actor(listed: list[Row]) -> list[Event]:
        events = [Event(at, steps_of(done), taints_of(out), tuple(split)) for at, done, out, split in listed]
        return sorted(events, key=attrgetter("at"))

    return [(str(actor), of_actor(listed)) for actor, listed in rows]
