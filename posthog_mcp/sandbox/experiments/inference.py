"""Is a variant better than the baseline: PostHog's Bayesian and frequentist answers, from sums alone.

Both look at the difference of the means as nearly normal, with a variance by the delta method. Under a flat
prior the posterior is that normal distribution itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.experiments.distributions import (
    chi_square_beyond,
    student_quantile,
    student_two_sided,
)
from posthog_mcp.sandbox.experiments.moments import MetricType, Moments, Sums, moments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthog_mcp.sandbox.experiments.settings import StatsConfig

_NORMAL = NormalDist()
_FEWEST = 5
_FEWEST_FOR_SHARES = 100


@dataclass(frozen=True, slots=True)
class Effect:
    """The difference of two means (`delta`), relative to the baseline's or not, and its variance."""

    delta: float
    variance: float

    @property
    def error(self) -> float:
        """The standard error."""
        return math.sqrt(self.variance)


def effect(test: Moments, control: Moments, *, relative: bool) -> Effect:
    """How much a variant differs from the baseline, whose mean must not be 0 when `relative`."""
    test_part, control_part = test.variance / test.count, control.variance / control.count
    if not relative:
        return Effect(test.mean - control.mean, test_part + control_part)
    base = control.mean
    return Effect((test.mean - base) / base, test_part / base**2 + test.mean**2 * control_part / base**4)


def compare(test: Sums, control: Sums, kind: MetricType, config: StatsConfig) -> dict[str, Any]:
    """The statistic fields of a variant's result by the experiment's method.

    Args:
        test: A variant without validation failures.
        control: The baseline, without any either.
        kind: The metric's.
        config: Method, levels and difference type.

    Returns:
        `chance_to_win, credible_interval, significant`, or `p_value, confidence_interval, significant`; all
        None where the sums allow no answer.
    """
    method = _bayesian if config.method == "bayesian" else _frequentist
    try:
        found = method(test, control, kind, config)
    except (OverflowError, ZeroDivisionError):
        found = None  # a ratio by nothing, or numbers that no float holds
    found = found or (None, None, None)
    return dict(zip(_FIELDS[config.method], found, strict=True))


def nothing(config: StatsConfig) -> dict[str, Any]:
    """The fields of `compare` for a variant with validation failures."""
    return dict.fromkeys(_FIELDS[config.method])


_FIELDS = {
    "bayesian": ("chance_to_win", "credible_interval", "significant"),
    "frequentist": ("p_value", "confidence_interval", "significant"),
}
_Found = tuple[float, list[float], bool] | None


def _bayesian(test: Sums, control: Sums, kind: MetricType, config: StatsConfig) -> _Found:
    if kind == "funnel" and not all(_two_sided(one) for one in (test, control)):
        return None
    level = config.bayesian.ci_level
    relative = config.bayesian.difference_type == "RELATIVE"
    found = effect(moments(test, kind), moments(control, kind), relative=relative)
    if not 0 < found.variance < math.inf:
        return None
    chance = _NORMAL.cdf(found.delta / found.error)
    reach = _NORMAL.inv_cdf(1 - (1 - level) / 2) * found.error
    return chance, [found.delta - reach, found.delta + reach], chance > level or chance < 1 - level


def _two_sided(sums: Sums) -> bool:
    return sums.sum >= _FEWEST and sums.number_of_samples - sums.sum >= _FEWEST


def _frequentist(test: Sums, control: Sums, kind: MetricType, config: StatsConfig) -> _Found:
    mine, theirs = moments(test, kind), moments(control, kind)
    options = config.frequentist
    found = effect(mine, theirs, relative=options.difference_type == "RELATIVE")
    if not 0 < found.variance < math.inf or min(mine.count, theirs.count) < _FEWEST:
        return None
    if options.sequential_testing_enabled:
        return _sequential(
            found, mine.count + theirs.count, options.alpha, options.sequential_tuning_parameter
        )
    return _welch(found, _freedom(mine, theirs), options.alpha)


def _freedom(test: Moments, control: Moments) -> float:
    """Degrees of freedom by Welch and Satterthwaite."""
    a, b = test.variance / test.count, control.variance / control.count
    return (a + b) ** 2 / (a**2 / (test.count - 1) + b**2 / (control.count - 1))


def _welch(found: Effect, freedom: float, alpha: float) -> _Found:
    p = student_two_sided(found.delta / found.error, freedom)
    reach = student_quantile(1 - alpha / 2, freedom) * found.error
    return p, [found.delta - reach, found.delta + reach], p < alpha


def _sequential(found: Effect, n: int, alpha: float, tuning: float) -> _Found:
    """An answer that stays valid however often one looks."""
    log = math.log(alpha)
    rho2 = (-2 * log + math.log(1 - 2 * log)) / tuning
    k = n * rho2 + 1
    reach = math.sqrt(found.variance * n) * math.sqrt(2 * k * math.log(math.sqrt(k) / alpha) / rho2) / n
    evidence = rho2 * found.delta**2 * n / found.variance / (2 * k) - math.log(k) / 2
    p = 1.0 if evidence <= 0 else math.exp(-evidence)
    return p, [found.delta - reach, found.delta + reach], p < alpha


def sample_ratio_mismatch(counts: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, Any] | None:
    """Whether the variants got people in proportion to their shares: chi-square goodness of fit.

    Args:
        counts: People by variant, other labels left out.
        shares: The rollout of each variant, in any unit; variants without any are left out.

    Returns:
        `{expected, p_value}`, or None under 100 people or 2 variants.
    """
    positive = {key: share for key, share in shares.items() if share > 0}
    total = sum(counts.get(key, 0) for key in positive)
    if total < _FEWEST_FOR_SHARES or len(positive) < 2:  # noqa: PLR2004 - nothing to compare
        return None
    whole = sum(positive.values())
    expected = {key: total * share / whole for key, share in positive.items()}
    square = sum((counts.get(key, 0) - want) ** 2 / want for key, want in expected.items())
    return {"expected": expected, "p_value": chi_square_beyond(square, len(positive) - 1)}
