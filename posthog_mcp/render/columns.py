"""Columns of a table, and what is said of one once, so that its rows need not repeat it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from posthog_mcp.render.cells import cell, cells
from posthog_mcp.render.times import Times

MANY = 10  # rows; fewer are shorter, and sooner read, whole
_LONGEST = 200  # characters of a text that is said once
_BATCH = 150  # rows turned to text at a time, about as many as an answer holds


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column.

    Attributes:
        name: As a cell.
        values: One for each row that may be shown.
        times: How those are shown, if they are times.
    """

    name: str
    values: Sequence[Any]
    times: Times | None

    @property
    def says_one_text(self) -> bool:
        """Whether many rows hold one and the same text, short enough to be said in front of them."""
        text = self.values[0]
        if not isinstance(text, str) or len(self.values) < MANY or not 0 < len(text) <= _LONGEST:
            return False
        return all(value == text for value in self.values)

    def cells(self, rows: slice) -> list[str]:
        """Its cells in some of the rows."""
        return (self.times.cells if self.times else cells)(self.values[rows])


def columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Column]:
    """The columns of these rows, of which there is at least one."""
    values = zip(*rows, strict=True)
    return [Column(cell(name), each, Times.of(each)) for name, each in zip(names, values, strict=True)]


def said_once(same: Sequence[Column]) -> list[str]:
    """Lines in front of the rows that say what their columns `same` hold; none for none."""
    said = [f"{column.name}\t{cell(column.values[0])}" for column in same]
    return ["The same in every row below:", *said, ""] if said else []


def how_to_read(shown: Sequence[Column]) -> list[str]:
    """For each form in which cells are parts of times, what they are parts of."""
    named: dict[str, list[str]] = {}
    for column in shown:
        if column.times and column.times.whole:
            named.setdefault(column.times.whole, []).append(column.name)
    return [f"{', '.join(names)}: cells show the … of {whole}." for whole, names in named.items()]


def lines(shown: Sequence[Column]) -> Iterator[str]:
    """The rows, their cells with tabs between them."""
    for first in range(0, len(shown[0].values), _BATCH):
        batch = [column.cells(slice(first, first + _BATCH)) for column in shown]
        yield from map("\t".join, zip(*batch, strict=True))
