"""TOML, changed in place: one table is written anew, everything else stays as it is."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, time
from typing import Any, cast

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = re.compile(r"\s*\[\[?([^\]]+)\]")


def put(text: str, path: list[str], table: dict[str, Any]) -> str:
    """The text with one table replaced, or added at the end.

    Only tables with headers of their own are found; whoever calls compares what the result says with what it
    should say.

    Args:
        text: TOML that can be read.
        path: The names of the table's header.
        table: What it says; objects in it become tables of their own.
    """
    lines = text.splitlines(keepends=True)
    heads = [place for place, line in enumerate(lines) if _HEADER.match(line)]
    ours = [place for place in heads if _names(lines[place])[: len(path)] == path]
    written = _written(path, table)
    if not ours:
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        return f"{text}{gap}{written}"
    kept: list[str] = []
    place = 0
    while place < len(lines):
        if place not in ours:
            kept.append(lines[place])
            place += 1
            continue
        if place == ours[0]:
            kept.append(written)
        place = _end(lines, place, heads)
    return "".join(kept)


def _end(lines: list[str], head: int, heads: list[int]) -> int:
    """Where a table ends: comments in front of the next header belong to that one."""
    end = next((place for place in heads if place > head), len(lines))
    while end > head + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _names(header: str) -> list[str]:
    found = _HEADER.match(header)
    return [part.strip().strip("\"'") for part in found[1].split(".")] if found else []


def _written(path: list[str], table: dict[str, Any]) -> str:
    tables: dict[str, dict[str, Any]] = {
        name: value for name, value in table.items() if isinstance(value, dict)
    }
    lines = [f"[{'.'.join(map(_name, path))}]"]
    lines += [f"{_name(name)} = {_value(value)}" for name, value in table.items() if name not in tables]
    text = "\n".join(lines) + "\n"
    for name, value in tables.items():
        text += "\n" + _written([*path, name], value)
    return text


def _name(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return f"{{{', '.join(f'{_name(name)} = {_value(member)}' for name, member in members)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, cast('list[Any]', value)))}]"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    # JSON's texts, numbers and booleans are TOML's too
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
