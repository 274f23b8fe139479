"""Definitions for clients that evaluate flags themselves, and remote configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.flags.values import as_dict
from posthog_mcp.sandbox.flags import definitions
from posthog_mcp.sandbox.flags.documents import Flag, by_key, find
from posthog_mcp.sandbox.http.errors import authentication_failed, forbidden, not_found
from posthog_mcp.sandbox.http.routing import Reply, route

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call

_SECRET = ("secret", "personal")
_OF_PROJECT = "/api/projects/{project_id}/feature_flags/local_evaluation/"
_CACHE = "private, must-revalidate"
_NO_TEAM = "The token query parameter does not name a project. Pass the project token, as in ?token=phc_..."
_REDACTED = '"********* (encrypted)"'


@route("GET", "/flags/definitions", scope="feature_flag:read", bucket="definitions", keys=_SECRET)
@route(
    "GET",
    "/api/feature_flag/local_evaluation/",
    scope="feature_flag:read",
    bucket="definitions",
    keys=_SECRET,
)
@route("GET", _OF_PROJECT, scope="feature_flag:read", bucket="definitions", keys=_SECRET)
async def get_definitions(call: Call) -> Reply:
    """All flags, group types and cohorts; 304 for a client that has them already.

    Cohorts are left out only where an older client asks for that: without `send_cohorts` under `/api/`. A
    flag on a cohort is then one that client has to ask the server about.
    """
    _check_token(call)
    body: dict[str, Any] = definitions.for_clients(call.sandbox.flags.definitions())
    if call.request.url.path.startswith("/api/") and "send_cohorts" not in call.query:
        body |= {"cohorts": {}}
    tag = definitions.etag(body)
    headers = {"ETag": f'W/"{tag}"', "Cache-Control": _CACHE}
    if _held(call) == tag:
        return Reply(None, 304, headers)
    return Reply(body, headers=headers)


@route(
    "GET",
    "/api/projects/{project_id}/feature_flags/{id}/remote_config/",
    scope="feature_flag:read",
    bucket="definitions",
    keys=_SECRET,
)
async def get_remote_config(call: Call) -> Reply:
    """The payload of a remote configuration flag, by id or key: JSON text in a JSON string."""
    if "token" in call.query:
        _check_token(call)
    flag = _by_id_or_key(call)
    if not flag["is_remote_configuration"]:
        raise not_found()
    payload = as_dict(flag["filters"].get("payloads")).get("true")
    if not payload:
        return Reply(b"")
    secret = call.identity is not None and call.identity.key.kind == "secret"
    return Reply(_REDACTED if flag["has_encrypted_payloads"] and secret else payload)


def _by_id_or_key(call: Call) -> Flag:
    name = call.params["id"]
    flag = by_key(call.sandbox, name)
    return flag if flag is not None else find(call.sandbox, name)


def _check_token(call: Call) -> None:
    """The token says which project; the key, which was checked before, opens it."""
    token = call.query.get("token", "")
    if not token and call.request.url.path.startswith("/flags/"):
        raise authentication_failed(_NO_TEAM)
    if token and token != call.sandbox.project.api_token:
        raise forbidden("You don't have access to the project.")


def _held(call: Call) -> Any:
    """The tag the client says it has: weak, strong or bare."""
    return call.request.headers.get("if-none-match", "").strip().removeprefix("W/").strip('"')
