"""Rings give out what the limits allow, in order, and no more; in a file and in Redis alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits_kit import Awaited, Clock, make_budget

from posthog_mcp.limits.database import Database
from posthog_mcp.limits.limit import LOWERED_SECONDS, RAISED_EVERY, Budget, Limit, LimitExceeded, Reservation
from posthog_mcp.limits.redis import RedisRings
from posthog_mcp.limits.sqlite import SqliteRings

SHORT, LONG, WIDE = Limit("short", 3, 10.0), Limit("long", 5, 100.0), Limit("wide", 100, 60.0)
FOREVER = 10_000.0
NEAR = 0.001
BudgetOf = Callable[..., Budget]


async def waits(rings: Any, budget: Budget, count: int, **how: Any) -> list[float]:
    return [(await rings.reserve(budget, FOREVER, **how)).wait for _ in range(count)]


async def test_a_burst_within_the_limit_waits_for_nothing(rings: Any, budget_of: BudgetOf):
    assert await waits(rings, budget_of(SHORT), 3) == [0, 0, 0]


async def test_the_next_one_waits_for_the_window_and_the_guard(rings: Any, clock: Clock, budget_of: BudgetOf):
    budget = budget_of(SHORT)
    await waits(rings, budget, 3)
    clock.now += 4
    assert await waits(rings, budget, 1) == [pytest.approx(7, abs=NEAR)]


async def test_all_limits_count_at_once_and_the_refusal_names_the_one_that_is_spent(
    rings: Any, clock: Clock, budget_of: BudgetOf
):
    budget = budget_of(SHORT, LONG)
    for _ in range(5):
        await rings.reserve(budget, FOREVER)
        clock.now += 5
    with pytest.raises(LimitExceeded) as refused:
        await rings.reserve(budget, 10)
    assert refused.value.limit == "long"
    assert refused.value.seconds == pytest.approx(100 + 1 - 25, abs=NEAR)


async def test_a_refusal_says_the_wait_and_changes_nothing(rings: Any, budget_of: BudgetOf):
    budget = budget_of(SHORT)
    await waits(rings, budget, 3)
    for _ in range(5):
        with pytest.raises(LimitExceeded) as refused:
            await rings.reserve(budget, 5)
        assert refused.value.seconds == pytest.approx(11, abs=NEAR)
    assert (await rings.state(budget)).usage[0].used == 3


async def test_slots_are_given_in_order_of_arrival_whoever_asks(
    open_rings: Callable[[], Any], budget_of: BudgetOf
):
    one, other, budget = open_rings(), open_rings(), budget_of(SHORT)
    given_out = [(await rings.reserve(budget, FOREVER)).wait for rings in (one, other) * 5]
    assert given_out == sorted(given_out)
    assert given_out[3:6] == [pytest.approx(11, abs=NEAR)] * 3
    assert given_out[6:9] == [pytest.approx(22, abs=NEAR)] * 3


async def test_budgets_of_other_names_are_apart(rings: Any, budget_of: BudgetOf):
    await waits(rings, budget_of(SHORT), 3)
    assert await waits(rings, budget_of(SHORT), 3) == [0, 0, 0]


async def test_the_newest_slot_goes_back_as_if_never_taken(rings: Any, clock: Clock, budget_of: BudgetOf):
    budget = budget_of(SHORT, LONG)
    await waits(rings, budget, 3)
    clock.now += 4
    late = await rings.reserve(budget, FOREVER)
    await rings.give_back(budget, late)
    assert [usage.used for usage in (await rings.state(budget)).usage] == [3, 3]
    assert (await rings.reserve(budget, FOREVER)).wait == pytest.approx(late.wait, abs=NEAR)


async def test_a_slot_given_back_out_of_order_goes_to_the_next_caller(rings: Any, budget_of: BudgetOf):
    budget = budget_of(SHORT)
    await waits(rings, budget, 3)
    first, second, third = [await rings.reserve(budget, FOREVER) for _ in range(3)]
    await rings.give_back(budget, first)
    await rings.give_back(budget, second)
    assert (await rings.state(budget)).usage[0].used == 4
    again = await waits(rings, budget, 3)
    assert again[:2] == [pytest.approx(third.wait, abs=NEAR)] * 2
    assert again[2] == pytest.approx(22, abs=NEAR)


async def test_slots_given_back_behind_the_newest_leave_with_it(rings: Any, budget_of: BudgetOf):
    budget = budget_of(SHORT)
    await waits(rings, budget, 3)
    taken = [await rings.reserve(budget, FOREVER) for _ in range(3)]
    for reservation in taken:
        await rings.give_back(budget, reservation)
    assert (await rings.state(budget)).usage[0].used == 3
    assert await waits(rings, budget, 4) == [pytest.approx(11, abs=NEAR)] * 3 + [pytest.approx(22, abs=NEAR)]


async def test_a_slot_given_back_is_of_no_use_once_its_time_has_passed(
    rings: Any, clock: Clock, budget_of: BudgetOf
):
    budget = budget_of(SHORT)
    await waits(rings, budget, 3)
    first, _ = [await rings.reserve(budget, FOREVER) for _ in range(2)]
    await rings.give_back(budget, first)
    clock.now += 12
    assert await waits(rings, budget, 2) == [0, pytest.approx(10, abs=NEAR)]


async def test_background_callers_leave_the_last_tenth_and_take_no_future_slot(
    rings: Any, budget_of: BudgetOf
):
    budget = budget_of(Limit("twenty", 20, 10.0))
    assert await waits(rings, budget, 18, background=True) == [0] * 18
    with pytest.raises(LimitExceeded):
        await rings.reserve(budget, FOREVER, background=True)
    assert await waits(rings, budget, 2) == [0, 0]


async def test_a_refusal_by_posthog_holds_every_process_back_and_keeps_order_and_spacing(
    open_rings: Callable[[], Any], clock: Clock, budget_of: BudgetOf
):
    one, other, budget = open_rings(), open_rings(), budget_of(SHORT)
    await waits(one, budget, 3)
    waiting = [await one.reserve(budget, FOREVER) for _ in range(4)]
    assert await one.penalize(budget, 30) == pytest.approx(30, abs=NEAR)
    assert (await other.state(budget)).cool_down == pytest.approx(30, abs=NEAR)
    moved = [await other.due(budget, reservation) for reservation in waiting]
    assert moved == [pytest.approx(11 + 30, abs=NEAR)] * 3 + [pytest.approx(22 + 30, abs=NEAR)]
    assert (await other.reserve(budget, FOREVER)).wait == pytest.approx(22 + 30, abs=NEAR)
    clock.now += 41
    assert await one.due(budget, waiting[0]) == pytest.approx(0, abs=NEAR)


async def test_a_slot_whose_time_had_come_waits_for_the_end_of_the_cool_down(
    rings: Any, clock: Clock, budget_of: BudgetOf
):
    budget = budget_of(SHORT)
    await waits(rings, budget, 3)
    waiting = await rings.reserve(budget, FOREVER)
    clock.now += 11
    await rings.penalize(budget, 5)
    assert await rings.due(budget, waiting) == pytest.approx(5, abs=NEAR)
    clock.now += 5
    assert await rings.due(budget, waiting) == pytest.approx(0, abs=NEAR)


async def test_a_budget_without_limits_only_honours_cool_downs(rings: Any, clock: Clock, budget_of: BudgetOf):
    budget = budget_of()
    assert await waits(rings, budget, 50) == [0] * 50
    await rings.penalize(budget, 7)
    with pytest.raises(LimitExceeded) as refused:
        await rings.reserve(budget, 5)
    assert refused.value.limit == "tests"
    held = await rings.reserve(budget, 10)
    assert held.wait == pytest.approx(7, abs=NEAR)
    clock.now += 4
    assert await rings.due(budget, held) == pytest.approx(3, abs=NEAR)


async def test_without_a_named_time_the_cool_down_doubles_with_each_refusal_up_to_a_minute(
    rings: Any, clock: Clock, budget_of: BudgetOf
):
    budget, seen = budget_of(SHORT), []
    for _ in range(8):
        seen.append(round(await rings.penalize(budget, None), 3))
        clock.now += seen[-1] + 0.5
    assert seen == [1, 2, 4, 8, 16, 32, 60, 60]
    clock.now += 60
    assert await rings.penalize(budget, None) == pytest.approx(1, abs=NEAR)


async def test_a_second_refusal_in_a_row_lowers_the_limit_for_an_hour_and_it_comes_back_slowly(
    rings: Any, clock: Clock, budget_of: BudgetOf
):
    budget = budget_of(WIDE)

    async def permits() -> int:
        return (await rings.state(budget)).usage[0].permits

    await rings.penalize(budget, 5)
    clock.now += 6
    assert await permits() == 100
    await rings.penalize(budget, 5)
    assert await permits() == 90
    clock.now += 6
    await rings.penalize(budget, 5)
    assert await permits() == 80
    clock.now += 6
    assert await waits(rings, budget, 80) == [0] * 80
    assert (await waits(rings, budget, 1))[0] == pytest.approx(61, abs=NEAR)
    clock.now += LOWERED_SECONDS - 7
    assert await permits() == 80
    clock.now += 2
    assert await permits() == 90
    clock.now += RAISED_EVERY
    assert await permits() == 100


async def test_the_limit_that_the_wait_speaks_of_is_lowered(rings: Any, clock: Clock, budget_of: BudgetOf):
    budget = budget_of(WIDE, Limit("hour", 1_000, 3_600.0))
    await rings.penalize(budget, 600)
    clock.now += 601
    await rings.penalize(budget, 600)
    assert [usage.permits for usage in (await rings.state(budget)).usage] == [100, 900]
    clock.now += 601
    await rings.penalize(budget, 20)
    lowered = (await rings.state(budget)).usage
    assert [usage.permits for usage in lowered] == [90, 900]
    assert all(usage.lowered for usage in lowered)


async def test_refusals_of_requests_already_under_way_do_not_lower_the_limit(rings: Any, budget_of: BudgetOf):
    budget = budget_of(WIDE)
    assert [round(await rings.penalize(budget, None), 3) for _ in range(5)] == [1] * 5
    assert (await rings.penalize(budget, 9)) == pytest.approx(9, abs=NEAR)
    assert (await rings.state(budget)).usage[0].permits == 100


async def test_what_posthog_said_remains_is_seen_by_all(open_rings: Callable[[], Any], budget_of: BudgetOf):
    one, other, budget = open_rings(), open_rings(), budget_of()
    assert (await other.state(budget)).left is None
    await one.note(budget, -5_000_000_000)
    assert (await other.state(budget)).left == -5_000_000_000


async def test_a_fact_is_kept_as_it_was_first_told(open_rings: Callable[[], Any], budget_of: BudgetOf):
    one, other, fact = open_rings(), open_rings(), budget_of().name
    assert await one.recall(fact) == ""
    assert await one.learn(fact, "first") == "first"
    assert await other.learn(fact, "second") == "first"
    assert await other.recall(fact) == "first"


async def test_a_longer_limit_keeps_what_a_shorter_one_counted(rings: Any, budget_of: BudgetOf):
    budget = budget_of(SHORT)
    await waits(rings, budget, 3)
    longer = Budget(budget.name, (Limit("short", 4, 10.0),), "tests")
    assert await waits(rings, longer, 2) == [0, pytest.approx(11, abs=NEAR)]


async def test_nobody_goes_ahead_of_who_came_before_though_more_is_allowed_by_now(
    rings: Any, budget_of: BudgetOf
):
    budget = budget_of(SHORT)
    await waits(rings, budget, 4)
    longer = Budget(budget.name, (Limit("short", 9, 10.0),), "tests")
    assert await waits(rings, longer, 1) == [pytest.approx(11, abs=NEAR)]


def at_boot(path: Path, clock: float, boot: str) -> SqliteRings:
    return SqliteRings(Database(path, clock=lambda: clock, boot=boot), guard=1.0)


async def test_a_restart_of_the_machine_keeps_what_was_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget_of: BudgetOf
):
    wall, budget = 1_800_000_000.0, budget_of(SHORT)
    monkeypatch.setattr("time.time", lambda: wall)
    before = Awaited(at_boot(tmp_path / "l.db", 5_000.0, "first"))
    await waits(before, budget, 3)
    await before.close()
    wall += 4  # seconds of real time between; the new clock starts at 2
    after = Awaited(at_boot(tmp_path / "l.db", 2.0, "second"))
    assert await waits(after, budget, 1) == [pytest.approx(7)]
    await after.close()


@given(jump=st.floats(-1e6, 1e6), uptime=st.floats(0, 1e6), held=st.booleans())
@settings(max_examples=40, deadline=None)
def test_after_a_restart_with_any_wall_clock_nobody_waits_longer_than_a_window_and_a_cool_down(
    tmp_path_factory: pytest.TempPathFactory, jump: float, uptime: float, held: bool
):
    path, budget, wall = tmp_path_factory.mktemp("boot") / "l.db", make_budget(SHORT), 1_800_000_000.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", lambda: wall)
        before = at_boot(path, 5_000.0, "first")
        for _ in range(3):
            before.reserve(budget, 0)
        if held:
            before.penalize(budget, 300)
        before.close()
        wall += jump
        after = at_boot(path, uptime, "second")
        assert after.reserve(budget, FOREVER).wait <= max(SHORT.seconds + 1, 60) + 1
        after.close()


async def test_a_wall_clock_that_jumps_changes_nothing(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, budget_of: BudgetOf
):
    wall, budget = 1_800_000_000.0, budget_of(SHORT)
    monkeypatch.setattr("time.time", lambda: wall)
    given_out = []
    for jump in (0, 3_600, -3_600, 3_600):
        wall += jump
        rings = Awaited(SqliteRings(Database(tmp_path / "l.db", clock=clock, boot="same"), guard=1.0))
        given_out += await waits(rings, budget, 1)
        await rings.close()
        clock.now += 1
    assert given_out == [0, 0, 0, pytest.approx(8)]


STEP = st.tuples(
    st.one_of(st.floats(0, 8), st.floats(0, 0.4)), st.sampled_from(["take", "back", "refused"]), st.booleans()
)


@pytest.mark.parametrize("where", ["sqlite", "redis"])
@given(steps=st.lists(STEP, max_size=80), small=st.integers(1, 5), large=st.integers(2, 9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_window_ever_holds_more_requests_than_its_limit(
    request: pytest.FixtureRequest,
    where: str,
    steps: list[tuple[float, str, bool]],
    small: int,
    large: int,
):
    clock = Clock()
    if where == "redis":
        rings: Any = RedisRings(request.getfixturevalue("redis_url"), 0.5, clock)
    else:
        rings = Awaited(SqliteRings(Database(None, clock=clock), guard=0.5))
    budget = make_budget(Limit("small", small, 5.0), Limit("large", large, 20.0))
    sent: list[float] = []
    waiting: list[Reservation] = []
    for advance, what, background in steps:
        clock.now += advance
        for held in list(waiting):
            wait = await rings.due(budget, held)
            if wait <= 0:
                waiting.remove(held)
                # Whoever comes later than the guard pays for does not send.
                sent += [clock.now] * (wait >= -0.5)
        if what == "refused":
            await rings.penalize(budget, 2)
        elif what == "back" and waiting:
            await rings.give_back(budget, waiting.pop(len(waiting) // 2))
        else:
            try:
                reservation = await rings.reserve(budget, 30, background=background)
            except LimitExceeded:
                continue
            if reservation.wait > 0:
                waiting.append(reservation)
            else:
                sent.append(clock.now)
    for limit in budget.limits:
        for start in sent:
            assert sum(start <= at < start + limit.seconds for at in sent) <= limit.permits
    await rings.close()
