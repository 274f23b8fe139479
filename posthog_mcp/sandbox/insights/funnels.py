"""`FunnelsQuery`: counts and times by step, times to convert, or conversion by time."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.insights.funnel_groups import Run, groups_of
from posthog_mcp.sandbox.insights.funnel_plan import Plan, plan_of
from posthog_mcp.sandbox.insights.funnel_query import FunnelsQuery
from posthog_mcp.sandbox.insights.funnel_trends import conversion
from posthog_mcp.sandbox.insights.labels import days, labels
from posthog_mcp.sandbox.insights.models import EventsNode
from posthog_mcp.sandbox.insights.periods import after
from posthog_mcp.sandbox.insights.series import name_of

if TYPE_CHECKING:
    from posthog_mcp.sandbox.insights.asking import Asking
    from posthog_mcp.sandbox.insights.funnel_steps import Value
    from posthog_mcp.sandbox.insights.periods import Period
    from posthog_mcp.sandbox.queries.asked import Answer

_MOST_BINS, _MOST_GUESSED = 90, 60
_MICROSECONDS = 1_000_000
Json = dict[str, Any]
Groups = dict["Value", list[Run]]


async def funnels(asking: Asking) -> Answer:
    """The funnel, drawn as the query asks."""
    plan = await plan_of(asking, FunnelsQuery.read(asking.asked.query))
    now = _drawn(plan, await groups_of(plan))
    before = plan.before()
    if before is None:
        return asking.answer(now, plan.period, isUdf=True)
    earlier = _drawn(before, await groups_of(before))
    # Who has nobody in one of the periods sees zeros there, not nothing.
    both = {"current": now or _emptied(earlier), "previous": earlier or _emptied(now)}
    results = [_labelled(one, when) for when, found in both.items() for one in found]
    return asking.answer(results, plan.period, isUdf=True)


def _drawn(plan: Plan, groups: Groups) -> Any:
    match plan.filter.funnelVizType:
        case "time_to_convert":
            return _times_to_convert(plan, [run for runs in groups.values() for run in runs])
        case "trends":
            return _trends(plan, groups)
        case _:
            return _steps(plan, groups)


def _emptied(found: list[Any]) -> list[Any]:
    nothing = {"count": 0, "average_conversion_time": None, "median_conversion_time": None}
    return [_emptied(one) if isinstance(one, list) else one | nothing for one in found]  # pyright: ignore[reportUnknownArgumentType]


def _labelled(one: Any, when: str) -> Any:
    """A step, a line, or the steps of a value, with the name of its period."""
    if isinstance(one, list):
        return [_labelled(step, when) for step in one]  # pyright: ignore[reportUnknownVariableType]
    return {**one, "compare_label": when}


def _steps(plan: Plan, groups: Groups) -> list[Any]:
    if not plan.splits and not plan.cohorts:
        runs = groups.get((), [])
        return _of_group(plan, runs) if runs else []
    counts = {value: _counts(plan, runs) for value, runs in groups.items() if runs}
    order = sorted(counts, key=lambda value: ([-count for count in reversed(counts[value])], value))
    found: list[list[Json]] = []
    for value in order:
        told, shown = _value(plan, value)
        named = {"breakdown": told, "breakdown_value": shown}
        found.append([step | named for step in _of_group(plan, groups[value])])
    return found


def _value(plan: Plan, value: Value) -> tuple[Any, Any]:
    """A value as `breakdown` and as `breakdown_value`."""
    if plan.cohorts:
        cohort = plan.cohorts[int(value[0])]
        return cohort.label, cohort.value
    given = plan.model.breakdownFilter
    told = value[0] if given and given.breakdown_type == "group" else list(value)
    return told, told


def _counts(plan: Plan, runs: list[Run]) -> list[int]:
    return [sum(step in run.reach.times for run in runs) for step in range(1, plan.rules.steps + 1)]


def _of_group(plan: Plan, runs: list[Run]) -> list[Json]:
    found: list[Json] = []
    for order, count in enumerate(_counts(plan, runs)):
        times = [time for run in runs if (time := _since(run, order + 1)) is not None]
        found.append(
            {
                **_named(plan, order),
                "order": order,
                "people": [],
                "count": count,
                "average_conversion_time": fmean(times) if times else None,
                "median_conversion_time": median(times) if times else None,
            }
        )
    return found


def _named(plan: Plan, order: int) -> Json:
    if plan.rules.order == "unordered":
        name = f"Completed {order + 1} step{'s' if order else ''}"
        return {"action_id": None, "name": name, "custom_name": None, "type": "events"}
    node = plan.model.series[order]
    name = name_of(node, plan.asking.world)
    is_event = isinstance(node, EventsNode)
    return {
        "action_id": node.event if isinstance(node, EventsNode) else node.id,
        "name": name,
        "custom_name": node.custom_name,
        "type": "events" if is_event else "actions",
    }


def _since(run: Run, step: int) -> float | None:
    """Seconds since the step taken before."""
    before = max((one for one in run.reach.times if one < step), default=0)
    return _time(run, before, step) if before else None


def _time(run: Run, first: int, last: int) -> float | None:
    """Seconds from one step to another; None for who did not get there, or needed no time."""
    times = run.reach.times
    return (times[last] - times[first]) / _MICROSECONDS or None if last in times else None


def _times_to_convert(plan: Plan, runs: list[Run]) -> Json:
    times = [time for run in runs if (time := _time(run, plan.first, plan.last)) is not None]
    if not times:
        return {"bins": [], "average_conversion_time": None}
    low, high = math.floor(min(times)), math.ceil(max(times))
    asked = plan.filter.binCount
    # Rounded, since the cube root of 27 is not 3 for a float.
    guessed = math.ceil(round(len(times) ** (1 / 3), 9))
    count = max(1, min(asked, _MOST_BINS) if asked else min(guessed, _MOST_GUESSED))
    width = math.ceil((high - low) / count) or 60
    bins = [[low + number * width, 0] for number in range(count + 1)]
    for time in times:
        bins[min(int((time - low) // width), count)][1] += 1
    return {"bins": bins, "average_conversion_time": fmean(times)}


def _shown(plan: Plan) -> Period:
    """The buckets of a funnel over time, if asked for only those whose people had all the time to convert."""
    period = plan.period
    if not plan.filter.hideIncompleteConversionWindowPeriods:
        return period
    now, window = plan.asking.world.now, timedelta(seconds=plan.window)
    over = [start for start in period.starts if now - after(start, period.interval) >= window]
    return replace(period, starts=tuple(over))


def _trends(plan: Plan, groups: Groups) -> list[Json]:
    found: list[Json] = []
    period = _shown(plan)
    for value, runs in sorted(groups.items() or [((), list[Run]())]):
        data = conversion(plan, runs)[: len(period.starts)]
        line: Json = {"count": len(data), "data": data, "days": days(period), "labels": labels(period)}
        if value:
            line["breakdown_value"] = _value(plan, value)[1]
        found.append(line)
    return found
