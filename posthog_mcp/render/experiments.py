"""Results of experiments in words: what each variant did, and what may be concluded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from posthog_mcp.render.charts import Chart, Series

Json = dict[str, Any]

# Below it PostHog itself warns: such a split is no chance.
MISMATCH = 0.001
_WHY = {
    "not-enough-exposures": "fewer than 50 people",
    "not-enough-metric-data": "fewer than 5 conversions",
    "baseline-mean-is-zero": "nothing counted in the baseline",
}
_SHARES = ("funnel", "retention")
COLUMNS = ["metric", "variant", "people", "value", "change", "interval", "sure", "verdict"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant in the answer to one metric, read for what it says.

    Attributes:
        key: The variant.
        people: How many counted.
        value: Its mean, share or ratio; None without any people.
        change: Against the baseline, 0.1 for 10 % or for 0.1 where differences are absolute.
        low: The lower end of the interval of `change`.
        high: The upper end.
        sure: Chance to be better than the baseline, or the p-value.
        significant: PostHog's verdict; None where it has none.
        failures: Why it has none.
    """

    key: str
    people: int
    value: float | None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    sure: float | None = None
    significant: bool | None = None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """One metric's answer.

    Attributes:
        name: What the metric is called.
        kind: funnel, mean, ratio or retention.
        baseline: The variant the others are compared with.
        others: Those, in the order of the flag.
        bayesian: Whether `sure` is a chance to win; else a p-value.
        lower_is_better: The metric's goal is a decrease.
        relative: Whether changes are shares of the baseline's value.
        level: Of the intervals: 0.95.
    """

    name: str
    kind: str
    baseline: Variant
    others: tuple[Variant, ...]
    bayesian: bool
    lower_is_better: bool
    relative: bool
    level: float

    @property
    def failures(self) -> tuple[str, ...]:
        """Why nothing can be said, of the baseline or of the only other variant."""
        return self.baseline.failures or (self.others[0].failures if len(self.others) == 1 else ())


def read(answer: Json, metric: Json, name: str, stats_config: Json) -> Results:
    """PostHog's answer to an ExperimentQuery.

    Args:
        answer: The answer.
        metric: The metric that was asked for.
        name: What to call it.
        stats_config: The experiment's.
    """
    kind, lower = str(metric.get("metric_type")), metric.get("goal") == "decrease"
    found: list[Json] = answer.get("variant_results") or []
    method = next((str(one.get("method")) for one in found), str(stats_config.get("method") or "bayesian"))
    options: Json = stats_config.get(method) or {}
    level = options.get("ci_level", 0.95) if method == "bayesian" else 1 - options.get("alpha", 0.05)
    return Results(
        name,
        kind,
        _variant(answer.get("baseline") or {}, kind, lower=False),
        tuple(_variant(one, kind, lower=lower) for one in found),
        method == "bayesian",
        lower,
        options.get("difference_type", "RELATIVE") == "RELATIVE",
        level,
    )


def _variant(one: Json, kind: str, *, lower: bool) -> Variant:
    people, total = int(one.get("number_of_samples") or 0), float(one.get("sum") or 0)
    below = float(one.get("denominator_sum") or 0) if kind in ("ratio", "retention") else people
    interval: list[float] | None = one.get("credible_interval") or one.get("confidence_interval")
    chance = one.get("chance_to_win")
    if chance is not None and lower:
        chance = 1 - chance
    low, high = interval or (None, None)
    return Variant(
        key=str(one.get("key")),
        people=people,
        value=total / below if below else None,
        # PostHog keeps the change to itself: it is the middle of the interval.
        change=None if low is None or high is None else (low + high) / 2,
        low=low,
        high=high,
        sure=one.get("p_value") if chance is None else chance,
        significant=one.get("significant"),
        failures=tuple(one.get("validation_failures") or ()),
    )


def rows(results: Results) -> list[list[Any]]:
    """The table's rows of one metric, in `COLUMNS`; the baseline first."""
    every = [results.baseline, *results.others]
    return [[results.name, one.key, one.people, *_worth(results, one)] for one in every]


def _worth(results: Results, one: Variant) -> list[Any]:
    value = None if one.value is None else _value(results, one.value)
    if one is results.baseline:
        return [value, None, None, None, "baseline"]
    interval = None
    if one.low is not None and one.high is not None:
        interval = f"{_change(results, one.low)} to {_change(results, one.high)}"
    change = None if one.change is None else _change(results, one.change)
    return [value, change, interval, _sure(results, one), verdict(results, one)]


def verdict(results: Results, one: Variant) -> str:
    """`better`, `worse`, `open` (a difference may or may not be there) or `too early`."""
    if one.significant is None:
        return "too early"
    if not one.significant or one.change is None:
        return "open"
    return "better" if (one.change > 0) is not results.lower_is_better else "worse"


