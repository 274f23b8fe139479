"""Persons: what PostHog knows of people."""

from typing import Any

from pydantic import Field, field_validator, model_validator

from posthog_mcp import outbox
from posthog_mcp.render import Record
from posthog_mcp.tool import Access, Context, JsonObject, ToolFailure, tool
from posthog_mcp.tool.events import check_distinct_id
from posthog_mcp.tool.sending import Sending, send


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
