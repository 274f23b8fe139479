"""Flags evaluated as PostHog's server does: it knows every property there is, and who is in which cohort."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from posthog_mcp.flags import Absence, Decision, Explanation, FlagSet, compile_flags
from posthog_mcp.sandbox.flags import definitions

if TYPE_CHECKING:
    from collections.abc import Collection

    from posthog_mcp.sandbox.ingest import Person
    from posthog_mcp.sandbox.sandbox import Sandbox

_SCHEMA = """
CREATE TABLE IF NOT EXISTS flag_hash_keys (
    distinct_id TEXT NOT NULL, flag_key TEXT NOT NULL, hash_key TEXT NOT NULL,
    PRIMARY KEY (distinct_id, flag_key)
) WITHOUT ROWID;
"""
_MEMBER_OF = (
    "SELECT DISTINCT cohort_id FROM ph.cohort_people "
    "WHERE person_id = {person:UUID} AND (cohort_id, version) IN ({cohorts})"
)


@dataclass(slots=True)
class Subject:
    """Whom flags are evaluated for, with what the client says about them.

    Attributes:
        distinct_id: The person's id.
        person_properties: On top of the stored ones.
        groups: Group key by group type name.
        group_properties: On top of the stored ones, by group type name.
        device_id: The device.
        anon_distinct_id: The id the person had before; flags with experience continuity go on hashing it.
        only_given: Leave the stored person properties out.
    """

    distinct_id: str
    person_properties: dict[str, Any] = field(default_factory=dict[str, Any])
    groups: dict[str, str] = field(default_factory=dict[str, str])
    group_properties: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    device_id: str = ""
    anon_distinct_id: str = ""
    only_given: bool = False


class Flags:
    """The project's flags, compiled when their documents change."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Keep the ids people were first hashed by in a table of the store's."""
        self._sandbox = sandbox
        self._snapshot: tuple[Any, ...] | None = None
        self._definitions: definitions.Definitions = {}
        self._compiled = FlagSet({})
        self._listed: list[tuple[int, int]] = []
        sandbox.store.db.executescript(_SCHEMA)

    def definitions(self) -> definitions.Definitions:
        """The definitions of this moment, encrypted flags included."""
        self._refresh()
        return self._definitions

    def compiled(self) -> FlagSet:
        """The flags of this moment, under the server's rules."""
        self._refresh()
        return self._compiled

    async def evaluate(self, subject: Subject) -> dict[str, Decision]:
        """Every flag that is on, by key."""
        context = await self._context(subject)
        flags = self.compiled()
        decisions = flags.evaluate_all(subject.distinct_id, **context)
        return {key: decision for key, decision in decisions.items() if flags.definition(key)["active"]}

    async def explain(self, key: str, subject: Subject) -> Explanation:
        """One flag, condition by condition."""
        return self.compiled().explain(key, subject.distinct_id, **await self._context(subject))

    def person_properties(self, subject: Subject) -> dict[str, Any]:
        """The stored properties of the person, under those given."""
        person = None if subject.only_given else self._person(subject)
        return {**(person.properties if person else {}), **subject.person_properties}

    async def _context(self, subject: Subject) -> Any:
        self._refresh()
        person = self._person(subject)
        return {
            "person_properties": self.person_properties(subject),
            "groups": subject.groups,
            "group_properties": self._group_properties(subject),
            "device_id": subject.device_id,
            "now": self._sandbox.clock(),
            "cohorts": await self._memberships(person),
            "hash_keys": self._hash_keys(subject, person),
        }

    def _refresh(self) -> None:
        snapshot = definitions.snapshot(self._sandbox)
        if snapshot != self._snapshot:
            self._definitions = definitions.build(self._sandbox)
            self._compiled = compile_flags(self._definitions, absence=Absence.KNOWN)
            self._listed = definitions.listed_cohorts(self._sandbox)
            self._snapshot = snapshot

    def _person(self, subject: Subject) -> Person | None:
        return self._sandbox.ingest.people.person_of(subject.distinct_id)

    def _group_properties(self, subject: Subject) -> dict[str, dict[str, Any]]:
        properties: dict[str, dict[str, Any]] = {}
        for name, key in subject.groups.items():
            index = self._sandbox.ingest.groups.index_of(name)
            stored = None if index is None else self._sandbox.ingest.groups.get(index, key)
            given = subject.group_properties.get(name, {})
            properties[name] = {**(stored.properties if stored else {}), **given}
        return properties

    async def _memberships(self, person: Person | None) -> Collection[str]:
        """The cohorts a person is in, of those that properties alone do not decide."""
        if person is None or not self._listed:
            return ()
        pairs = ", ".join(f"({cohort}, {version})" for cohort, version in self._listed)
        rows = await self._sandbox.engine.query(
            _MEMBER_OF.replace("{cohorts}", pairs), {"person": person.uuid}
        )
        return {str(cohort) for (cohort,) in rows.rows}

    def _hash_keys(self, subject: Subject, person: Person | None) -> dict[str, str]:
        """What flags with experience continuity hash for this person; new ones are remembered on the way."""
        keys = [
            flag["key"]
            for flag in self.definitions()["flags"]
            if flag["ensure_experience_continuity"] and flag["active"]
        ]
        if not keys:
            return {}
        ids = {subject.distinct_id, subject.anon_distinct_id} - {""}
        if person is not None:
            ids.update(self._sandbox.ingest.people.distinct_ids(person.uuid))
        remembered = self._remembered(ids)
        if subject.anon_distinct_id:
            missing = [key for key in keys if key not in remembered]
            self._remember(subject, missing)
            remembered |= dict.fromkeys(missing, subject.anon_distinct_id)
        return remembered

    def _remembered(self, ids: Collection[str]) -> dict[str, str]:
        marks = ",".join("?" * len(ids))
        rows = self._sandbox.store.db.execute(
            f"SELECT flag_key, hash_key FROM flag_hash_keys WHERE distinct_id IN ({marks})",  # noqa: S608
            list(ids),
        )
        return dict(rows)

    def _remember(self, subject: Subject, keys: list[str]) -> None:
        with self._sandbox.store.transaction():
            self._sandbox.store.db.executemany(
                "INSERT OR IGNORE INTO flag_hash_keys VALUES (?, ?, ?)",
                [(subject.distinct_id, key, subject.anon_distinct_id) for key in keys],
            )
