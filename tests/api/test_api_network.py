"""Over real sockets: what a stand-in for the network cannot show."""

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from posthog_mcp.api import PostHogClient, Transport, errors

LIST = "/api/projects/{project_id}/annotations/"
Handler = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    head: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self, body: bytes = b"{}", *, status: str = "200 OK", headers: str = "") -> None:
        self.writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body
        )
        await self.writer.drain()


@dataclass
class Server:
    url: str = ""
    connections: int = 0
    heads: list[str] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def serving(handler: Handler, greeting: bytes = b"") -> AsyncIterator[Server]:
    state = Server()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        writer.write(greeting)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                state.heads.append(head)
                await handler(Exchange(head, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            state.gone.set()
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        server.close()


def client(url: str, **options: Any) -> PostHogClient:
    return PostHogClient(url, personal_api_key="phx_a", **options)


async def ok(exchange: Exchange) -> None:
    await exchange.answer()


async def test_calls_share_one_connection_and_closing_closes_it():
    async with serving(ok) as server:
        async with client(server.url) as posthog:
            for _ in range(20):
                await posthog.get(LIST, project_id=1)
            assert server.connections == 1
        with anyio.fail_after(5):
            await server.gone.wait()


async def test_nothing_is_opened_before_the_first_call():
    async with serving(ok) as server:
        async with client(server.url):
            await asyncio.sleep(0)
        assert server.connections == 0


async def test_a_closed_client_opens_again():
    async with serving(ok) as server, client(server.url) as posthog:
        await posthog.get(LIST, project_id=1)
        await posthog.close()
        assert await posthog.get(LIST, project_id=1) == {}


async def test_a_cancelled_call_closes_its_request_at_once():
    asked = asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        asked.set()
        await exchange.reader.readuntil(b"\r\n\r\n")

    async with serving(wait) as server, client(server.url) as posthog:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: posthog.get(LIST, project_id=1))
            with anyio.fail_after(5):
                await asked.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(5):
            await server.gone.wait()


async def test_the_deadline_holds_for_an_answer_that_trickles():
    async def trickle(exchange: Exchange) -> None:
        exchange.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            exchange.writer.write(b" ")
            await exchange.writer.drain()
            await asyncio.sleep(0.02)

    async with serving(trickle) as server, client(server.url) as posthog:
        started = anyio.current_time()
        with pytest.raises(errors.Timeout) as caught:
            await posthog.post(LIST, {}, project_id=1, seconds=0.3)
        assert anyio.current_time() - started < 2
        assert caught.value.sent is True
        assert "look before you repeat it" in caught.value.next_step
        with anyio.fail_after(5):
            await server.gone.wait()


async def test_a_host_that_says_nothing_times_out_within_the_call():
    async def silent(exchange: Exchange) -> None:
        await exchange.reader.readuntil(b"\r\n\r\n")

    async with serving(silent) as server, client(server.url, call_seconds=0.3) as posthog:
        started = anyio.current_time()
        with pytest.raises(errors.Timeout, match="given up after 1 second"):
            await posthog.get(LIST, project_id=1)
        assert anyio.current_time() - started < 2


async def test_the_time_for_an_answer_begins_when_the_request_is_sent():
    class Queue:
        @asynccontextmanager
        async def permit(self, *_: Any) -> AsyncIterator[float]:
            await anyio.sleep(0.5)
            yield 0.5

    async def first_soon_then_never(exchange: Exchange) -> None:
        if len(server.heads) == 1:
            await exchange.answer()

    async with serving(first_soon_then_never) as server, client(server.url, limiter=Queue()) as posthog:
        assert await posthog.get(LIST, project_id=1, answer_seconds=0.4) == {}
        started = anyio.current_time()
        with pytest.raises(errors.Timeout, match="given up after 1 second"):
            await posthog.get(LIST, project_id=1, answer_seconds=0.4)
        assert anyio.current_time() - started < 5


async def test_reading_stops_at_the_cap():
    async def endless(exchange: Exchange) -> None:
        exchange.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            exchange.writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await exchange.writer.drain()

    transport = Transport(max_answer_bytes=50_000)
    async with serving(endless) as server, transport, client(server.url, transport=transport) as posthog:
        with pytest.raises(errors.AnswerTooLarge, match="fewer rows"):
            await posthog.get(LIST, project_id=1)
        with anyio.fail_after(5):
            await server.gone.wait()


async def test_the_cap_counts_what_unpacks():
    bomb = gzip.compress(b"0" * 5_000_000)

    async def packed(exchange: Exchange) -> None:
        await exchange.answer(bomb, headers="Content-Encoding: gzip\r\n")

    assert len(bomb) < 50_000
    transport = Transport(max_answer_bytes=50_000)
    async with serving(packed) as server, transport, client(server.url, transport=transport) as posthog:
        with pytest.raises(errors.AnswerTooLarge):
            await posthog.get(LIST, project_id=1)


async def test_an_answer_that_does_not_unpack_is_an_error():
    async def broken(exchange: Exchange) -> None:
        await exchange.answer(b"no gzip", headers="Content-Encoding: gzip\r\n")

    async with serving(broken) as server, client(server.url) as posthog:
        with pytest.raises(errors.BadAnswer, match="compressed"):
            await posthog.get(LIST, project_id=1)


async def test_a_connection_that_breaks_is_tried_again_for_reads_only():
    async def breaks(exchange: Exchange) -> None:
        exchange.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{")
        raise ConnectionResetError

    async with serving(breaks) as server, client(server.url) as posthog:
        with pytest.raises(errors.Unreachable, match="broke during"):
            await posthog.post(LIST, {}, project_id=1)
        assert len(server.heads) == 1
        with pytest.raises(errors.Unreachable):
            await posthog.get(LIST, project_id=1)
        assert len(server.heads) == 3


async def test_a_host_where_nothing_listens_is_unreachable_and_nothing_was_sent():
    async with serving(ok) as server:
        pass
    async with client(server.url) as posthog:
        with pytest.raises(errors.Unreachable) as caught:
            await posthog.post(LIST, {}, project_id=1)
    assert caught.value.sent is False
    assert server.url in str(caught.value)


async def test_a_host_that_speaks_no_tls_is_told_so():
    async with (
        serving(ok, b"HTTP/1.1 400 Bad Request\r\n\r\n") as server,
        client(server.url.replace("http:", "https:")) as posthog,
    ):
        with pytest.raises(errors.TlsFailed, match="POSTHOG_MCP_CA_FILE"):
            await posthog.get(LIST, project_id=1)


async def test_a_file_of_authorities_that_is_none_is_told_so(tmp_path: Path):
    for name in ("missing.pem", "broken.pem"):
        (tmp_path / "broken.pem").write_text("no certificate")
        async with client("http://127.0.0.1:1", ca_file=tmp_path / name) as posthog:
            with pytest.raises(errors.Unreachable, match="POSTHOG_MCP_CA_FILE"):
                await posthog.get(LIST, project_id=1)


async def test_the_systems_proxy_variables_are_not_read(monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with serving(ok) as server, client(server.url) as posthog:
        assert await posthog.get(LIST, project_id=1) == {}


async def test_a_proxy_of_the_settings_is_used_with_its_password():
    async with serving(ok) as proxy:
        url = proxy.url.replace("http://", "http://ada:CANARY@")
        async with client("http://10.255.0.1", proxy=url) as posthog:
            assert await posthog.get(LIST, project_id=1) == {}
        assert proxy.heads[0].startswith("GET http://10.255.0.1/api/projects/1/annotations/ HTTP/1.1")
        assert base64.b64encode(b"ada:CANARY").decode() in proxy.heads[0]
        assert "CANARY" not in repr(posthog)


@pytest.mark.parametrize("proxy", ["socks9://x", "http://127.0.0.1:1", "::"])
async def test_a_proxy_that_cannot_be_used_is_told_so(proxy: str):
    async with client("http://10.255.0.1", proxy=proxy) as posthog:
        with pytest.raises(errors.Unreachable, match=r"POSTHOG_(MCP_PROXY|HOST)"):
            await posthog.get(LIST, project_id=1)


async def test_a_cookie_of_an_answer_is_not_sent_back():
    async def cookie(exchange: Exchange) -> None:
        await exchange.answer(headers="Set-Cookie: session=CANARY; Path=/\r\n")

    async with serving(cookie) as server, client(server.url) as posthog:
        await posthog.get(LIST, project_id=1)
        await posthog.get(LIST, project_id=1)
        assert "CANARY" not in server.heads[1]


async def test_hostile_query_values_arrive_as_they_were():
    async with serving(ok) as server, client(server.url) as posthog:
        await posthog.get(LIST, project_id=1, query={"search": "a b/../?#&=%2e\r\nX-Evil: 1"})
        line = server.heads[0].splitlines()[0]
        assert line.startswith("GET /api/projects/1/annotations/?search=a%20b")
        assert "x-evil" not in [name.partition(":")[0].lower() for name in server.heads[0].splitlines()]
