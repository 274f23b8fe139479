"""The newer capture protocol, `POST /i/v1/analytics/events`: a result for each event, not one for all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from posthog_mcp.sandbox.capture import body
from posthog_mcp.sandbox.capture.decode import ID_LENGTH, JSON, check_token
from posthog_mcp.sandbox.capture.errors import CaptureError
from posthog_mcp.sandbox.ingest import RawEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADERS: Final = ("posthog-sdk-info", "posthog-attempt", "posthog-request-id", "posthog-request-timestamp")
_SDK_INFO_LENGTH: Final = 200
_NAME_LENGTH: Final = 200
_ILLEGAL_IDS: Final = frozenset({
    "0", "00000000-0000-0000-0000-000000000000", "[object object]", "anonymous", "anonymous-user", "backend",
    "distinct_id", "distinctid", "email", "false", "guest", "id", "nan", "none", "not_authenticated", "null",
    "system", "true", "undefined", "user",
})  # fmt: skip
# Options by name: their type, and the property that the older protocol has for them.
_OPTIONS: Final[dict[str, tuple[type, str]]] = {
    "cookieless_mode": (bool, "$cookieless_mode"),
    "disable_skew_correction": (bool, "$ignore_sent_at"),
    "product_tour_id": (str, "$product_tour_id"),
    "process_person_profile": (bool, "$process_person_profile"),
}


class V1Error(CaptureError):
    """A request refused whole; the body is JSON with PostHog's tag and a sentence."""

    def __init__(self, status: int, tag: str, text: str) -> None:
        super().__init__(status, text)
        self.tag = tag

    def body(self) -> JSON:
        """The answer."""
        return {
            "error": self.tag,
            "error_description": self.text,
            "error_uri": "https://posthog.com/docs/api",
        }


@dataclass(slots=True)
class Batch:
    """What a request asks for.

    Attributes:
        token: The project token.
        events: What to ingest, in order.
        results: By uuid as sent: `{"result": "ok"}`, or `drop` with `details`.
    """

    token: str
    events: list[RawEvent]
    results: dict[str, JSON]


def token_of(headers: Mapping[str, str]) -> str:
    """The project token in `Authorization: Bearer`.

    Raises:
        V1Error: 401 when there is none, or it is none of a project.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    try:
        return check_token(token if scheme.lower() == "bearer" else "")
    except CaptureError:
        raise V1Error(401, "invalid_api_token", "The provided API token is not valid.") from None


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse what lacks one of the required headers or is not JSON.

    Raises:
        V1Error: 400 or 415.
    """
    missing = [name for name in (*_HEADERS, "content-type") if not headers.get(name)]
    if missing:
        raise V1Error(
            400, "missing_required_headers", f"request is missing required headers: {', '.join(missing)}"
        )
    kind = headers["content-type"].partition(";")[0].strip().lower()
    if kind != "application/json":
        raise V1Error(415, "unsupported_content_type", f"unsupported content type: {kind}")


def decode(raw: bytes, headers: Mapping[str, str], *, received_at: datetime, ip: str | None) -> Batch:
    """Read a request.

    Args:
        raw: The body as sent.
        headers: Names in lower case.
        received_at: The server's time.
        ip: The client's address.

    Raises:
        V1Error: The request is refused whole.
    """
    check_headers(headers)
    sent_at = _time(headers["posthog-request-timestamp"])
    if sent_at is None:
        raise V1Error(400, "invalid_header_value", "invalid header value: PostHog-Request-Timestamp")
    payload = _parse(_decompressed(raw, headers.get("content-encoding", "")))
    batch = Batch(token_of(headers), [], {})
    items = cast("list[Any]", payload["batch"])
    if not items:
        raise V1Error(400, "empty_batch", "request batch is empty")
    library = _library(headers["posthog-sdk-info"])
    for number, item in enumerate(items):
        _read_event(item, number, batch, library)
    for event in batch.events:
        event.sent_at, event.received_at, event.ip = sent_at, received_at, ip
    return batch


