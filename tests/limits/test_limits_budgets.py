"""Who shares a budget, what is learned from answers, and how many queries run at once."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from limits_kit import Clock
from redis_server import RedisServer

from posthog_mcp.limits import Budgets, Draw, LimitExceeded, waiting
from posthog_mcp.limits.holders import Holder
from posthog_mcp.limits.limiter import open_rings
from posthog_mcp.settings import LimitScope, Settings
from posthog_mcp.values import Rate

LIST = Draw("https://eu.posthog.com", "crud", "GET /x", key="a", project_id="1")
QUERY = Draw("https://eu.posthog.com", "query", "POST /query", key="a", project_id="1", runs_query=True)
POLL = replace(QUERY, runs_query=False)
FLAGS = Draw("https://eu.i.posthog.com", "none", "POST /flags/")
RATES = (Rate("crud", 3, 60), Rate("query", 9, 60))
OTHER_KEY, OTHER_PROJECT = replace(LIST, key="b"), replace(LIST, project_id="2")
OTHER_HOST = replace(LIST, host="https://us.posthog.com")


@pytest.fixture(params=["file", "redis"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[..., Budgets]]:
    made: list[Budgets] = []
    own: RedisServer | None = request.getfixturevalue("own_redis") if request.param == "redis" else None

    def make(**options: Any) -> Budgets:
        rings = open_rings(tmp_path / "state", 1.0, own.url if own else "")
        made.append(Budgets(rings, **{"overrides": RATES, **options}))
        return made[-1]

    yield make
    for budgets in made:
        await budgets.close()


async def take(budgets: Budgets, draw: Draw, count: int = 1) -> None:
    for _ in range(count):
        async with budgets.permit(draw, 0, 45):
            pass


async def spent(budgets: Budgets, draw: Draw) -> bool:
    try:
        await take(budgets, draw)
    except LimitExceeded:
        return True
    return False


async def test_until_the_organization_is_known_all_share_the_hosts_budget(opened: Callable[..., Budgets]):
    one, other = opened(), opened()
    await take(one, LIST, 2)
    await take(other, OTHER_KEY)
    assert await spent(one, OTHER_PROJECT)
    assert not await spent(one, OTHER_HOST)


async def test_the_first_organization_known_goes_on_with_what_was_spent(opened: Callable[..., Budgets]):
    one, other = opened(), opened()
    await take(one, LIST, 3)
    await one.learn(LIST, {"project 1": "org-a"})
    assert await spent(one, LIST)
    assert await spent(other, LIST)


async def test_another_organization_has_a_budget_of_its_own_that_counts_the_request_that_told(
    opened: Callable[..., Budgets],
):
    one, other = opened(), opened()
    await one.learn(LIST, {"project 1": "org-a", "project 2": "org-b"})
    await take(one, LIST, 3)
    assert await spent(other, LIST)
    await take(other, OTHER_PROJECT, 3)
    assert await spent(one, OTHER_PROJECT)
    third = replace(LIST, project_id="3")
    await one.learn(third, {"project 3": "org-c"})
    await take(one, third, 2)
    assert await spent(one, third)


async def test_calls_without_a_project_draw_on_the_organization_of_their_key(opened: Callable[..., Budgets]):
    budgets, me = opened(), replace(LIST, key="b", project_id="")
    await budgets.learn(LIST, {"project 1": "org-a"})
    await budgets.learn(me, {"key": "org-b"})
    await take(budgets, me, 2)
    assert await spent(budgets, replace(me, key="c", organization_id="org-b"))
    assert not await spent(budgets, replace(me, key="c"))


async def test_the_scope_may_be_the_key_or_the_host(opened: Callable[..., Budgets]):
    by_key, by_host = opened(scope=LimitScope.KEY), opened(scope=LimitScope.HOST)
    await take(by_key, LIST, 3)
    await by_key.learn(LIST, {"project 1": "org-a"})
    assert await spent(by_key, OTHER_PROJECT)
    assert not await spent(by_key, OTHER_KEY)
    await take(by_host, LIST, 3)
    await by_host.learn(LIST, {"project 1": "org-a", "project 2": "org-b"})
    assert await spent(by_host, OTHER_PROJECT)


async def test_classes_have_budgets_of_their_own_and_polling_counts_as_a_query(
    opened: Callable[..., Budgets],
):
    budgets = opened()
    await take(budgets, LIST, 3)
    await take(budgets, QUERY, 4)
    await take(budgets, POLL, 5)
    assert await spent(budgets, QUERY)
    assert await spent(budgets, POLL)


async def test_a_429_holds_back_every_process_but_no_other_class(opened: Callable[..., Budgets]):
    one, other = opened(), opened()
    assert await one.penalize(LIST, 30) == pytest.approx(30, abs=1)
    with pytest.raises(LimitExceeded) as refused:
        await take(other, LIST)
    assert refused.value.seconds == pytest.approx(30, abs=1)
    assert refused.value.limit == "reads and changes"
    assert not await spent(other, QUERY)


async def test_a_429_of_a_public_endpoint_holds_back_that_endpoint(opened: Callable[..., Budgets]):
    one, other = opened(), opened()
    await take(one, FLAGS, 500)
    await one.penalize(FLAGS, 30)
    assert await spent(other, FLAGS)
    assert not await spent(other, replace(FLAGS, endpoint="POST /batch/"))


async def test_a_spent_budget_of_bytes_holds_back_queries_of_that_project_and_no_polls(
    opened: Callable[..., Budgets],
):
    one, other = opened(), opened()
    await one.note_bytes(QUERY, -7)
    await one.penalize(QUERY, 600, spent="bytes")
    with pytest.raises(LimitExceeded) as refused:
        await take(other, QUERY)
    assert refused.value.limit == "bytes that queries may read"
    assert not await spent(other, POLL)
    assert not await spent(other, replace(QUERY, project_id="2"))
    status = await other.status(QUERY)
    assert status["query_budget"]["bytes_left"] == -7
    assert status["query_budget"]["cool_down_seconds"] == pytest.approx(600, abs=1)


async def test_the_status_shows_use_remaining_cool_down_and_queries(opened: Callable[..., Budgets]):
    budgets = opened()
    await take(budgets, LIST)
    await budgets.penalize(LIST, 9)
    async with budgets.permit(QUERY, 0, 45):
        status = await budgets.status(LIST)
    assert status["limits"]["crud"]["windows"] == [{"seconds": 60, "used": 1, "left": 2}]
    assert status["limits"]["crud"]["cool_down_seconds"] == pytest.approx(9, abs=1)
    assert status["limits"]["analytics"]["windows"][1] == {"seconds": 3600, "used": 0, "left": 1200}
    assert status["queries_at_once"] == {"running_or_waiting": 1, "of": 3}
    assert status["query_budget"] == {"bytes_left": None}
    assert status["counted_for"] == "one organization"
    assert status["shared_by"].startswith("all ")


async def until_there_are(budgets: Budgets, queries: int) -> None:
    with anyio.fail_after(10):
        while (await budgets.status(QUERY))["queries_at_once"]["running_or_waiting"] < queries:  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def test_three_queries_run_at_once_and_the_others_wait_in_order_of_arrival(
    opened: Callable[..., Budgets],
):
    budgets, ends = opened(overrides=()), [anyio.Event() for _ in range(7)]
    send, started = anyio.create_memory_object_stream[int](7)

    async def query(number: int) -> None:
        async with budgets.permit(QUERY, 20, 45):
            send.send_nowait(number)
            await ends[number].wait()

    with send, started, anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for number in range(7):
                group.start_soon(query, number)
                await until_there_are(budgets, number + 1)
            assert {await started.receive() for _ in range(3)} == {0, 1, 2}
            for number in range(4):
                assert started.statistics().current_buffer_used == 0
                ends[number].set()
                assert await started.receive() == number + 3
            for end in ends:
                end.set()


async def test_who_waits_for_a_query_to_end_is_told_and_given_up_on_in_time(opened: Callable[..., Budgets]):
    one, other, told = opened(), opened(), []

    async def listen(what: str, seconds: float | None) -> None:
        told.append((what, seconds))

    waiting.set(listen)
    async with one.permit(QUERY, 0, 45), one.permit(QUERY, 0, 45), one.permit(QUERY, 0, 45):
        with pytest.raises(LimitExceeded) as refused:
            async with other.permit(QUERY, 0.2, 45):
                raise AssertionError("four at once")
        assert refused.value.seconds is None
        assert "3 queries at once" in str(refused.value)
        assert told == [("one of the 3 queries that may run at once to end", None)]
        await take(other, POLL)
    await take(other, QUERY)


async def test_a_cancelled_query_leaves_its_place(opened: Callable[..., Budgets]):
    budgets = opened()
    for _ in range(4):
        with anyio.move_on_after(0.05):
            async with budgets.permit(QUERY, 20, 45):
                await anyio.sleep(10)
    await take(budgets, QUERY)


def start_child() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


async def test_places_of_a_process_that_died_come_free(opened: Callable[..., Budgets]):
    budgets = opened()
    child = start_child()
    gone = Holder(Holder.own().machine, child.pid)
    queue = f"{QUERY.host} queries"
    for _ in range(3):
        await budgets._rings.enter(queue, gone, 600)
    assert await spent(budgets, QUERY)
    child.kill()
    child.communicate(timeout=10)
    assert not await spent(budgets, QUERY)


async def test_places_of_another_machine_come_free_when_their_time_is_over(opened: Callable[..., Budgets]):
    budgets = opened()
    for _ in range(3):
        await budgets._rings.enter(f"{QUERY.host} queries", Holder("elsewhere", os.getpid()), 0.3)
    assert await spent(budgets, QUERY)
    async with budgets.permit(QUERY, 5, 45) as waited:
        assert waited >= 0.2


async def test_tickets_whose_time_is_over_leave_on_any_clock(rings: Any, clock: Clock, budget_of: Any):
    queue, own = budget_of().name, Holder.own()
    first = await rings.enter(queue, own, 10)
    second = await rings.enter(queue, own, 20)
    assert [await rings.ahead(queue, ticket) for ticket in (first, second)] == [0, 1]
    clock.now += 11
    assert await rings.ahead(queue, second) == 0
    await rings.leave(queue, second)
    assert await rings.ahead(queue, await rings.enter(queue, own, 10)) == 0


def test_a_start_may_switch_the_limits_off(tmp_path: Path):
    settings = Settings.load({"POSTHOG_MCP_LIMITS": "off"}, data_dir=tmp_path)
    assert Budgets.from_settings(settings) is None


async def test_a_start_opens_nothing(tmp_path: Path):
    budgets = Budgets.from_settings(Settings.load({}, data_dir=tmp_path / "state"))
    assert budgets is not None
    assert not (tmp_path / "state").exists()
    await take(budgets, LIST)
    assert (tmp_path / "state" / "limits.db").exists()
    await budgets.close()
