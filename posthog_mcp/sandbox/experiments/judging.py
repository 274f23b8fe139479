"""Variants compared with the baseline, in the shape PostHog answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.experiments.inference import compare, nothing
from posthog_mcp.sandbox.experiments.moments import Sums, failures
from posthog_mcp.sandbox.http.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posthog_mcp.sandbox.experiments.settings import Metric, StatsConfig

Json = dict[str, Any]
Split = tuple[str, ...]


def sums_of(row: list[Any], splits: int) -> tuple[Split, Sums]:
    """The values split by and the sums in a row of `values.sums_query`.

    Raises:
        ApiError: 400 for sums beyond any number.
    """
    if None in row[1 + splits :]:
        raise invalid("The values of the metric are too large to be added up.", "metric")
    count, value, squares, below, below_squares, product, steps = row[1 + splits :]
    sums = Sums(row[0], count, value, squares, below, below_squares, product, tuple(steps))
    return tuple(row[1 : 1 + splits]), sums


class Judge:
    """Compares the variants of one metric with the baseline."""

    def __init__(self, variants: Iterable[str], config: StatsConfig, metric: Metric) -> None:
        self._baseline = config.baseline_variant_key
        self._others = [key for key in variants if key != self._baseline]
        self._config, self._metric = config, metric

    def result(self, sums: Iterable[Sums]) -> Json:
        """`baseline` and `variant_results`."""
        baseline, others = self._both(sums)
        return {"baseline": baseline, "variant_results": others}

    def by_split(self, rows: list[tuple[Split, Sums]]) -> list[Json]:
        """The same for each combination of the properties split by."""
        found: list[Json] = []
        for split in sorted({split for split, _ in rows}):
            baseline, others = self._both(sums for own, sums in rows if own == split)
            found.append({"breakdown_value": list(split), "baseline": baseline, "variants": others})
        return found

    def _both(self, sums: Iterable[Sums]) -> tuple[Json, list[Json]]:
        whole: dict[str, Sums] = {}
        for one in sums:
            known = whole.get(one.key)
            whole[one.key] = known.add(one) if known else one
        kind, control = self._metric.metric_type, whole.get(self._baseline, self._empty(self._baseline))
        wrong = failures(control, kind, baseline=True)
        others: list[Json] = []
        for key in self._others:
            test = whole.get(key, self._empty(key))
            own = failures(test, kind, baseline=False)
            unclear = bool(wrong or own)
            fields = nothing(self._config) if unclear else compare(test, control, kind, self._config)
            others.append(self._shown(test, own) | {"method": self._config.method} | fields)
        return self._shown(control, wrong), others

    def _empty(self, key: str) -> Sums:
        steps = len(self._metric.series) if self._metric.metric_type == "funnel" else 0
        return Sums(key, step_counts=(0,) * steps)

    def _shown(self, sums: Sums, wrong: list[str]) -> Json:
        body: Json = {
            "key": sums.key,
            "number_of_samples": sums.number_of_samples,
            "sum": sums.sum,
            "sum_squares": sums.sum_squares,
            "validation_failures": wrong,
        }
        if self._metric.metric_type == "funnel":
            body["step_counts"] = list(sums.step_counts)
        if self._metric.metric_type in ("ratio", "retention"):
            body["denominator_sum"] = sums.denominator_sum
            body["denominator_sum_squares"] = sums.denominator_sum_squares
            body["numerator_denominator_sum_product"] = sums.numerator_denominator_sum_product
        return body
