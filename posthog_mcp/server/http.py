"""MCP over HTTP: Streamable HTTP at /mcp without sessions, on request the older SSE at /sse; /health.

Every route looks at the Host and Origin of a request, because a page in a browser can reach loopback too.
Every address but loopback asks for a token, one of a list or one of an OAuth issuer. A caller's token ends
here: PostHog is asked with the server's own keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import uvicorn
from mcp.server.sse import SseServerTransport
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from posthog_mcp.server import metrics, oauth
from posthog_mcp.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Generator

    from mcp.server import Server
    from starlette.types import ASGIApp, Receive, Scope, Send

    from posthog_mcp.server.app import App

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_ENDING_SECONDS = 3  # for answers under way when a signal comes


def serve(app: App, host: str, port: int, *, sse: bool = False) -> int:
    """Serve until a signal comes; returns the exit code.

    Args:
        app: The server.
        host: Address to listen at.
        port: 0 for any free one; the URL is printed on standard error.
        sse: Also offer the older transport.

    Raises:
        SettingsError: The address is not loopback and nothing says who may call.
    """
    check_address(app.settings, host)
    try:
        listener = _listen(host, port)
    except OSError as error:
        raise SettingsError([f"Cannot listen at {host}:{port}: {error.strerror}."]) from None
    asyncio.run(_serve(app, host, listener, sse=sse))
    return 0


def check_address(settings: Settings, host: str) -> None:
    """Refuse an address that others can reach while anyone may call, and an issuer that others can play.

    Raises:
        SettingsError: With what to set.
    """
    issuer = urlsplit(settings.oauth_issuer or "")
    if (
        issuer.query
        or issuer.fragment
        or (issuer.scheme == "http" and not is_loopback(issuer.hostname or ""))
    ):
        problem = (
            f"POSTHOG_MCP_OAUTH_ISSUER is {settings.oauth_issuer!r}: valid is the issuer's https URL without "
            "query or fragment, or http on this machine; whoever answers there decides who may call."
        )
        raise SettingsError([problem])
    if is_loopback(host) or settings.http_tokens or settings.oauth_issuer:
        return
    problem = (
        f"{host} can be reached by others: set POSTHOG_MCP_HTTP_TOKENS to the tokens that callers must "
        "present, or POSTHOG_MCP_OAUTH_ISSUER to who gives them out, or listen at 127.0.0.1."
    )
    raise SettingsError([problem])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def asgi(app: App, host: str, *, sse: bool = False) -> ASGIApp:
    """The service as an ASGI application; its lifespan must run.

    Args:
        app: The server.
        host: Address it is reached at.
        sse: Also offer the older transport.
    """
    server = app.server()
    security = _security(app.settings, host)
    hosts = _named(app.settings, host) or (_LOOPBACK if is_loopback(host) else ())
    resource = oauth.protected(app.settings, hosts, ("/mcp", "/sse") if sse else ("/mcp",))
    routes: list[Route | Mount] = [Route("/health", _health), *(resource.routes() if resource else ())]
    routes.append(metrics.route(app.metrics))
    if sse:
        transport = SseServerTransport("/messages/", security_settings=security)
        routes.append(Route("/sse", _Sse(server, transport), methods=["GET"]))
        routes.append(Mount("/messages/", app=transport.handle_post_message))
    service = server.streamable_http_app(
        stateless_http=True,
        transport_security=security,
        custom_starlette_routes=routes,  # pyright: ignore[reportArgumentType] - takes a Mount as well
    )
    tokens = [token.get_secret_value() for token in app.settings.http_tokens]
    return _Door(service, security, tokens, resource)


async def _health(request: Request) -> Response:
    del request
    return JSONResponse({"status": "ok"})


class _Sse:
    """The event stream of the older transport, one connection for each client."""

    def __init__(self, server: Server[Any], transport: SseServerTransport) -> None:
        self._server = server
        self._transport = transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._transport.connect_sse(scope, receive, send) as (incoming, outgoing):
            await self._server.run(incoming, outgoing, self._server.create_initialization_options())


class _Door:
    """Lets in who comes from an allowed host and origin with a token."""

    def __init__(
        self,
        app: ASGIApp,
        security: TransportSecuritySettings,
        tokens: list[str],
        resource: oauth.ProtectedResource | None,
    ) -> None:
        self._app = app
        self._security = TransportSecurityMiddleware(security)
        self._tokens = [token.encode() for token in tokens]
        self._resource = resource
        self._open = {"/health", *(resource.open_paths if resource else ())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = await self._refusal(scope) if scope["type"] == "http" else None
        try:
            await (refusal or self._app)(scope, receive, send)
        finally:
            if scope["type"] == "lifespan" and self._resource is not None:
                await self._resource.issuer.close()

    async def _refusal(self, scope: Scope) -> Response | None:
        refused = await self._security.validate_request(Request(scope))
        if refused is not None or scope["path"] in self._open:
            return refused
        scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        token = given.strip() if scheme.lower() == "bearer" else ""
        known = [secrets.compare_digest(valid, token.encode()) for valid in self._tokens]
        if any(known):
            return None
        if self._resource is not None:
            return await self._resource.refusal(scope, token)
        if not self._tokens:
            return None
        return JSONResponse(
            {"error": "A token of POSTHOG_MCP_HTTP_TOKENS is required: Authorization: Bearer …"},
            status_code=401,
            headers={"WWW-Authenticate": 'Bearer realm="posthog-mcp"'},
        )


def _named(settings: Settings, host: str) -> list[str]:
    """What the service is called beyond the names of loopback."""
    names = list(settings.allowed_hosts)
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host.strip("[]"))
        if not address.is_unspecified and not address.is_loopback:
            names.append(f"[{address}]" if address.version == 6 else str(address))  # noqa: PLR2004 - IPv6
    return names


def _security(settings: Settings, host: str) -> TransportSecuritySettings:
    names = [*_LOOPBACK, *_named(settings, host)]
    origins = [f"http://{name}" for name in _LOOPBACK] + list(settings.allowed_origins)
    return TransportSecuritySettings(
        allowed_hosts=[form for name in names for form in (name, f"{name}:*")],
        allowed_origins=[form for origin in origins for form in (origin, f"{origin}:*")],
    )


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    # asyncio does not do it for a socket it did not make, and then each answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform != "win32":  # there it would let a second server take the port over
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


class _Uvicorn(uvicorn.Server):
    """Ends with code 0 at a signal; uvicorn's own raises the signal again afterwards."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where once it answers."""
        await super().startup(sockets)
        for listener in sockets or []:
            address, port = listener.getsockname()[:2]
            shown = f"[{address}]" if ":" in address else address
            print(f"MCP at http://{shown}:{port}/mcp", file=sys.stderr)  # noqa: T201 - whoever started it asks

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Stop at SIGINT and SIGTERM; at a second one without waiting for anybody."""

        def end(*_: object) -> None:
            self.force_exit = self.should_exit
            self.should_exit = True

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        yield


async def _serve(app: App, host: str, listener: socket.socket, *, sse: bool) -> None:
    config = uvicorn.Config(
        asgi(app, host, sse=sse),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_ENDING_SECONDS,
    )
    try:
        await _Uvicorn(config).serve(sockets=[listener])
    finally:
        await app.close()
