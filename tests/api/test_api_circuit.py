"""A host that is down is left alone for a while, and the error says since when."""

from typing import Any

import anyio
import httpx2
import pytest

from posthog_mcp.api import circuit, errors

LIST = "/api/projects/{project_id}/annotations/"
DOWN = httpx2.ConnectError("refused")
GATEWAY = httpx2.Response(503, json={"detail": "no"})


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit, "FIRST_PAUSE_SECONDS", 0.3)


async def fail(client: Any, count: int) -> None:
    for _ in range(count):
        with pytest.raises((errors.Unreachable, errors.ServerError)):
            await client.get(LIST, project_id=1)


@pytest.mark.parametrize("failure", [DOWN, GATEWAY])
async def test_after_three_failed_calls_the_host_is_not_asked_and_the_error_says_since_when(
    fake: Any, failure: Any
):
    posthog = fake(failure)
    client = posthog.client()
    await fail(client, 3)
    asked = len(posthog.seen)
    with pytest.raises(
        errors.Unreachable, match=r"the first at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    ) as caught:
        await client.post(LIST, {}, project_id=1)
    assert len(posthog.seen) == asked
    assert caught.value.sent is False
    assert "https://us.posthog.com is down" in caught.value.what
    assert "tried again in 1 second" in caught.value.next_step


async def test_after_a_pause_one_call_tries_and_a_success_closes_the_circuit(fake: Any):
    posthog = fake(*[DOWN] * 6, {"ok": 1})
    client = posthog.client()
    await fail(client, 3)
    with pytest.raises(errors.Unreachable, match="is down"):
        await client.get(LIST, project_id=1)
    await anyio.sleep(0.35)
    assert await client.get(LIST, project_id=1) == {"ok": 1}
    assert await client.get(LIST, project_id=1) == {"ok": 1}


async def test_while_one_call_tries_the_others_are_refused(fake: Any):
    posthog = fake(DOWN)
    client = posthog.client()
    await fail(client, 3)
    await anyio.sleep(0.35)
    asked = len(posthog.seen)
    await fail(client, 5)
    assert len(posthog.seen) == asked + 2  # the two attempts of one call


async def test_answers_and_slow_queries_do_not_open_it(fake: Any):
    answers = [DOWN, DOWN, DOWN, DOWN, httpx2.Response(404, json={}), httpx2.ReadTimeout("slow")]
    posthog = fake(*answers, *[DOWN] * 4, {"ok": 1})
    client = posthog.client()
    for _ in range(6):
        with pytest.raises(errors.PostHogError):
            await client.get(LIST, project_id=1)
    assert await client.get(LIST, project_id=1) == {"ok": 1}


async def test_events_are_sent_by_the_schedule_of_whoever_keeps_them(fake: Any):
    posthog = fake(*[DOWN] * 10, {"status": "Ok"})
    client = posthog.client()
    for _ in range(5):
        with pytest.raises(errors.Unreachable, match="could not be reached"):
            await client.send_batch([])
    await client.send_batch([])
