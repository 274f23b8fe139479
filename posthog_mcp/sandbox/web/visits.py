"""Visits: one row for each session with a page view, a screen, or the event of the goal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from posthog_mcp.sandbox.compiler.actions import action_condition, find_action
from posthog_mcp.sandbox.compiler.filters import property_filters
from posthog_mcp.sandbox.compiler.trees import all_of, any_of, compare, field
from posthog_mcp.sandbox.experiments.trees import constant, expr, moment, query
from posthog_mcp.sandbox.insights.models import CompareFilter
from posthog_mcp.sandbox.insights.periods import period_of, previous_of
from posthog_mcp.sandbox.web.models import ActionGoal

if TYPE_CHECKING:
    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.compiler.world import World
    from posthog_mcp.sandbox.insights.asking import Asking
    from posthog_mcp.sandbox.insights.periods import Period
    from posthog_mcp.sandbox.web.models import WebQuery

_VIEW = "event IN ('$pageview', '$screen')"


@dataclass(frozen=True, slots=True)
class Periods:
    """The period asked for, and the one it is compared with, if any."""

    now: Period
    before: Period | None


async def periods_of(asking: Asking, model: WebQuery) -> Periods:
    """The periods of a query.

    Raises:
        CompileError: A date that does not exist.
    """
    earliest = await asking.earliest(model.dateRange, [expr(_VIEW)])
    now = period_of(model.dateRange, model.interval or "day", asking.world, earliest)
    if not model.compares:
        return Periods(now, None)
    compared = model.compareFilter or CompareFilter()
    return Periods(now, previous_of(now, model.dateRange, compared, asking.world))


def visits(model: WebQuery, period: Period, world: World, value: ast.Expr | None = None) -> ast.SelectQuery:
    """`visit, who, views, seconds, bounced, conversions`, and `value` where there is one to split by.

    When a visit was is decided by the start of its session; filters narrow its events.

    Raises:
        CompileError: A filter cannot be run, or the action is gone.
    """
    goal = _goal(model, world)
    counted = expr(_VIEW) if goal is None else any_of([expr(_VIEW), goal])
    filters = [property_filters(model.properties)]
    if model.filterTestAccounts:
        filters.append(property_filters(world.test_account_filters))
    split = "" if value is None else "{value} AS value, "
    return query(
        f"SELECT {split}$session_id AS visit, any(person_id) AS who, countIf({_VIEW}) AS views,"  # noqa: S608 - words of ours
        " any(session.$session_duration) AS seconds, any(session.$is_bounce) AS bounced,"
        " countIf({goal}) AS conversions FROM events"
        " WHERE {counted} AND session.$start_timestamp >= {start} AND session.$start_timestamp <= {end}"
        f" AND {{filters}} GROUP BY {'' if value is None else 'value, '}visit",
        goal=constant(value=False) if goal is None else goal,
        counted=counted,
        start=moment(period.start),
        end=moment(period.end),
        filters=all_of(filters),
        **({} if value is None else {"value": value}),
    )


def _goal(model: WebQuery, world: World) -> ast.Expr | None:
    goal = model.conversionGoal
    if goal is None:
        return None
    if isinstance(goal, ActionGoal):
        return action_condition(find_action(world, goal.actionId, constant(goal.actionId)))
    return compare("==", field("event"), constant(goal.customEventName))
