"""Results of experiments in words: verdicts, sentences, and whether a split is chance."""

import math
from typing import Any

import pytest

from posthog_mcp.render.experiments import chart, chi_square_beyond, mismatch, read, rows, sentence

METRIC = {"metric_type": "funnel", "goal": "increase"}
BASELINE = {"key": "control", "number_of_samples": 1000, "sum": 120, "validation_failures": []}


def variant(**more: Any) -> dict[str, Any]:
    found = {
        "key": "test", "method": "bayesian", "number_of_samples": 1010, "sum": 200,
        "chance_to_win": 0.99, "credible_interval": [0.1, 0.5], "significant": True,
    }  # fmt: skip
    return found | more


def told(*variants: dict[str, Any], metric: dict[str, Any] = METRIC, **config: Any) -> str:
    answer = {"baseline": BASELINE, "variant_results": list(variants)}
    return sentence(read(answer, metric, "Buys", config))


def test_a_clear_winner_is_named_with_its_numbers():
    assert told(variant()) == (
        "Buys: test does better than control (19.8 % against 12.0 %, +30.0 %, 99.0 % to win)."
    )


def test_what_loses_is_named_so():
    worse = variant(chance_to_win=0.01, credible_interval=[-0.5, -0.1])
    assert told(worse).startswith("Buys: test does worse than control")


def test_where_less_is_better_chances_and_verdicts_turn_round():
    text = told(
        variant(chance_to_win=0.01, credible_interval=[-0.5, -0.1]), metric={**METRIC, "goal": "decrease"}
    )
    assert "test does better than control" in text
    assert "99.0 % to win" in text


def test_a_difference_that_is_not_shown_stays_open():
    assert told(variant(significant=False, chance_to_win=0.7, credible_interval=[-0.1, 0.3])) == (
        "Buys: no difference shown yet for test (19.8 % against 12.0 %, +10.0 %, the interval holds 0, "
        "70.0 % to win)."
    )


def test_a_one_sided_win_whose_interval_holds_no_difference_says_so():
    assert "the interval holds 0" in told(variant(credible_interval=[-0.04, 0.51], chance_to_win=0.954))


@pytest.mark.parametrize(
    ("failures", "words"),
    [
        (
            ["not-enough-exposures", "not-enough-metric-data"],
            "fewer than 50 people, fewer than 5 conversions",
        ),
        (["baseline-mean-is-zero"], "nothing counted in the baseline"),
        (["moon-is-full"], "moon-is-full"),
    ],
)
def test_too_early_is_said_with_the_reason(failures, words):
    early = variant(significant=None, chance_to_win=None, credible_interval=None)
    answer = {"baseline": BASELINE | {"validation_failures": failures}, "variant_results": [early]}
    assert sentence(read(answer, METRIC, "Buys", {})) == f"Buys: too early to tell ({words})."


def test_several_variants_are_told_apart():
    text = told(
        variant(key="a"),
        variant(key="b", significant=False),
        variant(key="c", significant=None, credible_interval=None, chance_to_win=None),
    )
    assert text.startswith("Buys: a does better than control")
    assert "no difference shown yet for b" in text
    assert text.endswith("too early to tell for c.")


def test_rows_show_values_changes_and_p_values_in_their_units():
    frequentist = variant(
        method="frequentist", chance_to_win=None, credible_interval=None, p_value=0.0312345,
        confidence_interval=[0.5, 1.5],
    )  # fmt: skip
    mean = {"metric_type": "mean"}
    answer = {"baseline": BASELINE, "variant_results": [frequentist]}
    absolute = {"method": "frequentist", "frequentist": {"difference_type": "ABSOLUTE"}}
    assert rows(read(answer, mean, "Spent", absolute)) == [
        ["Spent", "control", 1000, "0.12", None, None, None, "baseline"],
        ["Spent", "test", 1010, "0.198", "+1", "+0.5 to +1.5", "p 0.0312", "better"],
    ]
    shares = rows(read(answer, METRIC, "Buys", absolute))
    assert shares[1][3:6] == ["19.8 %", "+100.0 points", "+50.0 points to +150.0 points"]


def test_ratios_and_retention_are_read_by_their_denominator():
    both = {"key": "control", "number_of_samples": 400, "sum": 2400, "denominator_sum": 800}
    answer = {"baseline": both, "variant_results": []}
    assert rows(read(answer, {"metric_type": "ratio"}, "r", {}))[0][3] == "3"
    nobody = {"key": "control", "number_of_samples": 0, "sum": 0, "denominator_sum": 0}
    assert rows(read({"baseline": nobody}, {"metric_type": "retention"}, "r", {}))[0][3] is None


@pytest.mark.parametrize(("freedom", "value"), [(1, 9.0), (2, 5.0), (3, 7.815), (4, 9.488), (7, 14.067)])
def test_chi_square_is_the_integral_of_its_density(freedom, value):
    steps = 200_000
    width = (value + 120 - value) / steps
    density = [
        math.exp(-x / 2) * x ** (freedom / 2 - 1) / (2 ** (freedom / 2) * math.gamma(freedom / 2))
        for x in (value + (step + 0.5) * width for step in range(steps))
    ]
    assert chi_square_beyond(value, freedom) == pytest.approx(sum(density) * width, rel=1e-4)


def test_a_split_is_judged_by_posthog_where_it_does_else_here():
    even = {"control": 50, "test": 50}
    assert mismatch({"control": 1, "test": 1}, even, {"p_value": 0.5}) == 0.5
    assert mismatch({"control": 5150, "test": 4850}, even, None) == pytest.approx(0.0027, abs=1e-4)
    assert mismatch({"control": 50, "test": 49}, even, None) is None
    assert mismatch({"control": 500}, {"control": 100, "test": 0}, None) is None


def test_a_chart_has_the_changes_in_percent_and_leaves_out_other_units():
    answer = {
        "baseline": BASELINE,
        "variant_results": [variant(), variant(key="early", significant=None, credible_interval=None)],
    }
    config = {"bayesian": {"difference_type": "ABSOLUTE"}}
    buys = read(answer, METRIC, "Buys", {})
    drawn = chart([buys], "Checkout", "Since March.")
    assert [(one.name, one.values[0]) for one in drawn.series] == [
        ("test", pytest.approx(30)),
        ("early", None),
    ]
    assert drawn.series[0].spans[0] == (10, 50)
    assert drawn.series[0].texts == ("+30.0 %, better",)
    assert drawn.subtitle == "Change against control, 95 % intervals. Since March."
    spent = read(answer, {"metric_type": "mean", "goal": "increase"}, "Spent", config)
    shares = read(answer, METRIC, "Buys", config)
    assert chart([spent, shares], "", "").places == ["Spent"]
    assert not chart([shares], "", "").percent
