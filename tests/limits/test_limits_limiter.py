"""Waiting for a permit: told, cancelled, refused, missed; and where no file can be had."""

import logging
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from posthog_mcp.limits import Limit, Limiter, LimitExceeded, open_limiter, waiting
from posthog_mcp.limits.limiter import FILE

TWO = Limit("two", 2, 0.5)
Open = Callable[..., Limiter]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    limiters: list[Limiter] = []

    def make(*limits: Limit, guard: float = 0.3, state_dir: Path = tmp_path) -> Limiter:
        limiters.append(open_limiter(state_dir, limits or (TWO,), guard))
        return limiters[-1]

    yield make
    for limiter in limiters:
        await limiter.close()


async def test_acquire_says_how_long_it_waited(opened: Open):
    limiter = opened()
    assert [await limiter.acquire(0) < 0.3 for _ in range(2)] == [True, True]
    assert 0.8 <= await limiter.acquire(5) < 3


async def test_a_wait_beyond_the_callers_time_is_refused_at_once_with_the_seconds(opened: Open):
    limiter = opened(Limit("one", 1, 60.0))
    await limiter.acquire(0)
    started = anyio.current_time()
    with pytest.raises(LimitExceeded) as refused:
        await limiter.acquire(25)
    assert anyio.current_time() - started < 1
    assert refused.value.seconds == pytest.approx(60, abs=1)
    assert refused.value.limit == "one"


async def test_two_limiters_on_one_directory_share(opened: Open):
    one, other = opened(), opened()
    await one.acquire(0)
    await other.acquire(0)
    with pytest.raises(LimitExceeded):
        await one.acquire(0)


async def test_who_waits_is_told_for_what_and_how_long(opened: Open):
    told: list[tuple[str, float | None]] = []

    async def listen(what: str, seconds: float | None) -> None:
        told.append((what, seconds))

    waiting.set(listen)
    limiter = opened()
    for _ in range(3):
        await limiter.acquire(5, what="the tea")
    [(what, seconds)] = told
    assert what == "the tea"
    assert seconds == pytest.approx(0.8, abs=0.2)


async def test_a_cancelled_wait_gives_its_slot_back(opened: Open):
    limiter = opened(Limit("one", 1, 1.0))
    await limiter.acquire(0)
    with anyio.move_on_after(0.05):
        await limiter.acquire(60)
    assert (await limiter.state()).usage[0].used == 1
    assert await limiter.acquire(60) < 2.5


async def test_a_cool_down_during_the_wait_is_waited_for_too(opened: Open):
    limiter = opened()
    for _ in range(2):
        await limiter.acquire(0)

    async def refuse() -> None:
        await anyio.sleep(0.1)
        await limiter.penalize(0.6)

    async with anyio.create_task_group() as group:
        group.start_soon(refuse)
        assert 1.4 <= await limiter.acquire(10) < 4


async def test_a_cool_down_longer_than_the_callers_time_ends_the_wait(opened: Open):
    limiter = opened()
    for _ in range(2):
        await limiter.acquire(0)

    async def refuse() -> None:
        await anyio.sleep(0.1)
        await limiter.penalize(600)

    async with anyio.create_task_group() as group:
        group.start_soon(refuse)
        with pytest.raises(LimitExceeded) as refused:
            await limiter.acquire(2)
    assert refused.value.seconds > 500
    assert (await limiter.state()).usage[0].used == 0


async def test_a_slot_that_was_missed_is_not_used(opened: Open, monkeypatch: pytest.MonkeyPatch):
    limiter, sleep, slept = opened(guard=0.2), anyio.sleep, []

    async def oversleep(seconds: float) -> None:
        slept.append(seconds)
        await sleep(seconds + 0.4 * (len(slept) == 1))

    monkeypatch.setattr(anyio, "sleep", oversleep)
    for _ in range(2):
        await limiter.acquire(0)
    await limiter.acquire(5)
    assert (await limiter.state()).usage[0].used == 2


async def test_a_limiter_without_a_guard_still_gives_permits(opened: Open):
    limiter = opened(guard=0.0)
    waited = [await limiter.acquire(5) for _ in range(3)]
    assert sum(waited) >= 0.5


async def test_background_callers_wait_without_standing_in_the_way(opened: Open):
    limiter = opened(Limit("ten", 10, 0.5))
    for _ in range(9):
        await limiter.acquire(0, background=True)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: limiter.acquire(5, background=True))
        await anyio.sleep(0.05)
        assert await limiter.acquire(0) < 0.3


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


async def test_nothing_is_opened_before_the_first_permit(opened: Open, tmp_path: Path):
    limiter = opened(state_dir=tmp_path / "new")
    assert modes(tmp_path) == {}
    await limiter.acquire(0)
    made = modes(tmp_path / "new")
    assert FILE in made
    assert os.name == "nt" or set(made.values()) == {0o600}


def test_importing_the_limits_opens_and_loads_no_database():
    code = "import posthog_mcp.limits, sys; sys.exit('sqlite3' in sys.modules or 'redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


async def test_a_directory_that_cannot_be_used_limits_this_process_alone_and_says_so_once(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").write_text("no directory")
    limiter = opened(state_dir=tmp_path / "file")
    for _ in range(2):
        await limiter.acquire(0)
    with pytest.raises(LimitExceeded):
        await limiter.acquire(0)
    assert caplog.messages == [message for message in caplog.messages if "this process alone" in message]
    assert len(caplog.messages) == 1


async def test_a_file_that_is_no_database_limits_this_process_alone(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / FILE).write_bytes(b"anything but a database" * 100)
    limiter = opened()
    await limiter.acquire(0)
    assert len(caplog.messages) == 1
    assert str(tmp_path / FILE) in caplog.messages[0]


async def test_a_file_that_breaks_later_limits_this_process_alone_from_then_on(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    limiter = opened()
    await limiter.acquire(0)
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("DROP TABLE slots")
    db.close()
    caplog.set_level(logging.WARNING)
    for _ in range(2):
        await limiter.acquire(0)
    assert len(caplog.messages) == 1
