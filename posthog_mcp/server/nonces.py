"""Which of people's answers were used: each counts once, with a Redis at all replicas together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from posthog_mcp.tool import ToolFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthog_mcp.limits.reach import Reach


class Nonces:
    """Nonces that were used.

    Args:
        redis_url: The Redis or Valkey that replicas share; empty for this process alone.
        now: The time in seconds.
    """

    def __init__(self, redis_url: str, now: Callable[[], float]) -> None:
        self._redis_url = redis_url
        self._now = now
        self._here: dict[str, float] = {}
        self._there: tuple[Any, Reach] | None = None

    async def first_use(self, nonce: str, until: float) -> bool:
        """Use a nonce, which is known until then; gives whether it was not used before.

        Raises:
            ToolFailure: Nobody can tell.
        """
        now = self._now()
        if self._redis_url:
            return await self._first_of_all(nonce, int(until - now) + 1)
        self._here = {used: kept for used, kept in self._here.items() if kept > now}
        if nonce in self._here:
            return False
        self._here[nonce] = until
        return True

    async def close(self) -> None:
        """Close the connections; the next use opens them again."""
        there, self._there = self._there, None
        if there is not None:
            await there[0].aclose()

    async def _first_of_all(self, nonce: str, seconds: int) -> bool:
        from posthog_mcp.limits import reach  # noqa: PLC0415 - redis is an extra

        if self._there is None:
            told = "What a person must agree to is not done until it answers again."
            self._there = reach.connect(self._redis_url), reach.Reach(lambda: told, "People's answers count.")
        client, reached = self._there

        async def first() -> bool:
            with anyio.fail_after(reach.ANSWER_SECONDS):
                key = f"{reach.PREFIX}:consent:{nonce}"
                return bool(await client.set(key, "used", nx=True, ex=seconds))

        known = await reached.ask(first)
        if known is None:
            # Gone without, the same answer would count once at every replica.
            raise ToolFailure(
                "Nothing was done.",
                "Whether the person's answer was used before cannot be told, since Redis cannot be reached.",
                "Call it again later, without an answer, so that they are asked anew.",
            )
        return known
