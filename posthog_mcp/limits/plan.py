"""Which limits PostHog sets, by the class of an endpoint, and who shares them.

Source: the throttle classes of PostHog's backend (`posthog/rate_limit.py`). Public endpoints (capture,
`/flags`) have no request limit. The documentation counts by organization, so that is what we share by.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from posthog_mcp.limits.limit import Limit

MINUTE, HOUR = 60.0, 3_600.0

KNOWN: Mapping[str, tuple[tuple[int, float], ...]] = {
    "crud": ((480, MINUTE), (4_800, HOUR)),  # flags, annotations, experiments and everything not named below
    "analytics": ((240, MINUTE), (1_200, HOUR)),  # insights, persons, events, recordings
    "query": ((240, MINUTE), (2_400, HOUR)),  # the query endpoint; polling and cancelling count as well
    "values": ((60, MINUTE), (300, HOUR)),  # values of a property
    "definitions": ((600, MINUTE),),  # flag definitions and remote configuration, for each project
}
QUERIES_AT_ONCE = 3


class Rate(Protocol):
    """One rate of a class, as settings hold it."""

    @property
    def limit_class(self) -> str:
        """A key of `KNOWN`."""
        ...

    @property
    def permits(self) -> int:
        """How many."""
        ...

    @property
    def seconds(self) -> float:
        """Within how long."""
        ...


def limits_of(limit_class: str, owner: str, overrides: Iterable[Rate] = ()) -> tuple[Limit, ...]:
    """The limits that a request of this class draws on.

    Args:
        limit_class: A key of `KNOWN`.
        owner: Who shares them: a host, an organization, a key.
        overrides: Rates of an instance that sets others; those of a class replace all known ones of it.
    """
    own = [(rate.permits, rate.seconds) for rate in overrides if rate.limit_class == limit_class]
    return tuple(
        Limit(f"{owner} {limit_class} per {seconds:g} s", permits, seconds)
        for permits, seconds in own or KNOWN[limit_class]
    )
