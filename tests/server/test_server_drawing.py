"""Charts as pictures, by the renderer itself; where its extra is missing, what is said."""

import io
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.types import TextContent

from posthog_mcp.render import Chart, Series, Table, vega_lite
from posthog_mcp.server import catalog, drawing
from posthog_mcp.server.app import App
from posthog_mcp.server.drawing import Drawing, available
from posthog_mcp.tool import Access, Context, Input, ToolFailure, tool

CHARTED = {
    "query_trends", "query_funnel", "query_retention", "query_lifecycle", "query_stickiness", "get_insight",
    "get_experiment_results",
}  # fmt: skip
SHAPES = ("lines", "columns", "stack", "bars", "intervals", "heat")
drawn = pytest.mark.skipif(not available(), reason='pip install "posthog-mcp[charts]" brings the renderer')


def chart(shape: Any, series: int = 8, places: int = 31) -> Chart:
    """A dense one, whose labels try to be more than labels."""
    lines = [
        Series(
            f'\u202e</script>"]+x+["{"é漢字👩‍👩‍👧"[number % 6 :]} {number} and a long end of it',
            [float((number * 37 + place * 91) % 101) for place in range(places)],
            ["12 %"] * places,
            [(float(number), 100.0)] * places if shape == "intervals" else (),
        )
        for number in range(series)
    ]
    names = [f"<b>{place}\t{{'signal':'x'}}" for place in range(places)]
    return Chart(shape, "Title → of it", "of a project", names, lines, percent=True).fitting()


@drawn
async def test_dense_charts_of_every_shape_are_small_pictures_of_one_size() -> None:
    images = pytest.importorskip("PIL.Image")
    drawing = Drawing()
    charts = [*map(chart, SHAPES), chart("lines", places=2_000)]
    for picture in [await drawing.png(vega_lite(each)) for each in charts]:
        with images.open(io.BytesIO(picture)) as image:
            assert (image.format, image.size) == ("PNG", (900, 500))
            assert len(image.getcolors()) > 5
        assert len(picture) < 100_000


@drawn
async def test_others_go_on_while_a_chart_is_drawn() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await anyio.sleep(0.002)
            turns += 1

    async with anyio.create_task_group() as group:
        group.start_soon(count)
        await Drawing().png(vega_lite(chart("heat")))
        group.cancel_scope.cancel()
    assert turns > 10


@drawn
async def test_what_the_renderer_refuses_is_said_in_words() -> None:
    with pytest.raises(
        ToolFailure, match=r"No chart could be drawn\. .* The numbers are there all the same\."
    ):
        await Drawing().png({"mark": "nonsense"})


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (
            "no_renderer",
            'The renderer cannot be loaded: it is not there. Have `pip install "posthog-mcp[charts]"`',
        ),
        ("dying_renderer", "The renderer failed on it. The numbers are there all the same."),
    ],
)
async def test_a_renderer_that_is_not_there_or_dies_is_said_in_words(
    program: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(drawing, "_DRAWER", program)
    with pytest.raises(ToolFailure) as failure:
        await Drawing().png({})
    assert words in str(failure.value)


class Nothing(Input):
    """No arguments."""


@tool(area="project", access=Access.READ, title="Chart something", keys=())
async def chart_something(ctx: Context, args: Nothing) -> Table:
    """Give numbers with a chart of them."""
    del ctx, args
    return Table(about=[], columns=["n"], rows=[[7]], chart=chart("heat"))


async def test_numbers_whose_chart_cannot_be_drawn_are_answered_with_the_reason(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(drawing, "_DRAWER", "dying_renderer")
    async with Client(App(settings(), tools=[chart_something]).server()) as client:
        answer = await client.call_tool("chart_something", {})
    assert not answer.is_error
    [text] = answer.content
    assert isinstance(text, TextContent)
    assert text.text.startswith("No chart could be drawn. The renderer failed on it.")
    assert text.text.endswith("n\n7")


@pytest.mark.parametrize("installed", [True, False])
async def test_tools_offer_charts_only_where_the_extra_is_installed(
    installed: bool, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "available", lambda: installed)
    async with Client(App(settings(areas="all")).server()) as client:
        tools = (await client.list_tools()).tools
    offering = {tool.name for tool in tools if "chart" in tool.input_schema["properties"]}
    assert offering == (CHARTED if installed else set())


async def test_asked_for_a_chart_without_the_extra_a_tool_says_how_to_get_it(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "available", lambda: False)
    async with Client(App(settings()).server()) as client:
        answer = await client.call_tool("query_trends", {"series": "$pageview", "chart": True})
    assert answer.is_error
    assert isinstance(answer.content[0], TextContent)
    assert answer.content[0].text == (
        "query_trends did not run. `chart` cannot be chosen here: it needs "
        '`pip install "posthog-mcp[charts]"` where the server runs. Call again without `chart`.'
    )
