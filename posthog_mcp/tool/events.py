"""Events as PostHog takes them, made from what an agent gives."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from posthog_mcp import outbox
from posthog_mcp.tool.arguments import Input, JsonObject
from posthog_mcp.tool.times import Moment, iso, parse_time

# PostHog refuses to merge or drops these: they are what broken code sends for "no id".
_NO_ID = frozenset(
    {
        "0",
        "00000000-0000-0000-0000-000000000000",
        "anonymous",
        "anonymous-user",
        "backend",
        "distinct_id",
        "distinctid",
        "email",
        "false",
        "guest",
        "id",
        "nan",
        "none",
        "not_authenticated",
        "null",
        "system",
        "true",
        "undefined",
        "user",
        "[object object]",
    }
)
_FUTURE = timedelta(hours=23)  # PostHog moves later times to the time of arrival
# Events that merge people or mean nothing without their parts have a tool of their own.
_OWN_TOOL = {
    "$identify": "identify_person",
    "$create_alias": "alias_person",
    "$groupidentify": "identify_group",
    "$set": "set_person_properties",
    "$ai_generation": "capture_llm_generation",
    "$ai_span": "capture_llm_generation",
    "$ai_trace": "capture_llm_generation",
    "$ai_embedding": "capture_llm_generation",
    "$ai_metric": "capture_llm_generation",
    "$ai_feedback": "capture_llm_generation",
    "$exception": "capture_exception",
}
_COMPLETE_WITH = {"$exception": "$exception_list"} | {
    name: "$ai_trace_id" for name in _OWN_TOOL if name.startswith("$ai_")
}
_NEVER = {
    "$merge_dangerously": "it merges even people who are identified, for good; do it in PostHog",
    "$snapshot": "recordings are taken by PostHog's SDKs alone",
    "$snapshot_items": "recordings are taken by PostHog's SDKs alone",
    "$$client_ingestion_warning": "PostHog writes it itself",
}
_OBJECTS = ("$set", "$set_once", "$group_set", "$groups")
_CHECKED = {*_OBJECTS, "$unset"}
ANONYMOUS = (
    "These events make no person (as with person_profiles: identified_only): they are missing from person "
    "properties, cohorts, and funnels that need a person, until identify_person links the id. Leave out "
    "`anonymous`, or identify early, where that matters."
)


def check_distinct_id(value: str) -> str:
    """`value`, when a person can have it as an id.

    Raises:
        ValueError: With words for the caller.
    """
    words = value.strip()
    if not words:
        raise ValueError("is blank: give the id your application knows the person by")
    if words.lower() in _NO_ID:
        raise ValueError(f"`{words}` is what broken code sends for no id, and PostHog merges nobody into it")
    return value


def check_properties(properties: Mapping[str, Any]) -> None:
    """Refuse PostHog's own properties in a form that it would ignore or misread.

    Raises:
        ValueError: With words for the caller.
    """
    if not properties.keys() & _CHECKED:
        return
    wrong = [name for name in _OBJECTS if not isinstance(properties.get(name, {}), dict)]
    if wrong:
        raise ValueError(f'has a `{wrong[0]}` that is no object; write it as {{"plan": "pro"}}')
    lists = isinstance(properties.get("$unset", []), list)
    if not lists:
        raise ValueError('has an `$unset` that is no list; write the names as ["plan"]')
    changes = [name for name in ("$set", "$set_once", "$unset") if properties.get(name)]
    if properties.get("$process_person_profile") is False and changes:
        raise ValueError(
            f"has `{changes[0]}` but makes no person, so PostHog would ignore it; leave out `anonymous`"
        )


def check_name(name: str, properties: Mapping[str, Any]) -> None:
    """Refuse the name of an event that has a tool of its own, or that nobody but PostHog sends.

    Raises:
        ValueError: With words for the caller.
    """
    if name in _NEVER:
        raise ValueError(f"`{name}` cannot be sent: {_NEVER[name]}")
    if name in _OWN_TOOL and _COMPLETE_WITH.get(name, "") not in properties:
        raise ValueError(f"`{name}` has a tool of its own: {_OWN_TOOL[name]}")


class Subject(Input):
    """Who an event is about, and when it happened."""

    distinct_id: str = Field(
        min_length=1, max_length=200, description="Who did it, as your application knows them."
    )
    properties: JsonObject = Field(default_factory=dict, description='What is known of it: {"total": 42.5}.')
    timestamp: Moment = Field("", description="When: ISO time, or -2h. Default now.")
    groups: JsonObject = Field(default_factory=dict, description='Groups it belongs to: {"company": "acme"}.')

    @field_validator("distinct_id")
    @classmethod
    def _person(cls, value: str) -> str:
        return check_distinct_id(value)


class Event(Subject):
    """One event, as an application sends it."""

    event: str = Field(min_length=1, max_length=200, description="Name, such as order placed.")
    anonymous: bool = Field(
        default=False,
        description="Make no person of it; people seen only so are missing from funnels and cohorts.",
    )
    disable_geoip: bool | None = Field(
        None, description="Add no location. Default: true, unless properties have the person's $ip."
    )
    uuid: str = Field("", description="Its id, for sending it again without a double. Default a new one.")

    @field_validator("uuid")
    @classmethod
    def _uuid(cls, value: str) -> str:
        return str(UUID(value)) if value else ""

    @model_validator(mode="after")
    def _fits(self) -> "Event":
        check_name(self.event, self.properties)
        return self


def posthog_event(event: Event, now: datetime) -> outbox.Event:
    """The event as `/batch/` takes it, with the uuid and the time that stay the same when it is sent again.

    Raises:
        ValueError: The event is too large, lies in the future, or holds what PostHog would not take; the
            words follow "the event".
    """
    properties: dict[str, Any] = {**event.properties}
    if event.anonymous:
        properties["$process_person_profile"] = False
    if event.disable_geoip is not None:
        properties["$geoip_disable"] = event.disable_geoip
    uuid = UUID(event.uuid) if event.uuid else None
    return built(event.event, event, properties, now, uuid)


def built(
    name: str, subject: Subject, properties: dict[str, Any], now: datetime, uuid: UUID | None = None
) -> outbox.Event:
    """An event of this name about `subject`, with `properties` instead of the subject's own.

    Raises:
        ValueError: As `posthog_event`.
    """
    moment = parse_time(subject.timestamp, now) if subject.timestamp else now
    if moment - now > _FUTURE:
        raise ValueError(
            f"has the time {iso(moment)} in the future, which PostHog would replace by the time of arrival; "
            "check `timestamp` and this machine's clock"
        )
    if subject.groups:
        properties = {**properties, "$groups": subject.groups}
    check_properties(properties)
    return outbox.made(name, subject.distinct_id, properties, moment, uuid)
