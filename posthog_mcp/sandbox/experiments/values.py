"""The sums of a metric over the people of each variant, as one query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.experiments.rows import Asking, events, joined, within
from posthog_mcp.sandbox.experiments.sequences import funnel_rows, retention_rows
from posthog_mcp.sandbox.experiments.settings import (
    FunnelMetric,
    MeanMetric,
    Metric,
    OutlierHandling,
    RatioMetric,
    RetentionMetric,
    Source,
)
from posthog_mcp.sandbox.experiments.sources import side_of
from posthog_mcp.sandbox.experiments.trees import query

if TYPE_CHECKING:
    from collections.abc import Sequence


def sums_query(metric: Metric, asking: Asking) -> ast.SelectQuery:
    """One row for each variant and split: `variant, split_0, ...`, then the sums of `moments.Sums`.

    Raises:
        CompileError: The metric names what the project does not have.
        ApiError: 400 for what the sandbox cannot compute.
    """
    steps = len(metric.series) if isinstance(metric, FunnelMetric) else 0
    counts = ", ".join(f"countIf(reached >= {step})" for step in range(1, steps + 1))
    return query(
        f"SELECT {asking.names}, count(), sum(value), sum(value * value), sum(below), sum(below * below),"  # noqa: S608 - words of ours
        f" sum(value * below), [{counts}] FROM {{rows}} GROUP BY {asking.names} LIMIT 50000",
        rows=_rows(metric, asking),
    )


def _rows(metric: Metric, asking: Asking) -> ast.SelectQuery:
    """One row for each person who counts: `variant, splits, value, below, reached`."""
    match metric:
        case FunnelMetric():
            return funnel_rows(metric, asking)
        case RetentionMetric():
            return retention_rows(metric, asking)
        case RatioMetric():
            people = _folded([metric.numerator, metric.denominator], metric.window(), asking)
            people = _clipped(people, 0, metric.numerator_outlier_handling, asking, beside=1)
            people = _clipped(people, 1, metric.denominator_outlier_handling, asking, beside=0)
            return _named("value_0", "value_1", people, asking)
        case MeanMetric():
            people = _clipped(_folded([metric.source], metric.window(), asking), 0, metric, asking)
            limit = metric.threshold
            return _named(
                "value_0" if limit is None else f"if(value_0 >= {limit!r}, 1, 0)", "0", people, asking
            )


def _named(value: str, below: str, rows: ast.SelectQuery, asking: Asking) -> ast.SelectQuery:
    return query(
        f"SELECT {asking.names}, {value} AS value, {below} AS below, 0 AS reached FROM {{rows}}",  # noqa: S608 - words of ours
        rows=rows,
    )


def _folded(sources: Sequence[Source], window: int | None, asking: Asking) -> ast.SelectQuery:
    """One row for each person: `variant, splits, value_0, ...`, one value for each source."""
    sides = [side_of(source, asking.world) for source in sources]
    columns: list[ast.Expr] = []
    folds: list[str] = []
    for number, side in enumerate(sides):
        columns.append(ast.Alias(alias=f"is_{number}", expr=side.matches))
        columns.append(ast.Alias(alias=f"of_{number}", expr=side.value))
        when = f"(m.is_{number} AND {within(window)})"
        folds.append(f"{side.folded(f'm.of_{number}', when)} AS value_{number}")
    read = events(asking, [side.matches for side in sides], columns, window or 0)
    return joined(", ".join(folds), read, asking)


def _clipped(
    rows: ast.SelectQuery,
    number: int,
    bounds: OutlierHandling | None,
    asking: Asking,
    *,
    beside: int | None = None,
) -> ast.SelectQuery:
    """Values beyond a quantile of all people of all variants count as that quantile."""
    low = bounds.lower_bound_percentile if bounds else None
    high = bounds.upper_bound_percentile if bounds else None
    if bounds is None or (low is None and high is None):
        return rows
    column = f"value_{number}"
    kept = asking.names if beside is None else f"{asking.names}, value_{beside}"
    lower = column if low is None else f"quantileExact({low!r})({column}) OVER ()"
    upper = "inf"
    if high is not None:
        only = f"If({high!r})({column}, {column} != 0)" if bounds.ignore_zeros else f"({high!r})({column})"
        upper = f"quantileExact{only} OVER ()"
    # The quantile of nothing is no number, and bounds nothing.
    clipped = f"least(greatest({column}, lower), if(isNaN(upper), {column}, upper))"
    return query(
        f"SELECT {kept}, {clipped} AS {column} FROM"  # noqa: S608 - words of ours
        f" (SELECT {kept}, {column}, {lower} AS lower, {upper} AS upper FROM {{rows}})",
        rows=rows,
    )
