"""Statistics against closed forms, numerical integration and simulation; never against themselves."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from posthog_mcp.sandbox.experiments.distributions import chi_square_beyond, student_quantile
from posthog_mcp.sandbox.experiments.distributions import student_two_sided as two_sided
from posthog_mcp.sandbox.experiments.inference import compare, sample_ratio_mismatch
from posthog_mcp.sandbox.experiments.moments import MetricType, Sums, failures, moments
from posthog_mcp.sandbox.experiments.planning import running_days, sample_size, variance_of
from posthog_mcp.sandbox.experiments.settings import StatsConfig

BAYESIAN = StatsConfig()
FREQUENTIST = StatsConfig.of({"method": "frequentist"})
FUNNEL = Sums("control", 1000, 120, 120), Sums("test", 1010, 150, 150)
MEAN = Sums("control", 500, 5000, 90_000), Sums("test", 520, 5616, 102_000)
RATIO = (
    Sums("control", 400, 2400, 40_000, 800, 2400, 8000),
    Sums("test", 410, 2665, 46_000, 820, 2460, 9000),
)
RETENTION = Sums("control", 300, 90, 90, 300, 300, 90), Sums("test", 310, 115, 115, 310, 310, 115)


def frequentist(**options: Any) -> StatsConfig:
    return StatsConfig.of({"method": "frequentist", "frequentist": options})


def values(metric: list[float] | np.ndarray) -> Sums:
    data = np.asarray(metric, float)
    return Sums("x", len(data), float(data.sum()), float((data**2).sum()))


def pairs(above: np.ndarray, below: np.ndarray) -> Sums:
    return Sums(
        "x", len(above), above.sum(), (above**2).sum(), below.sum(), (below**2).sum(), (above * below).sum()
    )


# What PostHog answers for these sums, computed once with SciPy from its formulas.
@pytest.mark.parametrize(
    ("kind", "both", "chance", "interval", "p", "confidence"),
    [
        ("funnel", FUNNEL, 0.953843, (-0.039054, 0.514301), 0.092471, (-0.039222, 0.514469)),
        ("mean", MEAN, 0.914903, (-0.034319, 0.194319), 0.170498, (-0.034455, 0.194455)),
        ("ratio", RATIO, 0.880433, (-0.055417, 0.222084), 0.239482, (-0.055626, 0.222292)),
        ("retention", RETENTION, 0.951478, (-0.042854, 0.515973), 0.097559, (-0.043412, 0.516530)),
    ],
)
def test_the_worked_examples_come_out(
    *,
    kind: MetricType,
    both: tuple[Sums, Sums],
    chance: float,
    interval: tuple[float, float],
    p: float,
    confidence: tuple[float, float],
) -> None:
    control, test = both
    bayesian, welch = compare(test, control, kind, BAYESIAN), compare(test, control, kind, FREQUENTIST)
    assert bayesian["chance_to_win"] == pytest.approx(chance, abs=1e-6)
    assert bayesian["credible_interval"] == pytest.approx(interval, abs=1e-6)
    assert bayesian["significant"] is (chance > 0.95)
    assert welch["p_value"] == pytest.approx(p, abs=1e-6)
    assert welch["confidence_interval"] == pytest.approx(confidence, abs=1e-6)
    assert welch["significant"] is False


def test_absolute_differences_and_sequential_tests_come_out() -> None:
    control, test = FUNNEL
    absolute = StatsConfig.of({"bayesian": {"difference_type": "ABSOLUTE"}})
    found = compare(test, control, "funnel", absolute)
    assert found["chance_to_win"] == pytest.approx(0.969736, abs=1e-6)
    assert found["credible_interval"] == pytest.approx((-0.001262, 0.058291), abs=1e-6)
    found = compare(test, control, "funnel", frequentist(sequential_testing_enabled=True))
    assert found["p_value"] == pytest.approx(0.696092, abs=1e-6)
    assert found["confidence_interval"] == pytest.approx((-0.203193, 0.678440), abs=1e-6)


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=40))
def test_mean_and_variance_are_those_of_the_values(metric: list[float]) -> None:
    found = moments(values(metric), "mean")
    assert found.mean == pytest.approx(np.mean(metric), abs=1e-9)
    assert found.variance == pytest.approx(np.var(metric, ddof=1), rel=1e-6, abs=1e-6)


def test_a_ratio_varies_as_much_as_it_does_when_drawn_again_and_again() -> None:
    draw = np.random.default_rng(7)
    below = draw.poisson(3, (4_000, 200)) + 1.0
    above = below * draw.gamma(2, 1, below.shape)
    drawn = above.sum(axis=1) / below.sum(axis=1)
    errors = [moments(pairs(a, b), "ratio").variance / 200 for a, b in zip(above, below, strict=True)]
    assert np.mean(errors) == pytest.approx(drawn.var(), rel=0.06)


def test_an_interval_holds_the_true_effect_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(11)
    true = 0.25
    held = {"credible_interval": 0, "confidence_interval": 0}
    for _ in range(1_500):
        control, test = draw.exponential(4, 300), draw.exponential(4 * (1 + true), 280)
        for config in (BAYESIAN, FREQUENTIST):
            found = compare(values(test), values(control), "mean", config)
            for name in held.keys() & found.keys():
                low, high = found[name]
                held[name] += low <= true <= high
    for count in held.values():
        assert count / 1_500 == pytest.approx(0.95, abs=0.02)


def test_without_an_effect_a_p_value_is_as_often_small_as_it_is_high() -> None:
    draw = np.random.default_rng(13)
    ps = []
    for _ in range(1_500):
        control, test = draw.binomial(400, 0.3), draw.binomial(380, 0.3)
        both = Sums("t", 380, test, test), Sums("c", 400, control, control)
        ps.append(compare(*both, "funnel", FREQUENTIST)["p_value"])
    for share in (0.05, 0.25, 0.5, 0.9):
        assert np.mean(np.array(ps) < share) == pytest.approx(share, abs=0.035)


def test_looking_ten_times_finds_nothing_too_often_with_a_sequential_test() -> None:
    draw = np.random.default_rng(17)
    sequential = frequentist(sequential_testing_enabled=True)
    wrong = {"plain": 0, "sequential": 0}
    for _ in range(400):
        control, test = draw.normal(10, 3, 2_000), draw.normal(10, 3, 2_000)
        looks = [(values(test[:n]), values(control[:n])) for n in range(200, 2_001, 200)]
        wrong["plain"] += any(compare(*look, "mean", FREQUENTIST)["significant"] for look in looks)
        wrong["sequential"] += any(compare(*look, "mean", sequential)["significant"] for look in looks)
    assert wrong["plain"] / 400 > 0.1
    assert wrong["sequential"] / 400 < 0.05


def test_the_chance_to_win_is_the_share_of_draws_in_which_the_variant_is_ahead() -> None:
    control, test = MEAN
    draw = np.random.default_rng(19)
    means = [
        draw.normal(found.mean, math.sqrt(found.variance / found.count), 200_000)
        for found in (moments(test, "mean"), moments(control, "mean"))
    ]
    found = compare(test, control, "mean", StatsConfig.of({"bayesian": {"difference_type": "ABSOLUTE"}}))
    assert found["chance_to_win"] == pytest.approx(np.mean(means[0] > means[1]), abs=0.003)
    low, high = np.quantile(means[0] - means[1], (0.025, 0.975))
    assert found["credible_interval"] == pytest.approx((low, high), abs=0.01)


@pytest.mark.parametrize("freedom", [5, 41.7, 2_000])
def test_student_is_the_integral_of_its_density(freedom: float) -> None:
    at = np.linspace(0, 60, 600_001)
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
    density = scale / math.sqrt(freedom * math.pi) * (1 + at**2 / freedom) ** (-(freedom + 1) / 2)
    for t in (0.3, 1.96, 4.0):
        beyond = 1 - 2 * np.trapezoid(density[at <= t], at[at <= t])
        assert two_sided(t, freedom) == pytest.approx(beyond, abs=1e-4)
        assert student_quantile(1 - two_sided(t, freedom) / 2, freedom) == pytest.approx(t)


def test_chi_square_is_what_its_closed_forms_say() -> None:
    for value in (0.1, 3.0, 17.0):
        assert chi_square_beyond(value, 1) == pytest.approx(math.erfc(math.sqrt(value / 2)))
        assert chi_square_beyond(value, 2) == pytest.approx(math.exp(-value / 2))
        assert chi_square_beyond(value, 4) == pytest.approx(math.exp(-value / 2) * (1 + value / 2))


def test_a_split_that_does_not_fit_the_shares_has_a_small_p_value() -> None:
    even = {"control": 50, "test": 50}
    near = sample_ratio_mismatch({"control": 510, "test": 490}, even)
    assert near == {"expected": {"control": 500, "test": 500}, "p_value": pytest.approx(0.5271, abs=1e-4)}
    far = sample_ratio_mismatch({"control": 5150, "test": 4850}, even)
    assert far is not None
    assert far["p_value"] == pytest.approx(2 * (1 - NormalDist().cdf(3)))
    three = sample_ratio_mismatch({"a": 500, "b": 250, "c": 250, "d": 7}, {"a": 40, "b": 20, "c": 20, "d": 0})
    assert three is not None
    assert three["expected"] == {"a": 500, "b": 250, "c": 250}
    assert three["p_value"] == 1


def test_few_people_or_one_variant_have_no_split_to_judge() -> None:
    assert sample_ratio_mismatch({"control": 60, "test": 39}, {"control": 1, "test": 1}) is None
    assert sample_ratio_mismatch({"control": 600}, {"control": 100, "test": 0}) is None


def test_too_little_data_is_named_before_anything_is_computed() -> None:
    assert failures(Sums("c", 49, 20, 20), "funnel", baseline=True) == ["not-enough-exposures"]
    assert failures(Sums("c", 50, 4, 4), "retention", baseline=False) == ["not-enough-metric-data"]
    assert failures(Sums("c", 50, 0, 0), "mean", baseline=True) == ["baseline-mean-is-zero"]
    assert failures(Sums("t", 50, 0, 0), "mean", baseline=False) == []
    assert failures(Sums("c", 500, 50, 50), "funnel", baseline=True) == []


def test_values_without_any_spread_allow_no_answer() -> None:
    same = Sums("x", 100, 300, 900)
    assert compare(same, same, "mean", BAYESIAN)["chance_to_win"] is None
    assert compare(same, same, "mean", FREQUENTIST)["p_value"] is None
    for config in (BAYESIAN, FREQUENTIST):
        by_nothing = compare(Sums("t", 100, 300, 1_000), Sums("c", 100, 300, 1_000), "ratio", config)
        assert set(by_nothing.values()) == {None}
        huge = Sums("t", 100, 1e160, 1e307)
        assert set(compare(huge, Sums("c", 100, 1e-150, 1e-150), "mean", config).values()) == {None}
    nearly_all = Sums("t", 100, 97, 97), Sums("c", 100, 60, 60)
    assert compare(*nearly_all, "funnel", BAYESIAN)["credible_interval"] is None


def test_settings_that_are_wrong_fall_back_to_the_defaults() -> None:
    assert StatsConfig.of({"method": "tarot", "bayesian": {"ci_level": 95}}) == StatsConfig()
    kept = StatsConfig.of({"method": "frequentist", "bayesian": {"ci_level": "high"}})
    assert (kept.method, kept.bayesian.ci_level) == ("frequentist", 0.95)
    assert StatsConfig.of(None) == StatsConfig.of("x") == StatsConfig()


def test_samples_and_days_are_those_of_the_formula() -> None:
    assert sample_size(0.12, variance_of("funnel", 0.12, None) or 0, 20, 2) == 5867
    assert sample_size(10, variance_of("mean_count", 10, None) or 0, 5, 2) == 2560
    assert sample_size(10, variance_of("mean_sum_or_avg", 10, None) or 0, 5, 2) == 3200
    assert sample_size(3, variance_of("ratio", 3, RATIO[0]) or 0, 10, 2) == 3023
    assert running_days(5867, 400) == 15
    assert sample_size(0.12, 0.1, 0, 2) is None
    assert running_days(5867, 0) is None
    assert sample_size(1e-200, 1.0, 1, 2) is None
    assert sample_size(1e-150, 1e200, 1, 2) is None


def test_the_planned_size_finds_the_planned_effect_in_four_of_five_experiments() -> None:
    draw = np.random.default_rng(23)
    each = (sample_size(0.3, variance_of("funnel", 0.3, None) or 0, 20, 2) or 0) // 2
    absolute, found = frequentist(difference_type="ABSOLUTE"), 0
    for _ in range(1_000):
        control, test = draw.binomial(each, 0.3), draw.binomial(each, 0.36)
        both = Sums("t", each, test, test), Sums("c", each, control, control)
        found += compare(*both, "funnel", absolute)["significant"]
    assert found / 1_000 == pytest.approx(0.8, abs=0.05)
