"""Who is asking: the key a request carries, and what it may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.http.errors import authentication_failed, forbidden, not_authenticated
from posthog_mcp.sandbox.project import KEYS, Key, KeyKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class Identity:
    """The key that opened the door; every key of a sandbox acts for its one user."""

    key: Key


def identify(request: Request, body: Mapping[str, Any]) -> Identity:
    """Find the key: `Authorization: Bearer`, then the body, then the query string; the first found wins.

    Raises `ApiError` 401 in PostHog's words when there is none or nobody has it.
    """
    value, place = _presented(request, body)
    if not value or value.startswith("pha_"):
        # PostHog lets an unknown OAuth token fall through to "not provided"; the sandbox issues none.
        raise not_authenticated()
    key = KEYS.get(value)
    if value.startswith("phs_"):
        if key is None:
            raise authentication_failed("Secret API token is invalid.")
        return Identity(key)
    if key is None or key.kind != "personal":
        raise authentication_failed(f"Personal API key found in request {place} is invalid.")
    return Identity(key)


def permit(identity: Identity, kinds: tuple[KeyKind, ...], scopes: tuple[str, ...]) -> None:
    """Refuse with PostHog's 403 a key of the wrong kind, or one without a scope the action needs."""
    key = identity.key
    if key.kind not in kinds:
        what = "project secret API key" if key.kind == "secret" else "personal API key"
        raise forbidden(f"This action does not support {what} access")
    for scope in scopes:
        if not key.allows(scope):
            raise forbidden(f"API key missing required scope '{scope}'")


def _presented(request: Request, body: Mapping[str, Any]) -> tuple[str, str]:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip(), "Authorization header"
    for name in ("personal_api_key", "secret_api_key"):
        if isinstance(body.get(name), str):
            return str(body[name]), "body"
    for name in ("personal_api_key", "secret_api_key"):
        if name in request.query_params:
            return request.query_params[name], "query string"
    return "", ""
