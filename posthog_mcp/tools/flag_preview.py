"""What a change of a feature flag would do, before it is made."""

from typing import Annotated, Any

import anyio
from pydantic import Field

from posthog_mcp.api.errors import PostHogError
from posthog_mcp.render import Record
from posthog_mcp.render.flags import conditions
from posthog_mcp.tool import Access, Context, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.difference import difference
from posthog_mcp.tool.filter_rows import AS_TEXT, listed_as
from posthog_mcp.tool.flag_changes import Draft, FlagChange, draft
from posthog_mcp.tool.flag_simulation import simulate
from posthog_mcp.tool.flag_users import spoilt, users_of
from posthog_mcp.tool.flags import conditions_of, find_flag, names_of_groups

_REACH = "/api/projects/{project_id}/feature_flags/user_blast_radius/"
_MOST_REACHES = 5  # each counts everybody
_CHANGES = '[{"do":"set_rollout","condition":1,"rollout_percentage":50}]'
Json = dict[str, Any]


class PreviewFlagChange(ProjectInput):
    """Arguments of preview_flag_change."""

    flag: str = Field(min_length=1, max_length=400, description="The flag's key, or its id.")
    changes: Annotated[list[FlagChange], listed_as(_CHANGES), AS_TEXT] = Field(
        min_length=1, description=f"As update_flag takes them: {_CHANGES}."
    )
    days: int = Field(7, ge=1, le=90, description="Simulate for those active within so many days.")
    people: int = Field(1000, ge=1, le=10_000, description="The most to simulate, latest first.")


@tool(
    area="flags",
    access=Access.READ,
    title="Preview a flag change",
    scopes=("feature_flag:read", "query:read", "cohort:read", "group:read"),
)
async def preview_flag_change(ctx: Context, args: PreviewFlagChange) -> Record:
    """Show what update_flag would do, and change nothing: what differs, whom conditions reach, who switches.

    Who switches is simulated for recent people, from what to what, with examples.
    """
    project = await ctx.project(args)
    flag = await find_flag(ctx, project, args.flag)
    made = await draft(ctx, project, flag, args.changes)
    types = await names_of_groups(ctx, project, flag, made.after)
    before, after = (conditions(state.get("filters") or {}, types) for state in (flag, made.after))
    data: Json = {
        "flag": flag["key"],
        "project": str(project),
        "version": flag.get("version"),
        "would_change": difference(flag, made.after),
    }
    if not made.body:
        return Record(data | {"note": "It is so already."})
    if before != after:
        data |= {"who_gets_it_now": before, "who_would_get_it": after}

    async def reach() -> None:
        data["reach"] = await _reach(ctx, project, made, after)

    async def simulation() -> None:
        data.update(await _simulated(ctx, project, made, args))

    async def used_by() -> None:
        users = await users_of(ctx, project, flag)
        data["used_by"] = users.named
        if made.switches_off and users.flags:
            data["refused_because_needed_by"] = users.flags
        if users.running and {"filters", "active"} & made.body.keys():
            data["warning"] = spoilt(users.running)

    async with anyio.create_task_group() as tasks:
        for part in (reach, simulation, used_by):
            tasks.start_soon(part)
    data = {name: value for name, value in data.items() if value not in ([], {}) or name == "would_change"}
    return Record(data, outsiders=frozenset({"simulation", "simulation_failed"}))


async def _reach(ctx: Context, project: Project, made: Draft, words: list[str]) -> list[Json]:
    """How many everywhere the new and changed conditions fit, as PostHog counts them."""
    filters: Json = made.after.get("filters") or {}
    groups = conditions_of(made.after)
    places = list(range(len(groups))) if "active" in made.body else sorted(made.touched)
    reached: list[Json] = []
    for place in places[:_MOST_REACHES]:
        group = groups[place]
        index = group.get("aggregation_group_type_index", filters.get("aggregation_group_type_index"))
        body = {"condition": group, "group_type_index": index}
        answer = await ctx.api.post(_REACH, body, project_id=project.id)
        fit = answer.get("affected", answer.get("users_affected")) or 0
        share = group.get("rollout_percentage")
        reached.append(
            {
                "condition": place + 1,
                "who": words[place],
                "fit": fit,
                "of": answer.get("total", answer.get("total_users")),
                "within_rollout": round(fit * (100 if share is None else share) / 100),
            }
        )
    return reached


async def _simulated(ctx: Context, project: Project, made: Draft, args: PreviewFlagChange) -> Json:
    try:
        result = await simulate(ctx, project, made.before, made.after, days=args.days, most=args.people)
    except ToolFailure as failure:
        return {"simulation_failed": str(failure)}
    except PostHogError as error:
        # The difference and the reach are worth having without it.
        return {"simulation_failed": f"{error.what} {error.why} {error.next_step}"}
    about = (
        f"{result.subjects} active within {args.days} days"
        if result.subjects == "persons"
        else f"groups of type {result.subjects}"
    )
    data: Json = {"simulation": {"about": f"{about}, latest {result.count}"} | result.shown()}
    return data | ({"simulation_leaves_out": result.notes} if result.notes else {})
