"""Regular expressions that mean the same to Python and to PostHog's Rust engine, in bounded time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from posthog_mcp.flags.automaton import Automaton, TooMuchWorkError
from posthog_mcp.flags.values import has_lone_surrogate

_REPETITION = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}")
_HEX = re.compile(r"[0-9a-fA-F]{2}")
_SHORTHAND = ("\\d", "\\D", "\\s", "\\S", "\\w", "\\W")
_ESCAPED_IN_CLASS = r"\-[]^.$*+?(){}|"
_ESCAPED_LETTERS = "dDsSwWfnrt"
_SET_OPERATIONS = ("&&", "--", "~~", "||")
_SEPARATORS_ONLY_PYTHON_CALLS_SPACE = "\x1c\x1d\x1e\x1f"
_LARGEST_COUNT = 2**32 - 1
_LONGEST_PATTERN = 4_096
_NOTHING = re.compile("(?!)")
# Python's engine takes about 10 ns for a step: this is a fraction of the 10 ms an evaluation may take.
_STEP_BUDGET = 100_000
_NOT_REPEATABLE = ("", "|", "(", "^", "$", "()", "quantifier")


class UnsharedPatternError(ValueError):
    """Python and the server could answer differently, or the answer would take too long."""


@dataclass(slots=True)
class _Group:
    repeats: bool = False
    chooses: bool = False
    ways: int = 1


@dataclass(slots=True)
class _Traits:
    """What a pattern uses, as far as it matters for agreement and for time."""

    words: bool = False
    spaces: bool = False
    ends: bool = False
    repeats_or_chooses: bool = False
    loops: int = 0
    ways: float = 1.0
    explosive: bool = False
    starts: int = 1


class _Scanner:
    """One pass over a pattern: refuses what the engines read differently, notes the rest."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.traits = _Traits()
        self._at = 0
        self._out: list[str] = []
        self._open: list[_Group] = [_Group()]
        self._closed = _Group()
        self._previous = ""

    def translate(self) -> str:
        """The same pattern for Python's `re`.

        Raises:
            UnsharedPatternError: For what the engines do not share.
        """
        if len(self.pattern) > _LONGEST_PATTERN:
            raise UnsharedPatternError(f"it is longer than {_LONGEST_PATTERN:,} characters")
        if has_lone_surrogate(self.pattern):
            raise UnsharedPatternError("it holds half a surrogate pair")
        while self._at < len(self.pattern):
            self._one()
        self.traits.ways *= self._open[0].ways
        self.traits.starts = 0 if self.pattern.startswith("^") and self._open[0].ways == 1 else 1
        return "".join(self._out)

    def _one(self) -> None:
        character = self.pattern[self._at]
        match character:
            case "\\":
                self._escape(in_class=False)
                self._previous = "literal"
            case "[":
                self._class()
            case "(":
                self._open_group()
            case ")":
                self._close_group()
            case "*" | "+" | "?":
                self._quantify(1, loop=character != "?")
            case "{":
                self._count()
            case "|":
                self.traits.repeats_or_chooses = True
                self._open[-1].chooses = True
                self._open[-1].ways += 1
                self._take(1, "|")
            case "$":
                self.traits.ends = True
                self._out.append(r"\Z")
                self._at += 1
                self._previous = "$"
            case _:
                self._take(1, "^" if character == "^" else "literal")

    def _take(self, length: int, kind: str) -> None:
        self._out.append(self.pattern[self._at : self._at + length])
        self._at += length
        self._previous = kind

    def _open_group(self) -> None:
        length = 1
        if self.pattern.startswith("(?", self._at):
            if not self.pattern.startswith("(?:", self._at):
                raise UnsharedPatternError("it uses a look-around, a named group or inline flags")
            length = 3
        self._open.append(_Group())
        self._take(length, "(")

    def _close_group(self) -> None:
        # A bracket too many makes the pattern invalid, which is Python's parser's to say.
        self._closed = self._open.pop() if len(self._open) > 1 else _Group()
        self._open[-1].repeats |= self._closed.repeats
        self._open[-1].chooses |= self._closed.chooses
        self.traits.ways *= self._closed.ways
        self._take(1, "()" if self._previous in ("(", "()") else ")")

    def _quantify(self, length: int, *, loop: bool) -> None:
        traits = self.traits
        traits.repeats_or_chooses = True
        if self._previous == ")":
            if self._closed.repeats:
                raise UnsharedPatternError("it repeats a repetition")
            traits.explosive |= loop and self._closed.chooses
        if self._previous in ("^", "$", "()"):
            raise UnsharedPatternError("it repeats an anchor or an empty group")
        if self.pattern[self._at + length : self._at + length + 1] in ("+", "{"):
            raise UnsharedPatternError("it uses a possessive or a double quantifier")
        if self._previous != "quantifier":
            traits.loops += loop
            traits.ways *= 1 if loop else 2
        self._open[-1].repeats = True
        self._take(length, "quantifier")

    def _count(self) -> None:
        found = _REPETITION.match(self.pattern, self._at)
        if found is None or self._previous in _NOT_REPEATABLE:
            raise UnsharedPatternError("it uses a brace that repeats nothing")
        if any(int(digits) > _LARGEST_COUNT for digits in (found[1], found[3]) if digits):
            raise UnsharedPatternError("it repeats too often")
        self.traits.ways *= max(int(found[1]), 1)
        exact = found[2] is None or found[1] == found[3]
        self._quantify(len(found[0]), loop=not exact or (self._previous == ")" and self._closed.chooses))

    def _escape(self, *, in_class: bool) -> None:
        escaped = self.pattern[self._at + 1 : self._at + 2]
        length = 2
        if escaped == "x":
            if not _HEX.match(self.pattern, self._at + 2):
                raise UnsharedPatternError("it uses a long hexadecimal escape")
            length = 4
        elif not _is_shared_escape(escaped, in_class=in_class):
            raise UnsharedPatternError(f"it uses \\{escaped}")
        self.traits.words |= escaped in ("w", "W")
        self.traits.spaces |= escaped in ("s", "S")
        self._take(length, self._previous)

    def _class(self) -> None:
        pattern, start = self.pattern, self._at
        self._take(2 if pattern.startswith("[^", start) else 1, "literal")
        if pattern.startswith("]", self._at):
            raise UnsharedPatternError("its character class begins with a bracket")
        while self._at < len(pattern) and pattern[self._at] != "]":
            if pattern[self._at] == "\\":
                self._escape(in_class=True)
                continue
            self._class_character()
        self._take(1, "literal")

    def _class_character(self) -> None:
        pattern, at = self.pattern, self._at
        if pattern[at] == "[" or pattern[at : at + 2] in _SET_OPERATIONS:
            raise UnsharedPatternError("it uses set operations in a character class")
        is_range = pattern[at] == "-" and pattern[at + 1 : at + 2] not in ("", "]")
        if is_range and (pattern[at + 1 : at + 3] in _SHORTHAND or pattern[at - 2 : at] in _SHORTHAND):
            raise UnsharedPatternError("its character class has a range that ends in a shorthand")
        self._take(1, "literal")


