"""Who would notice a change of a flag: other flags, experiments, surveys, early access."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.api.errors import PostHogError
from posthog_mcp.tool.experiments import experiments_on, state_of
from posthog_mcp.tool.flags import ONE

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

_DEPENDENTS = ONE + "dependent_flags/"
_RUNS = ("running", "paused", "exposure_frozen")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Users:
    """What uses a flag.

    Attributes:
        flags: Keys of the active flags that depend on it: PostHog keeps it on and undeleted for them.
        running: Experiments that run on it, by name and id: PostHog keeps it undeleted for them.
        named: All users by kind, in words; empty for a flag that nothing uses.
    """

    flags: list[str]
    running: list[str]
    named: Json


async def dependents_of(ctx: Context, project: Project, flag: Json) -> list[str]:
    """The keys of the active flags that depend on this one."""
    found = await ctx.api.get(_DEPENDENTS, project_id=project.id, id=flag["id"])
    return [str(each["key"]) for each in found]


async def users_of(ctx: Context, project: Project, flag: Json) -> Users:
    """All that uses a flag."""
    flags = await dependents_of(ctx, project, flag)
    surveys: list[Any] = flag.get("surveys") or []
    features: list[Any] = flag.get("features") or []
    experiments = await _experiments(ctx, project, flag)
    named: Json = {
        "flags": flags,
        "experiments": [f"{name}, {state}" if state else name for name, state in experiments],
        "surveys": [_name(each) for each in surveys],
        "early_access_features": [_name(each) for each in features],
    }
    running = [name for name, state in experiments if state in _RUNS]
    return Users(flags, running, {kind: users for kind, users in named.items() if users})


async def spoilt_by(ctx: Context, project: Project, flag: Json, body: Json) -> str:
    """A sentence on the experiments that an update of these fields disturbs; empty where there are none."""
    if not {"filters", "active"} & body.keys():
        return ""
    running = [name for name, state in await _experiments(ctx, project, flag) if state in _RUNS]
    return spoilt(running) if running else ""


def spoilt(running: list[str]) -> str:
    """What to say of experiments that run on a flag whose conditions or variants change."""
    return f"Experiments run on it: {', '.join(running)}. Whoever switches meanwhile spoils their results."


async def _experiments(ctx: Context, project: Project, flag: Json) -> list[tuple[str, str]]:
    """Name and state of the experiments on a flag."""
    ids: list[Any] = flag.get("experiment_set") or []
    if not ids:
        return []
    try:
        found = await experiments_on(ctx, project, flag)
    except PostHogError:
        return [(str(each), "") for each in ids]  # whoever may not read experiments sees their ids
    return [(f"{one['name']} ({one['id']})", state_of(one)) for one in found]


def _name(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    known = cast("Json", item)
    return known.get("name") or known.get("id")
