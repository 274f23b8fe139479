"""Rings give out what the limits allow, in order, and no more."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_mcp.limits.limit import Limit, LimitExceeded
from posthog_mcp.limits.sqlite import LOWERED_FOR, RAISED_EVERY, SqliteRings

SHORT, LONG = Limit("short", 3, 10.0), Limit("long", 5, 100.0)
FOREVER = 10_000.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rings(clock: Clock) -> SqliteRings:
    return SqliteRings(None, guard=1.0, clock=clock)


@pytest.fixture
def shared(tmp_path: Path, clock: Clock) -> Callable[[], SqliteRings]:
    return lambda: SqliteRings(tmp_path / "limits.db", guard=1.0, clock=clock, boot="first")


def test_a_burst_within_the_limit_waits_for_nothing(rings: SqliteRings):
    assert [rings.reserve("g", [SHORT], 0).wait for _ in range(3)] == [0, 0, 0]


def test_the_next_one_waits_for_the_window_and_the_guard(rings: SqliteRings, clock: Clock):
    for _ in range(3):
        rings.reserve("g", [SHORT], 0)
    clock.now += 4
    assert rings.reserve("g", [SHORT], FOREVER).wait == pytest.approx(7)


def test_all_limits_count_at_once(rings: SqliteRings, clock: Clock):
    for _ in range(5):
        rings.reserve("g", [SHORT, LONG], FOREVER)
        clock.now += 5
    with pytest.raises(LimitExceeded) as refused:
        rings.reserve("g", [SHORT, LONG], 10)
    assert refused.value.limit == "long"


def test_a_refusal_says_the_wait_and_changes_nothing(rings: SqliteRings):
    for _ in range(3):
        rings.reserve("g", [SHORT], 0)
    for _ in range(5):
        with pytest.raises(LimitExceeded) as refused:
            rings.reserve("g", [SHORT], 5)
        assert refused.value.wait == pytest.approx(11)


def test_slots_are_given_in_order_of_arrival(rings: SqliteRings):
    waits = [rings.reserve("g", [SHORT], FOREVER).wait for _ in range(9)]
    assert waits == sorted(waits)
    assert waits[3:6] == [pytest.approx(11)] * 3
    assert waits[6:] == [pytest.approx(22)] * 3


def test_the_newest_slot_goes_back_as_if_never_taken(rings: SqliteRings):
    for _ in range(3):
        rings.reserve("g", [SHORT, LONG], 0)
    late = rings.reserve("g", [SHORT, LONG], FOREVER)
    rings.give_back(late)
    assert rings.usage("g", [SHORT])[0].used == 3
    assert rings.reserve("g", [SHORT, LONG], FOREVER).wait == pytest.approx(late.wait)


def test_a_slot_given_back_out_of_order_goes_to_the_next_caller(rings: SqliteRings):
    for _ in range(3):
        rings.reserve("g", [SHORT], 0)
    first, second = rings.reserve("g", [SHORT], FOREVER), rings.reserve("g", [SHORT], FOREVER)
    rings.give_back(first)
    assert rings.reserve("g", [SHORT], FOREVER).wait == pytest.approx(first.wait)
    assert rings.reserve("g", [SHORT], FOREVER).wait == pytest.approx(second.wait)  # the third of that window


def test_background_callers_leave_the_last_tenth_and_take_no_future_slot(rings: SqliteRings):
    wide = Limit("wide", 20, 10.0)
    for _ in range(18):
        rings.reserve("g", [wide], 0, background=True)
    with pytest.raises(LimitExceeded):
        rings.reserve("g", [wide], FOREVER, background=True)
    assert [rings.reserve("g", [wide], 0).wait for _ in range(2)] == [0, 0]


def test_a_refusal_by_posthog_holds_every_process_back(shared: Callable[[], SqliteRings], clock: Clock):
    one, other = shared(), shared()
    waiting = [one.reserve("g", [SHORT], FOREVER) for _ in range(4)][-1]
    assert one.penalize("g", [SHORT], 30) == pytest.approx(30)
    assert other.reserve("g", [SHORT], FOREVER).wait >= 30
    assert one.remaining(waiting) == pytest.approx(11 + 30)
    clock.now += 41
    assert one.remaining(waiting) == 0


def test_without_a_named_time_the_cool_down_doubles_with_each_refusal(rings: SqliteRings, clock: Clock):
    assert rings.penalize("g", [SHORT], None) == pytest.approx(1)
    clock.now += 1.5
    assert rings.penalize("g", [SHORT], None) == pytest.approx(2)
    clock.now += 2.5
    assert rings.penalize("g", [SHORT], None) == pytest.approx(4)


def test_a_second_refusal_in_a_row_lowers_the_limit_for_an_hour_and_it_comes_back_slowly(
    rings: SqliteRings, clock: Clock
):
    wide = Limit("wide", 100, 60.0)
    rings.reserve("g", [wide], 0)
    rings.penalize("g", [wide], 5)
    clock.now += 6
    assert rings.usage("g", [wide])[0].permits == 100
    rings.penalize("g", [wide], 5)
    assert rings.usage("g", [wide])[0].permits == 90
    clock.now += LOWERED_FOR - 1
    assert rings.usage("g", [wide])[0].permits == 90
    clock.now += RAISED_EVERY
    assert rings.usage("g", [wide])[0].permits == 100


def test_refusals_of_requests_already_under_way_do_not_lower_the_limit(rings: SqliteRings):
    wide = Limit("wide", 100, 60.0)
    rings.reserve("g", [wide], 0)
    for _ in range(5):
        rings.penalize("g", [wide], 5)
    assert rings.usage("g", [wide])[0].permits == 100


def test_a_restart_of_the_machine_keeps_what_was_spent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wall = 1_800_000_000.0
    monkeypatch.setattr("time.time", lambda: wall)
    before = SqliteRings(tmp_path / "l.db", guard=1.0, clock=lambda: 5_000.0, boot="first")
    for _ in range(3):
        before.reserve("g", [SHORT], 0)
    before.close()
    wall += 4  # seconds of real time between; the new clock starts at 2
    after = SqliteRings(tmp_path / "l.db", guard=1.0, clock=lambda: 2.0, boot="second")
    assert after.reserve("g", [SHORT], FOREVER).wait == pytest.approx(7)


def test_a_restart_with_a_wrong_wall_clock_makes_nobody_wait_longer_than_a_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wall = 1_800_000_000.0
    monkeypatch.setattr("time.time", lambda: wall)
    before = SqliteRings(tmp_path / "l.db", guard=1.0, clock=lambda: 5_000.0, boot="first")
    for _ in range(3):
        before.reserve("g", [SHORT], 0)
    before.close()
    wall -= 86_400
    after = SqliteRings(tmp_path / "l.db", guard=1.0, clock=lambda: 2.0, boot="second")
    assert after.reserve("g", [SHORT], FOREVER).wait <= 2 * SHORT.seconds + 1


def test_a_longer_limit_keeps_what_a_shorter_one_counted(rings: SqliteRings):
    for _ in range(3):
        rings.reserve("g", [SHORT], 0)
    longer = Limit("short", 4, 10.0)
    assert rings.reserve("g", [longer], 0).wait == 0
    assert rings.reserve("g", [longer], FOREVER).wait > 0


@given(
    st.lists(st.tuples(st.floats(0, 8), st.integers(0, 3), st.booleans()), max_size=60),
    st.integers(1, 5),
    st.integers(2, 9),
)
@settings(max_examples=100, deadline=None)
def test_no_window_ever_holds_more_permits_than_its_limit(
    steps: list[tuple[float, int, bool]], small: int, large: int
):
    clock = Clock()
    rings = SqliteRings(None, guard=0.5, clock=clock)
    limits = [Limit("small", small, 5.0), Limit("large", large, 20.0)]
    slots: list[float] = []
    for advance, what, background in steps:
        clock.now += advance
        if what == 3:
            rings.penalize("g", limits, 2)
            slots = [slot for slot in slots if slot <= clock.now]  # the others have moved
            continue
        try:
            reservation = rings.reserve("g", limits, 30, background=background)
        except LimitExceeded:
            continue
        if what == 2 and reservation.wait > 0:
            rings.give_back(reservation)
            continue
        slots.append(clock.now + reservation.wait)
    for limit in limits:
        for start in slots:
            assert sum(start <= slot < start + limit.seconds for slot in slots) <= limit.permits
