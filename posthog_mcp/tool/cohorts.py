"""Cohorts as tools find, build and show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from posthog_mcp.api.errors import NotFound
from posthog_mcp.render.cohorts import conditions
from posthog_mcp.tool.arguments import Input, ProjectInput
from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.filter_rows import AS_TEXT, listed_as, person_filters
from posthog_mcp.tool.naming import only, unknown
from posthog_mcp.tool.selecting import select, uuid_of
from posthog_mcp.tool.short import Short

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project
    from posthog_mcp.tool.filters import Filter

LIST = "/api/projects/{project_id}/cohorts/"
ONE = LIST + "{id}/"
Json = dict[str, Any]
_INSTEAD = "Give what people did as `did`, and properties with on: person."


class OneCohort(ProjectInput):
    """The argument that names a cohort."""

    cohort: Short = Field(min_length=1, description="The cohort's id, or its exact name.")


class Did(Input):
    """What members did, or did not do."""

    event: Short = Field(min_length=1, description="Name of the event.")
    days: int = Field(30, ge=1, le=3_650, description="Within so many days.")
    times: int = Field(1, ge=1, le=1_000_000, description="At least so often.")
    negate: bool = Field(default=False, description="Who did not.")


DidRows = Annotated[list[Did], listed_as('[{"event": "order placed", "days": 30}]'), AS_TEXT]
"""An argument of `Did` rows: in the schema JSON text; a real list is taken as well."""


async def find_cohort(ctx: Context, project: Project, name: str) -> Json:
    """The cohort with this id or name, as PostHog has it now.

    Raises:
        ToolFailure: There is none, or several have the name.
    """
    if name.isascii() and name.isdecimal():
        try:
            return await ctx.api.get(ONE, project_id=project.id, id=name)
        except NotFound:
            pass  # a name may be a number as well
    page = await ctx.api.get(LIST, query={"search": name, "limit": 100}, project_id=project.id)
    cohort = only("cohort", name, [each for each in page["results"] if each["name"] == name], project)
    if cohort is None:
        page = await ctx.api.get(LIST, query={"limit": 200}, project_id=project.id)
        raise unknown("cohort", name, [str(each["name"]) for each in page["results"]], project)
    return cohort


def filters_of(rows: list[Filter], did: list[Did], *, any_of_them: bool) -> Json:
    """Conditions as PostHog keeps them with a cohort.

    Args:
        rows: What holds of a member's properties, and of membership elsewhere.
        did: What a member did.
        any_of_them: One is enough; else all must hold.

    Raises:
        ToolFailure: A row is on what a cohort cannot look at, or all say who is not in it.
    """
    leaves = [_leaf(each) for each in person_filters(rows, _INSTEAD)] + [_behaviour(each) for each in did]
    if all(leaf["negation"] for leaf in leaves):
        raise ToolFailure(
            "The cohort was not saved.",
            "Its conditions only say who is not in it, and PostHog takes people away from those that are.",
            'Add one that says who is, such as {"property":"email","operator":"is_set"} or another event.',
        )
    groups = [[leaf] for leaf in leaves] if any_of_them else [leaves]
    values = [{"type": "AND", "values": group} for group in groups]
    return {"properties": {"type": "OR", "values": values}}


def _leaf(row: Json) -> Json:
    """A row in a cohort's tree, where `not in a cohort` is a negation."""
    if row["type"] != "cohort":
        return {**row, "negation": False}
    return {"key": "id", "type": "cohort", "value": row["value"], "negation": row["operator"] == "not_in"}


def _behaviour(did: Did) -> Json:
    leaf: Json = {
        "type": "behavioral",
        "value": "performed_event" if did.times == 1 else "performed_event_multiple",
        "key": did.event,
        "event_type": "events",
        "time_value": did.days,
        "time_interval": "day",
        "negation": did.negate,
    }
    return leaf if did.times == 1 else {**leaf, "operator": "gte", "operator_value": did.times}


async def resolve(ctx: Context, project: Project, persons: list[str]) -> tuple[list[str], list[str]]:
    """The uuids of persons named by distinct id or uuid, each once, and the names that have no profile."""
    if not persons:
        return [], []
    text = "SELECT distinct_id, toString(person_id) FROM person_distinct_ids WHERE distinct_id IN {ids}"
    by_id = await select(ctx, project, f"{text} LIMIT 5000", {"ids": persons})
    known = {str(row[0]): str(row[1]) for row in by_id}
    uuids = {uuid: name for name in persons if name not in known and (uuid := uuid_of(name))}
    if uuids:
        text = "SELECT toString(id) FROM persons WHERE id IN {ids} LIMIT 5000"
        found = await select(ctx, project, text, {"ids": list(uuids)})
        known |= {uuids[str(row[0])]: str(row[0]) for row in found}
    unknown = [name for name in persons if name not in known]
    return list(dict.fromkeys(known[name] for name in persons if name in known)), unknown


def kind_of(cohort: Json) -> str:
    """`static` for a list of persons, else `dynamic`."""
    return "static" if cohort.get("is_static") else "dynamic"


def whole(ctx: Context, project: Project, cohort: Json) -> Json:
    """A cohort as tools show it."""
    shown: Json = {
        "id": cohort["id"],
        "name": cohort.get("name") or "",
        "description": cohort.get("description") or "",
        "type": kind_of(cohort),
        "who_is_in_it": conditions(cohort),
        "people": cohort.get("count"),
        "calculated": cohort.get("last_calculation"),
        "calculating": cohort.get("is_calculating"),
        "failed_calculations": cohort.get("errors_calculating"),
    }
    kept = {name: value for name, value in shown.items() if value or name == "people"}
    return {**kept, "project": str(project), "url": ctx.link(project, f"cohorts/{cohort['id']}")}
