"""What the outbox keeps, and what it says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


class OutboxFull(Exception):  # noqa: N818 - a state of the outbox, in the words of its readers
    """There is no room for more events; those that are kept stay kept."""


class OutboxDamaged(Exception):  # noqa: N818
    """The file cannot be read; it was left where it is."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event, ready to be sent: its uuid and its JSON never change again.

    Attributes:
        uuid: Its id.
        body: Its JSON.
        distinct_id: Whose it is.
        person: What it sets on the person (`$set`).
    """

    uuid: UUID
    body: bytes
    distinct_id: str = ""
    person: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Row:
    """An event that waits. `seq` is its place in the order of arrival."""

    seq: int
    uuid: bytes
    historical: bool
    body: bytes


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that PostHog does not take, with its reason.

    Attributes:
        uuid: The event's id.
        host: Where it was to go.
        reason: What PostHog said.
        died: When, in seconds since 1970.
        event: Its JSON.
    """

    uuid: UUID
    host: str
    reason: str
    died: float
    event: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for one project at one host.

    Attributes:
        host: Where the events go.
        token: The project token, shortened so that it can be shown.
        events: How many wait.
        oldest: When the oldest was taken in, in seconds since 1970.
        stopped: Why nothing is sent for the time being; empty while all is well.
    """

    host: str
    token: str
    events: int
    oldest: float
    stopped: str = ""


@dataclass(slots=True)
class Status:
    """All that the outbox holds.

    Attributes:
        waiting: By host and project.
        dead: How many events PostHog does not take.
        damaged: Files that could not be read and were set aside.
        on_disk: False when events are kept in memory alone.
    """

    waiting: list[Waiting] = field(default_factory=list[Waiting])
    dead: int = 0
    damaged: list[str] = field(default_factory=list[str])
    on_disk: bool = True

    @property
    def events(self) -> int:
        """How many events wait in all."""
        return sum(item.events for item in self.waiting)
