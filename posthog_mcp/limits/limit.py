"""What a limit is, and what becomes of a request for a permit."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `permits` within any `seconds`; `name` is for people."""

    name: str
    permits: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits that are taken together: a permit counts in all of them at the same moment.

    Attributes:
        name: Whoever uses the same name on the same rings shares it.
        limits: None at all is a budget that only a cool-down can close.
        title: What it counts, for people.
    """

    name: str
    limits: tuple[Limit, ...] = ()
    title: str = ""

    @property
    def permits(self) -> int:
        """How many of the latest permits must be remembered."""
        return max((limit.permits for limit in self.limits), default=0)

    @property
    def seconds(self) -> float:
        """The longest window."""
        return max((limit.seconds for limit in self.limits), default=0.0)


class Reservation(NamedTuple):
    """A slot that was given out.

    Attributes:
        wait: Seconds from the reservation to the slot; 0 when it is due at once.
        number: Its running number on this machine; -1 where there is none to give back.
        shared: Its running number where several machines share the budget; -1 where they do not.
        made: When it was made, or a little earlier, by `time.monotonic`.
    """

    wait: float
    number: int = -1
    shared: int = -1
    made: float = 0.0


class Ticket(NamedTuple):
    """A place in a queue: its number on this machine, and where several machines share the queue."""

    number: int
    shared: int = -1


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of one limit is spent, as we count it.

    Attributes:
        name: The limit's.
        used: Permits given out within the window, those still to come included.
        permits: How many we allow ourselves now: the known limit, or fewer after PostHog refused us.
        seconds: The window.
        lowered: Whether `permits` is below the known limit.
    """

    name: str
    used: int
    permits: int
    seconds: float
    lowered: bool


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a budget now.

    Attributes:
        usage: One for each limit.
        cool_down: Seconds until anything is sent again; 0 when nothing holds us back.
        left: What the other side said remains of something it counts itself, such as bytes; None for nothing.
    """

    usage: tuple[Usage, ...]
    cool_down: float
    left: int | None


class LimitExceeded(TimeoutError):  # noqa: N818 - what happened, in the words of its readers
    """No permit within the caller's patience; nothing was taken.

    Attributes:
        limit: The limit that is spent.
        seconds: How far away the next permit is; None where nobody can know.
    """

    def __init__(self, limit: str, seconds: float | None) -> None:
        until = "" if seconds is None else f" for another {seconds:.1f} s"
        super().__init__(f"{limit} is spent{until}.")
        self.limit = limit
        self.seconds = seconds


BACKGROUND_SHARE = 0.9
"""Background callers leave the last tenth of each window to people."""
LOWERED_SECONDS = 3_600.0
"""How long a limit stays lowered after PostHog refused us twice in a row."""
RAISED_EVERY = 600.0
"""Then a tenth of the known limit comes back at a time."""
LONGEST_BACK_OFF = 60.0
"""Where PostHog names no time."""


def tenth(limit: Limit) -> int:
    """The step by which a limit is lowered and raised."""
    return max(1, limit.permits // 10)


def allowed(limit: Limit, lowered_to: int | None, since: float) -> int:
    """How many we allow ourselves: the known limit, less what refusals taught, coming back slowly.

    Args:
        limit: The known limit.
        lowered_to: What it was lowered to; None for never.
        since: Seconds since then.
    """
    if lowered_to is None:
        return limit.permits
    steps = max(0, int((since - LOWERED_SECONDS) // RAISED_EVERY) + 1)
    return min(limit.permits, lowered_to + steps * tenth(limit))
