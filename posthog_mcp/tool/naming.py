"""Objects found by the names that people give them: one, several, or none but similar ones."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from posthog_mcp.tool.context import ToolFailure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posthog_mcp.tool.context import Project

_ALIKE = 0.4
Json = dict[str, Any]


def only(kind: str, name: str, found: list[Json], project: Project) -> Json | None:
    """The object of that name; None where there is none.

    Args:
        kind: What it is, such as `survey`.
        name: As it was given.
        found: Those of that name.
        project: Where it was looked for.

    Raises:
        ToolFailure: There are several; the text has their ids.
    """
    if len(found) > 1:
        raise ToolFailure(
            f"{len(found)} {kind}s of project {project} are named `{name}`.",
            f"Their ids: {', '.join(str(one['id']) for one in found)}.",
            "Give one of the ids.",
        )
    return found[0] if found else None


def unknown(kind: str, name: str, names: Iterable[str], project: Project) -> ToolFailure:
    """What to raise where nothing has that name; `names` are those there are."""
    near = difflib.get_close_matches(name, list(names), n=3, cutoff=_ALIKE)
    return ToolFailure(
        f"There is no {kind} `{name}` in project {project}.",
        f"Similar: {', '.join(near)}." if near else "",
        f"Give its id or whole name, from list_{kind}s.",
    )
