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
    from datetime import datetime

    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.compiler.world import World
    from posthog_mcp.sandbox.insights.asking import Asking
    from posthog_mcp.sandbox.insights.models import Filters
    from posthog_mcp.sandbox.insights.periods import Period
    from posthog_mcp.sandbox.web.models import WebQuery

_VIEW = "event IN ('$pageview', '$screen')"


@dataclass(frozen=True, slots=True)
class Periods:
    """The period asked for, and the one it is compared with, if any."""

    now: Period
    before: Period | None

    def holds(self) -> ast.Expr:
        """Whether an event lies in either of them."""
        return any_of([between(one.start, one.end) for one in (self.now, self.before) if one])


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


@dataclass(frozen=True, slots=True)
class Asked:
    """Which visits: their events lie in `events`; with `begun`, their sessions began in that period."""

    model: WebQuery
    world: World
    events: ast.Expr
    begun: Period | None


def visits(asked: Asked, value: ast.Expr | None = None) -> ast.SelectQuery:
    """`visit, who, views, seconds, bounced, conversions`, and `value` where there is one to split by.

    Raises:
        CompileError: A filter cannot be run, or the action is gone.
    """
    goal = _goal(asked.model, asked.world)
    wanted = expr(_VIEW) if goal is None else any_of([expr(_VIEW), goal])
    split = "" if value is None else "{value} AS value, "
    return query(
        f"SELECT {split}$session_id AS visit, any(person_id) AS who, countIf({_VIEW}) AS views,"  # noqa: S608 - words of ours
        " any(session.$session_duration) AS seconds, any(session.$is_bounce) AS bounced,"
        " countIf({goal}) AS conversions FROM events WHERE {conditions}"
        f" GROUP BY {'' if value is None else 'value, '}visit",
        goal=constant(value=False) if goal is None else goal,
        conditions=all_of([wanted, *in_visits(asked, asked.model.properties)]),
        **({} if value is None else {"value": value}),
    )


def in_visits(asked: Asked, filters: Filters) -> list[ast.Expr]:
    """What events of the visits fulfil, whatever they are called.

    Raises:
        CompileError: A filter cannot be run.
    """
    conditions = [asked.events, expr("notEmpty($session_id)"), property_filters(filters)]
    if asked.begun:
        conditions.append(between(asked.begun.start, asked.begun.end, "session.$start_timestamp"))
    if asked.model.filterTestAccounts:
        conditions.append(property_filters(asked.world.test_account_filters))
    return conditions


def between(first: datetime, last: datetime, at: str = "timestamp") -> ast.Expr:
    """Whether a time lies between both, which belong to it."""
    return expr(f"{at} >= {{first}} AND {at} <= {{last}}", first=moment(first), last=moment(last))


def _goal(model: WebQuery, world: World) -> ast.Expr | None:
    goal = model.conversionGoal
    if goal is None:
        return None
    if isinstance(goal, ActionGoal):
        return action_condition(find_action(world, goal.actionId, constant(goal.actionId)))
    return compare("==", field("event"), constant(goal.customEventName))
