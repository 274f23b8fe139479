import http.client
import json
import os
import signal
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from wire_program import INITIALIZE, MODERN, SECONDS, Program, Silence, call, request

Start = Callable[..., Program]
Serve = Callable[..., str]
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
TOKEN = "a-token-for-callers"


@pytest.fixture
def serve(start: Start) -> Serve:
    """Starts the HTTP service and gives its URL."""

    def make(transport: str = "http", /, **environment: str) -> str:
        program = start("serve", "--transport", transport, "--port", "0", **environment)
        line = program.complaints.get(timeout=SECONDS).decode()
        assert line.startswith("MCP at http://127.0.0.1:"), line
        url = line.removeprefix("MCP at ").strip()
        started.append(program)
        return url

    started: list[Program] = []
    return make


def ask(url: str, method: str = "POST", body: Any = None, path: str = "", **headers: str) -> tuple[int, str]:
    """One raw request: status and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=SECONDS)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes | None) else json.dumps(body)
    connection.request(method, path or parts.path, content, {**HEADERS, **given})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_both_eras_are_served_at_mcp(serve: Serve, mode: Literal["auto", "legacy"]) -> None:
    async with Client(serve(), mode=mode) as client:
        assert "get_status" in [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("get_status", {})
        assert result.structured_content is not None
        assert result.structured_content["access"] == "write"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_both_eras_are_served_over_the_older_transport(
    serve: Serve, mode: Literal["auto", "legacy"]
) -> None:
    url = serve("sse").removesuffix("/mcp") + "/sse"
    async with Client(sse_client(url), mode=mode) as client:
        result = await client.call_tool("get_status", {})
        assert not result.is_error


def test_the_older_transport_is_only_there_when_asked_for(serve: Serve) -> None:
    assert ask(serve(), "GET", path="/sse")[0] == 404


def test_no_session_is_made_and_answers_are_event_streams(serve: Serve) -> None:
    url = serve()
    status, text = ask(url, body=INITIALIZE)
    assert status == 200
    assert text.startswith("event: message")
    assert ask(url, body=call(1, "get_status"), MCP_Protocol_Version="2025-06-18")[0] == 200


def test_a_session_nobody_knows_is_no_obstacle(serve: Serve) -> None:
    assert ask(serve(), body=request(1, "tools/list"), Mcp_Session_Id="gone")[0] in (200, 404)


def test_health_answers(serve: Serve) -> None:
    assert ask(serve(), "GET", path="/health") == (200, '{"status":"ok"}')


@pytest.mark.parametrize("path", ["/mcp", "/health", "/sse", "/messages/"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example.com"}, 421),
        ({"Origin": "http://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_pages_of_other_hosts_are_refused_on_every_route(
    shared_sse: str, path: str, headers: dict[str, str], status: int
) -> None:
    method = "POST" if path in ("/mcp", "/messages/") else "GET"
    assert ask(shared_sse, method, request(1, "tools/list"), path, **headers)[0] == status


@pytest.fixture(scope="module")
def shared_sse(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One service with everything on, for tests that only look from outside."""
    directory = str(tmp_path_factory.mktemp("state"))
    program = Program(
        "serve", "--transport", "sse", "--port", "0",
        POSTHOG_MCP_DATA_DIR=directory,
        POSTHOG_MCP_ALLOWED_HOSTS="mcp.example.com",
        POSTHOG_MCP_ALLOWED_ORIGINS="https://app.example.com",
    )  # fmt: skip
    yield program.complaints.get(timeout=SECONDS).decode().removeprefix("MCP at ").strip()
    program.end()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "mcp.example.com"},
        {"Host": "mcp.example.com:8443"},
        {"Host": "localhost:9"},
        {"Origin": "http://localhost:6274"},
        {"Origin": "https://app.example.com"},
    ],
)
def test_allowed_hosts_and_origins_are_let_in(shared_sse: str, headers: dict[str, str]) -> None:
    assert ask(shared_sse, body=INITIALIZE, **headers)[0] == 200


