"""How `$identify`, `$create_alias` and `$merge_dangerously` make two distinct ids one person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from posthog_mcp.sandbox.ingest.person import Person, uuid_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from posthog_mcp.sandbox.ingest.people import People
    from posthog_mcp.sandbox.ingest.person import Update
    from posthog_mcp.sandbox.ingest.properties import JSON
    from posthog_mcp.sandbox.ingest.warnings import Warnings

MERGE_EVENTS: Final = {
    "$identify": "$anon_distinct_id",
    "$create_alias": "alias",
    "$merge_dangerously": "alias",
}
"""The events that merge, and the property that names the id to merge from."""

_ILLEGAL_IN_ANY_CASE: Final = frozenset({
    "anonymous", "guest", "distinctid", "distinct_id", "id", "not_authenticated", "email", "undefined",
    "true", "false",
})  # fmt: skip
_ILLEGAL_AS_WRITTEN: Final = frozenset({"[object Object]", "NaN", "None", "none", "null", "0", "undefined"})
_QUOTED: Final = 2


def is_illegal(distinct_id: str) -> bool:
    """Whether a distinct id is a known mistake of a client, with which nobody may be merged."""
    text = distinct_id.strip()
    if len(text) > _QUOTED and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    return not text or text.lower() in _ILLEGAL_IN_ANY_CASE or text in _ILLEGAL_AS_WRITTEN


@dataclass(slots=True)
class Merge:
    """A merge an event asks for.

    Attributes:
        event: The event's name.
        uuid: The event's uuid, the creator of a person this makes.
        into: The event's distinct id.
        origin: The id named inside.
        at: The event's time.
        update: What the event sets; part of the properties of a person this makes.
    """

    event: str
    uuid: str
    into: str
    origin: str
    at: datetime
    update: Update


class Merging:
    """Merges persons.

    `on_merge` are called with the uuid merged away and the one that stays, inside the transaction: who keeps
    something by person moves it.
    """

    def __init__(self, people: People, warnings: Warnings) -> None:
        self._people = people
        self._warnings = warnings
        self.on_merge: list[Callable[[str, str], None]] = []

    def merge(self, wish: Merge) -> Person | None:
        """Merge or refuse; the person the event now belongs to, or None when the event has to make one."""
        if wish.into == wish.origin:
            return self._people.person_of(wish.into)
        if is_illegal(wish.into) or is_illegal(wish.origin):
            illegal = wish.into if is_illegal(wish.into) else wish.origin
            self._warn("cannot_merge_with_illegal_distinct_id", wish, illegalDistinctId=illegal)
            return self._people.person_of(wish.into)
        person = self._merged(wish)
        if not person.is_identified:
            person.is_identified = True
            self._people.changed(person)
        return person

    def _merged(self, wish: Merge) -> Person:
        people = self._people
        into, origin = people.person_of(wish.into), people.person_of(wish.origin)
        if into is None and origin is None:
            return self._new_person(wish)
        if into is None or origin is None:
            known = into or origin
            assert known is not None  # noqa: S101 - one of them is there
            people.add_id(known, wish.into if into is None else wish.origin)
            return known
        if into.uuid == origin.uuid:
            return into
        if origin.is_identified and wish.event != "$merge_dangerously":
            self._warn("cannot_merge_already_identified", wish)
            return into
        return self._absorb(into, origin)

    def _new_person(self, wish: Merge) -> Person:
        ids = [wish.into, wish.origin]
        if self._people.was_personless(wish.origin) and not self._people.was_personless(wish.into):
            ids.reverse()
        person = self._people.create(ids, wish.at, wish.update.initial(wish.uuid))
        person.is_identified = True
        return person

    def _absorb(self, into: Person, origin: Person) -> Person:
        people = self._people
        if not into.replace_properties({**origin.properties, **into.properties}):
            self._warnings.warn("person_properties_size_violation", into.created_at, personId=into.uuid)
        into.created_at = min(into.created_at, origin.created_at)
        into.version = max(into.version, origin.version)
        into.is_identified = True
        into.last_seen_at = max(filter(None, (into.last_seen_at, origin.last_seen_at)), default=None)
        people.changed(into)
        people.move_ids(people.distinct_ids(origin.uuid), into)
        people.delete(origin)
        for tell in self.on_merge:
            tell(origin.uuid, into.uuid)
        return into

    def _warn(self, type_: str, wish: Merge, **details: Any) -> None:
        self._warnings.warn(
            type_,
            wish.at,
            eventUuid=wish.uuid,
            distinctId=wish.into,
            otherDistinctId=wish.origin,
            **details,
        )


def named_id(event: str, properties: JSON) -> Any:
    """The id a merge event names inside; None when it names none."""
    key = MERGE_EVENTS.get(event)
    return (properties.get(key) or None) if key else None


def split(people: People, person: Person, main: str | None) -> list[Person]:
    """Give every id of the person except `main` (its first one when None) a person of its own.

    The new persons have the deterministic uuid of their id, unless that is the one being split, and no
    properties.
    """
    ids = people.distinct_ids(person.uuid)
    keep = main if main in ids else ids[0]
    made: list[Person] = []
    for distinct_id in ids:
        if distinct_id == keep:
            continue
        uuid = uuid_of(people.project_id, distinct_id)
        if people.get(uuid) is not None:
            uuid = uuid_of(people.project_id, f"{distinct_id}:split")
        alone = people.create_as(uuid, [], person.created_at, {})
        people.move_ids([distinct_id], alone)
        made.append(alone)
    return made
