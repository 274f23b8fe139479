"""Events: what an application sends to PostHog."""

from collections.abc import Callable
from typing import Any, Literal
from uuid import UUID, uuid4

from pydantic import Field, ValidationError, field_validator, model_validator

from posthog_mcp import outbox
from posthog_mcp.render import Record
from posthog_mcp.tool import Access, Context, Input, JsonArray, JsonObject, ToolFailure, tool
from posthog_mcp.tool.events import ANONYMOUS, Event, Subject, built, check_distinct_id, posthog_event
from posthog_mcp.tool.llm import LlmEvent
from posthog_mcp.tool.misfits import misfits
from posthog_mcp.tool.sending import MOST_SHOWN, Sending, delivery, send
from posthog_mcp.tool.tracebacks import Raised, exception_list, given_frames, read_traceback


class CaptureEvent(Sending, Event):
    """Arguments of capture_event."""


@tool(area="events", access=Access.WRITE, title="Capture an event", keys=("project",))
async def capture_event(ctx: Context, args: CaptureEvent) -> Record:
    """Send one event to PostHog, as an application would. For several, use capture_events."""
    event = _or_fail(lambda: posthog_event(args, ctx.now()))
    return await send(ctx, [event], args, notes=_notes([args]))


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
    given: list[Event] = []
    made: list[outbox.Event] = []
    problems: list[str] = []
    for place, item in enumerate(args.events):
        try:
            given.append(Event.model_validate(item))
            made.append(posthog_event(given[-1], ctx.now()))
        except ValidationError as error:
            problems += misfits(Event, error, at=f"events[{place}]")
        except ValueError as error:
            problems.append(f"events[{place}] {error}.")
    if problems:
        more = f" And {len(problems) - MOST_SHOWN} more." if len(problems) > MOST_SHOWN else ""
        raise ToolFailure(
            f"None of the {len(args.events)} events was sent.",
            " ".join(problems[:MOST_SHOWN]) + more,
            "Correct these and send all again.",
        )
    return await send(ctx, made, args, historical=args.historical, notes=_notes(given))


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
    given = {"$set": args.properties, "$set_once": args.properties_once}
    properties: dict[str, Any] = {name: value for name, value in given.items() if value}
    if args.anonymous_id:
        properties["$anon_distinct_id"] = args.anonymous_id
    event = _made(ctx, "$identify", args.distinct_id, properties)
    return await send(ctx, [event], args)


class AliasPerson(Sending):
    """Arguments of alias_person."""

    distinct_id: str = Field(min_length=1, max_length=200, description="The person, as events name them.")
    alias: str = Field(min_length=1, max_length=200, description="Another id of the same person.")

    @field_validator("distinct_id", "alias")
    @classmethod
    def _person(cls, value: str) -> str:
        return check_distinct_id(value)

    @model_validator(mode="after")
    def _two(self) -> "AliasPerson":
        if self.alias == self.distinct_id:
            raise ValueError("`alias` is the same id: give another one")
        return self


@tool(
    area="events",
    access=Access.WRITE,
    title="Alias a person",
    keys=("project",),
    destructive=True,
    idempotent=True,
    default=False,
)
async def alias_person(ctx: Context, args: AliasPerson) -> Record:
    """Say that two ids are one person, which merges them for good; not if alias is identified already."""
    properties = {"distinct_id": args.distinct_id, "alias": args.alias}
    return await send(ctx, [_made(ctx, "$create_alias", args.distinct_id, properties)], args)


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
    return await send(ctx, [_made(ctx, "$groupidentify", distinct_id, properties)], args)


