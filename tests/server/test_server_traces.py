"""What OpenTelemetry's own SDK records of calls, and what it must never see."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
import httpx2
import opentelemetry.trace
import pytest
from authorization_server import listening, serving
from mcp import Client
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from server_tools import Nothing, Wait

from posthog_mcp.api import PostHogClient, Transport
from posthog_mcp.render import Text
from posthog_mcp.server.app import App
from posthog_mcp.server.http import asgi
from posthog_mcp.settings import Access
from posthog_mcp.tool import Context, Services, tool

Make = Callable[..., App]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PERSON = "ada-lovelace-1815"
KEY = "phx_CANARY0000000000000000000"


@pytest.fixture(scope="session")
def provider() -> TracerProvider:
    """What an operator sets up; the first in a process stays."""
    provider = TracerProvider()
    opentelemetry.trace.set_tracer_provider(provider)
    return provider


class Spans:
    """The spans that have ended since the test began."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def of(self, kind: SpanKind) -> list[ReadableSpan]:
        # The client in the test's process makes spans as well: those that send messages.
        return [
            span
            for span in self._exporter.get_finished_spans()
            if span.kind is kind and not span.name.startswith("MCP send ")
        ]

    def calls(self) -> list[ReadableSpan]:
        return [span for span in self.of(SpanKind.SERVER) if span.name.startswith("tools/call")]

    def everything(self) -> str:
        """All that was recorded, as one text."""
        return "\n".join(span.to_json() for span in self._exporter.get_finished_spans())


@pytest.fixture
def spans(provider: TracerProvider) -> Iterator[Spans]:
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield Spans(exporter)
    exporter.shutdown()  # it keeps nothing of later tests


class PostHog:
    """Answers with one status after the other, the last for ever."""

    def __init__(self, *statuses: int | Exception) -> None:
        self._statuses = list(statuses)
        self.seen: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        if isinstance(status, Exception):
            raise status
        return httpx2.Response(status, json={"id": 7, "results": []})


@tool(area="persons", access=Access.READ, title="Look", keys=())
async def look(ctx: Context, args: Nothing) -> Text:
    """Ask PostHog for a person."""
    del args
    await ctx.api.get(
        "/api/projects/{project_id}/persons/{id}/", project_id=1, id=PERSON, query={"q": PERSON}
    )
    return Text(f"found {PERSON}")


@pytest.fixture
async def looking(make_app: Make) -> Any:
    """Makes a server whose tool `look` asks the PostHog it is given."""
    apps: list[App] = []

    def make(posthog: PostHog, limiter: Any = None) -> App:
        app = make_app(look)
        transport = Transport(wire=httpx2.MockTransport(posthog))
        app._services = Services(
            PostHogClient(
                "https://posthog.example.com:8443",
                personal_api_key=KEY,
                transport=transport,
                limiter=limiter,
            ),
            app.settings,
        )
        apps.append(app)
        return app

    yield make
    for app in apps:
        await app.close()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_call_is_one_span_and_each_request_to_posthog_a_child(
    looking: Any, spans: Spans, mode: Literal["auto", "legacy"]
) -> None:
    async with Client(looking(PostHog(200)).server(), mode=mode) as client:
        await client.call_tool("look", {})
    [call], [request] = spans.calls(), spans.of(SpanKind.CLIENT)
    assert call.name == "tools/call look"
    assert call.attributes["gen_ai.tool.name"] == "look"
    assert call.attributes["mcp.method.name"] == "tools/call"
    assert call.attributes["posthog_mcp.outcome"] == "ok"
    assert call.status.status_code is StatusCode.UNSET
    assert request.name == "GET /api/projects/{project_id}/persons/{id}/"
    assert request.parent.span_id == call.context.span_id
    assert request.instrumentation_scope.name == "posthog-mcp"
    assert dict(request.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "posthog.example.com",
        "server.port": 8443,
        "url.full": "https://posthog.example.com:8443/api/projects/{project_id}/persons/{id}/",
        "url.template": "/api/projects/{project_id}/persons/{id}/",
        "posthog_mcp.waited_seconds": 0.0,
    }


async def test_each_attempt_is_a_span_of_its_own(looking: Any, spans: Spans, monkeypatch: Any) -> None:
    monkeypatch.setattr("posthog_mcp.api.calls.BACKOFF_SECONDS", 0.001)
    async with Client(looking(PostHog(503, 200)).server()) as client:
        await client.call_tool("look", {})
    first, second = spans.of(SpanKind.CLIENT)
    assert (first.attributes["error.type"], first.status.status_code) == ("503", StatusCode.ERROR)
    assert "http.request.resend_count" not in first.attributes
    assert second.attributes["http.request.resend_count"] == 1
    assert second.status.status_code is StatusCode.UNSET


