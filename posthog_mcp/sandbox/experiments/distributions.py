"""Student's t and chi-square, from SciPy, which is loaded when first needed."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def _special() -> Any:
    from scipy import special  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] - of the extra, 100 ms

    return special


def student_two_sided(t: float, freedom: float) -> float:
    """The chance of a value at least as far from 0 as `t`."""
    return float(2 * _special().stdtr(freedom, -abs(t)))


def student_quantile(share: float, freedom: float) -> float:
    """The value that this share lies below."""
    return float(_special().stdtrit(freedom, share))


def chi_square_beyond(value: float, freedom: int) -> float:
    """The chance of a value above this one."""
    return float(_special().chdtrc(freedom, value))
