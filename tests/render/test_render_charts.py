"""Charts as Vega-Lite: what fits, what is said, and that outsiders' words are data alone."""

import json
from dataclasses import replace
from typing import Any

import pytest

from posthog_mcp.render import Chart, Series, vega_lite

SHAPES = ("lines", "columns", "stack", "bars", "intervals", "heat")


def chart(shape: Any = "lines", series: int = 1, places: int = 3, **more: Any) -> Chart:
    lines = [
        Series(
            f"series {number}",
            [float(series - number)] * places,
            ["a text"] * places,
            [(0.0, 9.0)] * places if shape == "intervals" else (),
        )
        for number in range(series)
    ]
    return Chart(
        shape, "A title", "of a project", [f"place {number}" for number in range(places)], lines, **more
    )


def texts(value: Any) -> list[str]:
    """Every text in a specification that is a value."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [value] if isinstance(value, str) else []


def test_the_largest_series_are_kept_in_their_order() -> None:
    sizes = [5, 1, 9, 1, 7, 1, 3, 4, 6, 8, 2]
    lines = [Series(f"{size}", [size, size]) for size in sizes]
    fitting = Chart("lines", "", "", ["a", "b"], lines).fitting()
    assert [one.name for one in fitting.series] == ["5", "9", "7", "3", "4", "6", "8", "2"]


def test_of_bars_the_largest_are_kept_with_their_texts() -> None:
    values = [float(number) for number in range(100)]
    bars = Series("", values, [f"text {number}" for number in range(100)])
    fitting = Chart("bars", "", "", [f"place {number}" for number in range(100)], [bars]).fitting()
    assert fitting.places[0] == "place 68"
    assert len(fitting.places) == 32
    assert fitting.series[0].texts[-1] == "text 99"


def test_a_few_values_of_each_of_many_bars_still_fit_on_a_page() -> None:
    fitting = chart("bars", series=25, places=4).fitting()
    assert (len(fitting.series), len(fitting.places)) == (8, 4)


def test_a_chart_of_zeros_and_gaps_is_empty() -> None:
    assert Chart("lines", "", "", ["a", "b"], [Series("x", [0, None])]).empty
    assert not chart().empty


@pytest.mark.parametrize("shape", SHAPES)
def test_what_outsiders_wrote_is_data_and_nothing_else(shape: str) -> None:
    evil = '"]+alert(1)+["</script>\u202e\u200b\n{"signal":"x"}'
    plain = vega_lite(chart(shape, series=2))
    lines = [replace(one, name=f"{evil}{number}") for number, one in enumerate(chart(shape, series=2).series)]
    bad = vega_lite(Chart(chart(shape).shape, evil, evil, [evil, f"{evil}2", "datum.x"], lines))
    told = {key: value for key, value in bad.items() if key not in ("title", "data")}
    assert {text for text in texts(told) if "datum." in text} - {"datum.x"} == {
        text for text in texts(plain) if "datum." in text
    }
    assert not any("\u202e" in text or "\u200b" in text or "\n" in text for text in texts(told))
    assert {type(bad["title"][key]) for key in ("text", "subtitle")} == {str}


@pytest.mark.parametrize("shape", SHAPES)
def test_no_text_is_longer_than_there_is_room_for(shape: str) -> None:
    long = "x" * 5_000
    found = vega_lite(Chart(chart(shape).shape, long, long, [long], [Series(long, [1.0])]))
    assert max(map(len, texts(found))) <= 150


def test_names_that_become_equal_by_shortening_stay_apart() -> None:
    lines = [Series("y" * 100 + str(number), [1.0]) for number in range(2)]
    found = vega_lite(Chart("lines", "", "", ["a"], lines))
    names = found["encoding"]["color"]["scale"]["domain"]
    assert len(set(names)) == 2
    assert {row["name"] for row in found["data"]["values"]} == set(names)


def test_words_are_hidden_before_they_are_shortened() -> None:
    who = "somebody.with.a.long.name@example.com"
    found = vega_lite(
        Chart("lines", who, who, [who], [Series(who, [1.0])]), lambda text: text.replace(who, "(hidden)")
    )
    assert "somebody" not in json.dumps(found)


def test_the_way_to_a_place_that_is_not_over_is_dashed() -> None:
    line = Series("a", [1.0, 2.0, 3.0], unfinished=True)
    rows = vega_lite(Chart("lines", "", "", ["x", "y", "z"], [line]))["data"]["values"]
    assert [(row["place"], row.get("open", False)) for row in rows] == [
        ("x", False),
        ("y", False),
        ("y", True),
        ("z", True),
    ]


def test_a_long_axis_names_every_nth_place() -> None:
    found = vega_lite(chart(places=90))
    assert found["encoding"]["x"]["axis"]["values"] == [f"place {number}" for number in range(0, 90, 9)]


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_in_a_specification_has_to_be_loaded(shape: str) -> None:
    assert "url" not in json.dumps(vega_lite(chart(shape, series=3)))
