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


async def group_property(ctx: Context, project: Project, name: str) -> tuple[int, str]:
    """The number of the type that a group property is of, and its name: of `company.industry`, or `industry`.

    Raises:
        ToolFailure: The type is not named, and there are several or none.
    """
    types = await group_types(ctx, project)
    kind, dot, rest = name.partition(".")
    if dot and rest and kind in types:
        return types[kind], rest
    if len(types) == 1:
        return next(iter(types.values())), name
    named = " or ".join(f"{each}.{name}" for each in types)
    raise ToolFailure(
        f"It is not clear of which group type the property `{name}` is.",
        f"The project has {', '.join(types) or 'none'}.",
        f"Write {named}." if named else "identify_group creates a type with its first group.",
    )
