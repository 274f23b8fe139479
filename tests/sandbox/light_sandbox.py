"""As much of a sandbox as capture needs, without ClickHouse: milliseconds to start."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx2
from recording_engine import RecordingEngine
from starlette.applications import Starlette

from posthog_mcp.sandbox.capture.routes import routes
from posthog_mcp.sandbox.ingest import Ingest
from posthog_mcp.sandbox.project import Project
from posthog_mcp.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def light_sandbox(folder: Path, now: datetime | None = None) -> AsyncIterator[Any]:
    """Its `ingest`, `engine`, `project`, `clock`; time stands still at `now` when given."""

    def clock() -> datetime:
        return now or datetime.now(UTC)

    store, engine, project = Store(folder / "sandbox.sqlite"), RecordingEngine(), Project()
    ingest = Ingest(store, engine, project, clock)  # pyright: ignore[reportArgumentType]
    yield SimpleNamespace(ingest=ingest, engine=engine, project=project, clock=clock)
    await ingest.close()
    store.close()


def capture_client(sandbox: Any) -> httpx2.AsyncClient:
    """A client of the capture endpoints alone."""
    app = Starlette(routes=routes)
    app.state.sandbox = sandbox
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://sandbox.test")
