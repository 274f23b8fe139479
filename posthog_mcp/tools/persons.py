"""Persons: what PostHog knows of people."""

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from posthog_mcp import outbox
from posthog_mcp.api.errors import MissingScope
from posthog_mcp.render import Record
from posthog_mcp.tool import Access, Context, JsonObject, Project, ToolFailure, tool
from posthog_mcp.tool.events import check_distinct_id
from posthog_mcp.tool.group_types import group_types
from posthog_mcp.tool.persons import (
    PROFILES,
    OnePerson,
    display_name,
    events_of,
    find_profile,
    flat,
    own_properties,
    shown_ids,
)
from posthog_mcp.tool.selecting import select
from posthog_mcp.tool.sending import Sending, send
from posthog_mcp.tool.times import iso

Json = dict[str, Any]
_ONE = "/api/projects/{project_id}/persons/{id}/"
_DAYS = 90
_ACTIVITY = (
    "SELECT count(), min(timestamp), max(timestamp), topK(5)(event), topK(11)($group_0), topK(11)($group_1),"
    " topK(11)($group_2), topK(11)($group_3), topK(11)($group_4) FROM events"
    " WHERE timestamp >= toDateTime({since}) AND "
)
_LONGEST_NAME = 80  # to type
_OUTSIDERS = frozenset(
    {"name", "distinct_ids", "frequent_events", "groups", "properties", "posthog_properties"}
)


class GetPerson(OnePerson):
    """Arguments of get_person."""

    detail: Literal["concise", "full"] = Field(
        "concise", description="full: also the properties that PostHog sets itself."
    )


@tool(area="persons", access=Access.READ, title="Get a person", scopes=("query:read", "group:read"))
async def get_person(ctx: Context, args: GetPerson) -> Record:
    """One person: properties, all distinct ids, groups, first and last seen. Their events: list_events."""
    project = await ctx.project(args)
    profile = await find_profile(ctx, project, args.person)
    seen = await _activity(ctx, project, args.person)
    if profile is None:
        return Record(_without_profile(project, args.person, seen), _OUTSIDERS)
    properties: Json = profile["properties"]
    own = own_properties(properties)
    shown: Json = {
        "person": profile["id"],
        "name": display_name(profile),
        "identified": profile.get("is_identified"),
        "distinct_ids": shown_ids(profile["distinct_ids"]),
        "first_seen": profile.get("created_at"),
        **seen,
        "properties": own,
    }
    theirs = {name: flat(value) for name, value in properties.items() if name not in own}
    if args.detail == "full":
        shown["posthog_properties"] = theirs
    elif theirs:
        shown["posthog_properties_left_out"] = len(theirs)
    place = {"project": str(project), "url": ctx.link(project, f"persons/{profile['id']}")}
    return Record({**shown, **place}, _OUTSIDERS)


async def _activity(ctx: Context, project: Project, who: str) -> Json:
    """What they did lately, by all of their ids: how much, when last, with which groups."""
    condition, values = events_of(who)
    since = iso(ctx.now() - timedelta(days=_DAYS))
    found = await select(ctx, project, f"{_ACTIVITY}{condition} LIMIT 1", {**values, "since": since})
    count, first, last, frequent, *keys = found[0]
    if not count:
        return {f"events_of_{_DAYS}_days": 0}
    groups = {place: sorted(key for key in found if key) for place, found in enumerate(keys) if any(found)}
    named = await _group_names(ctx, project, groups)
    seen = {f"events_of_{_DAYS}_days": count, "first_of_them": first, "last_seen": last}
    return seen | {"frequent_events": frequent} | ({"groups": named} if named else {})


async def _group_names(ctx: Context, project: Project, groups: dict[int, list[str]]) -> Json:
    """Group keys by the name of their type."""
    if not groups:
        return {}
    try:
        types = await group_types(ctx, project)
    except MissingScope:
        types = {}  # the keys say enough without the names of their types
    names = {number: name for name, number in types.items()}
    return {names.get(place, f"group type {place}"): found for place, found in groups.items()}


