"""Charts of results: what one shows, and how much of it fits. `vega` says it in Vega-Lite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Shape = Literal["lines", "columns", "stack", "bars", "intervals", "heat"]

_MOST_SERIES = 8
_FEWEST_SERIES = 3
_MOST_ROWS = 32
"""Down the page: beyond it labels touch."""


@dataclass(frozen=True, slots=True)
class Series:
    """What has one colour; of a heat map, one row.

    Attributes:
        name: For the legend; outsiders may have written it.
        values: One for each place of the chart; None where there is none.
        texts: Written at the values; none by default.
        spans: Of intervals, the ends around each value.
        unfinished: Of lines, whether the last place is not over yet.
    """

    name: str
    values: Sequence[float | None]
    texts: Sequence[str] = ()
    spans: Sequence[tuple[float, float] | None] = ()
    unfinished: bool = False

    def at(self, places: Sequence[int]) -> Series:
        """The same at some places alone."""
        texts = [self.texts[place] for place in places] if self.texts else ()
        spans = [self.spans[place] for place in places] if self.spans else ()
        return Series(self.name, [self.values[place] for place in places], texts, spans)


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture.

    Attributes:
        shape: Lines, columns side by side, columns in a stack, bars from the left, intervals around 0, or a
            heat map.
        title: What is shown.
        subtitle: Of which project and period, with which filters.
        places: Labels along the axis: days, steps, values of a property.
        series: Each with as many values as there are places.
        percent: Whether the values are percentages.
    """

    shape: Shape
    title: str
    subtitle: str
    places: Sequence[str]
    series: Sequence[Series]
    percent: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return not any(map(_size, self.series))

    def fitting(self) -> Chart:
        """The chart with its largest series, and down the page its largest places: what can be told apart."""
        rows = self.shape in ("bars", "intervals")
        room = _MOST_ROWS // max(len(self.places), 1)
        series = max(min(room, _MOST_SERIES), _FEWEST_SERIES) if rows else _MOST_SERIES
        if self.shape == "heat":
            series = _MOST_ROWS
        kept = [self.series[place] for place in _largest([_size(one) for one in self.series], series)]
        if not rows:
            return replace(self, series=kept)
        sizes = [sum(abs(one.values[place] or 0) for one in kept) for place in range(len(self.places))]
        places = _largest(sizes, _MOST_ROWS // max(len(kept), 1))
        return replace(
            self, places=[self.places[place] for place in places], series=[one.at(places) for one in kept]
        )


def _size(one: Series) -> float:
    return sum(abs(value) for value in one.values if value is not None)


def _largest(sizes: Sequence[float], most: int) -> list[int]:
    """The places of the largest sizes, in the order they have."""
    return sorted(sorted(range(len(sizes)), key=lambda place: -sizes[place])[:most])
