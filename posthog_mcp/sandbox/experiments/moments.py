"""Sums over the people of a variant, and the mean and variance they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MetricType = Literal["funnel", "mean", "ratio", "retention"]

_FEWEST_SAMPLES = 50
_FEWEST_CONVERSIONS = 5


@dataclass(frozen=True, slots=True)
class Sums:
    """What PostHog keeps of a variant: `sum` of the values of `number_of_samples` people, and so on.

    For a ratio `sum` is the numerator's; for retention the samples are those who started, and the
    denominator is 1 for each of them. `step_counts` are the people who reached each step of a funnel.
    """

    key: str
    number_of_samples: int = 0
    sum: float = 0.0
    sum_squares: float = 0.0
    denominator_sum: float = 0.0
    denominator_sum_squares: float = 0.0
    numerator_denominator_sum_product: float = 0.0
    step_counts: tuple[int, ...] = ()

    def add(self, other: Sums) -> Sums:
        """The sums of both people together, under this key."""
        steps = self.step_counts or (0,) * len(other.step_counts)
        return Sums(
            self.key,
            self.number_of_samples + other.number_of_samples,
            self.sum + other.sum,
            self.sum_squares + other.sum_squares,
            self.denominator_sum + other.denominator_sum,
            self.denominator_sum_squares + other.denominator_sum_squares,
            self.numerator_denominator_sum_product + other.numerator_denominator_sum_product,
            tuple(mine + others for mine, others in zip(steps, other.step_counts or steps, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Moments:
    """The mean of a variant's metric, the variance of one person's value, and how many people."""

    mean: float
    variance: float
    count: int


def moments(sums: Sums, kind: MetricType, *, population: bool = False) -> Moments:
    """Mean and variance of a metric of that kind.

    A ratio's variance is the delta method's, with the two sums taken as correlated.

    Args:
        sums: Of at least two people, or one with `population`.
        kind: What the sums are of.
        population: Divide by n, as planning does, and not by n - 1.
    """
    n = sums.number_of_samples
    freedom = n if population else n - 1
    mean = sums.sum / n
    if kind == "funnel":
        return Moments(mean, mean * (1 - mean), n)
    variance = (sums.sum_squares - sums.sum**2 / n) / freedom
    if kind == "mean":
        return Moments(mean, variance, n)
    below = sums.denominator_sum / n
    below_variance = (sums.denominator_sum_squares - sums.denominator_sum**2 / n) / freedom
    together = (sums.numerator_denominator_sum_product - sums.sum * below) / freedom
    spread = variance / below**2 + mean**2 * below_variance / below**4 - 2 * mean * together / below**3
    return Moments(mean / below, spread, n)


def failures(sums: Sums, kind: MetricType, *, baseline: bool) -> list[str]:
    """Why a variant's sums allow no statistics, in PostHog's words; empty when they do."""
    found: list[str] = []
    if sums.number_of_samples < _FEWEST_SAMPLES:
        found.append("not-enough-exposures")
    if kind in ("funnel", "retention") and sums.sum < _FEWEST_CONVERSIONS:
        found.append("not-enough-metric-data")
    if baseline and sums.sum == 0:
        found.append("baseline-mean-is-zero")
    return found