def _without_profile(project: Project, who: str, seen: Json) -> Json:
    if "last_seen" not in seen:
        raise ToolFailure(
            f"There is no person `{who}` in project {project}.",
            f"No profile and no event of the last {_DAYS} days has it as distinct id or uuid.",
            "Look with find_persons by a part of the id, the name or the email; ids are case-sensitive.",
        )
    note = (
        f"{PROFILES}: these are events without a person. They have no properties, and cohorts and flags "
        "cannot see them, until identify_person links the id or the application sends events with a profile."
    )
    return {"person": None, "distinct_id": who, **seen, "note": note, "project": str(project)}


class DeletePerson(OnePerson):
    """Arguments of delete_person."""

    delete_events: bool = Field(default=False, description="Delete all of their events too.")
    dry_run: bool = Field(default=False, description="Show who it would be, delete nothing.")


@tool(
    area="persons",
    access=Access.FULL,
    title="Delete a person",
    scopes=("person:write", "query:read"),
    destructive=True,
    idempotent=True,
    default=False,
)
async def delete_person(ctx: Context, args: DeletePerson) -> Record:
    """Delete a person: profile and distinct ids, and if asked their events. A person must agree.

    Events that still arrive with one of the ids make a new, empty profile.
    """
    project = await ctx.project(args)
    profile = await find_profile(ctx, project, args.person)
    if profile is None:
        raise ToolFailure(
            "Nothing was deleted.",
            f"No person with a profile has the distinct id or uuid `{args.person}` in project {project}.",
            "Look with find_persons; what has no profile is events alone, and those stay.",
        )
    name, ids = display_name(profile), shown_ids(profile["distinct_ids"], 10)
    shown: Json = {"person": profile["id"], "name": name, "distinct_ids": ids, "project": str(project)}
    if args.dry_run:
        path = f"DELETE {_ONE.format(project_id=project.id, id=profile['id'])}"
        planned = {"dry_run": True, "request": path, "delete_events": args.delete_events}
        return Record({**planned, **shown}, _OUTSIDERS)
    also = " and all events of theirs" if args.delete_events else "; events of theirs stay"
    await ctx.consent(
        f"Delete the person {name[:_LONGEST_NAME]} ({profile['id']}) of project {project}, known by "
        f"{len(profile['distinct_ids'])} distinct ids: profile{also}.",
        name if name.isprintable() and len(name) <= _LONGEST_NAME else profile["id"],
    )
    # PostHog deletes them as soon as the name is there, whatever its value.
    query = {"delete_events": True} if args.delete_events else {}
    await ctx.api.delete(_ONE, query=query, project_id=project.id, id=profile["id"])
    events = "PostHog deletes them in its weekly run" if args.delete_events else "kept"
    return Record({"deleted": profile["id"], "events": events, **shown}, _OUTSIDERS)


class SetPersonProperties(Sending):
    """Arguments of set_person_properties."""

    distinct_id: str = Field(min_length=1, max_length=200, description="The person, as events name them.")
    set: JsonObject = Field(default_factory=dict, description='Set, whatever was there: {"plan": "pro"}.')
    set_once: JsonObject = Field(default_factory=dict, description="Set only where there is none yet.")
    unset: list[str] = Field(default_factory=list[str], max_length=1_000, description="Names to take away.")

    @field_validator("distinct_id")
    @classmethod
    def _person(cls, value: str) -> str:
        return check_distinct_id(value)

    @model_validator(mode="after")
    def _changes(self) -> "SetPersonProperties":
        if not (self.set or self.set_once or self.unset):
            raise ValueError("changes nothing: give set, set_once or unset")
        twice = sorted(self.set.keys() & set(self.unset))
        if twice:
            raise ValueError(f"{', '.join(twice)} cannot be set and taken away at once")
        return self


@tool(
    area="persons",
    access=Access.WRITE,
    title="Set person properties",
    keys=("project",),
    destructive=True,
    idempotent=True,
)
async def set_person_properties(ctx: Context, args: SetPersonProperties) -> Record:
    """Set or remove properties of a person without any event of theirs. Flags see it at once."""
    given = {"$set": args.set, "$set_once": args.set_once, "$unset": args.unset}
    properties: dict[str, Any] = {name: value for name, value in given.items() if value}
    try:
        event = outbox.made("$set", args.distinct_id, properties, ctx.now())
    except ValueError as error:
        raise ToolFailure("Nothing was set.", f"The event {error}.", "Send less, or correct it.") from None
    return await send(ctx, [event], args)
