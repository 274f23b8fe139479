"""Stand-ins for the tests of limits."""

import itertools
import os
from collections.abc import Callable
from typing import Any

from posthog_mcp.limits.limit import Budget, Limit
from posthog_mcp.limits.sqlite import SqliteRings

_numbers = itertools.count()


class Clock:
    """Seconds, as a test sets them."""

    def __init__(self) -> None:
        # Redis keeps whole budgets, so each test has a time of its own as well as names of its own.
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Awaited:
    """The rings of a file, behind the same `await` as those of Redis."""

    def __init__(self, rings: SqliteRings) -> None:
        self.rings = rings

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.rings, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        return call


def make_budget(*limits: Limit) -> Budget:
    number = next(_numbers)
    return Budget(f"test {os.getpid()} {number}", limits, "tests")
