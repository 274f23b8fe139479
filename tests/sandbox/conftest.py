"""A sandbox per test on one engine per process: starting ClickHouse is the slow part, emptying it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sandbox_client import client

from posthog_mcp.sandbox.engine import Engine
from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.sandbox import Options, Sandbox
from posthog_mcp.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx2


@pytest.fixture(scope="session")
async def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    pytest.importorskip("chdb")
    engine = await Engine.start(tmp_path_factory.mktemp("engine"))
    yield engine
    await engine.close()


@pytest.fixture
def options() -> Options:
    """What the test's sandbox is opened with; override it in a test module."""
    return Options(throttles=Throttles(scope="off"))


@pytest.fixture
async def sandbox(shared_engine: Engine, tmp_path: Path, options: Options) -> AsyncIterator[Sandbox]:
    used = await shared_engine.query(
        "SELECT name FROM system.tables WHERE database = 'ph' AND total_rows > 0"
    )
    for (table,) in used.rows:
        await shared_engine.execute(f"TRUNCATE TABLE ph.{table}")
    sandbox = Sandbox(shared_engine, Store(tmp_path / "sandbox.sqlite"), options)
    await sandbox.start()
    yield sandbox
    await sandbox.stop()


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[httpx2.AsyncClient]:
    """The private API with the key that may do everything."""
    async with client(sandbox, "phx_sandbox") as one:
        yield one


@pytest.fixture
async def reader(sandbox: Sandbox) -> AsyncIterator[httpx2.AsyncClient]:
    """The private API with the key that may only read."""
    async with client(sandbox, "phx_sandbox_read") as one:
        yield one


@pytest.fixture
async def anyone(sandbox: Sandbox) -> AsyncIterator[httpx2.AsyncClient]:
    """A client without a key."""
    async with client(sandbox, None) as one:
        yield one
