"""Whatever PostHog answers, what can be delivered is, in order, and what cannot is kept with its reason."""

import asyncio
import math
import time
from collections import Counter
from dataclasses import dataclass

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from posthog_stub import Batch, Reply, Stub, bad, in_turn
from test_outbox_delivery import NOW, events, order_of

from posthog_mcp.outbox import Outbox, made, queue, sender


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_failure_that_passes_is_tried_again_with_the_same_event(box, stub, status):
    stub.answer = in_turn(Reply(status), Reply(status))
    uuid = await box.capture("ada", "seen", wait=True)
    assert [batch.events[0]["uuid"] for batch in stub.batches] == [str(uuid)] * 3
    assert len({batch.events[0]["timestamp"] for batch in stub.batches}) == 1
    assert box.problem() == ""


@pytest.mark.usefixtures("impatient")
async def test_retry_after_is_waited_even_by_somebody_in_a_hurry(box, stub):
    stub.answer = in_turn(Reply(429, headers={"retry-after": "1"}))
    await box.capture("ada", "seen", wait=True)
    first, second = stub.batches
    assert second.at - first.at >= 1.0


async def test_a_host_that_is_back_is_found_within_seconds(open_box, stub):
    port = stub.port
    await stub.__aexit__()
    box = open_box(host=f"http://127.0.0.1:{port}")
    await box.append(events(20))
    with anyio.fail_after(5):
        while "could not be reached" not in box.problem():  # noqa: ASYNC110
            await anyio.sleep(0.02)
    async with Stub() as again:
        again._server.close()
        again._server = await asyncio.start_server(again._serve, "127.0.0.1", port)
        started = time.monotonic()
        with anyio.fail_after(6):
            while box.status().events:  # noqa: ASYNC110
                await anyio.sleep(0.02)
        assert time.monotonic() - started < 5
        assert len(again.taken) == 20


async def test_413_halves_and_remembers_the_size(box, stub):
    stub.answer = lambda batch: Reply(413 if batch.size > 300_000 else 200)
    await box.append(events(100, size=10_000))
    assert await box.flush()
    assert len(set(stub.uuids)) == 100
    before = len(stub.batches)
    await box.append(events(100, "more", size=10_000))
    assert await box.flush()
    refused = [batch for batch in stub.batches[before:] if batch.size > 300_000]
    assert len(refused) <= 2
    assert box.status().dead == 0


async def test_an_event_too_large_for_the_host_is_kept_aside_with_its_reason(box, stub):
    stub.answer = lambda batch: Reply(413 if batch.size > 50_000 else 200)
    await box.append([*events(3), *events(1, "large", size=60_000), *events(3, "later")])
    assert await box.flush()
    (letter,) = box.dead_letters()
    assert "large" in letter.reason
    assert b'"large"' in letter.event
    assert len(stub.taken) == 6


async def test_one_bad_event_among_a_thousand_is_found_by_halving(box, stub):
    stub.answer = bad({"bad"}, 400)
    await box.append([*events(700), *events(1, "bad"), *events(299, "later")])
    assert await box.flush()
    assert len(stub.batches) <= 2 * math.ceil(math.log2(1_000)) + 1
    (letter,) = box.dead_letters()
    assert box.state_of(letter.uuid).startswith("failed: ")
    assert Counter(event["event"] for event in stub.taken) == {"seen": 700, "later": 299}
    assert [event["properties"]["n"] for event in stub.taken] == [*range(700), *range(299)]


async def test_failed_events_are_retried_and_dropped_on_request(box, stub):
    stub.answer = bad({"bad"}, 400)
    await box.append(events(4, "bad"))
    await box.flush()
    assert box.status().dead == 4
    stub.answer = lambda _: Reply()
    assert box.retry() == 4
    assert await box.flush()
    assert order_of(stub) == {f"u{n}": [n] for n in range(4)}
    assert box.status().dead == 0
    assert box.drop() == 0


@pytest.mark.usefixtures("impatient")
async def test_an_event_posthog_fails_on_holds_back_its_person_alone(box, stub, monkeypatch):
    monkeypatch.setattr(queue, "_HOLD_SECONDS", 0.02)
    monkeypatch.setattr(queue, "_LONGEST_HOLD", 0.05)
    stub.answer = bad({"poison"}, 500)
    poison = made("poison", "mallory", {"n": 0}, NOW)
    after = made("after", "mallory", {"n": 1}, NOW)
    await box.append([*events(20), poison, after, *events(20, "later")])
    with anyio.fail_after(10):
        while len(set(stub.uuids)) < 40:  # noqa: ASYNC110
            await anyio.sleep(0.02)
    assert str(after.uuid) not in stub.uuids
    with anyio.fail_after(10):
        while not box.state_of(poison.uuid).startswith("failed"):
            await box.append(events(2, "more"))  # only beside others can it be told who is to blame
            await anyio.sleep(0.02)
    assert await box.flush()
    assert "failed on it 10 times" in box.state_of(poison.uuid)
    assert str(after.uuid) in stub.uuids


@pytest.mark.usefixtures("impatient")
async def test_a_held_back_event_goes_in_its_order_when_posthog_is_well_again(box, stub, monkeypatch):
    monkeypatch.setattr(queue, "_HOLD_SECONDS", 0.3)
    stub.answer = bad({"poison"}, 500)
    await box.append(
        [made("poison", "m", {"n": 0}, NOW), made("after", "m", {"n": 1}, NOW), *events(9, people=3)]
    )
    with anyio.fail_after(10):
        while len(set(stub.uuids)) < 9:  # noqa: ASYNC110
            await anyio.sleep(0.02)
    assert box.status().waiting[0].held == 1
    stub.answer = lambda _: Reply()
    assert await box.flush()
    assert order_of(stub)["m"] == [0, 1]
    assert box.status().dead == 0


