"""A journal in Redis while that goes away and comes back: nothing is lost, and what is missing is said."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from redis_server import RedisServer

from posthog_mcp.journal import Change, Journal, JournalUnusable
from posthog_mcp.journal.redis import RedisStore
from posthog_mcp.limits import reach

HOST = "https://eu.posthog.com"
NOW = 1_800_000_000.0
Open = Callable[..., Journal]


@pytest.fixture(autouse=True)
def _try_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "RETRY_SECONDS", 0.0)


@pytest.fixture
def redis(redis_program: str, tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(redis_program, tmp_path, keeps=True).start()
    yield server
    server.stop()


@pytest.fixture
async def machine(redis: RedisServer, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens the journal of a process on a machine of this name."""
    made: list[Journal] = []

    def make(name: str = "one") -> Journal:
        made.append(Journal(tmp_path / name, redis_url=redis.url))
        return made[-1]

    yield make
    for journal in made:
        await journal.close()


def change(name: str = "cart", **fields: Any) -> Change:
    made = Change(NOW, HOST, 1, "feature_flag", "7", name, "updated", before={"a": 1}, after={"a": 2})
    return replace(made, **fields)


async def note(journal: Journal, made: Change) -> int:
    number = await journal.begin(made)
    await journal.confirm(number, made)
    return number


async def names(journal: Journal) -> list[str]:
    """The names of the changes that are listed, newest first; unconfirmed ones with a mark."""
    found, total = await journal.changes(HOST, 1, now=NOW, limit=100, skip=0)
    assert total == len(found)
    return [each.change.name + ("" if each.confirmed else "?") for each in found]


async def test_another_machine_lists_and_undoes_a_change(machine: Open) -> None:
    one, other = machine("one"), machine("other")
    number = await note(one, change())
    found = await other.find(number, HOST, NOW)
    assert found is not None
    assert (found.change, found.confirmed) == (change(), True)
    assert await other.claim(found, 45)
    assert not await one.claim(found, 45)


