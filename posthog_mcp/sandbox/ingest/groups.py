"""Groups and their types: at most five types to a project, one row for each group that was identified."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from posthog_mcp.sandbox.ingest.text import dumps, quote
from posthog_mcp.sandbox.ingest.times import engine_text

if TYPE_CHECKING:
    from posthog_mcp.sandbox.ingest.people import Lines
    from posthog_mcp.sandbox.ingest.properties import JSON
    from posthog_mcp.sandbox.store import Store

TYPES: Final = 5

_SCHEMA = """
CREATE TABLE IF NOT EXISTS group_types (
    type_index INTEGER PRIMARY KEY, type TEXT NOT NULL UNIQUE, name_singular TEXT, name_plural TEXT,
    created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS groups (
    type_index INTEGER NOT NULL, key TEXT NOT NULL, properties TEXT NOT NULL, created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (type_index, key)
) WITHOUT ROWID;
"""
_COLUMNS: Final = "type_index, key, properties, created_at, updated_at, version"


@dataclass(frozen=True, slots=True)
class GroupType:
    """A kind of group: its place (0 to 4), its name in events, and how people call one and several."""

    index: int
    type: str
    name_singular: str | None
    name_plural: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """A group as stored; `created_at` is the time of its first `$groupidentify`, in UTC."""

    index: int
    key: str
    properties: JSON
    created_at: datetime
    updated_at: datetime
    version: int = 0


class Groups:
    """The groups of the project; changed inside the store's transaction, as `People` is."""

    def __init__(self, store: Store) -> None:
        """Create the tables where they are missing."""
        self._db = store.db
        self._db.executescript(_SCHEMA)
        self._types: dict[str, int] | None = None
        self._lines: list[str] = []

    def types(self) -> list[GroupType]:
        """The kinds of groups, by index."""
        rows = self._db.execute(
            "SELECT type_index, type, name_singular, name_plural, created_at FROM group_types ORDER BY 1"
        )
        return [GroupType(*row[:-1], created_at=datetime.fromisoformat(row[-1])) for row in rows]

    def index_of(self, name: str) -> int | None:
        """The index of a group type, or None."""
        if self._types is None:
            self._types = {each.type: each.index for each in self.types()}
        return self._types.get(name)

    def register(self, name: str, at: datetime) -> int | None:
        """The index of a type; a new one takes the lowest free index, None when all five are taken."""
        index = self.index_of(name)
        types = {} if self._types is None else self._types
        if index is None and len(types) < TYPES:
            index = min(set(range(TYPES)) - set(types.values()))
            self._db.execute(
                "INSERT INTO group_types (type_index, type, created_at) VALUES (?, ?, ?)",
                (index, name, at.isoformat()),
            )
            types[name] = index
        return index

    def rename(self, index: int, name_singular: str | None, name_plural: str | None) -> None:
        """Say how people call one and several of these groups."""
        self._db.execute(
            "UPDATE group_types SET name_singular = ?, name_plural = ? WHERE type_index = ?",
            (name_singular, name_plural, index),
        )

    def get(self, index: int, key: str) -> Group | None:
        """The group, if it was identified."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM groups WHERE type_index = ? AND key = ?",  # noqa: S608
            (index, key),
        ).fetchone()
        return _group(row) if row else None

    def search(
        self, index: int, text: str = "", *, limit: int = 100, offset: int = 0
    ) -> tuple[list[Group], int]:
        """Groups of a type, newest first, and how many there are.

        `text` is looked for in the key and the property `name`, in any case.
        """
        where = (
            "type_index = ? AND (? = '' OR instr(lower(key), ?) "
            "OR instr(lower(json_extract(properties, '$.name')), ?))"
        )
        needle = text.lower()
        values: list[Any] = [index, needle, needle, needle]
        (total,) = self._db.execute(f"SELECT count(*) FROM groups WHERE {where}", values).fetchone()  # noqa: S608
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM groups WHERE {where} ORDER BY created_at DESC, key LIMIT ? OFFSET ?",  # noqa: S608
            [*values, limit, offset],
        )
        return [_group(row) for row in rows], total

    def identify(self, index: int, key: str, properties: JSON, at: datetime) -> Group:
        """Create the group, or merge properties into it, key by key."""
        known = self.get(index, key)
        if known is None:
            return self.put(Group(index, key, properties, at, at))
        if all(
            name in known.properties and known.properties[name] == properties[name] for name in properties
        ):
            return known
        return self.put(replace(known, properties={**known.properties, **properties}, updated_at=at))

    def put(self, group: Group) -> Group:
        """Store a group whole, as its next version."""
        known = self.get(group.index, group.key)
        group = replace(group, version=known.version + 1 if known else 0)
        text = dumps(group.properties)
        self._db.execute(
            f"INSERT OR REPLACE INTO groups ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                group.index,
                group.key,
                text,
                group.created_at.isoformat(),
                group.updated_at.isoformat(),
                group.version,
            ),
        )
        self._lines.append(_line(group, text))
        return group

    def write(self) -> Lines:
        """The engine's rows of what changed."""
        lines, self._lines = self._lines, []
        return {"groups": lines} if lines else {}

    def forget(self) -> None:
        """Drop what is cached and what was not written."""
        self._types = None
        self._lines = []

    def mirror(self) -> Lines:
        """Every row the engine should have, from the truth."""
        lines: Lines = defaultdict(list)
        for row in self._db.execute(f"SELECT {_COLUMNS} FROM groups"):  # noqa: S608
            lines["groups"].append(_line(_group(row), row[2]))
        return lines


def _group(row: Any) -> Group:
    index, key, properties, created_at, updated_at, version = row
    return Group(
        index,
        key,
        json.loads(properties),
        datetime.fromisoformat(created_at),
        datetime.fromisoformat(updated_at),
        version,
    )


def _line(group: Group, text: str) -> str:
    return (
        f'{{"index":{group.index},"key":{quote(group.key)},"created_at":"{engine_text(group.created_at)}",'
        f'"updated_at":"{engine_text(group.updated_at)}","properties":{quote(text)},"version":{group.version}}}'
    )