@pytest.mark.usefixtures("impatient")
async def test_an_outage_blames_nobody(box, stub, monkeypatch):
    monkeypatch.setattr(queue, "_HOLD_SECONDS", 0.01)
    stub.answer = lambda _: Reply(503)
    await box.append(events(50))
    with anyio.fail_after(10):
        while len(stub.batches) < 40:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    assert box.status().waiting[0].held == 0
    assert box.status().waiting[0].stopped
    stub.answer = lambda _: Reply()
    assert await box.flush()
    assert order_of(stub) == {f"u{who}": list(range(who, 50, 5)) for who in range(5)}


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405])
async def test_a_refusal_of_everything_stops_and_keeps_all(box, stub, status):
    stub.answer = lambda _: Reply(status, headers={"location": "https://example.com/"})
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        await box.capture("ada", "seen", wait=True)
    assert time.monotonic() - started < 3  # told at once, not after the whole wait
    assert box.problem()
    assert box.status().waiting[0].refused
    requests = len(stub.batches)
    await box.capture("ada", "seen")
    await anyio.sleep(0.05)
    assert len(stub.batches) == requests  # not asked again at every event
    stub.answer = lambda _: Reply()
    await box.capture("ada", "seen", wait=True)
    assert len(stub.taken) == 3
    assert box.problem() == ""


async def test_what_is_refused_can_be_dropped_but_not_what_cannot_be_reached(open_box, stub):
    stub.answer = lambda _: Reply(401)
    refused, unreachable = open_box(), open_box(host="http://127.0.0.1:9")
    await refused.append(events(3))
    await unreachable.append(events(5))
    assert not await refused.flush(1.5)
    assert refused.drop() == 0
    assert refused.drop(refused=True) == 3
    assert refused.status().events == 5


async def test_a_full_quota_inside_a_200_is_told_and_tried_again_later(box, stub, monkeypatch, caplog):
    stub.answer = lambda _: Reply(body={"status": "Ok", "quota_limited": ["events"]})
    monkeypatch.setattr(sender, "_QUOTA_SECONDS", 0.0)
    (event,) = events(1)
    await box.append([event])
    await box.flush()
    assert "over the billing limit for events" in box.state_of(event.uuid)
    assert "over the billing limit" in caplog.text
    stub.answer = lambda _: Reply()
    stub.taken.clear()
    box.deliver_leftovers()
    assert await box.flush()
    assert stub.uuids == [str(event.uuid)]
    assert box.state_of(event.uuid) == "delivered"


async def test_a_quota_of_one_kind_leaves_the_others_delivered(box, stub):
    stub.answer = lambda _: Reply(body={"status": 1, "quota_limited": ["exceptions", "recordings"]})
    await box.append([*events(2), *events(1, "$exception")])
    await box.flush()
    assert box.status().dead == 1
    assert b"$exception" in box.dead_letters()[0].event


async def test_a_quota_of_recordings_is_none_of_our_business(box, stub):
    stub.answer = lambda _: Reply(body={"status": 1, "quota_limited": ["recordings"]})
    await box.append(events(2))
    assert await box.flush()
    assert box.status().dead == 0


@pytest.mark.usefixtures("impatient")
async def test_a_page_of_somebody_elses_is_no_answer(box, stub):
    stub.answer = in_turn(Reply(page="<html>Welcome to the airport</html>"))
    uuid = await box.capture("ada", "seen", wait=True)
    assert box.state_of(uuid) == "delivered"


class Moody:
    """Fails as a script says, and always on what is bad."""

    def __init__(self, script: list[str], bad_numbers: set[int]) -> None:
        self.script, self.bad = list(script), bad_numbers

    def __call__(self, batch: Batch) -> Reply:
        if self.bad & {event["properties"]["n"] for event in batch.events}:
            return Reply(400)
        mood = self.script.pop(0) if self.script else "200"
        if mood in ("before", "after"):
            return Reply(drop=mood)
        if mood == "413":
            return Reply(413) if len(batch.events) > 1 else Reply()
        return Reply(int(mood))


@dataclass(frozen=True)
class Trial:
    script: list[str]
    bad_numbers: set[int]
    people: int
    cuts: list[int]


TRIALS = st.builds(
    Trial,
    script=st.lists(st.sampled_from(["200", "500", "503", "429", "413", "before", "after"]), max_size=12),
    bad_numbers=st.sets(st.integers(0, 119), max_size=4),
    people=st.integers(1, 7),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=4),
)


@pytest.mark.usefixtures("impatient")
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(trial=TRIALS)
async def test_whatever_happens_all_good_events_arrive_in_their_persons_order(
    tmp_path_factory, monkeypatch, trial
):
    monkeypatch.setattr(queue, "_HOLD_SECONDS", 0.01)
    monkeypatch.setattr(queue, "_LONGEST_HOLD", 0.02)
    async with Stub(Moody(trial.script, trial.bad_numbers)) as stub:
        box = Outbox("phc_x", stub.url, tmp_path_factory.mktemp("moody"))
        taken = events(120, people=trial.people)
        left = list(taken)
        for cut in trial.cuts:
            await box.append(left[:cut])
            left = left[cut:]
        await box.append(left)
        assert await box.flush(20)
        good = {str(event.uuid) for n, event in enumerate(taken) if n not in trial.bad_numbers}
        assert set(stub.uuids) == good
        assert box.status().dead == len(trial.bad_numbers)
        for who, numbers in order_of(stub).items():
            assert numbers == sorted(numbers), who
        await box.close()
