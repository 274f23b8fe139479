"""Events as `/batch/` takes them."""

import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from pydantic_core import to_json

from posthog_mcp import __version__
from posthog_mcp.outbox.rows import Event, PersonChange

# PostHog takes about 1 MB; its own SDKs drop what is larger than this.
MOST_BYTES = 900 * 1024
_LINKS = {"$identify": "$anon_distinct_id", "$create_alias": "alias"}


def made(
    name: str, distinct_id: str, properties: Mapping[str, Any], moment: datetime, uuid: UUID | None = None
) -> Event:
    """An event of these parts, marked as sent by this program.

    Its uuid and its time are fixed here, so that it counts once however often it is sent.

    Raises:
        ValueError: It is too large, or holds what JSON cannot; the words follow "the event".
    """
    uuid = uuid or new_uuid()
    distinct_id = distinct_id.encode("utf-8", "replace").decode()  # half a pair of surrogates fits nowhere
    marked: dict[str, Any] = {"$lib": "posthog-mcp", "$lib_version": __version__}
    if "$ip" not in properties:
        # The request comes from this machine, whose place says nothing of where the person is.
        marked["$geoip_disable"] = True
    marked.update(properties)
    event = {
        "event": name,
        "distinct_id": distinct_id,
        "uuid": str(uuid),
        "timestamp": moment.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "properties": marked,
    }
    body = _json(event)
    if len(body) > MOST_BYTES:
        raise ValueError(f"is {len(body):,} bytes as JSON; PostHog takes events up to {MOST_BYTES:,}")
    return Event(uuid, body, distinct_id, _change(name, distinct_id, properties))


def _json(event: Mapping[str, Any]) -> bytes:
    """Its JSON, as PostHog can read it.

    Raises:
        ValueError: It holds what JSON cannot.
    """
    try:
        body = to_json(event)
    except ValueError:
        body = b"NaN"
    if b"NaN" not in body and b"Infinity" not in body:
        return body
    # The fast way has failed, or may have written a number that is none: the strict one finds out.
    try:
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"holds what JSON cannot write: {error}") from None
    return text.encode("utf-8", "replace")


def new_uuid() -> UUID:
    """A uuid of version 7, as PostHog makes them: ordered by time, which halves the cost of keeping many."""
    moment, chance = time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10), "big")
    return uuid_of(moment, chance)


def uuid_of(milliseconds: int, chance: int) -> UUID:
    """The uuid of version 7 with this time since 1970 and 74 of these bits."""
    free = chance & ((1 << 76) - 1) & ~(0b11 << 62)
    return UUID(int=((milliseconds & ((1 << 48) - 1)) << 80) | (7 << 76) | free | (0b10 << 62))


def _change(name: str, distinct_id: str, properties: Mapping[str, Any]) -> PersonChange | None:
    given, taken = properties.get("$set"), properties.get("$unset")
    link = properties.get(_LINKS[name]) if name in _LINKS else None
    if not (given or taken or link):
        return None
    return PersonChange(
        cast("dict[str, Any]", given) if isinstance(given, dict) else {},
        tuple(str(item) for item in cast("list[object]", taken)) if isinstance(taken, list) else (),
        str(link).encode("utf-8", "replace").decode() if link and link != distinct_id else "",
    )
