"""Events: what an application sends to PostHog."""

import json
import time
from typing import Any
from uuid import UUID

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from posthog_mcp import outbox
from posthog_mcp.render import Record
from posthog_mcp.tool import Access, Context, Input, JsonArray, JsonObject, ToolFailure, tool
from posthog_mcp.tool.events import Event, check_distinct_id, posthog_event

_MOST_SHOWN = 20  # uuids and problems repeated in an answer
_WAIT_SECONDS = 10.0
_ACCEPTED = "Safe on disk; PostHog gets them within seconds, and shows them to queries a moment later."
_NOT_YET = "Safe on disk, but not delivered yet: it goes on in the background; check_delivery says why."


class Sending(Input):
    """How events are sent, the same for every tool that sends some."""

    wait: bool = Field(default=False, description="Answer only when PostHog has them, within 10 s.")
    dry_run: bool = Field(default=False, description="Show the events, send nothing.")


class CaptureEvent(Sending, Event):
    """Arguments of capture_event."""


@tool(area="events", access=Access.WRITE, title="Capture an event", keys=("project",))
async def capture_event(ctx: Context, args: CaptureEvent) -> Record:
    """Send one event to PostHog, as an application would. For several, use capture_events."""
    return await _send(ctx, [_built(ctx, args, "")], args)


class CaptureEvents(Sending):
    """Arguments of capture_events."""

    events: JsonArray = Field(
        description='JSON list of events as in capture_event: [{"event": "signed up", "distinct_id": "u1", '
        '"properties": {"plan": "pro"}, "timestamp": "2026-03-01T10:00:00Z"}]. Thousands in one call.'
    )
    historical: bool = Field(
        default=False,
        description="The events are from the past: PostHog takes them on its slower lane for imports.",
    )


@tool(area="events", access=Access.WRITE, title="Capture many events", keys=("project",))
async def capture_events(ctx: Context, args: CaptureEvents) -> Record:
    """Send many events in one call. If one does not fit, none is sent, and the answer names its place."""
    if not args.events:
        raise ToolFailure("No event was sent.", "`events` is empty.", "Give at least one event.")
    built: list[outbox.Event] = []
    problems: list[str] = []
    for place, given in enumerate(args.events):
        try:
            built.append(_built(ctx, Event.model_validate(given), f"events[{place}] "))
        except ValidationError as error:
            problems += [f"events[{place}].{_problem(item)}" for item in error.errors(include_url=False)]
        except ToolFailure as failure:
            problems.append(failure.why)
    if problems:
        more = f" And {len(problems) - _MOST_SHOWN} more." if len(problems) > _MOST_SHOWN else ""
        raise ToolFailure(
            f"None of the {len(args.events)} events was sent.",
            " ".join(problems[:_MOST_SHOWN]) + more,
            "Correct these and send all again.",
        )
    return await _send(ctx, built, args, historical=args.historical)


class IdentifyPerson(Sending):
    """Arguments of identify_person."""

    distinct_id: str = Field(
        min_length=1, max_length=200, description="The person, as your application knows them."
    )
    properties: JsonObject = Field(
        default_factory=dict, description='Set on the person: {"email": "a@b.co"}.'
    )
    properties_once: JsonObject = Field(
        default_factory=dict, description="Set only where the person has none yet."
    )
    anonymous_id: str = Field(
        "",
        max_length=200,
        description="Id the person had before you knew them: both become one person, for good.",
    )

    @field_validator("distinct_id", "anonymous_id")
    @classmethod
    def _person(cls, value: str) -> str:
        return check_distinct_id(value) if value else value


@tool(
    area="events",
    access=Access.WRITE,
    title="Identify a person",
    keys=("project",),
    destructive=True,
    idempotent=True,
)
async def identify_person(ctx: Context, args: IdentifyPerson) -> Record:
    """Say who a person is: set properties, and link the anonymous id they had, which merges both for good.

    PostHog refuses to merge an id that belongs to somebody identified already.
    """
    properties: dict[str, Any] = {"$set": args.properties, "$set_once": args.properties_once}
    if args.anonymous_id:
        properties["$anon_distinct_id"] = args.anonymous_id
    event = _made(ctx, "$identify", args.distinct_id, properties)
    return await _send(ctx, [event], args)


class AliasPerson(Sending):
    """Arguments of alias_person."""

    distinct_id: str = Field(min_length=1, max_length=200, description="The person, as events name them.")
    alias: str = Field(min_length=1, max_length=200, description="Another id of the same person.")

    @field_validator("distinct_id", "alias")
    @classmethod
    def _person(cls, value: str) -> str:
        return check_distinct_id(value)


@tool(
    area="events",
    access=Access.WRITE,
    title="Alias a person",
    keys=("project",),
    destructive=True,
    idempotent=True,
)
async def alias_person(ctx: Context, args: AliasPerson) -> Record:
    """Say that two ids are one person, which merges them for good; not if alias is identified already."""
    properties = {"distinct_id": args.distinct_id, "alias": args.alias}
    return await _send(ctx, [_made(ctx, "$create_alias", args.distinct_id, properties)], args)


