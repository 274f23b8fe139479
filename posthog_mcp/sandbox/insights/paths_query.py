"""A PathsQuery, and the events of each person as items of a path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from posthog_mcp.sandbox.compiler.filters import hogql_expression
from posthog_mcp.sandbox.compiler.trees import all_of, any_of, call, compare, field, property_of, select
from posthog_mcp.sandbox.experiments.trees import constant, expr, query
from posthog_mcp.sandbox.insights.asking import Asking, alias
from posthog_mcp.sandbox.insights.models import ByActor, Drawn, InsightDates
from posthog_mcp.sandbox.insights.path_steps import Rules, Step
from posthog_mcp.sandbox.insights.periods import Period, between, period_of, start_of
from posthog_mcp.sandbox.insights.series import actor_of, filters_of_query, has_actor
from posthog_mcp.sandbox.queries.models import Model, NotComputed

if TYPE_CHECKING:
    from posthog_mcp.hogql import ast

_STEPS, _EDGES = 5, 50
_ANY = constant(value=True)
Kind = Literal["$pageview", "$screen", "custom_event", "hogql"]


class CleaningRule(Model):
    """What matches the expression is written as the alias."""

    alias: str | None = None
    regex: str | None = None
    order: float | None = None


class PathsFilter(Drawn):
    """Which events are items of paths, and which paths count."""

    DRAWN = frozenset({"showFullUrls"})

    edgeLimit: Annotated[int, Field(ge=1, le=10_000)] | None = None  # noqa: N815 - PostHog's names, here and below
    pathsHogQLExpression: str | None = None  # noqa: N815
    includeEventTypes: list[Kind] | None = None  # noqa: N815
    startPoint: str | None = None  # noqa: N815
    endPoint: str | None = None  # noqa: N815
    pathGroupings: list[str] | None = None  # noqa: N815
    excludeEvents: list[str] | None = None  # noqa: N815
    stepLimit: Annotated[int, Field(ge=2, le=100)] | None = None  # noqa: N815
    pathReplacements: bool | None = None  # noqa: N815
    localPathCleaningFilters: list[CleaningRule] | None = None  # noqa: N815
    minEdgeWeight: float | None = None  # noqa: N815
    maxEdgeWeight: float | None = None  # noqa: N815
    pathStartKey: str | None = None  # noqa: N815
    pathEndKey: str | None = None  # noqa: N815
    pathDropoffKey: str | None = None  # noqa: N815


class PathsQuery(ByActor):
    """The query object."""

    kind: Literal["PathsQuery"]
    dateRange: InsightDates | None = None  # noqa: N815
    pathsFilter: PathsFilter  # noqa: N815
    funnelPathsFilter: NotComputed = None  # noqa: N815


@dataclass(frozen=True, slots=True)
class Plan:
    """What a PathsQuery counts."""

    model: PathsQuery
    period: Period
    asking: Asking

    @property
    def filter(self) -> PathsFilter:
        """Which paths count."""
        return self.model.pathsFilter

    @property
    def edges(self) -> int:
        """How many edges are kept."""
        return self.filter.edgeLimit or _EDGES

    @property
    def rules(self) -> Rules:
        """How paths are cut."""
        given = self.filter
        return Rules(given.stepLimit or _STEPS, given.startPoint or "", given.endPoint or "")

    async def people(self) -> list[tuple[str, list[Step]]]:
        """Each person, or group, with what they did, by time."""
        people = query(
            "SELECT actor, groupArray(tuple(at, item)) AS steps FROM {events} GROUP BY actor",
            events=_events(self),
        )
        return [
            (str(actor), [Step(at, item) for at, item in sorted(steps, key=lambda step: step[0])])
            for actor, steps in await self.asking.rows(people)
        ]


async def plan_of(asking: Asking, model: PathsQuery) -> Plan:
    """What the query counts.

    Raises:
        ApiError: 400 for a date range that is too long.
        CompileError: The query names what the project does not have.
    """
    earliest = await asking.earliest(model.dateRange, [_ANY])
    return Plan(model, period_of(model.dateRange, "day", asking.world, earliest), asking)


def _events(plan: Plan) -> ast.SelectQuery:
    model, world, group = plan.model, plan.asking.world, plan.model.aggregation_group_type_index
    rows = select(
        [
            alias("actor", actor_of(group)),
            alias("at", call("toUnixTimestamp64Micro", field("timestamp"))),
            alias("item", _item(plan)),
        ],
        "events",
        where=all_of(
            [
                between(start_of(plan.period.start, "day"), plan.period.end),
                _included(plan.filter),
                filters_of_query(model, world),
                has_actor(group),
            ]
        ),
    )
    if plan.filter.excludeEvents and plan.filter.includeEventTypes:
        kept = all_of([compare("!=", field("item"), constant(name)) for name in plan.filter.excludeEvents])
        return query("SELECT actor, at, item FROM {rows} WHERE {kept}", rows=rows, kept=kept)
    return rows


def _included(filters: PathsFilter) -> ast.Expr:
    kinds = filters.includeEventTypes
    if not kinds or "hogql" in kinds:
        return _ANY
    event = field("event")
    conditions: list[ast.Expr] = [
        compare("==", event, constant(kind)) for kind in kinds if kind in ("$pageview", "$screen")
    ]
    if "custom_event" in kinds:
        conditions.append(expr("NOT startsWith(event, '$')"))
    return any_of(conditions)


def _item(plan: Plan) -> ast.Expr:
    """What an event is called in a path, cleaned and grouped."""
    given = plan.filter
    url = expr(
        "if(length({url}) > 1 AND endsWith({url}, '/'), substring({url}, 1, length({url}) - 1), {url})",
        url=call("ifNull", call("toString", property_of([], "$current_url")), constant("")),
    )
    screen = call("ifNull", call("toString", property_of([], "$screen_name")), constant(""))
    other: ast.Expr = field("event")
    if given.includeEventTypes and "hogql" in given.includeEventTypes and given.pathsHogQLExpression:
        text = call("toString", hogql_expression(given.pathsHogQLExpression))
        other = call("ifNull", text, constant(""))
    item = expr(
        "multiIf(event = '$pageview', {url}, event = '$screen', {screen}, {other})",
        url=url,
        screen=screen,
        other=other,
    )
    for rule in _cleaning(plan):
        item = call("replaceRegexpAll", item, constant(rule.regex or ""), constant(rule.alias or ""))
    grouped = item
    for pattern in reversed(given.pathGroupings or []):
        literal = ".*".join(re.escape(part) for part in pattern.split("*"))
        matches = compare("=~", item, constant(literal))
        grouped = call("if", matches, constant(pattern), grouped)
    return grouped


def _cleaning(plan: Plan) -> list[CleaningRule]:
    rules = [rule for rule in plan.filter.localPathCleaningFilters or [] if rule.regex]
    if plan.filter.pathReplacements:
        project: list[Any] = plan.asking.asked.sandbox.project.settings["path_cleaning_filters"] or []
        rules = [CleaningRule.model_validate(rule) for rule in project if rule.get("regex")] + rules
    return sorted(rules, key=lambda rule: rule.order or 0)
