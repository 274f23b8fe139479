"""What a tool hands back: rows, one object, or words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from posthog_mcp.render.charts import Chart


@dataclass(slots=True)
class Table:
    """Rows with one set of columns, shown as text.

    Attributes:
        about: Sentences for the first lines: project, period, filters, freshness.
        columns: One name for each value of a row.
        rows: JSON values, in the order of the columns.
        total: How many rows there are in all, where PostHog says.
        more: Where rows follow those given: from the number of rows shown, the words that continue, such as
            `lambda shown: f"offset={shown}"`. Also used when the answer is cut.
        has_more: PostHog has further rows behind the last one given.
        outsiders: Names of the columns whose values outsiders can write.
        empty: What to say when there are no rows: likely causes, what to try.
        chart: A picture of the rows, sent beside the text.
    """

    about: list[str]
    columns: list[str]
    rows: Sequence[Sequence[Any]]
    total: int | None = None
    more: Callable[[int], str] | None = None
    has_more: bool = False
    outsiders: frozenset[str] = frozenset()
    empty: list[str] = field(default_factory=list[str])
    chart: Chart | None = None


@dataclass(slots=True)
class Record:
    """One object, shown as compact JSON in both halves of the result.

    Attributes:
        data: The fields that matter; absent ones left out.
        outsiders: Names of the top-level fields whose values outsiders can write.
    """

    data: dict[str, Any]
    outsiders: frozenset[str] = frozenset()


@dataclass(slots=True)
class Text:
    """Words of our own; `data` holds what outsiders wrote, shown below them and marked."""

    words: str
    data: str = ""


Result = Table | Record | Text


@dataclass(slots=True)
class Rendered:
    """A result ready to be sent: text, and for objects the same as structured content."""

    text: str
    structured: dict[str, Any] | None = None
