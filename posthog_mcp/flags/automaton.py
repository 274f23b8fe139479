"""A regular expression searched in time linear in the text: states found as the text needs them.

Python's own engine backtracks, and nothing can stop it. The patterns that reach this module have no
look-around and no back-references, so whether they match at all can be told by sets of states.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_MOST_NODES = 1_000
_LONGEST_TEXT = 50_000
_MOST_STATES = 500
_WORK_PER_SEARCH = 12_000

_ATOM = re.compile(r"\\x[0-9a-fA-F]{2}|\\.|\[\^?(?:\\.|[^\\\]])*\]|[^\\\[]", re.DOTALL)
_QUANTIFIER = re.compile(r"(?:[*+?]|\{([0-9]+)(,?)([0-9]*)\})\??")


class TooMuchWorkError(Exception):
    """The pattern or the text is too large to be searched within the time an evaluation has."""


@dataclass(slots=True)
class _Node:
    """One state: what it takes to leave it, and where to."""

    needs: str = ""
    out: list[int] = field(default_factory=list[int])


_START = "^"
_END = r"\Z"
_Part = tuple[int, int]


class _Builder:
    """Reads a pattern into nodes: an empty `needs` is free, an anchor is a condition, an atom a character."""

    def __init__(self, pattern: str) -> None:
        self.nodes: list[_Node] = []
        self._pattern = pattern
        self._at = 0
        self.first, self.last = self._choice()

    def _node(self, needs: str = "") -> int:
        if len(self.nodes) >= _MOST_NODES:
            raise TooMuchWorkError("the pattern is too large to be searched in bounded time")
        self.nodes.append(_Node(needs))
        return len(self.nodes) - 1

    def _link(self, source: int, target: int) -> None:
        self.nodes[source].out.append(target)

    def _choice(self) -> _Part:
        first, last = self._node(), self._node()
        while True:
            start, end = self._sequence()
            self._link(first, start)
            self._link(end, last)
            if not self._pattern.startswith("|", self._at):
                return first, last
            self._at += 1

    def _sequence(self) -> _Part:
        first = last = self._node()
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            start, end = self._repeated()
            self._link(last, start)
            last = end
        return first, last

    def _repeated(self) -> _Part:
        begin = self._at
        part = self._single()
        quantifier = _QUANTIFIER.match(self._pattern, self._at)
        if quantifier is None:
            return part
        after = quantifier.end()
        low, high = _bounds(quantifier)
        first = last = self._node()
        for copy in range(max(low, high or 0, 1)):
            if copy:
                self._at = begin
                part = self._single()
            self._link(last, part[0])
            if copy >= low:
                self._link(last, part[1])
            last = part[1]
        if high is None:
            self._link(last, part[0])
        self._at = after
        return self._closed(first, last, empty=high == 0)

    def _closed(self, first: int, last: int, *, empty: bool) -> _Part:
        end = self._node()
        self._link(first if empty else last, end)
        return first, end

    def _single(self) -> _Part:
        pattern = self._pattern
        if pattern[self._at] == "(":
            self._at += 3 if pattern.startswith("(?:", self._at) else 1
            part = self._choice()
            self._at += 1
            return part
        atom = _ATOM.match(pattern, self._at)
        if atom is None:
            raise TooMuchWorkError("the pattern cannot be searched in bounded time")
        self._at = atom.end()
        first, last = self._node(atom[0]), self._node()
        self._link(first, last)
        return first, last


def _bounds(quantifier: re.Match[str]) -> tuple[int, int | None]:
    match quantifier[0][0]:
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
        case _:
            low = int(quantifier[1])
            if not quantifier[2]:
                return low, low
            return low, int(quantifier[3]) if quantifier[3] else None


@dataclass(slots=True)
class _State:
    nodes: frozenset[int]
    matched: bool
    next: dict[str, _State] = field(default_factory=dict[str, "_State"])


class Automaton:
    """Searches texts for one pattern; states and their transitions are kept from text to text."""

    def __init__(self, pattern: str) -> None:
        built = _Builder(pattern)
        self._nodes, self._first, self._last = built.nodes, built.first, built.last
        self._tests = {node.needs: re.compile(node.needs) for node in built.nodes if node.needs}
        self._states: dict[frozenset[int], _State] = {}
        self._work = 0

    def search(self, text: str) -> bool:
        """Whether the pattern is found anywhere in the text.

        Raises:
            TooMuchWorkError: When the text is too long, or needs too many new states at once.
        """
        if len(text) > _LONGEST_TEXT:
            raise TooMuchWorkError(f"the text is longer than {_LONGEST_TEXT:,} characters")
        self._work = _WORK_PER_SEARCH
        state = self._state({self._first}, at_start=True)
        for character in text:
            if state.matched:
                return True
            following = state.next.get(character)
            if following is None:
                following = state.next[character] = self._step(state, character)
            state = following
        return state.matched or self._ends_here(state, at_start=not text)

    def _step(self, state: _State, character: str) -> _State:
        reached = {self._first}
        fits: dict[str, bool] = {_START: False, _END: False, "": False}
        for index in state.nodes:
            node = self._nodes[index]
            if node.needs not in fits:
                fits[node.needs] = self._tests[node.needs].fullmatch(character) is not None
            if fits[node.needs]:
                reached.update(node.out)
        return self._state(reached)

    def _state(self, seeds: set[int], *, at_start: bool = False) -> _State:
        nodes = frozenset(self._closure(seeds, at_start=at_start))
        state = self._states.get(nodes)
        if state is None:
            if len(self._states) >= _MOST_STATES:
                self._states.clear()
            state = self._states[nodes] = _State(nodes, self._last in nodes)
        return state

    def _closure(self, seeds: set[int], *, at_start: bool = False, at_end: bool = False) -> set[int]:
        reached: set[int] = set()
        waiting = list(seeds)
        while waiting:
            index = waiting.pop()
            if index in reached:
                continue
            reached.add(index)
            needs = self._nodes[index].needs
            if not needs or (at_start and needs == _START) or (at_end and needs == _END):
                waiting.extend(self._nodes[index].out)
        self._work -= len(reached)
        if self._work < 0:
            raise TooMuchWorkError("the pattern and the text together take too long")
        return reached

    def _ends_here(self, state: _State, *, at_start: bool) -> bool:
        return self._last in self._closure(set(state.nodes), at_start=at_start, at_end=True)