def _is_shared_escape(escaped: str, *, in_class: bool) -> bool:
    # A lone backslash at the end is no escape; Python's own parser calls the pattern invalid.
    if not escaped or escaped in _ESCAPED_LETTERS:
        return True
    if in_class:
        return escaped == "b" or escaped in _ESCAPED_IN_CLASS
    return escaped.isascii() and escaped.isprintable() and not escaped.isalnum() and escaped not in "<>"


class SharedPattern:
    """A pattern both engines read alike, searched in bounded time.

    Attributes:
        valid: Whether it is a regular expression at all; one that is not matches nothing.
        find: Python's search, for texts of printable ASCII, in which the engines cannot differ.
        quick: The longest text for which `find` is surely quick.
    """

    def __init__(self, source: str) -> None:
        scanner = _Scanner(source)
        self._python = scanner.translate()
        self._traits = scanner.traits
        self._automaton: Automaton | None = None
        regex = _compiled(self._python)
        self.valid = regex is not None
        self.find = (regex or _NOTHING).search
        self.quick = _longest_text(scanner.traits) if regex else -1.0

    def search(self, text: str) -> bool:
        """Whether the pattern is found anywhere in the text.

        Raises:
            UnsharedPatternError: When the engines differ on this text, or it would take too long.
        """
        if not self.valid:
            return False
        self._refuse_differences(text)
        if len(text) <= self.quick:
            return self.find(text) is not None
        try:
            if self._automaton is None:
                self._automaton = Automaton(self._python)
            return self._automaton.search(text)
        except (TooMuchWorkError, RecursionError) as limit:
            raise UnsharedPatternError(str(limit)) from None

    def _refuse_differences(self, text: str) -> None:
        traits = self._traits
        if traits.ends and traits.repeats_or_chooses and text.endswith("\n"):
            raise UnsharedPatternError("the text ends in a line break, which the engines treat differently")
        if traits.spaces and any(mark in text for mark in _SEPARATORS_ONLY_PYTHON_CALLS_SPACE):
            raise UnsharedPatternError("the engines disagree on what is a space in this text")
        if text.isascii():
            return
        if has_lone_surrogate(text):
            raise UnsharedPatternError("the text holds half a surrogate pair")
        if traits.words and not all(c.isascii() or c.isalpha() or c.isdecimal() for c in text):
            raise UnsharedPatternError("the engines disagree on what is a word character in this text")


def _longest_text(traits: _Traits) -> float:
    """The longest text that a backtracking search surely leaves within its budget."""
    if traits.explosive or traits.ways > _STEP_BUDGET:
        return -1
    degree = traits.loops + traits.starts
    return (_STEP_BUDGET / traits.ways) ** (1 / degree) - 1 if degree else _STEP_BUDGET


def _compiled(pattern: str) -> re.Pattern[str] | None:
    """The pattern for Python, `None` when it is not a regular expression in either engine."""
    try:
        return re.compile(pattern)
    except re.error:
        return None
    except (OverflowError, RecursionError, FutureWarning) as problem:
        raise UnsharedPatternError(f"Python cannot compile it: {problem}") from problem


def check(pattern: str) -> None:
    """Refuse a pattern the engines do not share, without compiling it.

    Raises:
        UnsharedPatternError: With what it uses.
    """
    _Scanner(pattern).translate()


@lru_cache(maxsize=2_048)
def shared(pattern: str) -> SharedPattern:
    """The compiled pattern, kept for the next set of definitions.

    Raises:
        UnsharedPatternError: With what it uses.
    """
    return SharedPattern(pattern)


def search_as_server(pattern: str, text: str) -> bool | None:
    """What the server's engine would answer, as far as Python can tell within its budget.

    `None` when the pattern is invalid, or when it cannot be searched in bounded time.
    """
    try:
        found = shared(pattern)
        return found.search(text) if found.valid else None
    except UnsharedPatternError:
        loops = sum(pattern.count(mark) for mark in "*+{")
        if (len(text) + 1.0) ** min(loops + 1, 50) * 2.0 ** min(pattern.count("?"), 50) > _STEP_BUDGET:
            return None
    try:
        return re.search(pattern, text) is not None
    except (re.error, OverflowError, RecursionError):
        return None
