"""Events: what an application sends to PostHog."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from posthog_mcp.api.errors import PostHogError
from posthog_mcp.render import Record
from posthog_mcp.tool import Access, Context, Input, JsonArray, JsonObject, ToolFailure, tool
from posthog_mcp.tool.events import Event, check_distinct_id, made, posthog_event

_MOST_SHOWN = 20  # uuids and problems repeated in an answer
_BATCH_EVENTS, _BATCH_BYTES = 1_000, 4 * 1024 * 1024


class CaptureEvent(Event):
    """Arguments of capture_event."""

    dry_run: bool = Field(default=False, description="Show the event, send nothing.")


@tool(area="events", access=Access.WRITE, title="Capture an event", keys=("project",))
async def capture_event(ctx: Context, args: CaptureEvent) -> Record:
    """Send one event to PostHog, as an application would. For several, use capture_events."""
    return await _send(ctx, [_built(ctx, args, "")], dry_run=args.dry_run)


class CaptureEvents(Input):
    """Arguments of capture_events."""

    events: JsonArray = Field(
        description='JSON list of events as in capture_event: [{"event": "signed up", "distinct_id": "u1", '
        '"properties": {"plan": "pro"}, "timestamp": "2026-03-01T10:00:00Z"}]. Thousands in one call.'
    )
    historical: bool = Field(
        default=False,
        description="The events are from the past: PostHog takes them on its slower lane for imports.",
    )
    dry_run: bool = Field(default=False, description="Show the first events, send nothing.")


@tool(area="events", access=Access.WRITE, title="Capture many events", keys=("project",))
async def capture_events(ctx: Context, args: CaptureEvents) -> Record:
    """Send many events in one call. If one does not fit, none is sent, and the answer names its place."""
    if not args.events:
        raise ToolFailure("No event was sent.", "`events` is empty.", "Give at least one event.")
    built: list[dict[str, Any]] = []
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
    return await _send(ctx, built, dry_run=args.dry_run, historical=args.historical)


class IdentifyPerson(Input):
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
    dry_run: bool = Field(default=False, description="Show the event, send nothing.")

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
    try:
        event = made("$identify", args.distinct_id, properties, ctx.now())
    except ValueError as error:
        raise ToolFailure(
            "The person was not identified.", f"The event {error}.", "Send less or correct it."
        ) from None
    return await _send(ctx, [event], dry_run=args.dry_run)


def _problem(item: ErrorDetails) -> str:
    return f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}."


def _built(ctx: Context, event: Event, where: str) -> dict[str, Any]:
    try:
        return posthog_event(event, ctx.now())
    except ValueError as error:
        words = f"{where}{'The event ' if not where else ''}{error}."
        raise ToolFailure("The event was not sent.", words, "Correct it and send it again.") from None


async def _deliver(ctx: Context, events: list[dict[str, Any]], *, historical: bool) -> None:
    sent = 0
    for batch in _batches(events):
        try:
            answer = await ctx.api.send_batch(batch, historical=historical)
        except PostHogError as error:
            if not sent:
                raise
            raise ToolFailure(
                f"{sent} of {len(events)} events were sent, the others not.",
                str(error),
                "Send the others again.",
            ) from None
        if answer.quota_limited:
            raise ToolFailure(
                f"PostHog dropped {len(batch)} of {len(events)} events.",
                f"The project is over its billing limit for {', '.join(answer.quota_limited)}.",
                "Raise the limit at PostHog, or wait for the next period.",
            )
        sent += len(batch)


def _batches(events: list[dict[str, Any]]) -> Iterator[list[bytes]]:
    """The events as JSON, in batches well below what PostHog takes in one request."""
    batch: list[bytes] = []
    size = 0
    for event in events:
        written = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if batch and (size + len(written) > _BATCH_BYTES or len(batch) == _BATCH_EVENTS):
            yield batch
            batch, size = [], 0
        batch.append(written)
        size += len(written)
    yield batch


async def _send(
    ctx: Context, events: list[dict[str, Any]], *, dry_run: bool, historical: bool = False
) -> Record:
    if dry_run:
        return Record({"dry_run": True, "events": len(events), "would_send": events[:_MOST_SHOWN]})
    await _deliver(ctx, events, historical=historical)
    uuids = [event["uuid"] for event in events]
    answer: dict[str, Any] = {"delivered": len(events), "uuids": uuids[:_MOST_SHOWN]}
    if len(uuids) > _MOST_SHOWN:
        answer["uuids_not_shown"] = len(uuids) - _MOST_SHOWN
    project = await ctx.token_project()
    if project:
        answer["project"] = str(project)
    answer["note"] = "PostHog took them; they can be queried after a moment."
    return Record(answer)
