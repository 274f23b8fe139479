"""Definitions shared by several machines, through Redis or Valkey; where it is away, each asks for itself.

Imported only where a Redis is configured: the library is the extra `redis`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import redis
from redis.exceptions import LockError

from posthog_mcp.flags.snapshot import Kept
from posthog_mcp.limits.reach import ANSWER_SECONDS, PREFIX, connect

_log = logging.getLogger(__name__)
_PREFIX = f"{PREFIX}:flags"
_KEPT_SECONDS = 7 * 86_400
_HELD_SECONDS = 30.0  # a machine that ended while it asked holds up the others no longer
_LOOK_SECONDS = 0.05


class Exchange:
    """What the machines know of one project's definitions, and whose turn it is to ask.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        name: What tells this project and key from others.
    """

    def __init__(self, url: str, name: str) -> None:
        self._name = f"{_PREFIX}:{name}"
        self._client = connect(url, decoded=False)

    async def get(self) -> Kept | None:
        """What was put last; None where there is nothing, or nobody to ask."""
        try:
            with anyio.fail_after(ANSWER_SECONDS):
                text: Any = await self._client.get(self._name)
            return await anyio.to_thread.run_sync(Kept.loads, text) if text else None
        except (redis.RedisError, OSError, ValueError) as error:
            _log.warning("Flag definitions are not read from Redis: %s", type(error).__name__)
            return None

    async def put(self, kept: Kept) -> None:
        """Give it to the other machines."""
        text = await anyio.to_thread.run_sync(kept.dumps)
        try:
            with anyio.fail_after(ANSWER_SECONDS):
                await self._client.set(self._name, text, ex=_KEPT_SECONDS)
        except (redis.RedisError, OSError) as error:
            _log.warning("Flag definitions are not shared through Redis: %s", type(error).__name__)

    @asynccontextmanager
    async def turn(self, seconds: float | None) -> AsyncGenerator[bool]:
        """Wait for the turn to ask; False when another machine still has it after `seconds`.

        Where Redis is away it is everybody's turn.
        """
        lock: Any = self._client.lock(f"{self._name}:turn", timeout=_HELD_SECONDS, blocking=False)
        ends = None if seconds is None else anyio.current_time() + seconds
        held = False
        try:
            while not (held := await _acquired(lock)):
                if ends is not None and anyio.current_time() >= ends:
                    break
                await anyio.sleep(_LOOK_SECONDS)
            mine = held
        except (redis.RedisError, OSError) as error:
            _log.warning("Machines do not take turns through Redis: %s", type(error).__name__)
            mine = True
        try:
            yield mine
        finally:
            if held:
                await self._release(lock)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _release(self, lock: Any) -> None:
        try:
            with anyio.fail_after(ANSWER_SECONDS, shield=True):
                await lock.release()
        except (LockError, redis.RedisError, OSError) as error:
            # it ends by itself after a while
            _log.warning("The turn to ask for flag definitions was not given back: %s", type(error).__name__)


async def _acquired(lock: Any) -> bool:
    with anyio.fail_after(ANSWER_SECONDS):
        return await lock.acquire()
