"""How many persons or groups a release condition fits."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from posthog_mcp.flags import Absence, compile_flags
from posthog_mcp.sandbox.flags import definitions
from posthog_mcp.sandbox.http.errors import invalid

if TYPE_CHECKING:
    from posthog_mcp.flags import FlagSet
    from posthog_mcp.sandbox.sandbox import Sandbox

_AT_ONCE = 500
_KEY = "condition"
_PERSONS = (
    "SELECT p.uuid, p.properties, (SELECT d.distinct_id FROM person_distinct_ids d "
    "WHERE d.person_uuid = p.uuid AND NOT d.is_deleted LIMIT 1) FROM persons p WHERE NOT p.is_deleted"
)
_GROUPS = "SELECT key, properties, key FROM groups WHERE type_index = ?"
_MEMBERS = "SELECT cohort_id, person_id FROM ph.cohort_people WHERE (cohort_id, version) IN ({cohorts})"


async def reach(sandbox: Sandbox, condition: dict[str, Any], group_type_index: object) -> tuple[int, int]:
    """How many fit, and how many there are; the rollout and variant of the condition do not count.

    Args:
        sandbox: Whose people are counted.
        condition: A release condition.
        group_type_index: Count groups of this type; `None` counts persons.

    Raises:
        ApiError: 400 for a group type there is not.
    """
    name = _group_type(sandbox, group_type_index)
    flags = _compiled(sandbox, condition, group_type_index)
    members = {} if name else await _memberships(sandbox)
    query, values = (_GROUPS, [group_type_index]) if name else (_PERSONS, [])
    rows = sandbox.store.db.execute(query, values).fetchall()
    affected = 0
    for start in range(0, len(rows), _AT_ONCE):
        # A product's whole population is long work: others get their turn.
        await anyio.lowlevel.checkpoint()
        for identity, properties, key in rows[start : start + _AT_ONCE]:
            known = json.loads(properties)
            if name:
                given: Any = {"groups": {name: key}, "group_properties": {name: known}}
            else:
                given = {"person_properties": known, "cohorts": members.get(identity, ())}
            affected += flags.evaluate(_KEY, key or identity, now=sandbox.clock(), **given).value is not False
    return affected, len(rows)


def _group_type(sandbox: Sandbox, index: object) -> str | None:
    if index is None:
        return None
    name = next((each.type for each in sandbox.ingest.groups.types() if each.index == index), None)
    if name is None:
        raise invalid(f"There is no group type with the index {index}.", "group_type_index")
    return name


def _compiled(sandbox: Sandbox, condition: dict[str, Any], group_type_index: object) -> FlagSet:
    """The project's flags, which the condition may ask for, and one of the condition alone."""
    flag: dict[str, Any] = {
        "id": 0,
        "key": _KEY,
        "filters": {
            "groups": [{"properties": condition.get("properties")}],
            "aggregation_group_type_index": group_type_index,
        },
    }
    return compile_flags(definitions.with_flag(sandbox, flag), absence=Absence.KNOWN)


async def _memberships(sandbox: Sandbox) -> dict[str, set[str]]:
    """The listed cohorts each person is in."""
    members: dict[str, set[str]] = defaultdict(set)
    cohorts = definitions.listed_cohorts(sandbox)
    if cohorts:
        pairs = ", ".join(f"({cohort}, {version})" for cohort, version in cohorts)
        rows = await sandbox.engine.query(_MEMBERS.replace("{cohorts}", pairs))
        for cohort, person in rows.rows:
            members[str(person)].add(str(cohort))
    return members
