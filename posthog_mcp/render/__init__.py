"""Results to words, without input or output. Cleaned before it is cut, cut before it is fenced."""

from posthog_mcp.render.charts import Chart, Series
from posthog_mcp.render.record import dumps, record
from posthog_mcp.render.results import Record, Rendered, Result, Table, Text
from posthog_mcp.render.table import table_json, table_text
from posthog_mcp.render.vega import vega_lite
from posthog_mcp.safety import clean, fence

DEFAULT_LIMIT = 20_000
LARGEST_LIMIT = 50_000  # above it Claude Code hides a result behind a file

__all__ = [
    "DEFAULT_LIMIT",
    "LARGEST_LIMIT",
    "Chart",
    "Record",
    "Rendered",
    "Result",
    "Series",
    "Table",
    "Text",
    "render",
    "vega_lite",
]


def render(result: Result, *, limit: int = DEFAULT_LIMIT, as_json: bool = False) -> Rendered:
    """A tool's result as what a client is sent.

    Args:
        result: Rows, one object, or words.
        limit: The most characters of the text.
        as_json: Rows as `{about, columns, rows, next}` instead of a table.
    """
    if isinstance(result, Table):
        rendered = table_json(result, limit) if as_json else table_text(result, limit)
    elif isinstance(result, Record):
        rendered = record(result, limit)
    else:
        data = clean(result.data)[: limit - len(result.words)]
        rendered = Rendered(clean(result.words) + (f"\n{fence(data)}" if data else ""))
    if rendered.structured is not None:
        rendered.text = dumps(rendered.structured)
    return rendered
