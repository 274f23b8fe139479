"""The tables that a query may read, and where each of their columns comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from posthog_mcp.sandbox.compiler.quoting import identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthog_mcp.sandbox.compiler.types import Kind


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        sql: Its value, `{t}` standing for the table, `{person}` for the person of its distinct id and
            `{issue}` for the issue of its exception.
        kind: Its type.
        nullable: Whether it may be NULL.
        hidden: Whether `select *` leaves it out.
        owner: For JSON, whose definitions type its keys.
    """

    sql: str
    kind: Kind = "String"
    nullable: bool = False
    hidden: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Join:
    """A table that a dotted name reaches: one LEFT JOIN, and only when it is used.

    Attributes:
        table: Name of the other table.
        own: Column of this table (by HogQL name) that must equal `other`.
        other: Column of the other table.
        where: Further condition on the other table, `{t}` standing for it.
        owner: Overrides whose definitions type the JSON there.
    """

    table: str
    own: str
    other: str
    where: str = ""
    owner: str = ""


Virtual = Literal["person", "poe", "pdi"]


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        source: What follows FROM, `{t}` standing for the alias.
        columns: By HogQL name, in the order of `select *`.
        joins: What dotted names reach by a join.
        virtual: Dotted names that need a decision by the person mode.
        where: Condition that always holds.
        group_by: Set when the columns are aggregates.
    """

    source: str
    columns: Mapping[str, Column]
    joins: Mapping[str, Join] = field(default_factory=dict[str, Join])
    virtual: frozenset[Virtual] = frozenset()
    where: str = ""
    group_by: str = ""


def plain(name: str, kind: Kind = "String", *, nullable: bool = False, hidden: bool = False) -> Column:
    """A column that is what the physical table holds under the same name."""
    return Column("{t}." + identifier(name), kind, nullable=nullable, hidden=hidden)


def _json(owner: str) -> Column:
    return Column("{t}.`properties`", "JSON", owner=owner)


def _all_of(pattern: str) -> str:
    return f"arrayDistinct(extractAll({{t}}.`elements_chain`, '{pattern}'))"


GROUPS = range(5)
_TAGS = "a|button|form|input|select|textarea|label"

EVENT_COLUMNS: dict[str, Column] = {
    "uuid": plain("uuid", "UUID"),
    "event": plain("event"),
    "properties": _json("event"),
    "timestamp": plain("timestamp", "DateTime"),
    "distinct_id": plain("distinct_id"),
    "elements_chain": plain("elements_chain"),
    "created_at": plain("created_at", "DateTime"),
    "$session_id": plain("$session_id"),
    "$window_id": plain("$window_id"),
    "person_mode": Column("toString({t}.`person_mode`)"),
    **{f"$group_{index}": plain(f"$group_{index}") for index in GROUPS},
    "elements_chain_href": Column(
        """extract({t}.`elements_chain`, '(?::|")href="((?:[^"\\\\\\\\]|\\\\\\\\.)*)"')"""
    ),
    "elements_chain_texts": Column(_all_of('(?::|")text="((?:[^"\\\\\\\\]|\\\\\\\\.)*)"'), "Array"),
    "elements_chain_ids": Column(_all_of('(?::|")attr_id="((?:[^"\\\\\\\\]|\\\\\\\\.)*)"'), "Array"),
    "elements_chain_elements": Column(_all_of(f"(?:^|;)({_TAGS})(?:[.:;]|$)"), "Array"),
    "person_id": Column("{person}", "UUID"),
    "event_person_id": Column("{t}.`person_id`", "UUID", hidden=True),
    "event_issue_id": Column(
        "toUUIDOrNull(JSONExtractString({t}.`properties`, '$exception_issue_id'))",
        "UUID",
        nullable=True,
        hidden=True,
    ),
    "issue_id": Column("toUUIDOrNull({issue})", "UUID", nullable=True, hidden=True),
    "$session_id_uuid": Column("toUUIDOrNull({t}.`$session_id`)", "UUID", nullable=True, hidden=True),
}

PERSON = Join("persons", "person_id", "id")
_PERSON_COLUMNS = {
    "id": plain("id", "UUID"),
    "created_at": plain("created_at", "DateTime"),
    "properties": _json("person"),
    "is_identified": plain("is_identified", "Boolean"),
    "last_seen_at": plain("last_seen_at", "DateTime", nullable=True, hidden=True),
    "$virt_initial_referring_domain": Column(
        "JSONExtract({t}.`properties`, '$initial_referring_domain', 'Nullable(String)')",
        nullable=True,
        hidden=True,
    ),
}
_GROUP_COLUMNS = {
    "index": plain("index", "Number"),
    "key": plain("key"),
    "created_at": plain("created_at", "DateTime"),
    "updated_at": plain("updated_at", "DateTime"),
    "properties": _json(""),
}

BASE_TABLES: dict[str, Table] = {
    "events": Table(
        "ph.events AS {t} FINAL",
        EVENT_COLUMNS,
        joins={
            "session": Join("sessions", "$session_id", "session_id"),
            **{
                f"group_{index}": Join(
                    "groups", f"$group_{index}", "key", f"{{t}}.`index` = {index}", f"group_{index}"
                )
                for index in GROUPS
            },
        },
        virtual=frozenset({"person", "poe", "pdi"}),
    ),
    "persons": Table(
        "ph.persons AS {t} FINAL",
        _PERSON_COLUMNS,
        joins={"pdi": Join("person_distinct_ids", "id", "person_id")},
        where="{t}.`is_deleted` = 0",
    ),
    "person_distinct_ids": Table(
        "ph.person_distinct_ids AS {t} FINAL",
        {"distinct_id": plain("distinct_id"), "person_id": plain("person_id", "UUID")},
        joins={"person": PERSON},
        where="{t}.`is_deleted` = 0",
    ),
    "person_distinct_id_overrides": Table(
        "ph.person_distinct_id_overrides AS {t} FINAL",
        {"distinct_id": plain("distinct_id"), "person_id": plain("person_id", "UUID")},
        joins={"person": PERSON},
    ),
    "groups": Table("ph.groups AS {t} FINAL", _GROUP_COLUMNS),
    # The condition names the finished calculations, which only the project knows.
    "cohort_people": Table(
        "ph.cohort_people AS {t} FINAL",
        {"person_id": plain("person_id", "UUID"), "cohort_id": plain("cohort_id", "Number")},
        joins={"person": PERSON},
    ),
    "static_cohort_people": Table(
        "ph.cohort_people AS {t} FINAL",
        {"person_id": plain("person_id", "UUID"), "cohort_id": plain("cohort_id", "Number")},
        joins={"person": PERSON},
    ),
}