def _sure(results: Results, one: Variant) -> str | None:
    if one.sure is None:
        return None
    return f"{100 * one.sure:.1f} % to win" if results.bayesian else f"p {one.sure:.3g}"


def _value(results: Results, value: float) -> str:
    return f"{100 * value:.1f} %" if results.kind in _SHARES else f"{value:.4g}"


def _change(results: Results, change: float) -> str:
    if _in_hundredths(results):
        return f"{100 * change:+.1f} {'%' if results.relative else 'points'}"
    return f"{change:+.4g}"


def _in_hundredths(results: Results) -> bool:
    return results.relative or results.kind in _SHARES


def chart(found: list[Results], title: str, subtitle: str) -> Chart:
    """The changes with their intervals, by metric and variant.

    Args:
        found: At least one metric; those whose changes have another unit than the first one's are left out.
        title: Of the chart.
        subtitle: What is added to the baseline and the level.
    """
    first = found[0]
    alike = [results for results in found if _in_hundredths(results) == _in_hundredths(first)]
    keys = dict.fromkeys(one.key for results in alike for one in results.others)
    about = f"Change against {first.baseline.key}, {100 * first.level:g} % intervals. {subtitle}"
    names, series = [results.name for results in alike], [_compared(key, alike) for key in keys]
    return Chart("intervals", title, about, names, series, percent=first.relative)


def _compared(key: str, found: list[Results]) -> Series:
    values, texts, spans = zip(*(_point(results, key) for results in found), strict=True)
    return Series(key, values, texts, spans)


def _point(results: Results, key: str) -> tuple[float | None, str, tuple[float, float] | None]:
    one = next((one for one in results.others if one.key == key), None)
    if one is None or one.change is None or one.low is None or one.high is None:
        return None, "", None
    scale = 100 if _in_hundredths(results) else 1
    told = f"{_change(results, one.change)}, {verdict(results, one)}"
    return one.change * scale, told, (one.low * scale, one.high * scale)


def sentence(results: Results) -> str:
    """What one metric says, for somebody who knows no statistics."""
    if all(one.significant is None for one in results.others):
        reasons = [_WHY.get(why, why) for why in results.failures] or ["the numbers allow no answer yet"]
        return f"{results.name}: too early to tell ({', '.join(reasons)})."
    clear = {
        word: [one for one in results.others if verdict(results, one) == word] for word in ("better", "worse")
    }
    told = [
        f"{one.key} does {word} than {results.baseline.key} ({_told(results, one)})"
        for word, found in clear.items()
        for one in found
    ]
    rest = [one for one in results.others if verdict(results, one) == "open"]
    if rest:
        named = " and ".join(f"{one.key} ({_told(results, one)})" for one in rest)
        told.append(f"no difference shown yet for {named}")
    waiting = [one.key for one in results.others if verdict(results, one) == "too early"]
    if waiting:
        told.append(f"too early to tell for {', '.join(waiting)}")
    return f"{results.name}: {'; '.join(told)}."


def _told(results: Results, one: Variant) -> str:
    values = [
        "nothing" if each.value is None else _value(results, each.value) for each in (one, results.baseline)
    ]
    parts = [f"{values[0]} against {values[1]}"]
    if one.change is not None:
        parts.append(_change(results, one.change))
    if one.low is not None and one.high is not None and one.low <= 0 <= one.high:
        parts.append("the interval holds 0")
    return ", ".join([*parts, *filter(None, [_sure(results, one)])])


def mismatch(totals: dict[str, int], shares: dict[str, float], told: Json | None) -> float | None:
    """How likely so uneven a split is by chance.

    Args:
        totals: People exposed by variant.
        shares: The rollout of each variant.
        told: PostHog's own `sample_ratio_mismatch`, where it has one.

    Returns:
        The p-value of a chi-square test of fit; None for fewer than 100 people or 2 variants.
    """
    if told and told.get("p_value") is not None:
        return float(told["p_value"])
    positive = {key: share for key, share in shares.items() if share > 0}
    people = sum(totals.get(key, 0) for key in positive)
    if people < 100 or len(positive) < 2:  # noqa: PLR2004 - PostHog's own bounds
        return None
    whole = sum(positive.values())
    wanted = {key: people * share / whole for key, share in positive.items()}
    square = sum((totals.get(key, 0) - count) ** 2 / count for key, count in wanted.items())
    return chi_square_beyond(square, len(positive) - 1)


def chi_square_beyond(value: float, freedom: int) -> float:
    """The chance of a chi-square value above this one: a finite sum for whole degrees of freedom."""
    half = value / 2
    beyond = math.exp(-half) if freedom % 2 == 0 else math.erfc(math.sqrt(half))
    for step in range(2 if freedom % 2 == 0 else 1, freedom, 2):
        beyond += half ** (step / 2) * math.exp(-half) / math.gamma(step / 2 + 1)
    return beyond
