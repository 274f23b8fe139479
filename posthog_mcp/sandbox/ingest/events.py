"""One event after the other: who it belongs to, what it changes, and its row."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from posthog_mcp.sandbox.ingest import times
from posthog_mcp.sandbox.ingest.ai_events import describe_ai
from posthog_mcp.sandbox.ingest.exceptions import describe_exception
from posthog_mcp.sandbox.ingest.merging import MERGE_EVENTS, Merge, named_id
from posthog_mcp.sandbox.ingest.person import Person, Update, uuid_of
from posthog_mcp.sandbox.ingest.properties import (
    JSON,
    as_object,
    lift_person_properties,
    make_personless,
    move_top_level,
    take_elements_chain,
    tidy,
)
from posthog_mcp.sandbox.ingest.seen import key_of
from posthog_mcp.sandbox.ingest.text import dumps, quote, whole

if TYPE_CHECKING:
    from posthog_mcp.sandbox.errors.issues import Issues
    from posthog_mcp.sandbox.ingest.definitions import Definitions
    from posthog_mcp.sandbox.ingest.groups import Groups
    from posthog_mcp.sandbox.ingest.merging import Merging
    from posthog_mcp.sandbox.ingest.people import People
    from posthog_mcp.sandbox.ingest.seen import Seen
    from posthog_mcp.sandbox.ingest.warnings import Warnings
    from posthog_mcp.sandbox.project import Project

_LONGEST_ID: Final = 400
_LONGEST_NAME: Final = 200
_NEW_PERSON: Final = timedelta(minutes=1)
_CLIENT_WARNING: Final = "$$client_ingestion_warning"
_PROCESS: Final = "$process_person_profile"
_NO_PROPERTIES: Final = '"{}"'
_NEVER: Final = times.engine_text(times.NO_PERSON)
_TEXT_COLUMNS: Final = (
    "$session_id", "$window_id", "$group_0", "$group_1", "$group_2", "$group_3", "$group_4",
)  # fmt: skip
_OPTIONAL: Final = frozenset({*_TEXT_COLUMNS, "$elements", "$elements_chain"})
_NO_UPDATE: Final = Update({}, {}, [])


@dataclass(slots=True)
class RawEvent:
    """An event as capture took it.

    Attributes:
        event: Its name.
        distinct_id: Who, as the client wrote it.
        properties: A JSON object. Ingestion does not change it.
        uuid: In canonical form; None lets the server make one.
        timestamp: The client's text, or a time in UTC; None is the time of receipt.
        sent_at: The client's clock at sending, in UTC.
        offset: Milliseconds before the time of receipt, in place of a timestamp.
        set: `$set` written beside `properties`.
        set_once: `$set_once` written beside `properties`.
        received_at: The server's time of receipt, in UTC; None is the time of ingestion.
        ip: The client's address.
    """

    event: str
    distinct_id: str
    properties: JSON = field(default_factory=dict[str, Any])
    uuid: str | None = None
    timestamp: str | datetime | None = None
    sent_at: datetime | None = None
    offset: int | None = None
    set: JSON | None = None
    set_once: JSON | None = None
    received_at: datetime | None = None
    ip: str | None = None


@dataclass(slots=True)
class _Owner:
    """Whose an event is, as its row says it."""

    uuid: str
    properties: str = _NO_PROPERTIES
    created_at: str = _NEVER
    mode: str = "full"


class Processor:
    """Turns raw events into rows, changing persons, groups and definitions on the way.

    To be used inside the store's transaction.
    """

    def __init__(
        self,
        *,
        project: Project,
        people: People,
        merging: Merging,
        groups: Groups,
        definitions: Definitions,
        issues: Issues,
        seen: Seen,
        warnings: Warnings,
    ) -> None:
        self._project = project
        self._people = people
        self._merging = merging
        self._groups = groups
        self._definitions = definitions
        self._issues = issues
        self._seen = seen
        self._warnings = warnings
        self._sent_at: tuple[datetime | None, str] = (None, "")

    def rows(self, events: list[RawEvent], now: datetime) -> list[str]:
        """The rows to store for these events, in order, as JSON lines; none for an event that is dropped.

        Args:
            events: In order of arrival.
            now: The server's time, in UTC.
        """
        self._people.load({whole(event.distinct_id) for event in events})
        written = times.engine_text(now)
        rows: list[str] = []
        for event in events:
            row = self._row(event, now, written)
            if row is not None:
                rows.append(row)
        return rows

    def _row(self, raw: RawEvent, now: datetime, written: str) -> str | None:
        if raw.uuid is not None and not self._seen.first_time(_key(raw)):
            return None
        if raw.event == _CLIENT_WARNING:
            text = raw.properties.get("$$client_ingestion_warning_message")
            self._warnings.warn("client_ingestion_warning", now, distinctId=raw.distinct_id, message=text)
            return None
        distinct_id = whole(raw.distinct_id)
        if len(distinct_id) > _LONGEST_ID:
            self._warnings.warn("distinct_id_too_long", now, distinctId=distinct_id[:_LONGEST_ID])
            return None
        name = whole(raw.event)[:_LONGEST_NAME]
        received = raw.received_at or now
        uuid = raw.uuid or new_uuid(received)
        properties = dict(raw.properties)
        at = _time(raw, properties, received)
        self._normalize(raw, properties)
        describe_ai(name, properties)
        if name == "$exception":
            describe_exception(properties, self._project.id)
            if not self._issues.take(properties, at):
                return None
        if self._is_personful(properties, uuid, now):
            properties.pop(_PROCESS, None)
            owner = self._personful(name, distinct_id, uuid, at, properties)
        else:
            owner = self._personless(name, distinct_id, uuid, at, properties)
        if owner is None:
            return None
        columns = _optional_columns(properties)
        self._definitions.note(name, properties, now)
        return (
            f'{{"uuid":"{uuid}","event":{quote(name)},"timestamp":"{times.engine_text(at)}",'
            f'"distinct_id":{quote(distinct_id)},"person_id":"{owner.uuid}","properties":{quote(dumps(properties))},'
            f'"person_properties":{owner.properties},"person_created_at":"{owner.created_at}",'
            f'"person_mode":"{owner.mode}",{columns}"created_at":"{written}","inserted_at":"{written}"}}'
        )

    def _normalize(self, raw: RawEvent, properties: JSON) -> None:
        move_top_level(properties, raw.set, raw.set_once)
        if self._project.settings.get("anonymize_ips"):
            properties.pop("$ip", None)
        elif raw.ip and "$ip" not in properties:
            properties["$ip"] = raw.ip
        if raw.sent_at is not None:
            if raw.sent_at is not self._sent_at[0]:  # one for all events of a request
                self._sent_at = (raw.sent_at, times.iso_text(raw.sent_at))
            properties["$sent_at"] = self._sent_at[1]
        tidy(properties)

    def _is_personful(self, properties: JSON, uuid: str, now: datetime) -> bool:
        wish = properties.get(_PROCESS, True)
        if not isinstance(wish, bool):
            self._warnings.warn("invalid_process_person_profile", now, eventUuid=uuid, value=wish)
            return True
        return wish

    # -- events with a person

    def _personful(
        self, name: str, distinct_id: str, uuid: str, at: datetime, properties: JSON
    ) -> _Owner | None:
        if name == "$groupidentify":
            for key in ("$set", "$set_once", "$unset"):
                properties.pop(key, None)
            if not self._identify_group(uuid, at, properties):
                return None
        else:
            lift_person_properties(properties)
        if name == "survey shown":
            seen = {"$survey_last_seen_date": times.iso_text(at)}
            properties["$set"] = {**as_object(properties.get("$set")), **seen}
        update = _update(properties)
        person = None
        if name in MERGE_EVENTS and (origin := named_id(name, properties)) is not None:
            if not isinstance(origin, str) or len(origin) > _LONGEST_ID:
                self._warnings.warn("invalid_merge_distinct_id", at, eventUuid=uuid, distinctId=distinct_id)
                return None
            person = self._merging.merge(Merge(name, uuid, distinct_id, whole(origin), at, update))
        person = person or self._people.person_of(distinct_id)
        if person is None:
            person = self._people.create([distinct_id], at, update.initial(uuid))
        else:
            self._update(person, update, name, at, properties)
        if "$groups" in properties:
            self._name_groups(properties, at)
        return _Owner(person.uuid, _seen_properties(person, update), person.born())

    def _update(self, person: Person, update: Update, event: str, at: datetime, properties: JSON) -> None:
        after = None if update is _NO_UPDATE else update.apply(person.properties, event)
        stored = after is not None and person.replace_properties(after)
        if after is not None and not stored:
            self._warnings.warn("person_properties_size_violation", at, personId=person.uuid)
        moved = properties.get("$update_person_last_seen_at") is not False and person.see(at)
        if stored or moved:
            self._people.changed(person)

    def _name_groups(self, properties: JSON, at: datetime) -> None:
        for type_, key in as_object(properties["$groups"]).items():
            index = self._groups.register(whole(type_), at)
            if index is not None:
                properties[f"$group_{index}"] = key if isinstance(key, str) else dumps(key)

    def _identify_group(self, uuid: str, at: datetime, properties: JSON) -> bool:
        """Write the group of a `$groupidentify`; False when the event is to be dropped."""
        type_, key = properties.get("$group_type"), properties.get("$group_key")
        if not type_ or not key:
            return True
        key = whole(key if isinstance(key, str) else dumps(key))
        if len(key) > _LONGEST_ID:
            self._warnings.warn("group_key_too_long", at, eventUuid=uuid, groupKey=key[:_LONGEST_ID])
            return False
        values = properties.get("$group_set")
        if values is not None and not isinstance(values, dict):
            self._warnings.warn("invalid_group_set", at, eventUuid=uuid)
            return True
        index = self._groups.register(whole(type_ if isinstance(type_, str) else dumps(type_)), at)
        if index is not None:
            named = cast("JSON", values or {})
            self._groups.identify(index, key, named, at)
            self._definitions.note_values("group", index, named, at)
        return True

    # -- events without

    def _personless(
        self, name: str, distinct_id: str, uuid: str, at: datetime, properties: JSON
    ) -> _Owner | None:
        if name in MERGE_EVENTS:
            self._warnings.warn(
                "invalid_event_when_process_person_profile_is_false", at, eventUuid=uuid, event=name
            )
            return None
        make_personless(properties)
        person = self._people.person_of(distinct_id)
        if person is None:
            self._people.note_personless(distinct_id)
            return _Owner(uuid_of(self._project.id, distinct_id), mode="propertyless")
        late = at > person.created_at + _NEW_PERSON
        return _Owner(person.uuid, created_at=person.born(), mode="force_upgrade" if late else "propertyless")


def new_uuid(at: datetime) -> str:
    """A UUID of version 7 for a time (in UTC)."""
    milliseconds = int(at.timestamp() * 1000) if at.timestamp() > 0 else int(time.time() * 1000)
    random = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return str(UUID(int=value))


def _key(raw: RawEvent) -> bytes:
    timestamp = raw.timestamp
    if isinstance(timestamp, datetime):
        timestamp = timestamp.isoformat()
    return key_of(
        raw.uuid, raw.event, raw.distinct_id, timestamp, raw.offset, raw.properties, raw.set, raw.set_once
    )


def _time(raw: RawEvent, properties: JSON, received: datetime) -> datetime:
    skewed = properties.get("$ignore_sent_at") is not True
    return times.event_time(
        raw.timestamp, now=received, sent_at=raw.sent_at if skewed else None, offset=raw.offset
    )


def _update(properties: JSON) -> Update:
    if not ("$set" in properties or "$set_once" in properties or "$unset" in properties):
        return _NO_UPDATE
    unset = properties.get("$unset")
    names = list(cast("list[Any]", unset)) if isinstance(unset, (list, dict)) else []
    return Update(
        as_object(properties.get("$set")),
        as_object(properties.get("$set_once")),
        [name for name in names if isinstance(name, str)],
    )


def _seen_properties(person: Person, update: Update) -> str:
    """The person's properties with the event's own `$set` on top, as its row shows them."""
    for key, value in update.set.items():
        if key not in person.properties or person.properties[key] != value:
            return quote(dumps({**person.properties, **update.set}))
    return person.quoted()


def _optional_columns(properties: JSON) -> str:
    """The row's columns that are empty for most events; takes the chain of elements out of the properties."""
    written = ""
    if _OPTIONAL.isdisjoint(properties):
        return written
    if "$elements_chain" in properties or "$elements" in properties:
        written += f'"elements_chain":{quote(whole(take_elements_chain(properties)))},'
    for name in _TEXT_COLUMNS:
        if name in properties and isinstance(value := properties[name], str):
            written += f'"{name}":{quote(whole(value))},'
    return written
