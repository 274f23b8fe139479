"""Events as `/batch/` takes them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

from posthog_mcp import __version__
from posthog_mcp.outbox.rows import Event

# PostHog takes about 1 MB; its own SDKs drop what is larger than this.
MOST_BYTES = 900 * 1024


def made(
    name: str, distinct_id: str, properties: Mapping[str, Any], moment: datetime, uuid: UUID | None = None
) -> Event:
    """An event of these parts, marked as sent by this program.

    Its uuid and its time are fixed here, so that it counts once however often it is sent.

    Raises:
        ValueError: It is too large, or holds what JSON cannot; the words follow "the event".
    """
    uuid = uuid or uuid4()
    # Where the event came from is this machine, which says nothing about where the person is.
    marked = {"$lib": "posthog-mcp", "$lib_version": __version__, "$geoip_disable": True, **properties}
    event = {
        "event": name,
        "distinct_id": distinct_id,
        "uuid": str(uuid),
        "timestamp": moment.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "properties": marked,
    }
    try:
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise ValueError(f"holds what JSON cannot write: {error}") from None
    body = text.encode("utf-8", "replace")
    if len(body) > MOST_BYTES:
        raise ValueError(f"is {len(body):,} bytes as JSON; PostHog takes events up to {MOST_BYTES:,}")
    person = marked.get("$set")
    return Event(uuid, body, distinct_id, cast("dict[str, Any]", person) if isinstance(person, dict) else {})
