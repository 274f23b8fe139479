"""Metrics about order: funnels from the exposure on, and coming back after a start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.experiments.rows import Asking, events, joined, within
from posthog_mcp.sandbox.experiments.settings import SECONDS
from posthog_mcp.sandbox.experiments.trees import expr, matching, moment, query

if TYPE_CHECKING:
    from posthog_mcp.sandbox.experiments.settings import FunnelMetric, RetentionMetric

_DAY = SECONDS["day"]
# A funnel without a conversion window.
_THREE_YEARS = 3 * 365 * _DAY
_WHOLE_DAYS = ("day", "week", "month")


def funnel_rows(metric: FunnelMetric, asking: Asking) -> ast.SelectQuery:
    """`variant, splits, value, below, reached` of each person: 1 for who reached the last step.

    Each event becomes a number with one bit for each step that it is; the exposure is bit 0.
    """
    steps = [matching(source, asking.world) for source in metric.series]
    bits = [asking.exposed.event(asking.world), *steps]
    strict, window = metric.funnel_order_type == "strict", metric.window()
    read = events(asking, bits if strict else steps, [_mask(bits)], window or 0)
    # The first exposure is the step before the first, and cannot be a later one as well.
    mask = "if(m.id = e.exposure, 1, m.mask)" if strict else "m.mask"
    counts = within(window or _THREE_YEARS) + ("" if strict else " AND m.id != e.exposure")
    in_order = f"arraySort(groupArrayIf(tuple(m.at, {mask}), {counts}))"
    people = joined(f"arrayMap(x -> tupleElement(x, 2), {in_order}) AS masks", read, asking)
    last = len(steps)
    return query(
        f"SELECT {asking.names}, if(reached = {last}, 1, 0) AS value, 0 AS below, reached FROM"  # noqa: S608 - words of ours
        f" (SELECT {asking.names}, {_reached(metric, last)} AS reached FROM {{people}})",
        people=people,
    )


def _mask(bits: list[ast.Expr]) -> ast.Expr:
    named = {f"b{number}": bit for number, bit in enumerate(bits)}
    text = " + ".join(f"if({{b{number}}}, {2**number}, 0)" for number in range(len(bits)))
    return ast.Alias(alias="mask", expr=expr(text, **named))


def _reached(metric: FunnelMetric, last: int) -> str:
    """How many steps `masks` reaches."""
    steps = range(1, last + 1)
    match metric.funnel_order_type:
        case "unordered":
            return " + ".join(f"if(arrayExists(m -> bitTest(m, {step}), masks), 1, 0)" for step in steps)
        case "strict":
            chains = [
                " AND ".join(f"bitTest(masks[at + {step}], {step})" for step in range(reach + 1))
                for reach in steps
            ]
            return " + ".join(f"if(arrayExists(at -> {one}, arrayEnumerate(masks)), 1, 0)" for one in chains)
        case _:
            fold = "(done, m) -> if(bitTest(m, done), done + 1, done)"
            return f"arrayFold({fold}, masks, assumeNotNull(toInt(1))) - 1"


def retention_rows(metric: RetentionMetric, asking: Asking) -> ast.SelectQuery:
    """`variant, splits, value, below, reached` of each person who starts: 1 for who comes back in time."""
    unit, window = metric.retention_window_unit, metric.window()
    start, completion = (matching(one, asking.world) for one in (metric.start_event, metric.completion_event))
    columns: list[ast.Expr] = [
        ast.Alias(alias="starts", expr=start),
        ast.Alias(alias="completes", expr=completion),
    ]
    # Days are truncated, so the last of them reaches up to a day further.
    later = (window or 0) + metric.retention_window_end * SECONDS[unit] + _DAY
    people = joined(
        f"groupArrayIf(tuple(m.at, m.id), m.starts AND m.at <= {{end}} AND {within(window)}) AS begun,"
        " groupArrayIf(tuple(m.at, m.id), m.completes) AS done",
        events(asking, [start, completion], columns, later),
        asking,
        end=moment(asking.exposed.end),
    )
    pick = "arrayMax" if metric.start_handling == "last_seen" else "arrayMin"
    begun, came = (_truncated(f"tupleElement({one}, 1)", unit) for one in ("first", "x"))
    came_back = (
        "tupleElement(x, 2) != tupleElement(first, 2)"
        f" AND {came} >= {begun} + {_interval(metric.retention_window_start, metric)}"
        f" AND {came} <= {begun} + {_interval(metric.retention_window_end, metric)}"
    )
    return query(
        f"SELECT {asking.names}, if(arrayExists(x -> {came_back}, done), 1, 0) AS value, 1 AS below,"  # noqa: S608 - words of ours
        f" 0 AS reached FROM (SELECT {asking.names}, {pick}(begun) AS first, done FROM {{people}}"
        " WHERE notEmpty(begun))",
        people=people,
    )


def _truncated(at: str, unit: str) -> str:
    if unit in _WHOLE_DAYS:
        return f"toStartOfDay({at})"
    return f"toStartOfHour({at})" if unit == "hour" else at


def _interval(count: int, metric: RetentionMetric) -> str:
    """So long after the start; days are the calendar's, whatever the clock does."""
    unit = metric.retention_window_unit
    if unit in _WHOLE_DAYS:
        return f"toIntervalDay({count * SECONDS[unit] // _DAY})"
    return f"toIntervalSecond({count * SECONDS[unit]})"
