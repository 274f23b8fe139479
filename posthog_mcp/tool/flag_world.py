"""Definitions of one flag and all it asks for, read from a project: to evaluate what is not saved yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.flags import ONE, conditions_of, is_about_groups, rows_of
from posthog_mcp.tool.group_types import group_types

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthog_mcp.tool.context import Context, Project

_COHORT = "/api/projects/{project_id}/cohorts/{id}/"
_MOST = 30  # flags and cohorts read for one flag
Json = dict[str, Any]


@dataclass(slots=True)
class World:
    """What the conditions of some flags ask for.

    Attributes:
        flags: The flags they depend on, by id.
        cohorts: The property groups of cohorts that properties decide, by id.
        listed: Ids of the cohorts whose members PostHog keeps as a list.
        properties: Names of the person or group properties that are looked at.
        group_types: Names of the group types by index; empty where no flag is about groups.
    """

    flags: dict[str, Json] = field(default_factory=dict[str, Json])
    cohorts: dict[str, Json] = field(default_factory=dict[str, Json])
    listed: set[str] = field(default_factory=set[str])
    properties: set[str] = field(default_factory=set[str])
    group_types: dict[str, str] = field(default_factory=dict[str, str])

    def definitions(self, flag: Json) -> Json:
        """Definitions of `flag` as it is given here, in the shape `compile_flags` takes."""
        return {
            "flags": [self._definition(each) for each in (*self.flags.values(), flag)],
            "cohorts": self.cohorts,
            "group_type_mapping": self.group_types,
        }

    def _definition(self, flag: Json) -> Json:
        filters: Json = flag.get("filters") or {}
        groups = [
            {**group, "properties": [self._filter(each) for each in rows_of(group)]}
            for group in conditions_of(flag)
        ]
        # What people first got is remembered by PostHog alone; without that, it is evaluated as any other.
        return {**flag, "filters": {**filters, "groups": groups}, "ensure_experience_continuity": False}

    def _filter(self, source: Json) -> Json:
        if source.get("type") != "flag":
            return source
        needed = self.flags.get(str(source["key"]), {})
        chain: list[str] = []
        known = self._chain(str(source["key"]), chain, frozenset())
        key = needed.get("key", source["key"])
        return {**source, "key": key, "dependency_chain": chain if known else []}

    def _chain(self, flag_id: str, chain: list[str], above: frozenset[str]) -> bool:
        """Append the keys to evaluate, in their order; False when they go in a circle."""
        if flag_id in above:
            return False
        flag = self.flags.get(flag_id, {"key": flag_id})
        below = [str(each["key"]) for each in filters_of(flag) if each.get("type") == "flag"]
        whole = all(self._chain(each, chain, above | {flag_id}) for each in below)
        if flag["key"] not in chain:
            chain.append(flag["key"])
        return whole


def filters_of(flag: Json) -> Iterator[Json]:
    """Every filter of every release condition of a flag."""
    for group in conditions_of(flag):
        yield from rows_of(group)


async def read_world(ctx: Context, project: Project, *flags: Json) -> World:
    """Read all that the conditions of these flags ask for."""
    world = World()
    for flag in flags:
        await _take(ctx, project, world, list(filters_of(flag)))
    if any(is_about_groups(flag) for flag in flags):
        types = await group_types(ctx, project)
        world.group_types = {str(index): name for name, index in types.items()}
    return world


async def _take(ctx: Context, project: Project, world: World, filters: list[Json]) -> None:
    for each in filters:
        match each.get("type"):
            case "flag":
                await _take_flag(ctx, project, world, str(each["key"]))
            case "cohort":
                await _take_cohort(ctx, project, world, str(each["value"]))
            case _:
                world.properties.add(str(each["key"]))


async def _take_flag(ctx: Context, project: Project, world: World, flag_id: str) -> None:
    if flag_id in world.flags:
        return
    _check_room(world)
    flag = await ctx.api.get(ONE, project_id=project.id, id=flag_id)
    world.flags[flag_id] = flag
    await _take(ctx, project, world, list(filters_of(flag)))


async def _take_cohort(ctx: Context, project: Project, world: World, cohort_id: str) -> None:
    if cohort_id in world.cohorts or cohort_id in world.listed:
        return
    _check_room(world)
    cohort = await ctx.api.get(_COHORT, project_id=project.id, id=cohort_id)
    filters: Json = cohort.get("filters") or {}
    group: Json = filters.get("properties") or {}
    leaves = list(_leaves(group))
    if cohort.get("is_static") or any(leaf.get("type") == "behavioral" for leaf in leaves):
        world.listed.add(cohort_id)
        return
    world.cohorts[cohort_id] = group
    await _take(ctx, project, world, leaves)


def _leaves(group: Json) -> Iterator[Json]:
    entries: list[Json] = group.get("values") or []
    for entry in entries:
        if "values" in entry:
            yield from _leaves(entry)
        else:
            yield entry


def _check_room(world: World) -> None:
    if len(world.flags) + len(world.cohorts) + len(world.listed) >= _MOST:
        raise ToolFailure(
            "The change cannot be simulated.",
            f"The flag depends on more than {_MOST} other flags and cohorts.",
            "Look at the difference alone, with update_flag and dry_run.",
        )
