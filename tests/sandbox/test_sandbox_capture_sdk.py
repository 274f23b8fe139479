"""PostHog's own Python SDK against the sandbox, over sockets: what it sends is what queries find."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import posthog
import pytest
import uvicorn
from starlette.applications import Starlette

from posthog_mcp.sandbox.capture.routes import routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from posthog_mcp.sandbox.sandbox import Sandbox


@pytest.fixture
async def url(sandbox: Sandbox) -> AsyncIterator[str]:
    app = Starlette(routes=routes)
    app.state.sandbox = sandbox
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve([listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await running
    listener.close()


async def use(url: str, work: Callable[[posthog.Posthog], None], **options: Any) -> list[str]:
    """Run the SDK in a thread of its own, as an application would; what it reported as failed."""
    errors: list[str] = []

    def run() -> None:
        client = posthog.Posthog(
            "phc_sandbox", host=url, on_error=lambda error, _batch: errors.append(str(error)), **options
        )
        work(client)
        client.shutdown()

    await asyncio.wait_for(asyncio.to_thread(run), 20)
    return errors


def shop(client: posthog.Posthog) -> None:
    client.capture("page seen", distinct_id="anon-1", properties={"$current_url": "https://shop.test/"})
    client.alias("anon-1", "ann")
    client.set(distinct_id="ann", properties={"plan": "pro"})
    client.set_once(distinct_id="ann", properties={"plan": "free", "first": "mail"})
    client.group_identify("company", "acme", {"seats": 3})
    client.capture("order placed", distinct_id="ann", properties={"total": 42.5}, groups={"company": "acme"})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"gzip": True},
        {"sync_mode": True},
        {"capture_mode": "v1"},
        {"capture_mode": "v1", "capture_compression": "gzip"},
        {"capture_mode": "v1", "capture_compression": "deflate"},
    ],
)
async def test_what_the_sdk_sends_is_what_queries_find(sandbox: Sandbox, url: str, settings: dict[str, Any]):
    assert await use(url, shop, **settings) == []
    person = sandbox.ingest.people.person_of("ann")
    assert person is not None
    assert person is sandbox.ingest.people.person_of("anon-1")
    assert (person.properties["plan"], person.properties["first"]) == ("pro", "mail")
    group = sandbox.ingest.groups.get(0, "acme")
    assert group is not None
    assert group.properties == {"seats": 3}
    await sandbox.ingest.settled()
    found = await sandbox.engine.query(
        "SELECT event, properties, `$group_0` FROM ph.events FINAL "
        "WHERE event IN ('order placed', 'page seen') ORDER BY event"
    )
    (order, properties, company), (page, *_) = found.rows
    assert (order, company, page) == ("order placed", "acme", "page seen")
    assert json.loads(properties)["total"] == 42.5
    assert json.loads(properties)["$lib"] == "posthog-python"


async def test_the_sdk_hears_of_a_wrong_key(url: str):
    errors: list[str] = []

    def run() -> None:
        client = posthog.Posthog(
            "phx_wrong", host=url, on_error=lambda error, _batch: errors.append(str(error)), max_retries=0
        )
        client.capture("seen", distinct_id="ann")
        client.shutdown()

    await asyncio.wait_for(asyncio.to_thread(run), 20)
    assert len(errors) == 1
    assert "personal_api_key" in errors[0]
