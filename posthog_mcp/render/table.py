"""Tables as text: what they are about, then the columns once, then rows separated by tabs."""

from collections.abc import Iterator
from typing import Any

from posthog_mcp.render.cells import cell, digits_needed, line, time_to
from posthog_mcp.render.results import Rendered, Table
from posthog_mcp.safety import clean, clean_value, fence

_ROOM_FOR_WORDS = 1_500  # of the limit, kept for the first and the last lines


def table_text(table: Table, limit: int) -> Rendered:
    """A table as text of at most about `limit` characters, cut at a whole row."""
    if not table.rows:
        hints = table.empty or ["Nothing matches. Widen the period or drop a filter."]
        return Rendered("\n".join([*_about(table), "No rows.", *map(clean, hints)]))
    body = "\t".join(map(cell, table.columns))
    lines = [body]
    room = max(limit - _ROOM_FOR_WORDS, limit // 2) - len(body)
    shown = 0
    for text in _lines(table, limit):
        room -= len(text) + 1
        if room < 0 and shown:
            break
        lines.append(text[: limit // 2])
        shown += 1
    body = "\n".join(lines)
    if table.outsiders:
        body = fence(body)
    counts = _counts(table, shown, cut=shown < len(table.rows))
    return Rendered("\n".join([*_about(table), counts, body, *([counts] if shown < len(table.rows) else [])]))


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
    about = _about(table) + ([clean(hint) for hint in table.empty] if not rows else [])
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


def _lines(table: Table, limit: int) -> Iterator[str]:
    # A row with a time takes its twenty characters and a separator for each column: no more rows fit.
    possible = min(limit // (20 + len(table.columns)) + 1, len(table.rows))
    needed = {index: digits_needed(table.rows, index, possible) for index in range(len(table.columns))}
    shorter = {index: digits for index, digits in needed.items() if digits is not None}
    for row in table.rows:
        if shorter:
            row = list(row)  # noqa: PLW2901 - the caller's row stays as it is
            for index, digits in shorter.items():
                row[index] = time_to(row[index], digits)
        yield line(row)


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