async def test_changes_go_on_without_redis_and_both_ways_are_told_once(
    machine: Open, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    one, other = machine("one"), machine("other")
    await note(one, change("before"))
    redis.stop()
    number = await note(one, change("meanwhile", at=NOW + 1))
    await note(one, change("and then", at=NOW + 2))
    assert await names(one) == ["and then", "meanwhile"]
    assert "only what was noted by the servers of this machine meanwhile is shown" in one.caveat
    [told] = caplog.messages
    assert "Changes are noted by the servers of this machine until it answers again." in told
    redis.start()
    assert await names(one) == ["and then", "meanwhile", "before"]
    assert one.caveat == ""
    assert caplog.messages[1:] == ["Redis answers again. Changes are shared with the other machines."]
    found = await other.find(number, HOST, NOW)
    assert found is not None
    assert found.change.name == "meanwhile"


async def test_what_was_noted_without_redis_can_be_undone_before_and_after_it_is_back(
    machine: Open, redis: RedisServer
) -> None:
    journal = machine()
    redis.stop()
    number = await note(journal, change())
    found = await journal.find(number, HOST, NOW)
    assert found is not None
    assert await journal.claim(found, 45)
    assert not await machine().claim(found, 45)  # by another process of the machine
    undoing = await note(journal, change(undoes=number))
    await journal.release(found)
    redis.start()
    undone = await machine("other").find(number, HOST, NOW)
    assert undone is None  # this one has not heard of it yet
    await names(journal)
    undone = await machine("other").find(number, HOST, NOW)
    assert undone is not None
    assert undone.undone_by == undoing
    assert not await journal.claim(found, 45)


async def test_a_change_that_is_under_way_when_redis_goes_or_comes_is_confirmed(
    machine: Open, redis: RedisServer
) -> None:
    journal = machine()
    going = await journal.begin(change("going"))
    redis.stop()
    await journal.confirm(going, change("going"))
    coming = await journal.begin(change("coming", at=NOW + 1))
    redis.start()
    # Another process of the machine brings over what is finished, and leaves what is under way.
    neighbour = machine()
    assert await names(neighbour) == ["going"]
    await journal.confirm(coming, change("coming", at=NOW + 1))
    assert await names(neighbour) == ["coming", "going"]


async def test_a_change_that_posthog_refused_is_forgotten_wherever_it_was_noted(
    machine: Open, redis: RedisServer
) -> None:
    journal = machine()
    shared = await journal.begin(change("shared"))
    await journal.drop(shared)
    redis.stop()
    own = await journal.begin(change("own"))
    await journal.drop(own)
    assert await names(journal) == []
    redis.start()
    assert await names(journal) == []


async def test_a_refusal_that_redis_cannot_be_told_of_is_said(machine: Open, redis: RedisServer) -> None:
    journal = machine()
    number = await journal.begin(change())
    redis.stop()
    with pytest.raises(JournalUnusable, match="cannot be reached"):
        await journal.drop(number)
    redis.start()
    assert await names(journal) == ["cart?"]


async def test_what_a_process_left_behind_is_brought_over_by_the_next(
    machine: Open, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = machine()
    redis.stop()
    await note(dying, change("done"))
    await dying.begin(change("died while it was made", at=NOW + 1))
    await dying.close()
    redis.start()
    assert await names(machine()) == ["done"]
    # After longer than any call takes, nobody is at it any more.
    monkeypatch.setattr("posthog_mcp.journal.shared.time.time", lambda: NOW + 1_000)
    assert await names(machine()) == ["died while it was made?", "done"]
    assert await names(machine("other")) == ["died while it was made?", "done"]


async def test_machines_that_were_alone_gave_different_numbers(machine: Open, redis: RedisServer) -> None:
    redis.stop()
    one, other = machine("one"), machine("other")
    numbers = {await note(one, change("one")), await note(other, change("other"))}
    assert len(numbers) == 2
    assert max(numbers) < 2**53  # what JavaScript clients can hold
    redis.start()
    await names(one)
    await names(other)
    assert sorted(await names(one)) == ["one", "other"]


async def test_a_change_that_only_redis_knows_is_not_taken_for_none(
    machine: Open, redis: RedisServer
) -> None:
    journal = machine()
    number = await note(journal, change())
    redis.stop()
    with pytest.raises(JournalUnusable, match="Redis, which keeps the changes of all machines") as failed:
        await journal.find(number, HOST, NOW)
    assert failed.value.next_step == "Call it again later; list_changes shows what was noted meanwhile."


async def test_numbers_grow_with_time_so_that_a_redis_that_lost_them_gives_none_again(
    machine: Open, redis: RedisServer
) -> None:
    first = await note(machine(), change())
    client = reach.connect(redis.url)
    minutes = (await client.time())[0] // 60 - 1_767_225_600 // 60
    assert abs(first - minutes) <= 1
    assert await note(machine(), change()) == first + 1
    await client.aclose()


async def test_a_full_redis_is_gone_without(machine: Open, redis: RedisServer) -> None:
    journal = machine()
    client = reach.connect(redis.url)
    await client.config_set("maxmemory", "1")
    await note(journal, change())
    assert "cannot be reached" in journal.caveat
    await client.config_set("maxmemory", "0")
    assert await names(journal) == ["cart"]
    await client.aclose()


async def test_a_change_is_noted_to_its_end_when_its_caller_leaves(machine: Open) -> None:
    journal = machine()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await journal.begin(change())
    assert await names(journal) == ["cart?"]


async def test_nothing_is_written_to_disk_while_redis_answers(machine: Open, tmp_path: Path) -> None:
    await note(machine(), change())
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize("seed", range(8))
async def test_wherever_redis_fails_each_change_is_there_once_and_as_it_ended(
    machine: Open, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance, ask, failing = Random(seed), RedisStore._run, True

    async def fail_now_and_then(store: RedisStore, operation: str, *args: Any, **more: Any) -> Any:
        fate = chance.random() if failing else 1.0
        if fate < 0.25:
            raise ConnectionError
        answer = await ask(store, operation, *args, **more)
        if fate < 0.4:  # done, but nobody hears of it
            raise TimeoutError
        return answer

    monkeypatch.setattr(RedisStore, "_run", fail_now_and_then)
    journals = [machine("one"), machine("one"), machine("other")]
    made, refused = set[str](), set[str]()

    async def call(journal: Journal, name: str) -> None:
        number = await journal.begin(change(name))
        await anyio.lowlevel.checkpoint()
        if chance.random() < 0.3:
            refused.add(name)
            with contextlib.suppress(JournalUnusable):
                await journal.drop(number)
        else:
            made.add(name)
            await journal.confirm(number, change(name))

    async with anyio.create_task_group() as tasks:
        for n in range(30):
            tasks.start_soon(call, journals[n % 3], f"change {n}")
    failing = False
    monkeypatch.setattr("posthog_mcp.journal.shared.time.time", lambda: NOW + 1_000)
    for journal in journals:
        await names(journal)
    listed = await names(machine("third"))
    assert len(listed) == len(set(listed))
    assert {name for name in listed if not name.endswith("?")} == made
    # At worst what PostHog refused is there as what nobody knows to have happened.
    assert {name.removesuffix("?") for name in listed if name.endswith("?")} <= refused
