"""Rings of both kinds on a clock that a test sets."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from limits_kit import Awaited, Clock, make_budget

from posthog_mcp.limits.database import Database
from posthog_mcp.limits.limit import Budget
from posthog_mcp.limits.redis import RedisRings
from posthog_mcp.limits.sqlite import SqliteRings

GUARD = 1.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "redis"])
async def open_rings(
    request: pytest.FixtureRequest, clock: Clock, tmp_path: Path
) -> AsyncIterator[Callable[[], Any]]:
    """Opens rings that share what they count, as two processes would."""
    opened: list[Any] = []
    # Asked for late: where there is no Redis, the tests of the file still run.
    url = request.getfixturevalue("redis_url") if request.param == "redis" else ""

    def make() -> Any:
        if url:
            opened.append(RedisRings(url, GUARD, clock))
        else:
            opened.append(
                Awaited(SqliteRings(Database(tmp_path / "limits.db", clock=clock, boot="a"), GUARD))
            )
        return opened[-1]

    yield make
    for rings in opened:
        await rings.close()


@pytest.fixture
def rings(open_rings: Callable[[], Any]) -> Any:
    return open_rings()


@pytest.fixture
def budget_of() -> Callable[..., Budget]:
    """Budgets with names that no other test has."""
    return make_budget
