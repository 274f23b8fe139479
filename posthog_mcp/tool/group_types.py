"""Types of groups: PostHog counts them from 0 to 4, people call them company or project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.tool.context import ToolFailure

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

_PATH = "/api/projects/{project_id}/groups_types/"
KEY_COLUMNS = ("$group_0", "$group_1", "$group_2", "$group_3", "$group_4")
"""HogQL's columns of events with the key of the group of each type."""


async def group_types(ctx: Context, project: Project) -> dict[str, int]:
    """The number of each type of groups, by name, in the order of the numbers."""
    types: list[dict[str, Any]] = await ctx.api.get(_PATH, project_id=project.id)
    known = {str(each["group_type"]): int(each["group_type_index"]) for each in types}
    return dict(sorted(known.items(), key=lambda item: item[1]))


def number_of(types: dict[str, int], name: str, project: Project) -> int:
    """The number of the type called `name`; of the only one, where the name is empty.

    Raises:
        ToolFailure: There is none, or there are several to choose from.
    """
    if name in types:
        return types[name]
    if not name and len(types) == 1:
        return next(iter(types.values()))
    raise ToolFailure(
        f"There is no group type `{name}` in project {project}." if name else "No group type was named.",
        f"There are {', '.join(types)}." if types else "The project has none yet.",
        "Give one of them." if types else "identify_group creates a type with its first group.",
    )


async def only_number(ctx: Context, project: Project, name: str) -> int:
    """The number of the project's only type of groups, for a filter row on the group property `name`.

    Raises:
        ToolFailure: There are several types, or none.
    """
    types = await group_types(ctx, project)
    if len(types) == 1:
        return next(iter(types.values()))
    named = ", ".join(f"{each} as {KEY_COLUMNS[number]}" for each, number in types.items())
    raise ToolFailure(
        f"The row on the group property `{name}` cannot be used.",
        f"It must be clear which type of group it is of: {named or 'the project has none'}.",
        "Filter on the event's property of that name, which holds the group's key, or use query_hogql.",
    )
