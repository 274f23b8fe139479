"""The sandbox whole: the parts and the order they start and stop in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio

from posthog_mcp.sandbox.cohorts import Cohorts
from posthog_mcp.sandbox.flags.service import Flags
from posthog_mcp.sandbox.http.faults import Faults
from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.ingest import Ingest
from posthog_mcp.sandbox.project import Project
from posthog_mcp.sandbox.queries.budget import Budget
from posthog_mcp.sandbox.queries.service import Queries
from posthog_mcp.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from posthog_mcp.sandbox.engine import Engine


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Options:
    """What can be set: limits, how many queries run at once and how long they may take, and the clock.

    `query_seconds` is the time a query may run, `async_query_seconds` the same for asynchronous ones;
    `queue_seconds` is how long a query waits for one of the `concurrent_queries` places; `budget` is how many
    bytes queries may read.
    """

    throttles: Throttles = field(default_factory=Throttles)
    concurrent_queries: int = 3
    queue_seconds: float = 30.0
    query_seconds: float = 10.0
    async_query_seconds: float = 60.0
    budget: Budget = field(default_factory=Budget)
    clock: Callable[[], datetime] = _now


@dataclass(frozen=True, slots=True)
class Served:
    """One line of the log of requests."""

    method: str
    path: str
    status: int
    at: str


class Sandbox:
    """An embedded PostHog with one project.

    `clock` gives the time as an aware datetime in UTC. `requests` are the last requests served, oldest first.
    """

    def __init__(self, engine: Engine, store: Store, options: Options) -> None:
        """Compose; use `open`."""
        self.engine = engine
        self.store = store
        self.options = options
        self.clock = options.clock
        self.project = Project.load(store)
        self.ingest = Ingest(store, engine, self.project, self.clock)
        self.ingest.early = True
        self.cohorts = Cohorts(self)
        self.flags = Flags(self)
        self.queries = Queries(self)
        self.throttles = options.throttles
        self.faults = Faults()
        self.requests: deque[Served] = deque(maxlen=10_000)

    @classmethod
    async def open(cls, data_dir: Path, options: Options | None = None) -> Sandbox:
        """Start the engine and open the store in `data_dir`, which is made when absent.

        Raises whatever `Engine.start` raises when the engine is not installed or the directory is in use.
        """
        from posthog_mcp.sandbox.engine import Engine  # noqa: PLC0415 - the engine is optional and heavy

        await anyio.Path(data_dir).mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = await Engine.start(data_dir / "engine")
        try:
            sandbox = cls(engine, Store(data_dir / "sandbox.sqlite"), options or Options())
            await sandbox.start()
        except BaseException:
            await engine.close()
            raise
        return sandbox

    async def start(self) -> None:
        """Give the engine what an earlier process, killed, still owed it."""
        await self.ingest.start()

    async def stop(self) -> None:
        """Finish what was promised and close the store; the engine goes on."""
        await self.queries.close()
        await self.ingest.close()
        self.store.close()

    async def close(self) -> None:
        """Stop everything."""
        await self.stop()
        await self.engine.close()
