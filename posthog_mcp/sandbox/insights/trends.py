"""`TrendsQuery`: numbers by time, or one number, of each series and value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.insights.labels import days, labels
from posthog_mcp.sandbox.insights.series import name_of, shown
from posthog_mcp.sandbox.insights.trend_lines import (
    ALONE,
    Line,
    computed,
    cumulated,
    kept,
    lines,
    smoothed,
)
from posthog_mcp.sandbox.insights.trend_plan import Plan, TrendsQuery, plan_of
from posthog_mcp.sandbox.insights.trend_rows import counted

if TYPE_CHECKING:
    from posthog_mcp.sandbox.insights.asking import Asking, Row
    from posthog_mcp.sandbox.insights.breakdowns import CohortSplit, Value
    from posthog_mcp.sandbox.insights.periods import Period
    from posthog_mcp.sandbox.queries.asked import Answer

Json = dict[str, Any]


async def trends(asking: Asking) -> Answer:
    """Every series over its period and the one it is compared with."""
    plan = await plan_of(asking, TrendsQuery.read(asking.asked.query))
    periods = {"current": plan.period} | ({"previous": plan.previous} if plan.previous else {})
    by_period: dict[str, list[list[Line]]] = {}
    more = False
    for when, period in periods.items():
        by_period[when] = []
        for index in range(len(plan.model.series)):
            found, others = await _series(plan, index, period)
            by_period[when].append(found)
            more |= others
    results: list[Json] = []
    if formulas := plan.filter.computed:
        for order, formula in enumerate(formulas):
            for when, series in by_period.items():
                length = 1 if plan.filter.whole else len(periods[when].starts)
                lines_of = [{line.value: line for line in found} for found in series]
                made = computed(formula.formula, lines_of, length)
                named = {"label": formula.custom_name or f"Formula ({formula.formula})", "order": order}
                results += [_computed(plan, line, periods[when], when) | named for line in made]
    else:
        for when, series in by_period.items():
            for index, found in enumerate(series):
                results += [_result(plan, index, line, periods[when], when) for line in found]
    return asking.answer(results, plan.period, hasMore=more)


async def _series(plan: Plan, index: int, period: Period) -> tuple[list[Line], bool]:
    """The lines of a series, and whether values had to be added up."""
    whole, epochs = plan.filter.whole, [0] if plan.filter.whole else period.epochs
    if plan.cohorts:
        found = [await _cohort(plan, index, period, number) for number in range(len(plan.cohorts))]
        return found, False
    rows = await _rows(plan, index, period)
    by_value = lines(rows, epochs)
    if not plan.splits:
        line = _finished(plan, by_value.get(ALONE) or Line(ALONE, [0.0] * len(epochs)))
        over = plan.filter.smoothingIntervals or 1
        return [smoothed(line, over) if over > 1 and not whole else line], False
    if not by_value:
        return [], False
    named, rest = kept(by_value, plan.limit, whole=whole)
    given = plan.model.breakdownFilter
    hidden = bool(given and given.breakdown_hide_other_aggregation)
    shown_lines = named if rest is None or hidden else [*named, rest]
    return [_finished(plan, line) for line in shown_lines], rest is not None


async def _cohort(plan: Plan, index: int, period: Period, number: int) -> Line:
    epochs = [0] if plan.filter.whole else period.epochs
    rows = await _rows(plan, index, period, plan.cohorts[number])
    line = lines(rows, epochs).get(ALONE) or Line(ALONE, [0.0] * len(epochs))
    return _finished(plan, Line((str(number),), line.data))


async def _rows(plan: Plan, index: int, period: Period, cohort: CohortSplit | None = None) -> list[Row]:
    """The numbers of a series; a period without a bucket has none."""
    return await plan.asking.rows(counted(plan.counting(index, period, cohort))) if period.starts else []


def _finished(plan: Plan, line: Line) -> Line:
    return cumulated(line) if plan.filter.cumulative else line


def _computed(plan: Plan, line: Line, period: Period, when: str) -> Json:
    result = _shared(plan, line, period, when) | {"action": None}
    return result | {"data": None, "aggregated_value": float(line.total)} if plan.filter.whole else result


def _result(plan: Plan, index: int, line: Line, period: Period, when: str) -> Json:
    node, world = plan.model.series[index], plan.asking.world
    result = _shared(plan, line, period, when)
    action = shown(node, index, world) | {"days": [start.isoformat() for start in period.starts]}
    label = name_of(node, world)
    if line.value:
        told = _told(plan, line.value)
        label = told if len(plan.model.series) == 1 else f"{label} - {told}"
    return result | {"label": label, "action": action}


def _shared(plan: Plan, line: Line, period: Period, when: str) -> Json:
    """What every line of a chart says."""
    result: Json = {"filter": {"insight": "TRENDS", "display": plan.filter.display or "ActionsLineGraph"}}
    if plan.filter.whole:
        result |= {"data": [], "days": [], "labels": [], "count": 0, "aggregated_value": line.total}
    else:
        result |= {
            "data": line.data,
            "labels": labels(period),
            "days": days(period),
            "count": line.total,
        }
    if plan.previous:
        result |= {"compare": True, "compare_label": when}
    if line.value:
        result["breakdown_value"] = _value(plan, line.value)
    return result


def _value(plan: Plan, value: Value) -> Any:
    if plan.cohorts:
        return plan.cohorts[int(value[0])].value
    given = plan.model.breakdownFilter
    return list(value) if given and given.breakdowns else value[0]


def _told(plan: Plan, value: Value) -> str:
    return plan.cohorts[int(value[0])].label if plan.cohorts else "::".join(value)
