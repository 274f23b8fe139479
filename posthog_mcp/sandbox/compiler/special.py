"""The registry of functions that HogQL gives a meaning of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posthog_mcp.sandbox.compiler.types import Sql

if TYPE_CHECKING:
    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.compiler.expressions import Expressions

#: As many arguments as anybody writes.
MANY = 1_000


@dataclass(frozen=True, slots=True)
class Given:
    """A call to compile: the values are those of its arguments."""

    compiler: Expressions
    values: list[Sql]
    node: ast.Call


Compile = Callable[[Given], Sql]


@dataclass(frozen=True, slots=True)
class Special:
    """A function with rules of its own, and how many arguments it takes."""

    least: int
    most: int
    compile: Compile


class Registry(dict[str, Special]):
    """Functions by their names in lower case."""

    def add(self, names: str, least: int, most: int) -> Callable[[Compile], Compile]:
        """Register the function below under these names, with its fewest and most arguments."""

        def register(function: Compile) -> Compile:
            for name in names.split():
                self[name] = Special(least, most, function)
            return function

        return register
