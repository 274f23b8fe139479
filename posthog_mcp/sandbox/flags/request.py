"""What a `/flags` request says: the project, whom to evaluate for, and which flags."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from posthog_mcp.flags.values import as_dict, as_list, is_dict
from posthog_mcp.sandbox.capture import body
from posthog_mcp.sandbox.capture.errors import CaptureError
from posthog_mcp.sandbox.flags.service import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

_TRY_AGAIN: Final = "Please check your request format and try again."
_ID_LENGTH: Final = 200
_TOKENS: Final = ("token", "api_key", "$token")
_SERVERS: Final = (
    "posthog-python", "posthog-node", "posthog-go", "posthog-ruby", "posthog-php", "posthog-java",
    "posthog-dotnet", "posthog-rs", "posthog-elixir", "python-requests", "python-httpx",
    "python-urllib", "go-http-client", "node-fetch", "axios", "undici", "curl", "wget", "okhttp",
)  # fmt: skip
_CLIENTS: Final = (
    "mozilla",
    "posthog-js",
    "posthog-ios",
    "posthog-android",
    "posthog-flutter",
    "posthog-react",
)


class FlagsError(Exception):
    """A request that is refused: the status, and the text that is the body of the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request, read.

    Attributes:
        token: The project token.
        subject: Whom to evaluate for.
        keys: The flags asked for; `None` means all.
        contexts: The evaluation contexts the client is in; empty means any.
        runtime: `client`, `server`, or empty when that cannot be told.
        nothing: The client wants no flags at all.
    """

    token: str
    subject: Subject
    keys: frozenset[str] | None
    contexts: frozenset[str]
    runtime: str
    nothing: bool


async def read(request: Request) -> Wanted:
    """Read a request's body, however it is packed.

    Raises:
        FlagsError: 400 for what is no JSON object or names nobody, 401 without a token, 413 when too large.
    """
    payload = _object(await _text(request))
    token = next((payload[name] for name in _TOKENS if isinstance(payload.get(name), str)), "").strip()
    if not token:
        raise FlagsError(401, "No API token provided. Please include a valid API token in your request.")
    keys = payload.get("flag_keys_to_evaluate", payload.get("flag_keys"))
    contexts = payload.get("evaluation_contexts", payload.get("evaluation_environments"))
    return Wanted(
        token,
        _subject(payload, request.query_params),
        None if keys is None else frozenset(map(str, as_list(keys))),
        frozenset(map(str, as_list(contexts))),
        _runtime(payload, request.headers),
        bool(payload.get("disable_flags")),
    )


async def _text(request: Request) -> bytes:
    try:
        return body.unwrap(
            await body.read(request),
            query=dict(request.query_params),
            content_type=request.headers.get("content-type", ""),
            encoding=request.headers.get("content-encoding", ""),
        )
    except CaptureError as error:
        if error.status != 400:  # noqa: PLR2004 too large
            raise FlagsError(error.status, error.text) from None
        why = error.text.partition(": ")[2]
        raise FlagsError(400, f"Failed to decode request: {why}. {_TRY_AGAIN}") from None


def _object(text: bytes) -> dict[str, Any]:
    try:
        # PostHog reads JSON5 here, in which NaN and the infinities are numbers; they stand for nothing.
        value: object = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise FlagsError(400, f"Failed to parse request: {error}. {_TRY_AGAIN}") from None
    if not is_dict(value):
        raise FlagsError(400, f"Failed to parse request: expected an object. {_TRY_AGAIN}")
    return value


def _subject(payload: dict[str, Any], query: Mapping[str, str]) -> Subject:
    distinct_id = payload.get("distinct_id", payload.get("$distinct_id"))
    if isinstance(distinct_id, bool) or not isinstance(distinct_id, (str, int, float)):
        detail = "The distinct_id field is missing from the request. Please include a valid identifier."
        raise FlagsError(400, detail)
    device = payload.get("device_id", payload.get("$device_id"))
    return Subject(
        str(distinct_id)[:_ID_LENGTH],
        person_properties=as_dict(payload.get("person_properties")),
        groups={name: str(key) for name, key in as_dict(payload.get("groups")).items() if key is not None},
        group_properties={
            name: as_dict(each) for name, each in as_dict(payload.get("group_properties")).items()
        },
        device_id=str(device or ""),
        anon_distinct_id=str(payload.get("$anon_distinct_id") or ""),
        only_given=query.get("only_use_override_person_properties") in ("true", "1"),
    )


def _runtime(payload: dict[str, Any], headers: Mapping[str, str]) -> str:
    explicit = payload.get("evaluation_runtime")
    if explicit in ("client", "server"):
        return str(explicit)
    if any(name in headers for name in ("origin", "referer", "sec-fetch-mode", "sec-fetch-site")):
        return "client"
    agent = headers.get("user-agent", "").lower()
    if agent.startswith(_SERVERS):
        return "server"
    return "client" if agent.startswith(_CLIENTS) else ""
