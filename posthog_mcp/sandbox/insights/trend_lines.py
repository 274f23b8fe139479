"""From numbers by bucket and value to the lines of a chart."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from posthog_mcp.sandbox.insights.breakdowns import NULL, OTHER, Value, is_null, ranked
from posthog_mcp.sandbox.insights.formula import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from posthog_mcp.sandbox.insights.asking import Row

ALONE: Value = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One line, or one number: the value it is for, a number for each bucket, and their total."""

    value: Value
    data: list[float] = field(default_factory=list[float])
    last_counts: bool = False

    @property
    def total(self) -> float:
        """The sum, or the last of what is cumulated."""
        if self.last_counts:
            return self.data[-1] if self.data else 0
        return sum(self.data)


def lines(rows: Iterable[Row], epochs: Sequence[int]) -> dict[Value, Line]:
    """Rows of bucket, splits, number as one line for each value; buckets without a row are 0."""
    places = {epoch: place for place, epoch in enumerate(epochs)}
    found: dict[Value, Line] = {}
    for bucket, *splits, number in rows:
        value = tuple(splits)
        line = found.setdefault(value, Line(value, [0.0] * len(epochs)))
        line.data[places[bucket]] = number or 0
    return found


def kept(found: Mapping[Value, Line], limit: int, *, whole: bool) -> tuple[list[Line], Line | None]:
    """The lines that keep their names, in order, and the rest added up where there is a rest."""
    order = ranked(((value, line.total) for value, line in found.items()), nulls_last=not whole)
    named = sorted(order[:limit], key=is_null)
    rest = [found[value] for value in order[limit:]]
    if not rest:
        return [found[value] for value in named], None
    width = len(order[0])
    summed: list[float] = [sum(numbers) for numbers in zip(*(line.data for line in rest), strict=True)]
    return [found[value] for value in named], Line((OTHER,) * width, summed)


def cumulated(line: Line) -> Line:
    """The running sum."""
    return replace(line, data=list(accumulate(line.data)), last_counts=True)


def smoothed(line: Line, over: int) -> Line:
    """Each bucket as the mean of the last few, rounded down."""
    data = [
        sum(line.data[max(0, end - over) : end]) // min(over, end) for end in range(1, len(line.data) + 1)
    ]
    return replace(line, data=data)


def computed(formula: str, series: Sequence[Mapping[Value, Line]], length: int) -> list[Line]:
    """A formula over the lines of the series, value by value; who lacks a value has zeros.

    Raises:
        ApiError: 400 for a formula that cannot be read.
    """
    compute: Callable[[Sequence[float]], float] = compiled(formula, len(series))
    values = dict.fromkeys(value for one in series for value in one) or {ALONE: None}
    zeros = [0.0] * length
    made: list[Line] = []
    for value in values:
        columns = [one[value].data if value in one else zeros for one in series]
        made.append(Line(value, [compute(numbers) for numbers in zip(*columns, strict=True)]))
    return sorted(made, key=lambda line: (_place(line.value), -line.total, line.value))


def _place(value: Value) -> int:
    """Real values first, then those without one, then the rest."""
    if value and all(part == OTHER for part in value):
        return 2
    return int(bool(value) and all(part == NULL for part in value))
