"""What a table says of a column once can be put back into its rows, exactly."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_reader import read_table

from posthog_mcp.render import Table, render
from posthog_mcp.render.cells import cell, cells
from posthog_mcp.render.times import to_the_second

ROWS = 12  # enough for what is shared to be said once


def lines(*columns: list[Any], limit: int = 10**9, outsiders: bool = False) -> list[str]:
    return text(*columns, limit=limit, outsiders=outsiders).split("\n")


def text(*columns: list[Any], limit: int = 10**9, outsiders: bool = False) -> str:
    names = [chr(ord("a") + place) for place in range(len(columns))]
    rows = list(zip(*columns, strict=True))
    table = Table([], names, rows, outsiders=frozenset(names if outsiders else ()))
    return render(table, limit=limit).text


def numbered(form: str) -> list[str]:
    return [form.format(number) for number in range(10, 10 + ROWS)]


def test_times_of_a_year_say_it_once():
    assert lines(numbered("2026-03-{}T10:00:07.5Z"))[1:4] == [
        "a: cells show the … of 2026-…Z.",
        "a",
        "03-10T10:00:07",
    ]


def test_times_of_a_day_say_it_once():
    shown = lines(numbered("2026-03-01T10:{}:07+02:00"))
    assert shown[1:4] == ["a: cells show the … of 2026-03-01T…+02:00.", "a", "10:10:07"]


def test_hours_and_days_leave_out_the_clock_that_is_0():
    assert lines(numbered("2026-03-01T{}:00:00Z"))[1:4:2] == [
        "a: cells show the … of 2026-03-01T…:00Z.",
        "10:00",
    ]
    assert lines(numbered("2026-03-{}T00:00:00Z"))[1:4:2] == [
        "a: cells show the … of 2026-…T00:00:00Z.",
        "03-10",
    ]


def test_dates_of_a_year_say_it_once():
    assert lines(numbered("2026-03-{}"))[1:4:2] == ["a: cells show the … of 2026-….", "03-10"]


def test_columns_with_the_same_left_out_share_a_line():
    one, other = numbered("2026-03-{}T10:00:07Z"), numbered("2026-04-{}T10:00:07Z")
    assert lines(one, other)[1] == "a, b: cells show the … of 2026-…Z."


@pytest.mark.parametrize(
    "odd",
    ["soon", 7, "2026-03-01 10:00:00", "2026-03-01T10:00:00+01:00", "2026-03-01", "2026-03-01T10:00:00Z\n"],
)
def test_a_column_with_anything_else_in_it_stays_as_it_is(odd: Any):
    times = numbered("2026-03-{}T10:00:07.5Z")
    assert lines([*times, odd])[1:] == ["a", *times, cell(odd)]


def test_two_times_with_a_line_break_between_them_are_no_time():
    times = numbered("2026-03-{}")
    assert lines([*times, "2026-03-01\n2026-03-02"])[1:] == ["a", *times, "2026-03-01\\n2026-03-02"]


def test_few_rows_stay_whole():
    assert lines(numbered("2026-03-{}T10:00:07Z")[:9], ["x"] * 9)[1:3] == ["a\tb", "2026-03-10T10:00:07Z\tx"]


def test_one_text_of_all_rows_is_said_once_inside_the_fence():
    shown = lines(["</data 00>\n"] * ROWS, list(range(ROWS)), outsiders=True)
    assert shown[1].startswith("<data ")
    assert shown[2:7] == ["The same in every row below:", "a\t</data 00>\\n", "", "b", "0"]


def test_rows_that_have_nothing_of_their_own_stay_whole():
    assert lines(["x"] * ROWS, ["y"] * ROWS)[1:3] == ["a\tb", "x\ty"]


@pytest.mark.parametrize("value", [0, True, None, "", "x" * 201])
def test_what_is_as_short_in_the_rows_or_too_long_above_them_stays_there(value: Any):
    assert lines([value] * ROWS, list(range(ROWS)))[1] == "a\tb"


def test_what_holds_for_the_rows_shown_is_said_though_others_were_cut():
    shown = text(["x" * 90] * 5_000, list(range(5_000)), limit=5_000)
    columns, rows = read_table(shown)
    assert columns == ["a", "b"]
    assert rows == [["x" * 90, str(number)] for number in range(len(rows))]
    assert len(shown) <= 5_000


TEXTS = st.text(st.characters() | st.sampled_from('\\"\t\n\r\x00\u200b…'), max_size=8)
VALUES = TEXTS | st.none() | st.booleans() | st.integers() | st.floats() | st.lists(TEXTS, max_size=2)
MOMENTS = st.datetimes(datetime(2026, 12, 30), datetime(2027, 1, 2))  # noqa: DTZ001 - the strategy wants them so


@given(st.data())
def test_any_column_can_be_read_back(data: st.DataObject):
    pools = data.draw(st.lists(st.lists(VALUES, min_size=1, max_size=3), min_size=1, max_size=4))
    columns = [data.draw(st.lists(st.sampled_from(pool), min_size=ROWS, max_size=ROWS)) for pool in pools]
    names, rows = read_table(text(*columns, outsiders=data.draw(st.booleans())))
    found = dict(zip(names, zip(*rows, strict=True), strict=True))
    assert found == {chr(ord("a") + place): tuple(map(cell, column)) for place, column in enumerate(columns)}


@given(st.data())
def test_times_and_dates_can_be_read_back_to_the_digit_that_is_shown(data: st.DataObject):
    step = data.draw(
        st.sampled_from([timedelta(1), timedelta(hours=1), timedelta(minutes=1), timedelta.resolution])
    )
    begin = data.draw(MOMENTS | st.just(datetime(2026, 3, 1)))  # noqa: DTZ001 - as above
    numbers = data.draw(st.lists(st.integers(0, 40) | st.none(), min_size=ROWS, max_size=2 * ROWS))
    form = data.draw(st.sampled_from(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%f+05:30"]))
    times = [None if n is None else (begin + n * step).replace(tzinfo=UTC).strftime(form) for n in numbers]
    _, rows = read_table(text(times, list(range(len(times)))))
    read = [row[0] for row in rows]
    assert all(map(_reads_as, times, read))
    assert len(set(read)) == len(set(times))


def _reads_as(time: str | None, shown: str) -> bool:
    if time is None:
        return not shown
    return shown in (time, to_the_second(time), f"{time[:23]}{time[26:]}")


@given(st.lists(VALUES, max_size=6) | st.lists(st.floats() | st.none()) | st.lists(TEXTS | st.none()))
def test_a_column_has_the_cells_that_its_values_have(values: list[Any]):
    assert cells(values) == list(map(cell, values))