async def test_waiting_for_limits_is_told_apart_from_waiting_for_posthog(looking: Any, spans: Spans) -> None:
    class Limiter:
        @asynccontextmanager
        async def permit(self, *_: Any) -> AsyncIterator[float]:
            yield 2.5

    async with Client(looking(PostHog(200), Limiter()).server()) as client:
        await client.call_tool("look", {})
    assert spans.of(SpanKind.CLIENT)[0].attributes["posthog_mcp.waited_seconds"] == 2.5


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(404, "404"), (httpx2.ReadError(f"{PERSON} {KEY}"), "broken"), (httpx2.ReadTimeout(PERSON), "timeout")],
)
async def test_what_failed_is_told_by_kind_alone(
    looking: Any, spans: Spans, monkeypatch: Any, fault: int | Exception, kind: str
) -> None:
    monkeypatch.setattr("posthog_mcp.api.calls.BACKOFF_SECONDS", 0.001)
    async with Client(looking(PostHog(fault)).server()) as client:
        await client.call_tool("look", {})
    [call] = spans.calls()
    assert call.attributes["posthog_mcp.outcome"] == "error"
    assert call.attributes["error.type"] == "tool_error"
    assert {span.attributes["error.type"] for span in spans.of(SpanKind.CLIENT)} == {kind}
    assert PERSON not in spans.everything()
    assert "CANARY" not in spans.everything()


async def test_nothing_that_was_passed_found_or_held_is_recorded(looking: Any, spans: Spans) -> None:
    posthog = PostHog(200)
    async with Client(looking(posthog).server()) as client:
        await client.call_tool("look", {})
        await client.call_tool("look", {PERSON: PERSON})
        await client.call_tool("echo", {"name": "c4nary"})
        await client.call_tool("fail", {"how": "fault"})
        await client.call_tool(PERSON * 1_000, {})
        with pytest.raises(Exception, match="no prompt"):
            await client.get_prompt(f"{'x' * 64}{PERSON}", {})
    said = "\n".join(span.to_json() for span in (*spans.of(SpanKind.SERVER), *spans.of(SpanKind.CLIENT)))
    for word in (PERSON, "CANARY", "c4nary"):
        assert word not in said
    assert [span.attributes["posthog_mcp.outcome"] for span in spans.calls()] == [
        "ok", "refused", "ok", "error", "refused",
    ]  # fmt: skip
    assert (spans.calls()[-1].name, spans.calls()[-1].attributes["gen_ai.tool.name"]) == (
        "tools/call",
        "unknown",
    )
    # PostHog is another party's: it learns nothing of our traces.
    assert not {"traceparent", "baggage"} & set(posthog.seen[0].headers)


async def test_a_call_that_is_given_up_ends_its_spans(make_app: Make, spans: Spans, wait: Wait) -> None:
    app = make_app(wait.tool)
    async with Client(app.server()) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_tool, "wait", {})
        await wait.started.wait()
        tasks.cancel_scope.cancel()
    with anyio.fail_after(5):
        await wait.cancelled.wait()
        while not spans.calls():  # noqa: ASYNC110 - it tells nobody
            await anyio.sleep(0.01)
    assert spans.calls()[0].attributes["posthog_mcp.outcome"] == "cancelled"
    await app.close()


@pytest.mark.parametrize("version", ["2026-07-28", "2025-06-18"])
async def test_a_callers_trace_goes_on_over_http(looking: Any, spans: Spans, version: str) -> None:
    app = looking(PostHog(200))
    meta = {
        "traceparent": f"00-{TRACE}-{PARENT}-01",
        "baggage": f"person={PERSON}",
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "look", "arguments": {}, "_meta": meta}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": version,
        "Mcp-Method": "tools/call",
        "Mcp-Name": "look",
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    with listening() as (port, url):
        async with serving((asgi(app, "127.0.0.1"), port)), httpx2.AsyncClient(timeout=10) as wire:
            answer = await wire.post(f"{url}/mcp", content=json.dumps(body), headers=headers)
        assert "found" in answer.text
    [call], [request] = spans.calls(), spans.of(SpanKind.CLIENT)
    assert call.context.trace_id == request.context.trace_id == int(TRACE, 16)
    assert call.parent.span_id == int(PARENT, 16)
    assert PERSON not in spans.everything()
