"""A service that trusts an issuer, both at ports of this machine."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from authorization_server import AuthorizationServer, listening, serving

from posthog_mcp.server.app import App
from posthog_mcp.server.http import asgi

Make = Callable[..., App]
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}


class World:
    """An issuer and a service that trusts it, both at ports of this machine."""

    def __init__(self, issuer: AuthorizationServer, url: str, wire: httpx2.AsyncClient) -> None:
        self.issuer = issuer
        self.url = url
        self.resource = f"{url}/mcp"
        self.wire = wire

    async def call(self, token: str = "", path: str = "/mcp", **headers: str) -> httpx2.Response:
        """Ask for the list of tools, with the token if there is one."""
        given = {"Authorization": f"Bearer {token}"} if token else {}
        return await self.wire.post(self.url + path, json=LIST, headers={**HEADERS, **given, **headers})


def worlds(make_app: Make) -> Callable[..., Any]:
    """Starts the two, with flags for the service's start."""

    @asynccontextmanager
    async def make(sse: bool = False, **flags: Any) -> AsyncIterator[World]:
        with listening() as (at_issuer, issuer_url), listening() as (at_service, url):
            issuer = AuthorizationServer(issuer_url)
            service = asgi(make_app(oauth_issuer=issuer_url, **flags), "127.0.0.1", sse=sse)
            async with (
                serving((issuer, at_issuer), (service, at_service)),
                httpx2.AsyncClient(timeout=10) as wire,
            ):
                yield World(issuer, url, wire)

    return make
