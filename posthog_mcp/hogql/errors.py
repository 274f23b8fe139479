"""What can be wrong with HogQL text."""

from __future__ import annotations

MAX_TEXT_BYTES = 65_536
"""Longest query text that is read; design: "over 64 kB" is refused."""

MAX_TOKENS = 20_000
"""Most words and signs that are read: 64 kB of ordinary HogQL are some 14,000, and each takes its time."""

MAX_DEPTH = 60
"""How many brackets, calls, subqueries, CASEs, lambdas, NOTs and signs may be inside each other."""

MAX_TREE_DEPTH = 256
"""How many nodes may be inside each other, so that whoever walks a tree may do so by plain recursion."""


class HogQLSyntaxError(Exception):
    """The text is not HogQL as we read it.

    Attributes:
        message: What is wrong, one sentence without the position.
        line: Line of the mistake, from 1.
        column: Column of the mistake, from 1.
        start: Offset of its first character.
        end: Offset after its last character.
        expected: What would have been right, such as "a table name", or "".
    """

    def __init__(self, message: str, text: str, start: int, end: int, expected: str = "") -> None:
        self.message = message
        self.start = min(start, len(text))
        self.end = min(max(end, start), len(text))
        self.line = text.count("\n", 0, self.start) + 1
        self.column = self.start - text.rfind("\n", 0, self.start)
        self.expected = expected
        super().__init__(f"line {self.line}, column {self.column}: {message}")
