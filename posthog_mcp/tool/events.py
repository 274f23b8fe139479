"""Events as PostHog takes them, made from what an agent gives."""

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
_OWN_EVENTS = {
    "$identify": "identify_person",
    "$create_alias": "alias_person",
    "$groupidentify": "identify_group",
    "$set": "set_person_properties",
}


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


class Event(Input):
    """One event, as an application sends it."""

    event: str = Field(min_length=1, max_length=200, description="Name, such as order placed.")
    distinct_id: str = Field(
        min_length=1, max_length=200, description="Who did it, as your application knows them."
    )
    properties: JsonObject = Field(default_factory=dict, description='What is known of it: {"total": 42.5}.')
    timestamp: Moment = Field("", description="When: ISO time, or -2h. Default now.")
    groups: JsonObject = Field(default_factory=dict, description='Groups it belongs to: {"company": "acme"}.')
    anonymous: bool = Field(
        default=False,
        description="Make no person of it; people seen only so are missing from funnels and cohorts.",
    )
    uuid: str = Field("", description="Its id, for sending it again without a double. Default a new one.")

    @field_validator("distinct_id")
    @classmethod
    def _person(cls, value: str) -> str:
        return check_distinct_id(value)

    @field_validator("uuid")
    @classmethod
    def _uuid(cls, value: str) -> str:
        return str(UUID(value)) if value else ""

    @model_validator(mode="after")
    def _fits(self) -> "Event":
        if self.anonymous and self.event in _OWN_EVENTS:
            raise ValueError(
                f"{self.event} is about a person and cannot be anonymous; use {_OWN_EVENTS[self.event]}"
            )
        return self


def posthog_event(event: Event, now: datetime) -> outbox.Event:
    """The event as `/batch/` takes it, with the uuid and the time that stay the same when it is sent again.

    Raises:
        ValueError: The event is too large, lies in the future, or holds what JSON cannot.
    """
    moment = parse_time(event.timestamp, now) if event.timestamp else now
    if moment - now > _FUTURE:
        raise ValueError(
            f"`timestamp` {iso(moment)} lies in the future; PostHog would replace it by the time of arrival"
        )
    properties: dict[str, Any] = {**event.properties}
    if event.groups:
        properties["$groups"] = event.groups
    if event.anonymous:
        properties["$process_person_profile"] = False
    uuid = UUID(event.uuid) if event.uuid else None
    return outbox.made(event.event, event.distinct_id, properties, moment, uuid)
