"""Tables as text: what they are about, then the columns once, then rows separated by tabs."""

from collections.abc import Iterable
from typing import Any

from posthog_mcp.render.cells import cell
from posthog_mcp.render.columns import columns, how_to_read, lines, said_once
from posthog_mcp.render.results import Rendered, Table
from posthog_mcp.safety import clean, clean_value, fence

_ROOM_FOR_WORDS = 1_500  # of the limit, kept for the first and the last lines


def table_text(table: Table, limit: int) -> Rendered:
    """A table as text of at most about `limit` characters, cut at a whole row."""
    if not table.rows:
        hints = table.empty or ["Nothing matches. Widen the period or drop a filter."]
        return Rendered("\n".join([*_about(table), "No rows.", *map(clean, filter(None, hints))]))
    rows = table.rows[: limit // (2 * len(table.columns)) + 1]  # more fit only if cells are empty
    every = columns(table.columns, rows)
    shown = [column for column in every if not column.says_one_text] or every
    above = [
        *said_once([column for column in every if column not in shown]),
        "\t".join(column.name for column in shown),
    ]
    fitting = _fitting(
        lines(shown), max(limit - _ROOM_FOR_WORDS, limit // 2) - sum(map(len, above)), limit // 2
    )
    body = "\n".join(above + fitting)
    if table.outsiders:
        body = fence(body)
    cut = len(fitting) < len(table.rows)
    counts = _counts(table, len(fitting), cut=cut)
    return Rendered(
        "\n".join([*_about(table), counts, *how_to_read(shown), body, *([counts] if cut else [])])
    )


def table_json(table: Table, limit: int) -> Rendered:
    """The same table as one object: `about`, `columns`, `rows`, `next`, `written_by_outsiders`."""
    room = max(limit - _ROOM_FOR_WORDS, limit // 2)
    rows: list[Any] = []
    for row in table.rows:
        cleaned = clean_value(list(row))
        room -= len(repr(cleaned))
        if room < 0 and rows:
            break
        rows.append(cleaned)
    about = _about(table) + ([clean(hint) for hint in table.empty if hint] if not rows else [])
    data: dict[str, Any] = {
        "about": [*about, _counts(table, len(rows), cut=len(rows) < len(table.rows))],
        "columns": clean_value(table.columns),
        "rows": rows,
    }
    if table.more and (table.has_more or len(rows) < len(table.rows)):
        data["next"] = table.more(len(rows))
    if table.outsiders:
        data["written_by_outsiders"] = [name for name in table.columns if name in table.outsiders]
    return Rendered("", data)


def _about(table: Table) -> list[str]:
    return [clean(sentence).replace("\n", " ") for sentence in table.about if sentence]


def _fitting(rows: Iterable[str], room: int, longest: int) -> list[str]:
    """As many rows as `room` has characters for, at least one, none over `longest` of them."""
    fitting: list[str] = []
    for row in rows:
        room -= len(row) + 1
        if room < 0 and fitting:
            break
        fitting.append(row[:longest])
    return fitting


def _counts(table: Table, shown: int, *, cut: bool) -> str:
    known = table.total if table.total is not None else len(table.rows) if not table.has_more else None
    words = (
        f"{shown} rows."
        if shown == known and not cut
        else f"{shown} of {known if known is not None else 'more'} rows."
    )
    if shown == 1 and known == 1:
        words = "1 row."
    if table.outsiders:
        named = ", ".join(cell(name) for name in table.columns if name in table.outsiders)
        words += f" Written by outsiders: {named}."
    if cut:
        words += " Cut to fit."
    if cut or table.has_more or (table.total is not None and shown < table.total):
        words += (
            f" For the rest: {table.more(shown)}"
            if table.more
            else " For the rest: ask for fewer columns or a narrower filter."
        )
    return words
