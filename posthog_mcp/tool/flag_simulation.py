"""What a change of a flag would do to those who were here lately: evaluated here, before and after."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import anyio.to_thread

from posthog_mcp.tool.asking import rows_of
from posthog_mcp.tool.flag_world import World, read_world
from posthog_mcp.tool.flags import conditions_of

if TYPE_CHECKING:
    from posthog_mcp.flags import FlagSet
    from posthog_mcp.tool.context import Context, Project

_EXAMPLES = 3
_AT_ONCE = 200  # evaluations between which others get their turn
Json = dict[str, Any]
Value = bool | str | None


# An id, and what `FlagSet.evaluate` is told of it.
Population = list[tuple[str, Json]]


@dataclass(slots=True)
class Simulation:
    """How many change from what to what.

    Attributes:
        subjects: `persons`, or the name of a group type.
        count: How many were evaluated.
        switches: How many by value before and after.
        examples: Ids of some of them.
        notes: What the figures leave out.
    """

    subjects: str
    count: int = 0
    switches: Counter[tuple[Value, Value]] = field(default_factory=Counter[tuple[Value, Value]])
    examples: dict[tuple[Value, Value], list[str]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list[str])

    def note(self, subject: str, was: Value, will: Value) -> None:
        """Count one."""
        self.count += 1
        if was != will:
            self.switches[was, will] += 1
            if len(self.examples[was, will]) < _EXAMPLES:
                self.examples[was, will].append(subject)

    def shown(self) -> Json:
        """The switches, largest first, with examples."""
        switches = [
            {"from": was, "to": will, "count": count, "examples": self.examples[was, will]}
            for (was, will), count in self.switches.most_common()
        ]
        changed = sum(self.switches.values())
        return {
            "evaluated": self.count,
            "switch": changed,
            "stay": self.count - changed,
            "switches": switches,
        }


async def simulate(
    ctx: Context, project: Project, before: Json, after: Json, *, days: int, most: int
) -> Simulation:
    """Evaluate both states of a flag for those who were active last, within `days`, `most` of them.

    Raises:
        PostHogError: PostHog did not answer a query.
        ToolFailure: The flag asks for too much to be evaluated here.
    """
    filters: Json = after.get("filters") or {}
    index: int | None = filters.get("aggregation_group_type_index")
    world = await read_world(ctx, project, before, after)
    kind = "persons" if index is None else world.group_types.get(str(index), str(index))
    result = Simulation(kind, notes=_left_out(after, index))
    if "device_id" in (after.get("bucketing_identifier"), filters.get("bucketing_identifier")):
        result.notes.append("The flag goes by device, and nobody knows whose is which: not simulated.")
        return result
    if index is None:
        population = await _persons(ctx, project, world, days, most)
    else:
        population = await _groups(ctx, project, world, index, most)
    was, will = [await anyio.to_thread.run_sync(_compiled, world, flag) for flag in (before, after)]
    key, now = str(after["key"]), ctx.now()
    for place, (subject, known) in enumerate(population):
        if place % _AT_ONCE == 0:
            await anyio.lowlevel.checkpoint()
        values = [flags.evaluate(key, subject, now=now, **known).value for flags in (was, will)]
        result.note(subject, values[0], values[1])
    return result


def _compiled(world: World, flag: Json) -> FlagSet:
    from posthog_mcp.flags import Absence, compile_flags  # noqa: PLC0415 - as in Context

    # All that is stored of them is passed, as at PostHog itself: what is not there does not exist.
    return compile_flags(world.definitions(flag), absence=Absence.KNOWN)


def _left_out(flag: Json, index: int | None) -> list[str]:
    notes: list[str] = []
    if flag.get("ensure_experience_continuity"):
        notes.append("People who keep their first answer (experience continuity) do not switch.")
    if any(each.get("aggregation_group_type_index", index) != index for each in conditions_of(flag)):
        notes.append("Conditions about another kind of group are counted as no match.")
    return notes


async def _persons(ctx: Context, project: Project, world: World, days: int, most: int) -> Population:
    columns, values = _columns(world, "person.properties", "argMax({}, timestamp)")
    query = (
        "SELECT argMax(distinct_id, timestamp), toString(person_id), max(timestamp) AS last"  # noqa: S608 - numbers
        f"{columns} FROM events WHERE timestamp > now() - INTERVAL {days} DAY "
        f"GROUP BY person_id ORDER BY last DESC LIMIT {most}"
    )
    rows = await rows_of(ctx, project, query, **values)
    members = await _members(ctx, project, world, days)
    return [
        (
            str(row[0]),
            {
                "person_properties": _known(world, row[3:]),
                "cohorts": [cohort for cohort, people in members.items() if row[1] in people],
            },
        )
        for row in rows
    ]


async def _groups(ctx: Context, project: Project, world: World, index: int, most: int) -> Population:
    kind = world.group_types.get(str(index), "")
    columns, values = _columns(world, "properties", "{}")
    query = (
        f"SELECT key, updated_at AS last{columns} FROM groups WHERE index = {index} "  # noqa: S608 - numbers
        f"ORDER BY last DESC LIMIT {most}"
    )
    return [
        (str(row[0]), {"groups": {kind: str(row[0])}, "group_properties": {kind: _known(world, row[2:])}})
        for row in await rows_of(ctx, project, query, **values)
    ]


def _columns(world: World, source: str, form: str) -> tuple[str, Json]:
    """A column for each property that counts, its name a value of the query: raw JSON keeps its type."""
    values = {f"p{place}": name for place, name in enumerate(sorted(world.properties))}
    columns = [form.format(f"JSONExtractRaw({source}, {{{value}}})") for value in values]
    return "".join(f", {column}" for column in columns), values


def _known(world: World, raw: list[str]) -> Json:
    """The properties that are there, from the columns of a row."""
    return {name: json.loads(text) for name, text in zip(sorted(world.properties), raw, strict=True) if text}


async def _members(ctx: Context, project: Project, world: World, days: int) -> dict[str, set[str]]:
    """Who is in each cohort that PostHog keeps as a list."""
    members: dict[str, set[str]] = {}
    for cohort in sorted(world.listed):
        query = (
            f"SELECT DISTINCT toString(person_id) FROM events WHERE person_id IN COHORT {int(cohort)} "  # noqa: S608 - numbers
            f"AND timestamp > now() - INTERVAL {days} DAY LIMIT 50000"
        )
        members[cohort] = {str(row[0]) for row in await rows_of(ctx, project, query)}
    return members
