"""What a server did, as Prometheus reads it."""

import re
from collections.abc import Callable
from pathlib import Path

import anyio
import httpx2
from mcp import Client
from pydantic import SecretStr
from server_tools import Wait

from posthog_mcp import __version__
from posthog_mcp.outbox import Outbox
from posthog_mcp.server.app import App
from posthog_mcp.server.http import asgi

Make = Callable[..., App]
_SAMPLE = re.compile(r'posthog_mcp_[a-z_]+(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? [0-9.e+-]+')


async def test_calls_are_counted_by_tool_and_outcome(make_app: Make) -> None:
    app = make_app()
    for name, arguments in (("echo", {"name": "n"}), ("echo", {"nam": 1}), ("fail", {}), ('ech{}\n"o', {})):
        await app.dispatcher.call(name, arguments)
    text = app.metrics()
    assert 'posthog_mcp_calls_total{tool="echo",outcome="ok"} 1\n' in text
    assert 'posthog_mcp_calls_total{tool="echo",outcome="refused"} 1\n' in text
    assert 'posthog_mcp_calls_total{tool="unknown",outcome="refused"} 1\n' in text
    assert 'posthog_mcp_call_seconds_bucket{tool="echo",le="+Inf"} 2\n' in text
    assert 'posthog_mcp_call_seconds_count{tool="echo"} 2\n' in text
    assert f'posthog_mcp_info{{version="{__version__}"}} 1\n' in text
    await app.close()


async def test_every_line_is_of_the_form_and_every_metric_is_described_once(make_app: Make) -> None:
    app = make_app()
    await app.dispatcher.call("echo", {"name": "n"})
    lines = app.metrics().splitlines()
    described = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(described) == len(set(described))
    for line in lines:
        if not line.startswith("#"):
            assert _SAMPLE.fullmatch(line), line
            assert line.startswith(tuple(described))
    await app.close()


async def test_calls_under_way_are_told_and_those_that_were_cancelled_too(make_app: Make, wait: Wait) -> None:
    app = make_app(wait.tool)
    async with Client(app.server()) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_tool, "wait", {})
        with anyio.fail_after(5):
            while "posthog_mcp_calls_running 1\n" not in app.metrics():  # noqa: ASYNC110 - it tells nobody
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    with anyio.fail_after(5):
        while 'tool="wait",outcome="cancelled"} 1\n' not in app.metrics():  # noqa: ASYNC110 - as above
            await anyio.sleep(0.01)
    assert "posthog_mcp_calls_running 0\n" in app.metrics()
    await app.close()


async def test_events_that_wait_are_told_once_the_outbox_is_open(make_app: Make, tmp_path: Path) -> None:
    app = make_app()
    assert "outbox" not in app.metrics()
    services = await app.services()
    services.outbox = Outbox("phc_x", "http://127.0.0.1:9", tmp_path, delivers=False)
    await services.outbox.capture("ada", "order placed")
    assert 'posthog_mcp_outbox_events{state="waiting"} 1\n' in app.metrics()
    await app.close(0)


async def test_the_service_has_a_page_for_them_behind_its_door(make_app: Make) -> None:
    token = "a-token-for-callers"
    app = make_app(http_tokens=(SecretStr(token),))
    wire = httpx2.ASGITransport(asgi(app, "127.0.0.1"))
    async with httpx2.AsyncClient(transport=wire, base_url="http://127.0.0.1:8000") as client:
        assert (await client.get("/metrics")).status_code == 401
        await app.dispatcher.call("echo", {"name": "n"})
        page = await client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'posthog_mcp_calls_total{tool="echo",outcome="ok"} 1' in page.text
        elsewhere = {"Authorization": f"Bearer {token}", "Host": "evil.example.com"}
        assert (await client.get("/metrics", headers=elsewhere)).status_code == 421
    await app.close()
