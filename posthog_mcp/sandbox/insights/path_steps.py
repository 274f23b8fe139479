"""What one person did as paths: cut where they paused, and at the points of interest."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# So long without an event, in microseconds, and what follows is another path.
_PAUSE = 30 * 60 * 1_000_000
_BETWEEN = "..."


@dataclass(frozen=True, slots=True)
class Step:
    """One item of a path, at Unix microseconds."""

    at: int
    item: str


@dataclass(frozen=True, slots=True)
class Rules:
    """How many steps a path has at most, and the points it must begin and end with; "" for any."""

    steps: int
    start: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """From one step to the next: their names with their places in front, and the microseconds between."""

    source: str
    target: str
    took: int


def paths_of(steps: Sequence[Step], rules: Rules) -> Iterator[list[Step]]:
    """The paths in what a person did, by time; those without the points asked for are left out."""
    begin = 0
    for end in range(1, len(steps) + 1):
        if end == len(steps) or steps[end].at - steps[end - 1].at >= _PAUSE:
            path = _cut(_collapsed(steps[begin:end]), rules)
            if path:
                yield path
            begin = end


def edges_of(path: Sequence[Step]) -> Iterator[Edge]:
    """The steps of a path, each with the next."""
    for place, (one, other) in enumerate(pairwise(path), 1):
        yield Edge(f"{place}_{one.item}", f"{place + 1}_{other.item}", other.at - one.at)


def _collapsed(steps: Sequence[Step]) -> list[Step]:
    """Of equal items in a row only the last."""
    kept = [one for one, other in pairwise(steps) if one.item != other.item]
    return [*kept, steps[-1]]


def _cut(path: list[Step], rules: Rules) -> list[Step]:
    if rules.start:
        place = _first(path, rules.start)
        path = [] if place is None else path[place:]
    if rules.end:
        place = _first(path, rules.end)
        path = [] if place is None else path[: place + 1]
    if len(path) <= rules.steps or not rules.end:
        return path[: rules.steps]
    if not rules.start:
        return path[-rules.steps :]
    half = rules.steps // 2
    # The placeholder stands where the first step left out was.
    return [*path[:half], Step(path[half].at, _BETWEEN), *path[-half:]]


def _first(path: list[Step], point: str) -> int | None:
    """Where the path first comes to a point; a slash at the point's end says nothing."""
    wanted = point.removesuffix("/") if len(point) > 1 else point
    return next((place for place, step in enumerate(path) if step.item == wanted), None)
