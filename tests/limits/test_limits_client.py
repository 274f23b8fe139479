"""The client under real budgets: what one process is told, all act on, and errors say what to do."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from posthog_mcp.api import PostHogClient, Transport, errors
from posthog_mcp.api.calls import Patience, patience
from posthog_mcp.limits import Budgets
from posthog_mcp.settings import Settings

LIST = "/api/projects/{project_id}/annotations/"
QUERY = "/api/projects/{project_id}/query/"
PROJECT = "/api/projects/{project_id}/"


class PostHog:
    """Answers what it is given, then successes; remembers when it was asked."""

    def __init__(self, *answers: httpx2.Response) -> None:
        self.answers = list(answers)
        self.asked: list[float] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(anyio.current_time())
        if self.answers:
            return self.answers.pop(0)
        return httpx2.Response(200, json={"path": request.url.path, "organization": "org-b"})


def refusal(seconds: int, code: str = "throttled") -> httpx2.Response:
    body = {"type": "throttled_error", "code": code, "detail": "Request was throttled.", "attr": None}
    return httpx2.Response(429, json=body, headers={"Retry-After": str(seconds)})


@pytest.fixture
async def connect(tmp_path: Path) -> AsyncIterator[Callable[..., PostHogClient]]:
    """Clients with budgets of their own on one directory, as processes have."""
    opened: list[Budgets] = []

    def make(posthog: PostHog, limits: str = "", **options: Any) -> PostHogClient:
        budgets = Budgets.from_settings(Settings.load({"POSTHOG_MCP_LIMITS": limits}, data_dir=tmp_path))
        assert budgets
        opened.append(budgets)
        wire = Transport(wire=httpx2.MockTransport(posthog))
        return PostHogClient(personal_api_key="phx_a", limiter=budgets, transport=wire, **options)

    yield make
    for budgets in opened:
        await budgets.close()


async def test_a_long_cool_down_is_told_to_one_and_sent_by_none(connect: Callable[..., PostHogClient]):
    posthog = PostHog(refusal(40))
    one, other = connect(posthog), connect(posthog)
    with pytest.raises(errors.RateLimited, match="in 40 seconds"):
        await one.get(LIST, project_id=1)
    with pytest.raises(errors.RateLimited) as caught:
        await other.get(LIST, project_id=1)
    assert len(posthog.asked) == 1
    assert caught.value.wait == pytest.approx(40, abs=2)
    assert "the limit of reads and changes is spent" in caught.value.what
    assert "more objects in one call" in caught.value.next_step


async def test_a_short_cool_down_is_waited_for_by_all_and_brings_no_second_429(
    connect: Callable[..., PostHogClient],
):
    posthog = PostHog(refusal(1))
    clients = [connect(posthog) for _ in range(3)]
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: clients[0].get(LIST, project_id=1))
        await anyio.sleep(0.2)
        for client in clients[1:]:
            group.start_soon(lambda client=client: client.get(LIST, project_id=1))
    first, *later = posthog.asked
    assert len(later) == 3
    assert all(at - first >= 1 for at in later)


async def test_a_spent_budget_of_bytes_says_what_to_do_and_leaves_the_rest_alone(
    connect: Callable[..., PostHogClient],
):
    left = httpx2.Response(200, json={}, headers={"X-PostHog-Query-Budget-Remaining-Bytes": "-5"})
    posthog = PostHog(left, refusal(900, "api_queries_budget_exceeded"))
    one, other = connect(posthog), connect(posthog)
    await one.post(QUERY, {}, project_id=1)
    for client in (one, other):
        with pytest.raises(errors.RateLimited, match="Read fewer days or fewer columns") as caught:
            await client.post(QUERY, {}, project_id=1)
        assert caught.value.spent == "bytes"
    assert len(posthog.asked) == 2
    await other.get(f"{QUERY}{{id}}/", project_id=1, id="a")
    limits = await other.limits(1)
    assert limits
    assert limits["query_budget"]["bytes_left"] == -5
    assert limits["query_budget"]["cool_down_seconds"] == pytest.approx(900, abs=2)


async def test_an_answer_that_names_the_organization_is_believed_by_all(
    connect: Callable[..., PostHogClient],
):
    posthog = PostHog(httpx2.Response(200, json={"organization": "org-a"}))
    one, other = connect(posthog, "crud=3/60s"), connect(posthog, "crud=3/60s")
    await one.get(PROJECT, project_id=1)  # of org-a, which goes on with the host's budget
    await one.get(PROJECT, project_id=2)  # of org-b, which has its own from then on
    await one.get(LIST, project_id=1)
    with pytest.raises(errors.RateLimited, match="3 reads and changes a minute"):
        await other.get(LIST, project_id=1)
    for _ in range(2):
        await other.get(LIST, project_id=2)
    with pytest.raises(errors.RateLimited):
        await one.get(LIST, project_id=2)


async def test_calls_of_one_purpose_share_one_patience(connect: Callable[..., PostHogClient]):
    posthog = PostHog()
    client = connect(posthog, "crud=1/0.2s")  # and a guard of a second
    token = patience.set(Patience(2.0))
    try:
        await client.get(LIST, project_id=1)
        await client.get(LIST, project_id=1)
        with pytest.raises(errors.RateLimited, match="1 reads and changes"):
            await client.get(LIST, project_id=1)
    finally:
        patience.reset(token)
    assert len(posthog.asked) == 2


async def test_a_fourth_query_waits_for_one_of_the_three_to_end(connect: Callable[..., PostHogClient]):
    posthog = PostHog()
    running = most = 0

    async def slow(request: httpx2.Request) -> httpx2.Response:
        nonlocal running, most
        running, most = running + 1, max(most, running + 1)
        await anyio.sleep(0.1)
        running -= 1
        return posthog(request)

    clients = [connect(slow) for _ in range(2)]  # type: ignore[arg-type]
    async with anyio.create_task_group() as group:
        for number in range(8):
            client = clients[number % 2]
            group.start_soon(lambda client=client: client.post(QUERY, {}, project_id=1))
    assert most == 3
    assert len(posthog.asked) == 8
