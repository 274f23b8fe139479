"""What PostHog drops when a project is over a billing limit, although it answers 200."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from posthog_mcp.outbox.rows import Event, Row

# Limits that count some events only; any other name that comes with events means all of them.
_PREFIXES = {
    "exceptions": "$exception",
    "llm_events": "$ai_",
    "ai_events": "$ai_",
    "survey_responses": "survey ",
}
_NO_EVENTS = {"recordings", "feature_flag_requests", "feature_flags", "rows_synced", "logs"}

R = TypeVar("R", Row, Event)


def limited_rows(limits: Sequence[str], rows: Sequence[R]) -> list[R]:
    """The events of a request that PostHog dropped, going by the limits its answer names."""
    counting = [limit for limit in limits if limit not in _NO_EVENTS]
    if not counting:
        return []
    prefixes = tuple(_PREFIXES[limit] for limit in counting if limit in _PREFIXES)
    if len(prefixes) < len(counting):
        return list(rows)
    return [row for row in rows if _name(row.body).startswith(prefixes)]


def _name(body: bytes) -> str:
    event: dict[str, Any] = json.loads(body)
    return str(event.get("event", ""))
