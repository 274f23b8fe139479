"""What tools share that add a chart to their answer."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from posthog_mcp.tool.arguments import NeedsExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthog_mcp.render import Chart, Table

Charted = Annotated[bool, NeedsExtra("charts"), Field(description="Add a picture, for people.")]
"""The argument that asks for a chart."""


def with_chart(table: Table, chart: Chart | None) -> Table:
    """The table with as much of the chart as can be told apart, and words on what it leaves out.

    Args:
        table: The answer.
        chart: Its picture; None where there is none for such an answer.
    """
    if chart is None or chart.empty:
        why = "such an answer has none" if chart is None else "there is nothing to draw"
        table.about.append(f"No chart: {why}.")
        return table
    table.chart = chart.fitting()
    shown, every = table.chart, chart
    counts = {
        "series": (len(shown.series), len(every.series)),
        "bars": (len(shown.places), len(every.places)),
    }
    left = [f"{some} of {whole} {what}" for what, (some, whole) in counts.items() if some < whole]
    if left:
        table.about.append(f"The chart has the largest {' and '.join(left)}; the table names the rest.")
    if table.outsiders:
        table.about.append("Labels in the chart are written by outsiders.")
    return table


def dates(days: Sequence[Any], interval: str) -> list[str]:
    """ISO dates as labels of an axis: `1 Mar`, `1 Mar 10:00`, `Mar 2026`.

    The year is there for months, and where there are several.
    """
    read = [datetime.fromisoformat(str(day)) for day in days]
    if interval == "month":
        return [f"{day:%b %Y}" for day in read]
    year = " %Y" if len({day.year for day in read}) > 1 else ""
    clock = " %H:%M" if interval in ("hour", "minute") else ""
    return [f"{day.day} {day:%b{year}{clock}}" for day in read]


def figure(value: Any) -> str:
    """A number as it is written at a bar: `12,345`; empty for none."""
    return f"{value:,}" if isinstance(value, int | float) else ""
