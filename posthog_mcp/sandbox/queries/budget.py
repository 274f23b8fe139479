"""The budget of bytes that queries may read: a bucket that refills by the hour (api_queries_budget.py)."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posthog_mcp.sandbox.http.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

_HOUR = 3600.0
_CARRY_OVER = 24


@dataclass(slots=True)
class Budget:
    """`rate` bytes an hour, 24 hours' worth at most, never more than one hour in debt; 0 is no budget."""

    rate: float = 200e9
    clock: Callable[[], float] = time.monotonic
    _balance: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._balance = self.rate * _CARRY_OVER
        self._at = self.clock()

    def remaining(self) -> int:
        """Bytes left now."""
        now = self.clock()
        self._balance = min(self.rate * _CARRY_OVER, self._balance + (now - self._at) / _HOUR * self.rate)
        self._at = now
        return math.floor(self._balance)

    def check(self) -> None:
        """Raise `ApiError` 429 while the budget is used up."""
        left = self.remaining()
        if self.rate and left < 0:
            seconds = max(1, math.ceil(-left / (self.rate / _HOUR)))
            detail = (
                "The hourly budget of bytes read by API queries is used up. Narrow the time range or select "
                f"fewer columns. Expected available in {seconds} second{'' if seconds == 1 else 's'}."
            )
            code = "api_queries_budget_exceeded"
            raise ApiError(429, "throttled_error", code, detail, retry_after=str(seconds))

    def debit(self, read: int) -> None:
        """Charge what a query has read."""
        self._balance = max(self.remaining() - read, -self.rate)
