"""What a limit is, and what happened to a request for a permit."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `permits` within any `seconds`, under a name that all who share it use."""

    name: str
    permits: int
    seconds: float


@dataclass(slots=True)
class Reservation:
    """A slot that was given out.

    Attributes:
        group: The limits it belongs to, taken together.
        wait: Seconds from the reservation to the slot; 0 when it is due at once.
        marks: Where the slot stands in each limit, for asking after it and giving it back.
    """

    group: str
    wait: float
    marks: list["Mark"] = field(default_factory=list["Mark"])


@dataclass(slots=True)
class Mark:
    """One limit's record of a slot: its running number there, and what it replaced."""

    limit: str
    number: int
    replaced: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of one limit is spent, as we count it.

    Attributes:
        used: Permits given out within the window, those still to come included.
        permits: How many we allow ourselves now: the known limit, or fewer after PostHog refused us.
        seconds: The window.
        cool_down: Seconds until anything is sent again; 0 when nothing holds us back.
    """

    name: str
    used: int
    permits: int
    seconds: float
    cool_down: float


class LimitExceeded(Exception):  # noqa: N818 - what happened, in the words of its readers
    """No permit within the caller's patience.

    Attributes:
        limit: The limit that is spent.
        wait: Seconds until the next permit.
    """

    def __init__(self, limit: str, wait: float) -> None:
        super().__init__(f"The {limit} limit is spent for another {wait:.0f} s.")
        self.limit = limit
        self.wait = wait