def _decompressed(raw: bytes, encoding: str) -> bytes:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return raw
    if encoding not in ("gzip", "deflate", "zstd"):
        raise V1Error(415, "unsupported_encoding", f"unsupported content encoding: {encoding}")
    try:
        return body.unzstd(raw) if encoding == "zstd" else body.inflate(raw)
    except CaptureError as error:
        tag = {413: "payload_too_large", 415: "unsupported_encoding"}.get(
            error.status, "request_decoding_error"
        )
        raise V1Error(error.status, tag, error.text) from None


def _parse(text: bytes) -> JSON:
    if not text:
        raise V1Error(400, "empty_body", "request body is empty")
    try:
        payload = body.parse(text)
    except CaptureError as error:
        raise V1Error(400, "request_parsing_error", error.text) from None
    if not isinstance(payload, dict):
        raise _invalid("the body is no object")
    envelope = cast("JSON", payload)
    if not isinstance(envelope.get("batch"), list):
        raise _invalid("batch is no array")
    if not isinstance(envelope.get("created_at"), str):
        raise _invalid("created_at is no string")
    if not isinstance(envelope.get("historical_migration", False), bool):
        raise _invalid("historical_migration is no boolean")
    return envelope


def _invalid(why: str) -> V1Error:
    return V1Error(400, "request_parsing_error", f"Failed to parse request body: {why}.")


def _library(info: str) -> JSON:
    if len(info) > _SDK_INFO_LENGTH:
        return {}
    name, _, version = info.partition("/")
    return {"$lib": name, "$lib_version": version} if version else {"$lib": name}


def _read_event(item: Any, number: int, batch: Batch, library: JSON) -> None:
    if not isinstance(item, dict):
        raise _invalid(f"batch[{number}] is no object")
    event = cast("JSON", item)
    for name in ("event", "uuid", "distinct_id", "timestamp"):
        if not isinstance(event.get(name), str):
            raise _invalid(f"batch[{number}].{name} is no string")
    for name in ("session_id", "window_id"):
        if not isinstance(event.get(name), (str, type(None))):
            raise _invalid(f"batch[{number}].{name} is no string")
    uuid = event["uuid"].strip()
    try:
        canonical = str(UUID(uuid))
    except ValueError:
        raise V1Error(400, "missing_event_uuid", "event submitted without a uuid") from None
    if uuid in batch.results:
        raise V1Error(400, "duplicate_event_uuid", f"duplicate event uuid: {uuid}")
    options = _options(event.get("options"), number)
    reason = _reason_to_drop(event)
    batch.results[uuid] = {"result": "drop", "details": reason} if reason else {"result": "ok"}
    if not reason:
        properties = {**event.get("properties", {}), **options, **library}
        for name in ("session_id", "window_id"):
            if event.get(name) is not None:
                properties[f"${name}"] = event[name]
        batch.events.append(
            RawEvent(event["event"], event["distinct_id"].strip(), properties, canonical, event["timestamp"])
        )


def _options(value: Any, number: int) -> JSON:
    """The properties that the options stand for."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _invalid(f"batch[{number}].options is no object")
    properties: JSON = {}
    for name, (kind, key) in _OPTIONS.items():
        option = cast("JSON", value).get(name)
        if option is None:
            continue
        if not isinstance(option, kind):
            expected = "boolean" if kind is bool else "string"
            raise _invalid(f"batch[{number}].options.{name} is no {expected}")
        properties[key] = option
    return properties


def _reason_to_drop(event: JSON) -> str | None:
    """PostHog's tag of what is wrong with one event, None when nothing is."""
    distinct_id = event["distinct_id"].strip()
    if not event["event"]:
        return "missing_event_name"
    if len(event["event"]) > _NAME_LENGTH:
        return "event_name_too_long"
    if not distinct_id:
        return "missing_distinct_id"
    if len(distinct_id) > ID_LENGTH:
        return "distinct_id_too_large"
    if distinct_id.lower() in _ILLEGAL_IDS:
        return "malformed_distinct_id"
    if _time(event["timestamp"]) is None:
        return "invalid_event_timestamp"
    if not isinstance(event.get("properties", {}), dict):
        return "malformed_event_properties"
    return None


def _time(text: str) -> datetime | None:
    """RFC 3339 with a zone, or None."""
    try:
        time = datetime.fromisoformat(text)
        return None if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
