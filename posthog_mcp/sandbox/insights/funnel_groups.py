"""The actors of a funnel with how far each got, by the value they are attributed to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio.to_thread

from posthog_mcp.sandbox.insights.breakdowns import LIMIT
from posthog_mcp.sandbox.insights.funnel_steps import Event, Reach, Value, only, reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthog_mcp.sandbox.insights.funnel_plan import Plan

OTHER = "Other"
Actors = list[tuple[str, list[Event]]]


@dataclass(frozen=True, slots=True)
class Run:
    """One actor as one value sees it: the events that count, and how far they get."""

    actor: str
    events: list[Event]
    reach: Reach


async def groups_of(plan: Plan) -> dict[Value, list[Run]]:
    """Everybody who got anywhere, by value; the value is the cohort's number when split by cohorts.

    Values beyond the limit, those with the fewest actors, are one group.
    """
    if plan.cohorts:
        found: dict[Value, list[Run]] = {}
        for number, cohort in enumerate(plan.cohorts):
            actors = await plan.actors(cohort)
            groups = await anyio.to_thread.run_sync(_grouped, plan, actors)
            found[str(number),] = [run for runs in groups.values() for run in runs]
        return found
    groups = await anyio.to_thread.run_sync(_grouped, plan, await plan.actors())
    return _limited(groups, _limit(plan)) if plan.splits else groups


def _grouped(plan: Plan, actors: Actors) -> dict[Value, list[Run]]:
    """State machines of many actors take a while: runs in a thread of its own."""
    found: dict[Value, list[Run]] = {}
    for actor, events in actors:
        for value, counted in _attributed(plan, events):
            reached = reach(counted, plan.rules)
            if reached is not None and reached.steps >= _least(plan):
                found.setdefault(value, []).append(Run(actor, counted, reached))
    return found


def _attributed(plan: Plan, events: list[Event]) -> Iterator[tuple[Value, list[Event]]]:
    """The values an actor counts for, each with the events that count for it."""
    if not plan.splits:
        yield (), events
        return
    match plan.filter.breakdownAttributionType:
        case "all_events":
            for value in dict.fromkeys(event.value for event in events):
                yield value, [event for event in events if event.value == value]
        case "step":
            step = (plan.filter.breakdownAttributionValue or 0) + 1
            for value in dict.fromkeys(event.value for event in events if step in event.steps):
                yield value, only(events, step, value)
        case "last_touch":
            yield _first_told(events[::-1]), events
        case _:
            yield _first_told(events), events


def _first_told(events: list[Event]) -> Value:
    """The first value that says anything."""
    return next((event.value for event in events if any(event.value)), events[0].value)


def _least(plan: Plan) -> int:
    """The step that an actor must reach to be attributed at all."""
    by_step = plan.splits and plan.filter.breakdownAttributionType == "step"
    return (plan.filter.breakdownAttributionValue or 0) + 1 if by_step else 1


def _limit(plan: Plan) -> int:
    given = plan.model.breakdownFilter
    return (given.breakdown_limit if given else None) or LIMIT


def _limited(groups: dict[Value, list[Run]], limit: int) -> dict[Value, list[Run]]:
    order = sorted(groups, key=lambda value: (-len(groups[value]), value))
    kept = {value: groups[value] for value in order[:limit]}
    rest = [run for value in order[limit:] for run in groups[value]]
    return kept | ({(OTHER,): rest} if rest else {})
