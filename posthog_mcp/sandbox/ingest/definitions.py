"""Event and property definitions: the names and types the project has seen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from posthog_mcp.sandbox.ingest.properties import JSON, as_object
from posthog_mcp.sandbox.ingest.property_types import PropertyType, detect
from posthog_mcp.sandbox.ingest.times import hour_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posthog_mcp.sandbox.store import Store

Kind = Literal["event", "person", "group"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event_definitions (
    name TEXT PRIMARY KEY, created_at TEXT NOT NULL, last_seen_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS property_definitions (
    kind TEXT NOT NULL, group_index INTEGER NOT NULL, name TEXT NOT NULL, property_type TEXT,
    PRIMARY KEY (kind, group_index, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event_properties (
    event TEXT NOT NULL, property TEXT NOT NULL, PRIMARY KEY (event, property)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_of_a_property ON event_properties (property);
"""
_UNDEFINED: Final = frozenset({
    "$set", "$set_once", "$unset", "$groups", "$group_0", "$group_1", "$group_2", "$group_3", "$group_4",
})  # fmt: skip
_UNPAIRED: Final = "$feature/"
_LONGEST_NAME: Final = 200
_CACHED: Final = 200_000
_EVENTS_CACHED: Final = 20_000
_NO_GROUP: Final = -1
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class EventDefinition:
    """An event's name, when it was first seen, and when last (floored to the hour), in UTC."""

    name: str
    created_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class PropertyDefinition:
    """A property's name and type (None while only null, lists and objects were seen).

    `group_index` is set for properties of groups alone.
    """

    name: str
    kind: Kind
    property_type: PropertyType | None
    group_index: int | None = None


