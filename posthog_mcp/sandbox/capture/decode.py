"""The older capture protocol: JSON in all its shapes to events and the token they came with."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from posthog_mcp.sandbox.capture import errors
from posthog_mcp.sandbox.ingest import RawEvent

if TYPE_CHECKING:
    from posthog_mcp.sandbox.capture.errors import CaptureError

JSON = dict[str, Any]

ID_LENGTH: Final = 200
_TOKEN_LENGTH: Final = 64
_CANONICAL_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TOKEN_FIELDS: Final = ("api_key", "token", "$token")
_KINDS: Final = {
    "dict": "an object",
    "list": "an array",
    "str": "a string",
    "bool": "a boolean",
    "int": "a number",
    "float": "a number",
    "NoneType": "null",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def decode(
    payload: Any, *, received_at: datetime, ip: str | None, underscore: str = "", name: str = ""
) -> tuple[str, list[RawEvent]]:
    """The token and the events of a request, in order.

    Args:
        payload: The JSON value: `{api_key, batch, sent_at}`, one event, or an array of events.
        received_at: The server's time.
        ip: The client's address.
        underscore: The query parameter `_`: when the client sent it, in epoch milliseconds.
        name: What events without a name are called (`/engage/`).

    Raises:
        CaptureError: One bad event refuses the request whole.
    """
    sent_at = _from_milliseconds(underscore)
    token = None
    if isinstance(payload, dict) and "batch" in payload:
        envelope = cast("JSON", payload)
        token = _token_in(envelope)
        sent_at = _from_text(envelope.get("sent_at")) or sent_at
        payload = envelope["batch"]
    items = cast("list[Any]", payload if isinstance(payload, list) else [payload])
    if not items:
        raise errors.no_event()
    events: list[RawEvent] = []
    for item in items:
        if not isinstance(item, dict):
            raise _wrong("an event", item, "an object")
        event = _event(cast("JSON", item), name)
        event.sent_at, event.received_at, event.ip = sent_at, received_at, ip
        events.append(event)
    if token is None:
        token = _common_token(cast("list[JSON]", items))
    return check_token(token), events


def check_token(token: str) -> str:
    """The token without blanks around it.

    Raises:
        CaptureError: 401 for what no project token can look like. A token nobody has is fine.
    """
    token = token.strip()
    if not token:
        raise errors.bad_token("empty")
    if len(token.encode("utf-8", "replace")) > _TOKEN_LENGTH:
        raise errors.bad_token("too_long")
    if not token.isascii():
        raise errors.bad_token("not_ascii")
    if token.startswith("phx_"):
        raise errors.bad_token("personal_api_key")
    if "\x00" in token:
        raise errors.bad_token("null_byte")
    return token


def _event(item: JSON, default_name: str) -> RawEvent:
    properties = item.get("properties")
    if properties is None:
        properties = {}
    elif not isinstance(properties, dict):
        raise _wrong("properties", properties, "an object")
    name = item.get("event", default_name)
    if name is None or name == "":
        raise errors.no_name()
    if not isinstance(name, str):
        name = json.dumps(name)
    timestamp = item.get("timestamp")
    if timestamp is not None and not isinstance(timestamp, str):
        raise _wrong("timestamp", timestamp, "a string")
    offset = item.get("offset")
    if offset is not None and (not isinstance(offset, int) or isinstance(offset, bool)):
        raise _wrong("offset", offset, "an integer")
    return RawEvent(
        name,
        distinct_id_of(item, cast("JSON", properties)),
        cast("JSON", properties),
        uuid_of(item.get("uuid")),
        timestamp or None,
        offset=offset,
        set=_object_or_none(item, "$set"),
        set_once=_object_or_none(item, "$set_once"),
    )


def distinct_id_of(item: JSON, properties: JSON) -> str:
    """The event's distinct id as text, at most 200 characters; what is no text becomes JSON."""
    value = item.get("distinct_id")
    if value is None:
        value = item.get("$distinct_id")
    if value is None:
        value = properties.get("distinct_id")
    if value is None or value == "":
        raise errors.no_distinct_id()
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text[:ID_LENGTH]


def uuid_of(value: Any) -> str | None:
    """A client's uuid in canonical form, None when it sent none.

    Raises:
        CaptureError: 400 for what is no UUID.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _wrong("uuid", value, "a string")
    if _CANONICAL_UUID.fullmatch(value):
        return value
    try:
        return str(UUID(value))
    except ValueError:
        raise errors.unparsable(f"UUID parsing failed: {value[:100]!r}") from None


def _object_or_none(item: JSON, key: str) -> JSON | None:
    value = item.get(key)
    if value is not None and not isinstance(value, dict):
        raise _wrong(key, value, "an object")
    return cast("JSON | None", value)


def _token_in(item: JSON) -> str | None:
    for key in _TOKEN_FIELDS:
        value = item.get(key)
        if value is not None:
            if not isinstance(value, str):
                raise _wrong(key, value, "a string")
            return value
    return None


def _common_token(items: list[JSON]) -> str:
    tokens: set[str] = set()
    for item in items:
        token = _token_in(item)
        if token is None:
            inside = cast("JSON", item.get("properties") or {}).get("token")
            token = inside if isinstance(inside, str) else None
        if token is not None:
            tokens.add(token)
    if not tokens:
        raise errors.no_token()
    if len(tokens) > 1:
        raise errors.several_tokens()
    return tokens.pop()


def _wrong(name: str, value: Any, expected: str) -> CaptureError:
    kind = type(value).__name__
    return errors.unparsable(f"{name} is {_KINDS.get(kind, kind)}, expected {expected}")


def _from_text(value: Any) -> datetime | None:
    """A time with a zone; anything else is as good as none."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return None if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _from_milliseconds(text: str) -> datetime | None:
    try:
        return _EPOCH + timedelta(milliseconds=int(text)) if text else None
    except (ValueError, OverflowError):
        return None
