"""The one road of a private API request: key, scope, project, throttle, method, handler, answer."""

from __future__ import annotations

import json
import logging
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from posthog_mcp.sandbox.http import errors
from posthog_mcp.sandbox.http.auth import Identity, identify, permit
from posthog_mcp.sandbox.http.routing import Call, Endpoint, Reply
from posthog_mcp.sandbox.ingest import EngineDown, IngestClosed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from posthog_mcp.sandbox.sandbox import Sandbox

_log = logging.getLogger(__name__)
_CREDENTIALS = (b"personal_api_key", b"secret_api_key")


class Door:
    """All methods of one path, as an ASGI app."""

    def __init__(self, sandbox: Sandbox, endpoints: Mapping[str, Endpoint]) -> None:
        """Take the endpoints of one path by method."""
        self._sandbox = sandbox
        self._endpoints = dict(endpoints)
        if "GET" in endpoints:
            self._endpoints.setdefault("HEAD", endpoints["GET"])
        self._allow = ", ".join(sorted({*self._endpoints, "OPTIONS"}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            reply = await self._reply(request)
        except errors.ApiError as error:
            reply = _refusal(error)
        except ClientDisconnect:
            return
        except (EngineDown, IngestClosed) as error:
            reply = _refusal(errors.ApiError(503, "server_error", "error", str(error)))
        except Exception:  # noqa: BLE001 - the last door: the cause goes to the log, never to the client
            _log.exception("The sandbox failed at %s %s", request.method, request.url.path)
            reply = _refusal(errors.server_error())
        await to_response(reply)(scope, receive, send)

    async def _reply(self, request: Request) -> Reply:
        if request.method == "OPTIONS":
            return Reply(None, 204, {"Allow": self._allow})
        endpoint = self._endpoints.get(request.method)
        # A method the path does not have still passes its door: it needs a key and counts, as in Django.
        door = endpoint or next(iter(self._endpoints.values()))
        identity = None
        params = cast("dict[str, str]", request.path_params)
        if door.keys:
            identity = identify(request, await _credentials(request))
            permit(identity, door.keys, endpoint.scopes if endpoint else ())
        params = _resolve(self._sandbox, params)
        if identity and door.bucket:
            self._throttle(identity, door)
        if endpoint is None:
            refusal = errors.method_not_allowed(request.method)
            refusal.headers["Allow"] = self._allow
            raise refusal
        # Events are acknowledged once they are durable; whoever reads then sees all of them.
        await self._sandbox.ingest.settled()
        return await endpoint.handler(Call(self._sandbox, request, params, request.query_params, identity))

    def _throttle(self, identity: Identity, endpoint: Endpoint) -> None:
        if endpoint.bucket is None:
            return
        wait = self._sandbox.throttles.admit(
            endpoint.bucket,
            key=sha256(identity.key.value.encode()).hexdigest(),
            organization=self._sandbox.project.organization_id,
        )
        if wait > 0:
            raise errors.throttled(wait)


def to_response(reply: Reply) -> Response:
    """The HTTP answer; numbers JSON has no words for (NaN, infinity) become null."""
    if reply.body is None:
        return Response(status_code=reply.status, headers=reply.headers)
    if isinstance(reply.body, bytes):
        return Response(reply.body, reply.status, reply.headers, reply.media_type)
    try:
        text = json.dumps(reply.body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(reply.body), ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), reply.status, reply.headers, reply.media_type)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, list):
        return [_finite(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in cast("dict[str, Any]", value).items()}
    return value


def _refusal(error: errors.ApiError) -> Reply:
    return Reply(error.body(), error.status, dict(error.headers))


async def _credentials(request: Request) -> Mapping[str, Any]:
    """The body, when it may carry a key and no header does; what is not JSON carries none."""
    if "authorization" in request.headers:
        return {}
    raw = await request.body()
    if not any(name in raw for name in _CREDENTIALS):
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}


def _resolve(sandbox: Sandbox, params: dict[str, str]) -> dict[str, str]:
    """Turn `@current` into ids; 404 for the ids of projects and organizations that are not there."""
    project = sandbox.project
    known = {
        "project_id": (str(project.id), "Project not found."),
        "organization_id": (project.organization_id, "Organization not found."),
    }
    resolved = dict(params)
    for name, (value, missing) in known.items():
        if name in params and params[name] not in (value, "@current"):
            raise errors.not_found(missing)
        if name in params:
            resolved[name] = value
    return resolved
