"""Conversion by time: who entered in each bucket, and who of them got through."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from posthog_mcp.sandbox.insights.funnel_steps import Event, Reach, reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthog_mcp.sandbox.insights.funnel_groups import Run
    from posthog_mcp.sandbox.insights.funnel_plan import Plan

_MICROSECONDS = 1_000_000


def conversion(plan: Plan, runs: list[Run]) -> list[float]:
    """The percentage of those who entered in each bucket that got to the last step; 0 of nobody."""
    entered, converted = ([0] * len(plan.period.starts) for _ in range(2))
    for run in runs:
        for place, got in by_bucket(plan, run):
            if got.steps >= plan.first:
                entered[place] += 1
                converted[place] += got.steps >= plan.last
    return [
        round(100 * done / began, 2) if began else 0.0 for began, done in zip(entered, converted, strict=True)
    ]


def by_bucket(plan: Plan, run: Run) -> Iterator[tuple[int, Reach]]:
    """For each bucket in which an actor took the first step, how far it got from there."""
    epochs = [epoch * _MICROSECONDS for epoch in plan.period.epochs]
    if plan.rules.order == "unordered":
        yield bisect_right(epochs, run.reach.times[1]) - 1, run.reach
        return
    places = {bisect_right(epochs, event.at) - 1 for event in run.events if 1 in event.steps}
    for place in sorted(places):
        begin = epochs[place]
        end = epochs[place + 1] if place + 1 < len(epochs) else None
        got = reach([_entering(event, end) for event in run.events if event.at >= begin], plan.rules)
        if got is not None:
            yield place, got


def _entering(event: Event, end: int | None) -> Event:
    """Behind the end of the bucket nobody enters it any more."""
    if end is None or event.at < end or 1 not in event.steps:
        return event
    return event._replace(steps=tuple(step for step in event.steps if step != 1))
