"""The sandbox as one ASGI app."""

from __future__ import annotations

from collections import defaultdict
from importlib import import_module
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from posthog_mcp.sandbox.capture import routes as capture
from posthog_mcp.sandbox.flags import routes as flags
from posthog_mcp.sandbox.http import control
from posthog_mcp.sandbox.http.door import Door, to_response
from posthog_mcp.sandbox.http.errors import not_found
from posthog_mcp.sandbox.http.faults import TRANSPORT, FaultMiddleware, transport_of
from posthog_mcp.sandbox.http.routing import Endpoint, Reply, endpoints_of
from posthog_mcp.sandbox.sandbox import Served

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from posthog_mcp.sandbox.sandbox import Sandbox

API_MODULES = (
    "accounts",
    "projects",
    "annotations",
    "activity_log",
    "event_definitions",
    "property_definitions",
    "groups",
    "persons",
    "query",
    "events",
    "person_lists",
    "actions",
    "cohorts",
    "cohort_lists",
    "feature_flags",
    "feature_flag_answers",
    "feature_flag_bulk",
    "flag_definitions",
    "experiments",
    "experiment_exposure",
    "experiment_history",
    "experiment_plans",
    "experiment_holdouts",
    "experiment_saved_metrics",
    "surveys",
    "survey_answers",
    "insights",
    "dashboards",
    "error_tracking",
    "session_recordings",
    "openapi",
)
ENVIRONMENTS = "/api/environments/"
_OWN = ("/api/", "/flags/definitions", "/_")


def build(sandbox: Sandbox) -> Starlette:
    """Compose the app: public capture and flags, the private API, and the sandbox's own `/_sandbox/`."""
    modules = [import_module(f"posthog_mcp.sandbox.api.{name}") for name in API_MODULES]
    endpoints = endpoints_of(control, *modules)
    routes: list[BaseRoute] = [
        *capture.routes,
        *flags.routes,
        *_doors(sandbox, endpoints),
        Route("/{path:path}", _Nowhere()),
    ]
    app = _App(
        routes=routes,
        middleware=[
            Middleware(RequestLog, sandbox=sandbox),
            Middleware(FaultMiddleware, faults=sandbox.faults),
            Middleware(CanonicalPath),
        ],
    )
    app.state.sandbox = sandbox
    app.state.endpoints = endpoints
    return app


def _doors(sandbox: Sandbox, endpoints: list[Endpoint]) -> list[Route]:
    by_path: dict[str, dict[str, Endpoint]] = defaultdict(dict)
    for endpoint in endpoints:
        by_path[endpoint.path][endpoint.method] = endpoint
    # Literal parts before parameters: `/persons/values/` is not the person called `values`.
    paths = sorted(by_path, key=lambda path: [(part.startswith("{"), part) for part in path.split("/")])
    return [Route(path, Door(sandbox, by_path[path])) for path in paths]


class _App(Starlette):
    """Starlette, noting the connection before any layer puts itself between."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await super().__call__({**scope, TRANSPORT: transport_of(send)}, receive, send)


class _Nowhere:
    """What answers where nothing is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """404 in PostHog's shape."""
        error = not_found("Endpoint not found.")
        await to_response(Reply(error.body(), error.status))(scope, receive, send)


class CanonicalPath:
    """One spelling of each of our own paths: `/api/projects/`, and a slash at the end."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the router."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Rewrite the path of one request; the client's own stays in `client_path`, for links."""
        if scope["type"] == "http":
            path: str = scope["path"]
            canonical = path
            if path.startswith(ENVIRONMENTS):
                canonical = "/api/projects/" + path.removeprefix(ENVIRONMENTS)
            if path.startswith(_OWN) and not path.endswith("/"):
                canonical += "/"
            scope = {**scope, "path": canonical, "client_path": path}
        await self._app(scope, receive, send)


class RequestLog:
    """Keep method, path and status of each request for `GET /_sandbox/requests`; 0: never answered."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        """Wrap the app; must be the outermost layer, to see what faults make of an answer."""
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"].startswith("/_sandbox/"):
            await self._app(scope, receive, send)
            return
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            at = self._sandbox.clock().isoformat()
            self._sandbox.requests.append(Served(scope["method"], scope["path"], status, at))
