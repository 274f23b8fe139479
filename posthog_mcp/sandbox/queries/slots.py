"""How many queries run at once: three to a project, the others wait."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from posthog_mcp.sandbox.http.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Slots:
    """Places for running queries, given out in the order they were asked for."""

    def __init__(self, places: int, wait: float, project_id: int) -> None:
        """`wait` is how many seconds a query waits for a place before it is refused."""
        self._places = places
        self._wait = wait
        self._project_id = project_id
        self._free = asyncio.Semaphore(places)

    @asynccontextmanager
    async def place(self, query_id: str, *, patient: bool = False) -> AsyncGenerator[None]:
        """Hold a place. A `patient` query (an asynchronous one) waits as long as it takes.

        Raises `ApiError` 429 without `Retry-After`, as PostHog: nobody knows when a query ends.
        """
        try:
            async with asyncio.timeout(None if patient else self._wait):
                await self._free.acquire()
        except TimeoutError as error:
            detail = (
                f"Exceeded maximum concurrency limit: {self._places} for key: "
                f"api:query:per-team:{self._project_id} and task: {query_id}"
            )
            raise ApiError(429, "throttled_error", "throttled", detail) from error
        try:
            yield
        finally:
            self._free.release()