class IdentifyGroup(Sending):
    """Arguments of identify_group."""

    group_type: str = Field(min_length=1, max_length=400, description="Kind of group: company. Five at most.")
    group_key: str = Field(min_length=1, max_length=400, description="Which one: acme.")
    properties: JsonObject = Field(default_factory=dict, description='Set on it: {"seats": 20}.')


@tool(area="events", access=Access.WRITE, title="Identify a group", keys=("project",), idempotent=True)
async def identify_group(ctx: Context, args: IdentifyGroup) -> Record:
    """Create a group (a company, a project) or set its properties. Events join it with their `groups`."""
    properties = {"$group_type": args.group_type, "$group_key": args.group_key, "$group_set": args.properties}
    # The event needs an id; PostHog's SDKs make it of the group, which keeps people out of it.
    distinct_id = f"${args.group_type}_{args.group_key}"[:200]
    return await _send(ctx, [_made(ctx, "$groupidentify", distinct_id, properties)], args)


class CheckDelivery(Input):
    """Arguments of check_delivery."""

    uuids: list[str] = Field(default_factory=list[str], max_length=100, description="Events; none for all.")

    @field_validator("uuids")
    @classmethod
    def _uuids(cls, value: list[str]) -> list[str]:
        return [str(UUID(item)) for item in value]


@tool(area="events", access=Access.READ, title="Check delivery", keys=("project",))
async def check_delivery(ctx: Context, args: CheckDelivery) -> Record:
    """Whether events sent from this machine have reached PostHog: those named, or all that wait or failed."""
    box = ctx.outbox()
    if args.uuids:
        return Record({"events": {uuid: box.state_of(UUID(uuid)) for uuid in args.uuids}})
    status = box.status()
    letters = [
        {"uuid": str(letter.uuid), "reason": letter.reason} for letter in box.dead_letters(_MOST_SHOWN)
    ]
    data: dict[str, Any] = {
        "waiting": [
            {"host": item.host, "events": item.events, "oldest_seconds": round(time.time() - item.oldest)}
            | ({"problem": item.stopped} if item.stopped else {})
            for item in status.waiting
        ],
        "failed": status.dead,
    }
    if letters:
        data["failures"] = letters
    if status.damaged:
        data["set_aside"] = status.damaged
    if not status.on_disk:
        data["note"] = "Events are kept in memory alone: those that wait are lost when the server ends."
    return Record(data)


def _made(ctx: Context, name: str, distinct_id: str, properties: dict[str, Any]) -> outbox.Event:
    try:
        return outbox.made(name, distinct_id, properties, ctx.now())
    except ValueError as error:
        raise ToolFailure("Nothing was sent.", f"The event {error}.", "Send less, or correct it.") from None


def _problem(item: ErrorDetails) -> str:
    return f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}."


def _built(ctx: Context, event: Event, where: str) -> outbox.Event:
    try:
        return posthog_event(event, ctx.now())
    except ValueError as error:
        words = f"{where}{'The event ' if not where else ''}{error}."
        raise ToolFailure("The event was not sent.", words, "Correct it and send it again.") from None


async def _send(
    ctx: Context, events: list[outbox.Event], args: Sending, *, historical: bool = False
) -> Record:
    if args.dry_run:
        shown = [json.loads(event.body) for event in events[:_MOST_SHOWN]]
        return Record({"dry_run": True, "events": len(events), "would_send": shown})
    box = ctx.outbox()
    try:
        await box.append(events, historical=historical)
    except outbox.OutboxFull as full:
        raise ToolFailure(
            "No event was taken in.", str(full), "check_delivery says why they are not delivered."
        ) from None
    uuids = [event.uuid for event in events]
    delivered = args.wait and await box.wait_for(uuids, _WAIT_SECONDS)
    answer: dict[str, Any] = {"delivered" if delivered else "accepted": len(events)}
    if delivered:
        _check_failures(box, uuids)
    else:
        answer["note"] = _NOT_YET if args.wait else _ACCEPTED
    answer["uuids"] = [str(uuid) for uuid in uuids[:_MOST_SHOWN]]
    if len(uuids) > _MOST_SHOWN:
        answer["uuids_not_shown"] = len(uuids) - _MOST_SHOWN
    project = await ctx.token_project()
    if project:
        answer["project"] = str(project)
    return Record(answer)


def _check_failures(box: outbox.Outbox, uuids: list[UUID]) -> None:
    failed = [state for uuid in uuids if (state := box.state_of(uuid)).startswith("failed")]
    if failed:
        raise ToolFailure(
            f"PostHog took {len(uuids) - len(failed)} of {len(uuids)} events.",
            failed[0],
            "The others are kept: check_delivery lists them, and `posthog-mcp outbox retry` sends them anew.",
        )
