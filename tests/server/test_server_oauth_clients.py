import json
import logging
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from authorization_server import AuthorizationServer, listening, serving
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from oauth_world import HEADERS, LIST
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from posthog_mcp.server.app import App
from posthog_mcp.server.http import asgi
from posthog_mcp.settings import Settings


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_of_either_era_finds_the_issuer_and_logs_in(
    world: Any, mode: Literal["auto", "legacy"]
) -> None:
    async with (
        world(oauth_scopes="posthog:use") as here,
        httpx2.AsyncClient(auth=login(here.resource, here.wire)) as caller,
        Client(streamable_http_client(here.resource, http_client=caller), mode=mode) as client,
    ):
        result = await client.call_tool("echo", {"name": "ada"})
        assert not result.is_error
        assert "/token" in here.issuer.asked


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_of_the_older_transport_logs_in_too(
    world: Any, mode: Literal["auto", "legacy"]
) -> None:
    async with world(sse=True) as here:
        url = f"{here.url}/sse"
        async with Client(sse_client(url, auth=login(url, here.wire)), mode=mode) as client:
            assert not (await client.call_tool("echo", {"name": "ada"})).is_error


async def test_a_session_of_the_older_transport_belongs_to_its_caller(world: Any) -> None:
    async with world(sse=True, http_tokens="from-the-list") as here:
        ada = here.issuer.token(f"{here.url}/sse")
        headers = {"Authorization": f"Bearer {ada}"}
        async with here.wire.stream("GET", f"{here.url}/sse", headers=headers) as stream:
            lines = stream.aiter_lines()
            while not (line := await anext(lines)).startswith("data: "):
                continue
            path = line.removeprefix("data: ")
            eve = here.issuer.token(f"{here.url}/sse", sub="eve")
            assert (await here.call(eve, path)).status_code == 404
            assert (await here.call("from-the-list", path)).status_code == 404
            assert (await here.call(ada, path)).status_code == 202
            assert (await here.call(here.issuer.token(here.resource), path)).status_code == 202


def login(url: str, browser: httpx2.AsyncClient) -> OAuthClientProvider:
    """The SDK's own way to log in, with a person who says yes to everything."""
    redirect = "http://127.0.0.1:1/callback"
    landed: list[dict[str, list[str]]] = []

    async def open_page(page: str) -> None:
        answer = await browser.get(page)
        landed.append(parse_qs(urlsplit(answer.headers["location"]).query))

    async def come_back() -> AuthorizationCodeResult:
        found = landed.pop()
        return AuthorizationCodeResult(code=found["code"][0], state=found["state"][0], iss=found["iss"][0])

    metadata = OAuthClientMetadata.model_validate({"redirect_uris": [redirect], "client_name": "a test"})
    return OAuthClientProvider(url, metadata, Memory(), open_page, come_back)


class Memory:
    """Where a client keeps what it was given."""

    def __init__(self) -> None:
        self._tokens: OAuthToken | None = None
        self._client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


async def test_neither_posthog_nor_a_log_ever_sees_a_token(
    settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[str] = []

    async def posthog(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope, receive)
            sent.append(f"{request.url} {request.headers.raw} {await request.body()!r}")
            await JSONResponse({"results": [], "next": None})(scope, receive, send)

    caplog.set_level(logging.DEBUG)
    with (
        listening() as (at_issuer, issuer_url),
        listening() as (at_service, url),
        listening() as (at_posthog, host),
    ):
        issuer = AuthorizationServer(issuer_url)
        issuer.metadata = {"introspection_endpoint_auth_methods_supported": ["none"]}
        app = App(
            settings(
                oauth_issuer=issuer_url, host=host, personal_api_key="phx_of_the_server", log_level="debug"
            )
        )
        good = issuer.token(f"{url}/mcp")
        opaque = "opaque-token-of-a-caller"
        issuer.meanings = {opaque: {"active": True, **issuer.claims(f"{url}/mcp")}}
        bad = [issuer.token("https://other.example.com/mcp"), "opaque-token-of-nobody"]
        async with (
            serving((issuer, at_issuer), (posthog, at_posthog), (asgi(app, "127.0.0.1"), at_service)),
            httpx2.AsyncClient() as wire,
        ):
            for token in (good, opaque, *bad):
                body = {**LIST, "method": "tools/call", "params": {"name": "list_projects", "arguments": {}}}
                headers = {**HEADERS, "Authorization": f"Bearer {token}"}
                await wire.post(f"{url}/mcp", json=body, headers=headers)
            issuer.down = True
            await wire.post(f"{url}/mcp", json=LIST, headers={**HEADERS, "Authorization": f"Bearer {opaque}"})
        await app.close()
    assert any("phx_of_the_server" in request for request in sent)
    assert "cannot be checked" in caplog.text
    for token in (good, opaque, *bad):
        secret = token.rpartition(".")[2]
        assert secret not in caplog.text
        assert secret not in json.dumps(sent)
