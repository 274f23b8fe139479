"""A chart in Vega-Lite: plain data, with nothing in it that loads anything.

What outsiders wrote appears as values of the data and of scales alone, never as a field's name or within an
expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from posthog_mcp.render.charts import Chart, Series
from posthog_mcp.safety import clean

Json = dict[str, Any]
_WIDTH, _HEIGHT = 900, 500
_TITLE, _SUBTITLE, _PLACE, _NAME = 90, 150, 42, 28
"""The most characters of each text."""
_TICKS = 10
_POINTS = 200
_WIDE = 16
_FEW, _THICK = 8, 40
_INK, _GREY, _PALE = "#1f2937", "#6b7280", "#e5e7eb"
_COLOURS = ["#2f6fde", "#2e9e5b", "#8e5bd0", "#f2762e", "#17a2b8", "#c9a400", "#d6336c", "#6b7280"]
_SPACES = re.compile(r"\s+")
_CONFIG: Json = {
    "font": "Liberation Sans",  # comes with the renderer
    "axis": {
        "title": None,
        "labelFontSize": 12,
        "labelColor": _INK,
        "labelLimit": 260,
        "gridColor": _PALE,
        "domainColor": "#9ca3af",
        "ticks": False,
        "labelPadding": 6,
    },
    "legend": {"title": None, "labelFontSize": 12, "labelColor": _INK, "labelLimit": 220},
    "text": {"fontSize": 11, "color": _INK},
    "view": {"stroke": None},
}


def vega_lite(chart: Chart, words: Callable[[str], str] = str) -> Json:
    """The specification of a picture of 900 by 500 pixels.

    Args:
        chart: What to draw, made to fit.
        words: Applied to every text before it is shortened: takes out what an answer must not show.
    """

    def label(text: str, most: int) -> str:
        told = _SPACES.sub(" ", words(clean(text))).strip()
        return told if len(told) <= most else f"{told[: most - 1].rstrip()}…"

    places = _apart([label(place, _PLACE) for place in chart.places])
    names = _apart([label(one.name, _NAME) for one in chart.series])
    return {
        "background": "white",
        "width": _WIDTH,
        "height": _HEIGHT,
        "padding": 14,
        "autosize": {"type": "fit", "contains": "padding"},
        "title": {
            "text": label(chart.title, _TITLE),
            "subtitle": label(chart.subtitle[:1].upper() + chart.subtitle[1:], _SUBTITLE),
            "anchor": "start",
            "frame": "bounds",
            "fontSize": 17,
            "color": _INK,
            "subtitleFontSize": 12,
            "subtitleColor": _GREY,
            "subtitlePadding": 6,
            "offset": 14,
            "limit": _WIDTH - 40,
        },
        "config": _CONFIG,
        "data": {"values": _rows(chart, places, names)},
        **_SHAPES[chart.shape](chart, places, names),
    }


def _apart(labels: Sequence[str]) -> list[str]:
    """Labels that differ: the second of two that are equal, or became so, is numbered."""
    seen: dict[str, int] = {}
    told: list[str] = []
    for text in labels:
        seen[text] = seen.get(text, 0) + 1
        told.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return told


def _rows(chart: Chart, places: list[str], names: list[str]) -> list[Json]:
    rows: list[Json] = []
    for name, one in zip(names, chart.series, strict=True):
        own = [_row(one, index, place, name) for index, place in enumerate(places)]
        if one.unfinished:
            # the way to a place that is not over is a line of its own, from the place before it
            own[-1:] = [{**row, "open": True} for row in own[-2:]]
        rows += own
    return rows


def _row(one: Series, index: int, place: str, name: str) -> Json:
    row: Json = {"place": place, "name": name, "value": one.values[index]}
    if one.texts:
        row["text"] = one.texts[index]
    if one.spans and (span := one.spans[index]):
        row["low"], row["high"] = span
    return row


def _lines(chart: Chart, places: list[str], names: list[str]) -> Json:
    dashes = {"domain": [None, True], "range": [[1, 0], [5, 4]]}
    return {
        "mark": {
            "type": "line",
            "strokeWidth": 2.5,
            "strokeJoin": "round",
            "point": len(places) * len(names) <= _POINTS,
        },
        "encoding": {
            "x": _along(places),
            "y": _amount(chart),
            "color": _colour(names),
            "strokeDash": {"field": "open", "type": "nominal", "legend": None, "scale": dashes},
        },
    }


def _columns(chart: Chart, places: list[str], names: list[str]) -> Json:
    beside = {} if chart.shape == "stack" else {"xOffset": _of("name", names)}
    return {
        "mark": "bar",
        "encoding": {"x": _along(places), "y": _amount(chart), "color": _colour(names), **beside},
    }


def _bars(chart: Chart, places: list[str], names: list[str]) -> Json:
    values = [value or 0 for one in chart.series for value in one.values]
    ends = [min([*values, 0]), max([*values, 0]) * 1.2]  # with room for the texts
    # a few would be as thick as the room they have
    thick = {"size": _THICK} if len(values) <= _FEW else {}
    return {
        "encoding": {**_down(places, names), "x": {**_amount(chart), "scale": {"domain": ends}}},
        "layer": [
            {"mark": {"type": "bar", **thick}, "encoding": {"color": _colour(names)}},
            {
                "mark": {"type": "text", "align": "left", "baseline": "middle", "dx": 5},
                "encoding": {"text": {"field": "text"}},
            },
        ],
    }


def _intervals(chart: Chart, places: list[str], names: list[str]) -> Json:
    rows, amount, colour = _down(places, names), _amount(chart), _colour(names)
    ends = {"x": {**amount, "field": "low"}, "x2": {"field": "high"}}
    return {
        "layer": [
            {
                "mark": {"type": "rule", "color": _GREY, "strokeDash": [4, 3]},
                "encoding": {"x": {"datum": 0, "type": "quantitative"}},
            },
            {"mark": {"type": "rule", "strokeWidth": 3}, "encoding": {**rows, **ends, "color": colour}},
            {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
                "encoding": {**rows, "x": amount, "color": colour},
            },
            {
                "mark": {"type": "text", "dy": -12},
                "encoding": {**rows, "x": amount, "text": {"field": "text"}},
            },
        ],
    }


def _heat(chart: Chart, places: list[str], names: list[str]) -> Json:
    most = max((value or 0 for one in chart.series for value in one.values), default=0)
    shades = {"domain": [0, most], "range": ["#eef4ff", "#1d4fb8"]}
    shade = {"field": "value", "type": "quantitative", "legend": None, "scale": shades}
    dark = {"test": f"datum.value > {most * 0.65}", "value": "white"}
    top = {"axis": {"orient": "top", "labelAngle": 0, "domain": False}}
    return {
        "encoding": {
            "x": {**_of("place", places), **top},
            "y": {**_of("name", names), "axis": {"domain": False}},
        },
        "layer": [
            {
                "transform": [{"filter": "isValid(datum.value)"}],
                "mark": {"type": "rect", "stroke": "white"},
                "encoding": {"color": shade},
            },
            {
                "mark": {"type": "text", "fontSize": 12 if len(places) <= _WIDE else 9},
                "encoding": {"text": {"field": "text"}, "color": {"condition": dark, "value": _INK}},
            },
        ],
    }


def _of(field: str, values: list[str]) -> Json:
    return {"field": field, "type": "nominal", "scale": {"domain": values}}


def _along(places: list[str]) -> Json:
    """The places from left to right, each n-th with its label."""
    step = -(-len(places) // _TICKS)
    return {**_of("place", places), "axis": {"values": places[::step], "labelAngle": 0}}


def _down(places: list[str], names: list[str]) -> Json:
    beside = {"yOffset": _of("name", names)} if len(names) > 1 else {}
    return {"y": _of("place", places), **beside}


def _amount(chart: Chart) -> Json:
    axis: Json = {"tickCount": 6, **({"labelExpr": "datum.label + ' %'"} if chart.percent else {})}
    return {"field": "value", "type": "quantitative", "axis": axis}


def _colour(names: list[str]) -> Json:
    colours = {"domain": names, "range": _COLOURS[: len(names)]}
    found: Json = {"field": "name", "type": "nominal", "scale": colours}
    return found if len(names) > 1 else {**found, "legend": None}


_SHAPES: dict[str, Callable[[Chart, list[str], list[str]], Json]] = {
    "lines": _lines,
    "columns": _columns,
    "stack": _columns,
    "bars": _bars,
    "intervals": _intervals,
    "heat": _heat,
}
