"""Who reached a step of a funnel, or dropped out before it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from posthog_mcp.sandbox.compiler.dates import parse_date
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.insights.funnel_groups import Run, groups_of
from posthog_mcp.sandbox.insights.funnel_plan import Plan, plan_of
from posthog_mcp.sandbox.insights.funnel_query import FunnelsQuery
from posthog_mcp.sandbox.insights.funnel_trends import by_bucket
from posthog_mcp.sandbox.queries.models import NotComputed, QueryModel

if TYPE_CHECKING:
    from posthog_mcp.sandbox.insights.asking import Asking

_NEAREST_DROP = -2


class FunnelsActorsQuery(QueryModel):
    """A step, from 1; negative for those who dropped out before it."""

    kind: Literal["FunnelsActorsQuery"]
    source: dict[str, Any]
    includeRecordings: NotComputed = None  # noqa: N815 - PostHog's names, here and below
    funnelStep: int | None = None  # noqa: N815
    funnelStepBreakdown: str | float | list[str | float] | None = None  # noqa: N815
    funnelTrendsDropOff: bool | None = None  # noqa: N815
    funnelTrendsEntrancePeriodStart: str | None = None  # noqa: N815
    compare: Literal["current", "previous"] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Actors, each with the number of its events in the funnel, and the funnel."""

    actors: dict[str, int]
    model: FunnelsQuery


async def people(asking: Asking, source: dict[str, Any]) -> Found:
    """Who is behind a step, or behind a bucket of a funnel over time.

    Raises:
        ApiError: 400 for a step that the funnel does not have.
        CompileError: The funnel names what the project does not have.
    """
    asked = FunnelsActorsQuery.read(source)
    model = FunnelsQuery.read(asked.source)
    plan = await plan_of(asking, model)
    if asked.compare == "previous":
        plan = plan.before() or plan
    runs = _runs_of(plan, await groups_of(plan), asked)
    if plan.filter.funnelVizType == "trends":
        kept = _in_bucket(plan, runs, asked)
    else:
        kept = _at_step(plan, runs, asked.funnelStep)
    return Found({run.actor: len(run.events) for run in kept}, model)


def _runs_of(plan: Plan, groups: dict[tuple[str, ...], list[Run]], asked: FunnelsActorsQuery) -> list[Run]:
    given = asked.funnelStepBreakdown
    if given is None:
        return [run for runs in groups.values() for run in runs]
    values = tuple(str(value) for value in (given if isinstance(given, list) else [given]))
    if plan.cohorts:
        numbers = [str(place) for place, one in enumerate(plan.cohorts) if (str(one.value),) == values]
        values = tuple(numbers[:1])
    return groups.get(values, [])


def _at_step(plan: Plan, runs: list[Run], step: int | None) -> list[Run]:
    steps = plan.rules.steps
    if step is None:
        raise invalid("funnelStep is required.", "funnelStep", "required")
    if step in (0, -1) or not -steps <= step <= steps:
        detail = (
            f"funnelStep must be from 1 to {steps}, or from {_NEAREST_DROP} to {-steps} for who dropped out."
        )
        raise invalid(detail, "funnelStep")
    if step > 0:
        return [run for run in runs if step in run.reach.times]
    return [run for run in runs if run.reach.steps == -step - 1]


def _in_bucket(plan: Plan, runs: list[Run], asked: FunnelsActorsQuery) -> list[Run]:
    begin, dropped = asked.funnelTrendsEntrancePeriodStart, asked.funnelTrendsDropOff
    if begin is None or dropped is None:
        detail = "A funnel over time needs funnelTrendsEntrancePeriodStart and funnelTrendsDropOff."
        raise invalid(detail, "funnelTrendsEntrancePeriodStart", "required")
    at = int(parse_date(begin, plan.asking.world).moment.timestamp())
    wanted = bisect_right(plan.period.epochs, at) - 1
    return [
        run
        for run in runs
        if any(
            place == wanted and got.steps >= plan.first and (got.steps < plan.last) == dropped
            for place, got in by_bucket(plan, run)
        )
    ]
