"""Durable delivery of events: what was taken in reaches PostHog, whatever happens to the process."""

from posthog_mcp.outbox.event import made, uuid_of
from posthog_mcp.outbox.outbox import Outbox
from posthog_mcp.outbox.rows import (
    DeadLetter,
    Event,
    Mark,
    OutboxFull,
    OutboxUnusable,
    PersonChange,
    Status,
    Waiting,
)

__all__ = [
    "DeadLetter",
    "Event",
    "Mark",
    "Outbox",
    "OutboxFull",
    "OutboxUnusable",
    "PersonChange",
    "Status",
    "Waiting",
    "made",
    "uuid_of",
]
