"""Persons as tools find and show them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field

from posthog_mcp.tool.arguments import ProjectInput
from posthog_mcp.tool.queries import answer_of
from posthog_mcp.tool.selecting import freshness, uuid_of
from posthog_mcp.tool.short import Short
from posthog_mcp.tool.times import iso

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

Json = dict[str, Any]
MOST_IDS = 50
_IDS_OF_A_PERSON = "SELECT distinct_id FROM person_distinct_ids WHERE person_id"
_PERSON_OF_THE_ID = "SELECT person_id FROM person_distinct_ids WHERE distinct_id = {who}"
_DEEPEST = 6
# What PostHog's own properties tell of an event; the rest describes the device and the page.
_TELLING = (
    "$current_url",
    "$screen_name",
    "$el_text",
    "$exception_types",
    "$exception_values",
    "$feature_flag",
    "$feature_flag_response",
    "$group_key",
    "$survey_id",
    "$ai_model",
)
PROFILES = (
    "Anonymous people have none where the application sends events without a profile, as posthog-js does by "
    "default (person_profiles: identified_only)"
)

ABOUT_IDS = "find_persons has the ids of a person, by email or name."


class OnePerson(ProjectInput):
    """The argument that names a person."""

    person: Short = Field(min_length=1, description="A distinct id of theirs, or their uuid.")


def events_of(who: str) -> tuple[str, Json]:
    """A condition on events: those of all distinct ids of the person `who` is, or of that id alone.

    Args:
        who: A distinct id, or a person's uuid, which need not have a profile.

    Returns:
        The condition, and the values in it.
    """
    same_person = f"distinct_id IN ({_IDS_OF_A_PERSON} IN ({_PERSON_OF_THE_ID}))"
    uuid = uuid_of(who)
    if not uuid:
        return f"(distinct_id = {{who}} OR {same_person})", {"who": who}
    by_uuid = f"person_id = {{uuid}} OR distinct_id IN ({_IDS_OF_A_PERSON} = {{uuid}})"
    return f"(distinct_id = {{who}} OR {same_person} OR {by_uuid})", {"who": who, "uuid": uuid}


def profile_of(who: str) -> tuple[str, Json]:
    """A condition on persons: the one that `who`, a distinct id or a uuid, is."""
    by_id, uuid = f"id IN ({_PERSON_OF_THE_ID})", uuid_of(who)
    return (f"({by_id} OR id = {{uuid}})", {"who": who, "uuid": uuid}) if uuid else (by_id, {"who": who})


@dataclass(frozen=True, slots=True)
class People:
    """A page of persons.

    Attributes:
        found: `{id, distinct_ids, properties, created_at, is_identified}` each.
        more: Whether others follow.
        freshness: Words for what PostHog had kept, else empty.
    """

    found: list[Json]
    more: bool
    freshness: str


async def people(
    ctx: Context,
    project: Project,
    where: list[str],
    values: Json,
    *,
    filters: list[Json] | None = None,
    limit: int = 2,
    offset: int = 0,
) -> People:
    """Persons with a profile, newest first.

    Args:
        ctx: The call.
        project: Where to look.
        where: Conditions on HogQL's table of persons, words of ours alone.
        values: What the placeholders in them stand for.
        filters: PostHog's property filters, all of which must hold.
        limit: How many.
        offset: How many to skip.
    """
    query: Json = {
        "kind": "ActorsQuery",
        "select": ["person"],
        "orderBy": ["created_at DESC", "id"],
        "limit": limit,
        "offset": offset,
    }
    if where:
        # PostHog keeps the answers to equal questions for minutes; this one is never equal, and always holds.
        conditions = " AND ".join([*where, "created_at <= toDateTime({tomorrow})"])
        text = f"SELECT id AS actor_id FROM persons WHERE {conditions}"  # noqa: S608 - our own words
        tomorrow = iso(ctx.now() + timedelta(days=1))
        query["source"] = {"kind": "HogQLQuery", "query": text, "values": {**values, "tomorrow": tomorrow}}
    if filters:
        query["properties"] = filters
    answer = await answer_of(ctx, project, query)
    rows: list[list[Json]] = answer.get("results") or []
    found = [row[0] for row in rows]
    # One that was deleted a moment ago is still counted, and comes with its id alone.
    known = [each for each in found if "properties" in each]
    return People(known, bool(answer.get("hasMore")), freshness(answer))


async def find_profile(ctx: Context, project: Project, who: str) -> Json | None:
    """The person that a distinct id or a uuid is; None where it has no profile.

    Where one person's uuid is another's distinct id, the distinct id wins.
    """
    condition, values = profile_of(who)
    found = (await people(ctx, project, [condition], values)).found
    return next((each for each in found if who in each["distinct_ids"]), found[0] if found else None)


def display_name(person: Json) -> str:
    """What PostHog calls a person: email, name or username, else a distinct id, else the uuid."""
    properties: Json = person.get("properties") or {}
    named = (properties.get(key) for key in ("email", "Email", "name", "Name", "username", "Username"))
    ids: list[str] = person.get("distinct_ids") or []
    return next((str(value) for value in named if value), ids[0] if ids else str(person["id"]))


def text_of(properties: Json, *names: str) -> str:
    """The first of these properties that there is, as text."""
    return next((str(properties[name]) for name in names if properties.get(name)), "")


def shown_ids(ids: list[str], most: int = MOST_IDS) -> list[str]:
    """The first distinct ids, and how many more there are."""
    return ids if len(ids) <= most else [*ids[:most], f"… {len(ids) - most} more"]


def own_properties(properties: Json) -> Json:
    """The properties that the application gave, without PostHog's own."""
    return {name: flat(value) for name, value in properties.items() if not name.startswith("$")}


def event_properties(text: str) -> Json:
    """What an event's properties tell, out of their JSON: the application's own, and a few of PostHog's."""
    properties = read(text)
    if not isinstance(properties, dict):
        return {"properties": properties}
    known = cast("Json", properties)
    return own_properties(known) | {name: flat(known[name]) for name in _TELLING if name in known}


def read(text: Any) -> Any:
    """A value from JSON text of PostHog's engine, flat; "" is None, and what is no JSON stays text."""
    if not isinstance(text, str):
        return flat(text)
    try:
        return flat(json.loads(text)) if text else None
    except (ValueError, RecursionError):
        return text  # numbers out of range, or lists within lists by the hundred: strangers may send both


def flat(value: Any, depth: int = _DEEPEST) -> Any:
    """A value whose innermost lists and objects, deeper than anybody reads, are `…`."""
    if isinstance(value, dict):
        items = cast("Json", value).items()
        return {key: flat(item, depth - 1) for key, item in items} if depth else "…"
    if isinstance(value, list):
        return [flat(item, depth - 1) for item in cast("list[Any]", value)] if depth else "…"
    return value
