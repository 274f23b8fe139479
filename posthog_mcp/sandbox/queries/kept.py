"""Answers of queries that ran in the background, kept as PostHog's cache keeps them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.http.times import read_iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_WITHOUT_PERIOD = timedelta(minutes=5)
_MOST = 200
Json = dict[str, Any]


class Kept:
    """Answers by query, until they are stale.

    PostHog keeps what it answers to whoever waits as well. That is computed each time here: a test of an
    agent wants to see what was sent a moment ago.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """`clock` gives the time in UTC."""
        self._clock = clock
        self._answers: dict[str, tuple[datetime, Json]] = {}

    def add(self, query: Json, answer: Json) -> None:
        """Keep an answer; the oldest one goes when there are too many."""
        until = answer.get("cache_target_age")
        stale = read_iso(until) if until else self._clock() + _WITHOUT_PERIOD
        key = _key(query)
        self._answers.pop(key, None)
        self._answers[key] = (stale, answer)
        if len(self._answers) > _MOST:
            del self._answers[next(iter(self._answers))]

    def find(self, query: Json) -> Json | None:
        """The answer, marked as kept; None where there is none that is fresh."""
        stale, answer = self._answers.get(_key(query), (self._clock(), {}))
        return {**answer, "is_cached": True} if stale > self._clock() else None


def _key(query: Json) -> str:
    return json.dumps(query, sort_keys=True)
