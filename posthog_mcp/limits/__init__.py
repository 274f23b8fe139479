"""PostHog's limits, shared by all who spend them.

For programs: `open_limiter(state_dir, limits)` gives a limiter that every process with the same directory
shares. For the client: `Budgets`, which knows PostHog's own limits.
"""

from posthog_mcp.limits.budgets import AT_ONCE, BYTES_READ, Budgets, Draw
from posthog_mcp.limits.limit import Limit, LimitExceeded
from posthog_mcp.limits.limiter import Limiter, open_limiter, waiting

__all__ = [
    "AT_ONCE",
    "BYTES_READ",
    "Budgets",
    "Draw",
    "Limit",
    "LimitExceeded",
    "Limiter",
    "open_limiter",
    "waiting",
]