def test_a_body_over_4_mib_is_refused(shared_sse: str) -> None:
    assert ask(shared_sse, body=b'{"jsonrpc":"2.0","id":1,"x":"' + b"x" * (4 * 2**20) + b'"}')[0] == 413


def test_malformed_json_is_a_parse_error(shared_sse: str) -> None:
    status, text = ask(shared_sse, body=b"nope")
    assert status == 400
    assert "-32700" in text


@pytest.mark.parametrize("given", ["", "Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x"])
def test_without_a_token_of_the_list_nothing_is_served(serve: Serve, given: str) -> None:
    url = serve("sse", POSTHOG_MCP_HTTP_TOKENS=f"{TOKEN},another")
    for method, path in [("POST", "/mcp"), ("GET", "/sse"), ("POST", "/messages/"), ("GET", "/elsewhere")]:
        status, text = ask(url, method, request(1, "tools/list"), path, Authorization=given)
        assert status == 401
        assert TOKEN not in text
    assert ask(url, "GET", path="/health")[0] == 200


async def test_with_a_token_a_client_works(serve: Serve) -> None:
    import httpx2  # noqa: PLC0415 - the client's library, for its headers

    url = serve(POSTHOG_MCP_HTTP_TOKENS=f"other,{TOKEN}")
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as caller,
        Client(streamable_http_client(url, http_client=caller)) as client,
    ):
        assert (await client.list_tools()).tools


def test_an_address_others_reach_needs_tokens(start: Start) -> None:
    program = start("serve", "--transport", "http", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 - refused
    assert program.wait()[0] == 2
    assert "POSTHOG_MCP_HTTP_TOKENS" in program.said()


def test_an_issuer_lets_the_service_start_and_nobody_in_without_a_token(serve: Serve) -> None:
    url = serve(POSTHOG_MCP_OAUTH_ISSUER="https://issuer.example.com")
    assert ask(url, body=request(1, "tools/list"))[0] == 401
    status, text = ask(url, "GET", path="/.well-known/oauth-protected-resource/mcp")
    assert status == 200
    assert json.loads(text)["authorization_servers"] == ["https://issuer.example.com"]
    assert json.loads(text)["resource"] == url


def test_an_issuer_that_others_can_play_stops_the_start(start: Start) -> None:
    program = start(
        "serve", "--transport", "http", "--port", "0", POSTHOG_MCP_OAUTH_ISSUER="http://issuer.example.com"
    )
    assert program.wait()[0] == 2
    assert "POSTHOG_MCP_OAUTH_ISSUER" in program.said()


def test_a_port_that_is_taken_stops_the_start_with_a_sentence(start: Start, silence: Silence) -> None:
    program = start("serve", "--transport", "http", "--port", silence.url.rpartition(":")[2])
    assert program.wait()[0] == 2
    said = program.said()
    assert "Cannot listen at 127.0.0.1" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_with_code_0(start: Start, number: signal.Signals) -> None:
    program = start("serve", "--transport", "sse", "--port", "0")
    program.complaints.get(timeout=SECONDS)
    os.kill(program.process.pid, number)
    assert program.wait()[0] == 0
    assert program.said() == ""


async def test_a_client_that_leaves_lets_go_of_posthog(serve: Serve, silence: Silence) -> None:
    url = serve(POSTHOG_HOST=silence.url, POSTHOG_PERSONAL_API_KEY="phx_test")
    body = call(1, "list_projects", modern=True)
    headers = {
        **HEADERS,
        "MCP-Protocol-Version": MODERN["io.modelcontextprotocol/protocolVersion"],
        "Mcp-Method": "tools/call",
        "Mcp-Name": "list_projects",
    }
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=SECONDS)
    connection.request("POST", "/mcp", json.dumps(body), headers)
    assert await anyio.to_thread.run_sync(lambda: silence.arrived.acquire(timeout=SECONDS))
    connection.close()
    assert await anyio.to_thread.run_sync(lambda: silence.left.acquire(timeout=SECONDS))
