"""What the outbox keeps, and what it says of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple, Self
from uuid import UUID


class OutboxFull(Exception):  # noqa: N818 - a state of the outbox, in the words of its readers
    """There is no room for more events; those that are kept stay kept."""


class OutboxUnusable(Exception):  # noqa: N818
    """The file cannot be opened or written: a full disk, a directory without rights."""


@dataclass(frozen=True, slots=True)
class Target:
    """A project at a host.

    Attributes:
        id: The same in every file and process.
        host: Where its events go.
        token: The project token.
    """

    id: int
    host: str
    token: str = field(repr=False)

    @classmethod
    def of(cls, host: str, token: str) -> Self:
        """The target of this host and token."""
        digest = hashlib.blake2b(f"{host}\n{token}".encode(), digest_size=8).digest()
        return cls(int.from_bytes(digest, "big") >> 1, host, token)


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What an event says of a person, as far as flags have to know it before PostHog does.

    Attributes:
        set: Properties it sets.
        unset: Properties it takes away.
        link: Another id that it makes the same person.
    """

    set: Mapping[str, Any] = field(default_factory=dict[str, Any])
    unset: tuple[str, ...] = ()
    link: str = ""


class Event(NamedTuple):
    """One event, ready to be sent: its uuid and its JSON never change again.

    Attributes:
        uuid: Its id.
        body: Its JSON.
        distinct_id: Whose it is.
        change: What it says of the person; None where it says nothing.
    """

    uuid: UUID
    body: bytes
    distinct_id: str = ""
    change: PersonChange | None = None


class Lane(IntEnum):
    """The lines that events wait in. Those of an earlier one go first: an import keeps nobody waiting."""

    NOW = 0
    PAST = 1
    IMPORT = 2  # nobody asks for these by their uuid, so it is neither indexed nor remembered


class Row(NamedTuple):
    """An event that waits. A tuple, because there are so many of them.

    Attributes:
        seq: Its place in the order of arrival.
        uuid: Its id.
        lane: In which line it waits.
        who: A number for its distinct id; events of one number are sent in their order.
        body: Its JSON.
        at: When it was taken in, in seconds since 1970.
    """

    seq: int
    uuid: bytes
    lane: int
    who: int
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Events for one request.

    Attributes:
        rows: In their order.
        full: Whether no more fit in.
    """

    rows: list[Row]
    full: bool = False


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
        refused: Whether only a person can mend that.
        held: How many people's events are held back, because PostHog fails on one of each.
    """

    host: str
    token: str
    events: int
    oldest: float
    stopped: str = ""
    refused: bool = False
    held: int = 0


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


@dataclass(frozen=True, slots=True)
class Mark:
    """How far an import has come, kept in the same commit as its events.

    Attributes:
        source: What is imported, the same at every run.
        line: Lines dealt with.
        offset: Bytes of the source dealt with.
        rejected: How many of the lines were no events.
    """

    source: str
    line: int = 0
    offset: int = 0
    rejected: int = 0
