"""Persons and their distinct ids: SQLite holds the truth, the engine a mirror of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from posthog_mcp.sandbox.ingest.person import Person, uuid_of
from posthog_mcp.sandbox.ingest.text import quote, whole
from posthog_mcp.sandbox.ingest.times import engine_text

if TYPE_CHECKING:
    from posthog_mcp.sandbox.store import Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS persons (
    id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL, properties TEXT NOT NULL,
    is_identified INTEGER NOT NULL, version INTEGER NOT NULL, is_deleted INTEGER NOT NULL, last_seen_at TEXT
);
CREATE TABLE IF NOT EXISTS person_distinct_ids (
    id INTEGER PRIMARY KEY, distinct_id TEXT NOT NULL UNIQUE, person_uuid TEXT NOT NULL,
    version INTEGER NOT NULL, is_deleted INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS distinct_ids_of_a_person ON person_distinct_ids (person_uuid);
CREATE TABLE IF NOT EXISTS personless_distinct_ids (distinct_id TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_PERSON_COLUMNS: Final = "p.uuid, p.created_at, p.properties, p.is_identified, p.version, p.last_seen_at"
_UPSERT_PERSON: Final = """
INSERT INTO persons (uuid, created_at, properties, is_identified, version, is_deleted, last_seen_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (uuid) DO UPDATE SET created_at = excluded.created_at, properties = excluded.properties,
is_identified = excluded.is_identified, version = excluded.version, is_deleted = excluded.is_deleted,
last_seen_at = excluded.last_seen_at
"""
_MATCHES: Final = """(
instr(lower(json_extract(p.properties, '$.name')), ?)
OR instr(lower(json_extract(p.properties, '$.email')), ?) OR instr(p.uuid, ?) OR EXISTS (
    SELECT 1 FROM person_distinct_ids d
    WHERE d.person_uuid = p.uuid AND NOT d.is_deleted AND instr(lower(d.distinct_id), ?)
))"""
_CACHED: Final = 100_000
_AT_ONCE: Final = 500
_DELETED: Final = 100
"""What PostHog adds to the version of what it deletes, so that no late write brings it back."""

Lines = dict[str, list[str]]
"""JSON lines by name of the engine's table."""


class People:
    """The persons of the project.

    Changes are made inside the store's transaction and kept here until `write` stores them; `Ingest` does
    both. `forget` drops everything cached, which is what a rolled back transaction needs.
    """

    def __init__(self, store: Store, project_id: int) -> None:
        """Create the tables where they are missing."""
        self._store = store
        self._db = store.db
        self._db.executescript(_SCHEMA)
        self.project_id = project_id
        self._persons: dict[str, Person] = {}
        self._ids: dict[str, str | None] = {}
        self._personless: set[str] = set()
        self._changed: dict[str, Person] = {}
        self._lines: Lines = defaultdict(list)

    # -- reading

    def person_of(self, distinct_id: str) -> Person | None:
        """The person with that distinct id."""
        if distinct_id not in self._ids:
            distinct_id = whole(distinct_id)
            self.load([distinct_id])
        uuid = self._ids[distinct_id]
        return None if uuid is None else self.get(uuid)

    def get(self, uuid: str) -> Person | None:
        """The person with that uuid, in lower case with hyphens."""
        person = self._persons.get(uuid)
        if person is None:
            row = self._db.execute(
                f"SELECT {_PERSON_COLUMNS} FROM persons p WHERE uuid = ? AND NOT is_deleted",  # noqa: S608
                (uuid,),
            ).fetchone()
            person = self._remember(row) if row else None
        return person

    def distinct_ids(self, uuid: str) -> list[str]:
        """The distinct ids of a person, in the order they came."""
        rows = self._db.execute(
            "SELECT distinct_id FROM person_distinct_ids "
            "WHERE person_uuid = ? AND NOT is_deleted ORDER BY id",
            (uuid,),
        )
        return [row[0] for row in rows]

    def search(
        self,
        text: str = "",
        *,
        distinct_id: str | None = None,
        email: str | None = None,
        uuids: Iterable[str] | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[Person], int]:
        """Persons, newest first, and how many there are in all.

        Args:
            text: Part of the name, email, a distinct id or the uuid, in any case.
            distinct_id: Only the person with exactly this id.
            email: Only persons with exactly this email, in any case.
            uuids: Only these.
            limit: At most this many.
            offset: Skip this many.
        """
        where, values = ["NOT p.is_deleted"], list[Any]()
        if text:
            where.append(_MATCHES)
            values += [text.lower()] * 4
        if distinct_id is not None:
            where.append("p.uuid IN (SELECT person_uuid FROM person_distinct_ids WHERE distinct_id = ?)")
            values.append(distinct_id)
        if email is not None:
            where.append("lower(json_extract(p.properties, '$.email')) = ?")
            values.append(email.lower())
        if uuids is not None:
            where.append("p.uuid IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(uuids)))
        found = f"FROM persons p WHERE {' AND '.join(where)}"
        (total,) = self._db.execute(f"SELECT count(*) {found}", values).fetchone()
        rows = self._db.execute(
            f"SELECT {_PERSON_COLUMNS} {found} ORDER BY p.created_at DESC, p.id DESC LIMIT ? OFFSET ?",
            [*values, limit, offset],
        ).fetchall()
        return [self._persons.get(row[0]) or self._remember(row) for row in rows], total

    def load(self, distinct_ids: Iterable[str]) -> None:
        """Read the persons of many distinct ids at once into the cache."""
        missing = [each for each in distinct_ids if each not in self._ids]
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = self._db.execute(
                f"SELECT d.distinct_id, {_PERSON_COLUMNS} FROM person_distinct_ids d "  # noqa: S608
                "JOIN persons p ON p.uuid = d.person_uuid "
                f"WHERE NOT d.is_deleted AND d.distinct_id IN ({marks})",
                some,
            )
            self._ids.update(dict.fromkeys(some))
            for distinct_id, *row in rows:
                self._ids[distinct_id] = (self._persons.get(row[0]) or self._remember(row)).uuid

    def was_personless(self, distinct_id: str) -> bool:
        """Whether an event of that id was stored before any person had it."""
        row = self._db.execute("SELECT 1 FROM personless_distinct_ids WHERE distinct_id = ?", (distinct_id,))
        return row.fetchone() is not None

    # -- changing

    def create(self, distinct_ids: list[str], created_at: datetime, properties: dict[str, Any]) -> Person:
        """Make a person of one or more ids; the first gives the uuid."""
        uuid = uuid_of(self.project_id, distinct_ids[0])
        return self.create_as(uuid, distinct_ids, created_at, properties)

    def create_as(
        self, uuid: str, distinct_ids: list[str], created_at: datetime, properties: dict[str, Any]
    ) -> Person:
        """Make a person under a uuid; one that was deleted under it comes back empty."""
        row = self._db.execute("SELECT version FROM persons WHERE uuid = ?", (uuid,)).fetchone()
        person = Person(uuid, created_at, {}, version=row[0] + 1 if row else 0)
        person.see(created_at)
        if not person.replace_properties(properties):
            person.replace_properties({"$creator_event_uuid": properties.get("$creator_event_uuid")})
        self._persons[uuid] = self._changed[uuid] = person
        for distinct_id in distinct_ids:
            self.add_id(person, distinct_id)
        return person

    def add_id(self, person: Person, distinct_id: str) -> None:
        """Give a person an id that has no person.

        Events stored under the id before now, without a person or with one deleted since, follow through an
        override when their person id is another.
        """
        uuid = uuid_of(self.project_id, distinct_id)
        moved = int(uuid != person.uuid and self.was_personless(distinct_id))
        (version,) = self._db.execute(
            "INSERT INTO person_distinct_ids (distinct_id, person_uuid, version, is_deleted) "
            "VALUES (?, ?, ?, 0) "
            "ON CONFLICT (distinct_id) DO UPDATE SET person_uuid = excluded.person_uuid, "
            "version = version + 1, is_deleted = 0 RETURNING version",
            (distinct_id, person.uuid, moved),
        ).fetchone()
        self._ids[distinct_id] = person.uuid
        self._mirror_id(distinct_id, person.uuid, version)

    def changed(self, person: Person) -> None:
        """Note that a person's fields were changed."""
        person.version += 1
        self._changed[person.uuid] = person

    def move_ids(self, distinct_ids: list[str], into: Person) -> None:
        """Give ids that have a person to another one."""
        for distinct_id in distinct_ids:
            (version,) = self._db.execute(
                "UPDATE person_distinct_ids SET person_uuid = ?, version = version + 1 "
                "WHERE distinct_id = ? RETURNING version",
                (into.uuid, distinct_id),
            ).fetchone()
            self._ids[distinct_id] = into.uuid
            self._mirror_id(distinct_id, into.uuid, version)

    def delete(self, person: Person) -> None:
        """Delete a person and the ids it still has. Its events stay."""
        for distinct_id in self.distinct_ids(person.uuid):
            (version,) = self._db.execute(
                "UPDATE person_distinct_ids SET is_deleted = 1, version = version + ? "
                "WHERE distinct_id = ? RETURNING version",
                (_DELETED, distinct_id),
            ).fetchone()
            self._ids[distinct_id] = None
            self._mirror_id(distinct_id, person.uuid, version, deleted=True)
        person.version += _DELETED
        self._persons.pop(person.uuid, None)
        self._changed.pop(person.uuid, None)
        self._store_persons([person], deleted=True)

    def note_personless(self, distinct_id: str) -> None:
        """Remember that an event of this id was stored without a person."""
        if distinct_id not in self._personless:
            self._personless.add(distinct_id)
            self._db.execute("INSERT OR IGNORE INTO personless_distinct_ids VALUES (?)", (distinct_id,))

    # -- keeping

    def write(self) -> Lines:
        """Store what changed; the engine's rows of it."""
        if self._changed:
            self._store_persons(self._changed.values(), deleted=False)
            self._changed = {}
        lines, self._lines = self._lines, defaultdict(list)
        if len(self._ids) > _CACHED or len(self._persons) > _CACHED:
            self.forget()
        if len(self._personless) > _CACHED:
            self._personless.clear()
        return lines

    def forget(self) -> None:
        """Drop the cache, and with it every change that was not written."""
        self._persons.clear()
        self._ids.clear()
        self._personless.clear()
        self._changed.clear()
        self._lines.clear()

    def mirror(self) -> Lines:
        """Every row the engine should have, from the truth."""
        lines: Lines = {"persons": [], "person_distinct_ids": [], "person_distinct_id_overrides": []}
        for row in self._db.execute(f"SELECT {_PERSON_COLUMNS}, is_deleted FROM persons p"):  # noqa: S608
            lines["persons"].append(_person_line(_person(row), deleted=bool(row[-1])))
        rows = self._db.execute(
            "SELECT distinct_id, person_uuid, version, is_deleted FROM person_distinct_ids"
        )
        for distinct_id, uuid, version, deleted in rows:
            lines["person_distinct_ids"].append(_id_line(distinct_id, uuid, version, deleted=bool(deleted)))
            if version > 0:
                lines["person_distinct_id_overrides"].append(_override_line(distinct_id, uuid, version))
        return lines

    def _store_persons(self, persons: Iterable[Person], *, deleted: bool) -> None:
        rows: list[tuple[Any, ...]] = []
        for person in persons:
            seen = person.last_seen_at and person.last_seen_at.isoformat()
            rows.append((
                person.uuid, person.created_at.isoformat(), "{}" if deleted else person.text(),
                person.is_identified, person.version, deleted, seen,
            ))  # fmt: skip
            self._lines["persons"].append(_person_line(person, deleted=deleted))
        self._db.executemany(
            _UPSERT_PERSON,
            rows,
        )

    def _mirror_id(self, distinct_id: str, uuid: str, version: int, *, deleted: bool = False) -> None:
        self._lines["person_distinct_ids"].append(_id_line(distinct_id, uuid, version, deleted=deleted))
        if version > 0:
            self._lines["person_distinct_id_overrides"].append(_override_line(distinct_id, uuid, version))

    def _remember(self, row: Any) -> Person:
        person = self._persons[row[0]] = _person(row)
        return person


def _person(row: Any) -> Person:
    uuid, created_at, properties, is_identified, version, seen, *_ = row
    return Person(
        uuid,
        datetime.fromisoformat(created_at),
        json.loads(properties),
        is_identified=bool(is_identified),
        version=version,
        last_seen_at=datetime.fromisoformat(seen) if seen else None,
    )


def _person_line(person: Person, *, deleted: bool) -> str:
    seen = "null" if person.last_seen_at is None else f'"{engine_text(person.last_seen_at)}"'
    return (
        f'{{"id":"{person.uuid}","created_at":"{person.born()}",'
        f'"properties":{quote("{}") if deleted else person.quoted()},'
        f'"is_identified":{"true" if person.is_identified else "false"},"version":{person.version},'
        f'"is_deleted":{int(deleted)},"last_seen_at":{seen}}}'
    )


def _id_line(distinct_id: str, uuid: str, version: int, *, deleted: bool) -> str:
    return (
        f'{{"distinct_id":{quote(distinct_id)},"person_id":"{uuid}","version":{version},'
        f'"is_deleted":{int(deleted)}}}'
    )


def _override_line(distinct_id: str, uuid: str, version: int) -> str:
    return f'{{"distinct_id":{quote(distinct_id)},"person_id":"{uuid}","version":{version}}}'
