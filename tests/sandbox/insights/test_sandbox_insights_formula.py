"""Formulas: what they compute, and that no text does anything else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_mcp.sandbox.http.errors import ApiError
from posthog_mcp.sandbox.insights.formula import compiled

PIECES = st.sampled_from(
    ["A", "b", "C", "1", "2.5", "+", "-", "*", "/", "%", "**", "(", ")", "9e200", " ", "x", "."]
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A/B*100", 50),
        ("a + b", 6),
        ("(A - B) ** 2", 4),
        ("B % 3", 1),
        ("A / 0", 0),
        ("-A", -2),
        ("9e200 * 9e200", 0),
        ("(-A) ** 0.5", 0),
    ],
)
def test_letters_are_the_series_in_order(text, value):
    assert compiled(text, 2)([2, 4]) == value


@pytest.mark.parametrize(
    "text",
    ["", "C", "AB", "A;B", "open('x')", "A.real", "[A]", "True", "A if B else A", "1j", "9e999", "9" * 400],
)
def test_anything_else_is_refused_by_name(text):
    with pytest.raises(ApiError) as refused:
        compiled(text, 2)
    assert refused.value.status == 400
    assert "formula" in refused.value.detail


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_a_formula_is_refused_or_gives_a_number(text):
    try:
        compute = compiled(text, 3)
    except ApiError:
        return
    assert math.isfinite(compute([0.0, 3.0, -1.5]))


def test_nesting_has_an_end():
    with pytest.raises(ApiError):
        compiled("-" * 200 + "A", 1)
    with pytest.raises(ApiError):
        compiled("(" * 400 + "A", 1)
