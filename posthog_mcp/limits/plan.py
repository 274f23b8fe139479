"""Which limits PostHog sets, by the class of an endpoint, and who shares them.

Source: the throttle classes of PostHog's backend (`posthog/rate_limit.py`). Public endpoints (capture,
`/flags`) have no request limit. The documentation counts by organization, so that is what we share by; the
backend itself counts many of them by key, which `POSTHOG_MCP_LIMIT_SCOPE=key` follows.
"""

from collections.abc import Iterable, Mapping

from posthog_mcp.limits.limit import Budget, Limit
from posthog_mcp.values import Rate

MINUTE, HOUR = 60.0, 3_600.0

KNOWN: Mapping[str, tuple[tuple[int, float], ...]] = {
    "crud": ((480, MINUTE), (4_800, HOUR)),  # flags, annotations, experiments and everything not named below
    "analytics": ((240, MINUTE), (1_200, HOUR)),  # insights, persons, events, recordings
    "query": ((240, MINUTE), (2_400, HOUR)),  # the query endpoint; polling and cancelling count as well
    "values": ((60, MINUTE), (300, HOUR)),  # values of a property
    "definitions": ((600, MINUTE),),  # flag definitions and remote configuration
}
QUERIES_AT_ONCE = 3
COUNTED = {
    "crud": "reads and changes",
    "analytics": "analytics requests",
    "query": "query requests",
    "values": "lookups of values",
    "definitions": "fetches of flag definitions",
}
_PERIODS = {MINUTE: "a minute", HOUR: "an hour", 24 * HOUR: "a day"}


def budget_of(owner: str, limit_class: str, overrides: Iterable[Rate] = ()) -> Budget:
    """The budget that a request of this class draws on.

    Args:
        owner: Who shares it: a host, an organization, a key.
        limit_class: A key of `KNOWN`.
        overrides: Rates of an instance that sets others; those of a class replace all known ones of it.
    """
    own = [(rate.permits, rate.seconds) for rate in overrides if rate.limit_class == limit_class]
    limits = (
        Limit(
            f"{permits:,} {COUNTED[limit_class]} {_PERIODS.get(seconds, f'in {seconds:g} s')}",
            permits,
            seconds,
        )
        for permits, seconds in own or KNOWN[limit_class]
    )
    return Budget(f"{owner} {limit_class}", tuple(limits), COUNTED[limit_class])
