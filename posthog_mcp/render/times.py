"""Times in a column: to the second unless finer ones differ, and what all of them share left out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

_ROWS = 10  # fewer are shorter, and sooner read, whole
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?(Z|[+-]\d\d:\d\d))?", re.ASCII)
_YEAR, _DATE, _MINUTE, _SECOND, _MILLISECOND = map(
    len, ("2026-", "2026-03-01", "2026-03-01T10:00", "2026-03-01T10:00:00", "2026-03-01T10:00:00.000")
)
_DIGITS = str.maketrans("123456789", "0" * 9)


@dataclass(frozen=True, slots=True)
class Times:
    """How the cells of a column show its times.

    Attributes:
        start: What all begin with, left out of the cells: nothing, the year, or the whole date.
        end: What all end with, left out of the cells: nothing, or the zone after whatever of the clock is 0.
        stop: Where in a time its cell ends; None for all its digits.
        zone: The zone of all; empty for dates.
    """

    start: str
    end: str
    stop: int | None
    zone: str

    @classmethod
    def of(cls, values: Sequence[Any]) -> Self | None:
        """The form for a column; None if there are no times, others than times, or more zones than one."""
        first = next((value for value in values if value is not None), None)
        match = _TIME.fullmatch(first) if isinstance(first, str) else None
        if match is None:
            return None
        times, zone = [value for value in values if value is not None], match[1] or ""
        if not _all_times(times, zone):
            return None
        bare = [time.removesuffix(zone) for time in times]
        distinct = len(set(bare))
        apart = (stop for stop in (_SECOND, _MILLISECOND) if len({time[:stop] for time in bare}) == distinct)
        stop = next(apart, None)
        if len(values) < _ROWS or distinct == 1:
            return cls("", "", stop, zone)
        zeros, stop = _zeros(bare, stop)
        return cls(_start(bare), zeros + zone, stop, zone)

    @property
    def whole(self) -> str:
        """A whole time with `…` where the cells stand; empty if the cells are whole."""
        return f"{self.start}…{self.end}" if self.start or self.end else ""

    def cells(self, values: Sequence[str | None]) -> list[str]:
        """The values of the column, each as its cell; null is empty."""
        begin, stop, zone = len(self.start), self.stop, self.zone
        after = "" if self.end else zone
        return ["" if time is None else time.removesuffix(zone)[begin:stop] + after for time in values]


def to_the_second(time: Any) -> Any:
    """An ISO time without fractions of a second; anything else unchanged."""
    match = _TIME.fullmatch(time) if isinstance(time, str) else None
    return time[:_SECOND] + (match[1] or "") if match else time


def _all_times(values: list[Any], zone: str) -> bool:
    """Whether all values are times in the zone, or all dates if it is empty."""
    if set(map(type, values)) != {str}:
        return False
    # with their digits made equal, a column of times comes down to a few
    shapes = "\n".join(values).translate(_DIGITS).split("\n")
    found = {match and (match[1] or "") for match in map(_TIME.fullmatch, set(shapes))}
    alike = len(shapes) == len(values) and found == {zone.translate(_DIGITS)}
    return alike and (zone in ("", "Z") or all(value.endswith(zone) for value in values))


def _start(times: list[str]) -> str:
    """The date or the year with which all begin."""
    first, last = min(times), max(times)  # what these share, all do
    shared = (first[:stop] for stop in (_DATE + 1, _YEAR) if last.startswith(first[:stop]))
    return next(shared, "")


def _zeros(times: list[str], stop: int | None) -> tuple[str, int | None]:
    """What of the clock is 0 in all, and where the cells end without it."""
    for earlier, zeros in ((_DATE, "T00:00:00"), (_MINUTE, ":00")):
        if all(time[earlier:stop] == zeros for time in times):
            return zeros, earlier
    return "", stop
