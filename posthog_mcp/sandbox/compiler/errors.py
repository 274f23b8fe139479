"""What the compiler says when it refuses a query, in PostHog's words."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posthog_mcp.hogql import ast


class CompileError(Exception):
    """A query that cannot be compiled; the API answers it with 400 `validation_error`.

    Attributes:
        message: What is wrong, as PostHog words it, with the nearest valid name where there is one.
        start: Where the mistake starts in the text, in characters; 0 when unknown.
        end: Where it ends, in characters; 0 when unknown.
        code: The code of the API's error body.
    """

    def __init__(self, message: str, start: int = 0, end: int = 0, code: str = "invalid_input") -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end
        self.code = code


def refuse(message: str, node: ast.Node | None = None) -> CompileError:
    """A `CompileError` that points at `node`."""
    return CompileError(message, node.start, node.end) if node is not None else CompileError(message)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean "x"?` with the nearest of `known`, or nothing when none is near."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.7)
    return f' Did you mean "{by_lower[near[0]]}"?' if near else ""