class Definitions:
    """What names and types the project has seen; changed inside the store's transaction, as `People` is.

    Every event passes here, so what is known is remembered: names are looked up in sets, and only news reach
    the store.
    """

    def __init__(self, store: Store) -> None:
        """Create the tables where they are missing."""
        self._db = store.db
        self._db.executescript(_SCHEMA)
        self._last_seen: dict[str, datetime] = {}
        # Names that need no further look, by event and by ("person", -1) or ("group", index).
        self._settled: dict[Any, set[str]] = defaultdict(lambda: set(_UNDEFINED))

    # -- taking note

    def note(self, event: str, properties: JSON, now: datetime) -> None:
        """Take note of an event as it is stored."""
        last_seen = self._last_seen.get(event)
        if last_seen is None or now - last_seen >= _HOUR:
            self._note_event(event, now)
        if event == "$groupidentify":
            return
        settled = self._settled[event]
        if not settled.issuperset(properties):
            self._note_properties(event, settled, properties, now)
        for key in ("$set", "$set_once"):
            if key in properties:
                self.note_values("person", _NO_GROUP, as_object(properties[key]), now)

    def note_values(self, kind: Kind, group_index: int, values: JSON, now: datetime) -> None:
        """Take note of properties of persons (`group_index` -1) or of groups."""
        settled = self._settled[kind, group_index]
        if settled.issuperset(values):
            return
        for name, value in values.items():
            if name not in settled and self._define(kind, group_index, name, value, now):
                settled.add(name)

    def _note_event(self, event: str, now: datetime) -> None:
        if len(self._last_seen) >= _EVENTS_CACHED:
            self.forget()
        if not _has_definition(event):
            return
        hour = hour_of(now)
        self._last_seen[event] = hour
        self._db.execute(
            "INSERT INTO event_definitions VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
            "last_seen_at = max(last_seen_at, excluded.last_seen_at)",
            (event, now.isoformat(), hour.isoformat()),
        )

    def _note_properties(self, event: str, settled: set[str], properties: JSON, now: datetime) -> None:
        if len(settled) > _CACHED:
            settled.intersection_update(_UNDEFINED)
        paired = _has_definition(event)
        for name, value in properties.items():
            if name in settled:
                continue
            if self._define("event", _NO_GROUP, name, value, now):
                settled.add(name)
            if paired and _has_definition(name) and not name.startswith(_UNPAIRED):
                self._db.execute("INSERT OR IGNORE INTO event_properties VALUES (?, ?)", (event, name))

    def _define(self, kind: Kind, group_index: int, name: str, value: Any, now: datetime) -> bool:
        """Store a definition; whether nothing more can be learned about it."""
        if not _has_definition(name):
            return True
        seen = detect(name, value, now.timestamp())
        self._db.execute(
            "INSERT INTO property_definitions VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "property_type = excluded.property_type WHERE property_type IS NULL",
            (kind, group_index, name, seen),
        )
        return seen is not None

    def forget(self) -> None:
        """Drop what is remembered."""
        self._last_seen.clear()
        self._settled.clear()

    # -- reading

    def property_type(self, kind: Kind, name: str, group_index: int | None = None) -> PropertyType | None:
        """The type of a property, None when it is unknown or has none yet."""
        row = self._db.execute(
            "SELECT property_type FROM property_definitions WHERE kind = ? AND group_index = ? AND name = ?",
            (kind, _NO_GROUP if group_index is None else group_index, name),
        ).fetchone()
        return row[0] if row else None

    def property_types(self) -> dict[tuple[Kind, int, str], PropertyType]:
        """Every known type by kind, group index (-1 for events and persons) and name."""
        rows = self._db.execute(
            "SELECT kind, group_index, name, property_type FROM property_definitions "
            "WHERE property_type IS NOT NULL"
        )
        return {(kind, index, name): type_ for kind, index, name, type_ in rows}

    def events(
        self, search: str = "", *, limit: int = 100, offset: int = 0
    ) -> tuple[list[EventDefinition], int]:
        """Event definitions by name, and how many there are; `search` is part of the name, in any case."""
        where, values = "instr(lower(name), ?)", [search.lower()]
        (total,) = self._db.execute(
            f"SELECT count(*) FROM event_definitions WHERE {where}",  # noqa: S608
            values,
        ).fetchone()
        rows = self._db.execute(
            f"SELECT name, created_at, last_seen_at FROM event_definitions WHERE {where} "  # noqa: S608
            "ORDER BY name LIMIT ? OFFSET ?",
            [*values, limit, offset],
        )
        parse = datetime.fromisoformat
        return [EventDefinition(name, parse(first), parse(last)) for name, first, last in rows], total

    def properties(
        self,
        kind: Kind = "event",
        search: str = "",
        *,
        group_index: int | None = None,
        names: Iterable[str] | None = None,
        events: Iterable[str] | None = None,
        numerical: bool | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[PropertyDefinition], int]:
        """Property definitions by name, and how many there are.

        Args:
            kind: Of events, persons or groups.
            search: Part of the name, in any case.
            group_index: Only those of this type of group.
            names: Only these.
            events: Only those seen on one of these events.
            numerical: Only those with (True) or without (False) the type Numeric.
            limit: At most this many.
            offset: Skip this many.
        """
        where, values = "kind = ? AND instr(lower(name), ?)", [kind, search.lower()]
        if group_index is not None:
            where, values = f"{where} AND group_index = ?", [*values, group_index]
        if names is not None:
            some = list(names)
            where, values = f"{where} AND name IN ({_marks(some)})", [*values, *some]
        if events is not None:
            some = list(events)
            where += f" AND name IN (SELECT property FROM event_properties WHERE event IN ({_marks(some)}))"  # noqa: S608
            values = [*values, *some]
        if numerical is not None:
            where += f" AND property_type IS {'' if numerical else 'NOT '}'Numeric'"
        (total,) = self._db.execute(
            f"SELECT count(*) FROM property_definitions WHERE {where}",  # noqa: S608
            values,
        ).fetchone()
        rows = self._db.execute(
            f"SELECT name, kind, property_type, group_index FROM property_definitions WHERE {where} "  # noqa: S608
            "ORDER BY name, group_index LIMIT ? OFFSET ?",
            [*values, limit, offset],
        )
        return [_property(row) for row in rows], total

    def set_type(self, kind: Kind, name: str, property_type: PropertyType | None) -> None:
        """Correct the type of a property."""
        assert property_type is None or property_type in get_args(PropertyType)  # noqa: S101 - own callers
        self._db.execute(
            "UPDATE property_definitions SET property_type = ? WHERE kind = ? AND name = ?",
            (property_type, kind, name),
        )


def _property(row: Any) -> PropertyDefinition:
    name, kind, property_type, group_index = row
    return PropertyDefinition(name, kind, property_type, None if group_index == _NO_GROUP else group_index)


def _has_definition(name: str) -> bool:
    if not 0 < len(name) <= _LONGEST_NAME:
        return False
    if name.isascii():
        return True
    try:
        return len(name.encode()) <= _LONGEST_NAME
    except UnicodeEncodeError:  # half of a surrogate pair: no text the store could hold
        return False


def _marks(values: list[str]) -> str:
    return ",".join("?" * len(values))