class _Raised(Subject):
    """An exception, as text or in parts."""

    distinct_id: str = Field("", max_length=200, description="Whom it happened to. Default nobody.")
    traceback: str = Field(
        "",
        max_length=500_000,
        description="As Python or JavaScript prints it, with all it was caused by. Or give parts:",
    )
    type: str = Field("", max_length=200, description="ValueError.")
    message: str = Field("", max_length=10_000, description="Its words.")
    frames: JsonArray = Field(
        default_factory=list,
        description='Oldest call first: [{"filename": "shop/cart.py", "function": "pay", "lineno": 88}].',
    )
    level: Literal["debug", "info", "warning", "error", "fatal"] = Field("error", description="How bad.")
    handled: bool = Field(default=True, description="false: it ended what was running.")
    fingerprint: str = Field("", max_length=200, description="Issue it belongs to. Default PostHog's choice.")

    @field_validator("distinct_id")
    @classmethod
    def _person(cls, value: str) -> str:
        return check_distinct_id(value) if value else value

    @model_validator(mode="after")
    def _one_form(self) -> "_Raised":
        parts = self.type or self.message or self.frames
        if bool(parts) == bool(self.traceback.strip()):
            raise ValueError("give either traceback, or type and message")
        return self


class CaptureException(Sending, _Raised):
    """Arguments of capture_exception."""


@tool(area="events", access=Access.WRITE, title="Capture an exception", keys=("project",))
async def capture_exception(ctx: Context, args: CaptureException) -> Record:
    """Report an exception to error tracking, where PostHog groups equal ones into an issue."""
    properties = {
        **args.properties,
        "$exception_list": exception_list(_raised(args), handled=args.handled),
        "$exception_level": args.level,
    }
    if args.fingerprint:
        properties["$exception_fingerprint"] = args.fingerprint
    return await send(ctx, [_about(ctx, args, "$exception", properties)], args)


def _raised(args: CaptureException) -> list[Raised]:
    if args.traceback.strip():
        return read_traceback(args.traceback)
    try:
        return [Raised(args.type or "Error", args.message, given_frames(args.frames))]
    except ValueError as error:
        raise ToolFailure("Nothing was sent.", f"{error}.", "Correct it and send it again.") from None


class CaptureLlmGeneration(Sending, LlmEvent):
    """Arguments of capture_llm_generation."""


@tool(area="events", access=Access.WRITE, title="Capture LLM use", keys=("project",), default=False)
async def capture_llm_generation(ctx: Context, args: CaptureLlmGeneration) -> Record:
    """Record the use of a language model for LLM analytics: a generation, or a trace, span, rating of one."""
    event = _about(ctx, args, args.posthog_name(), args.posthog_properties())
    return await send(ctx, [event], args, notes=[f"trace_id {args.trace_id}."])


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
    box = ctx.leftovers()
    if args.uuids:
        try:
            return Record({"events": {uuid: box.state_of(UUID(uuid)) for uuid in args.uuids}})
        except outbox.OutboxUnusable as error:
            raise ToolFailure(
                "Nothing is known of these events.", str(error), "Mend that, and ask again."
            ) from None
    return Record(delivery(box, MOST_SHOWN))


def _made(ctx: Context, name: str, distinct_id: str, properties: dict[str, Any]) -> outbox.Event:
    return _or_fail(lambda: outbox.made(name, distinct_id, properties, ctx.now()))


def _about(ctx: Context, subject: Subject, name: str, properties: dict[str, Any]) -> outbox.Event:
    """An event about somebody, or about nobody: then it has an id that makes no person."""
    if not subject.distinct_id:
        subject.distinct_id = str(uuid4())
        properties = {**properties, "$process_person_profile": False}
    return _or_fail(lambda: built(name, subject, properties, ctx.now()))


def _or_fail(make: Callable[[], outbox.Event]) -> outbox.Event:
    try:
        return make()
    except ValueError as error:
        raise ToolFailure(
            "Nothing was sent.", f"The event {error}.", "Correct it and send it again."
        ) from None


def _notes(events: list[Event]) -> list[str]:
    without = (
        event.anonymous or event.properties.get("$process_person_profile") is False for event in events
    )
    return [ANONYMOUS] if any(without) else []
