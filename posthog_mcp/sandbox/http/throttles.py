"""PostHog's request limits: sliding logs of accepted requests, one per bucket and caller.

Rates and rules: posthog/rate_limit.py and Django REST Framework's `SimpleRateThrottle`. A refused request is
not recorded in the log that refused it; every log of an endpoint is looked at and kept on its own, even after
another one refused; the wait reported is the longest.
"""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LimitClass = Literal["crud", "analytics", "query", "values", "definitions"]
ThrottleScope = Literal["organization", "key", "off"]


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `permits` requests in any `seconds`."""

    permits: int
    seconds: float


DEFAULT_LIMITS: Mapping[LimitClass, tuple[Rate, ...]] = {
    "crud": (Rate(480, 60), Rate(4800, 3600)),
    "analytics": (Rate(240, 60), Rate(1200, 3600)),
    "query": (Rate(240, 60), Rate(2400, 3600)),
    "values": (Rate(60, 60), Rate(300, 3600)),
    "definitions": (Rate(600, 60),),
}

_RATE = re.compile(r"\s*(\d+)\s*/\s*(\d+(?:\.\d+)?)\s*s\s*")


def parse_limits(text: str) -> dict[LimitClass, tuple[Rate, ...]]:
    """Read `crud=480/60s,4800/3600s;query=240/60s` over the defaults; classes not named keep theirs.

    Raises ValueError with the part it cannot read and the form it expects.
    """
    limits = dict(DEFAULT_LIMITS)
    names: dict[str, LimitClass] = {name: name for name in get_args(LimitClass)}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, _, rates = part.partition("=")
        limit_class = names.get(name.strip())
        if limit_class is None:
            raise ValueError(f"Unknown class of limits {name.strip()!r}. Known are: {', '.join(names)}.")
        matches = [_RATE.fullmatch(rate) for rate in rates.split(",")]
        if not all(matches):
            raise ValueError(f"Cannot read the limits {part!r}. Write them like crud=480/60s,4800/3600s.")
        limits[limit_class] = tuple(Rate(int(m[1]), float(m[2])) for m in matches if m)
    return limits


@dataclass(slots=True)
class Throttles:
    """The logs. `clock` is in seconds and never goes back; tests give their own."""

    scope: ThrottleScope = "organization"
    limits: Mapping[LimitClass, tuple[Rate, ...]] = field(default_factory=lambda: DEFAULT_LIMITS)
    clock: Callable[[], float] = time.monotonic
    refused: int = 0
    _logs: dict[tuple[str, LimitClass, Rate], deque[float]] = field(
        default_factory=dict[tuple[str, LimitClass, Rate], "deque[float]"]
    )

    def admit(self, limit_class: LimitClass, *, key: str, organization: str) -> float:
        """Record one request, and return 0.0, or the seconds to wait when it is refused."""
        if self.scope == "off":
            return 0.0
        caller = key if self.scope == "key" else organization
        now = self.clock()
        waits = [self._take((caller, limit_class, rate), now) for rate in self.limits[limit_class]]
        longest = max(waits, default=0.0)
        if longest > 0:
            self.refused += 1
        return longest

    def _take(self, name: tuple[str, LimitClass, Rate], now: float) -> float:
        rate = name[2]
        log = self._logs.setdefault(name, deque())
        while log and log[0] <= now - rate.seconds:
            log.popleft()
        if len(log) < rate.permits:
            log.append(now)
            return 0.0
        oldest = log[0] if log else now
        return rate.seconds - (now - oldest)
