"""PostHog's request limits, with a clock of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_mcp.sandbox.http.throttles import Rate, Throttles, parse_limits
from posthog_mcp.sandbox.sandbox import Options

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

NOTES = "/api/projects/1/annotations/"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def options(clock: Clock) -> Options:
    limits = parse_limits("crud=3/60s,5/3600s; definitions=1/60s")
    return Options(throttles=Throttles(scope="organization", limits=limits, clock=clock))


async def test_the_request_too_many_gets_429_with_the_seconds_to_wait(api: AsyncClient, clock: Clock):
    for _ in range(3):
        assert (await api.get(NOTES)).status_code == 200
        clock.now += 7.5
    reply = await api.get(NOTES)
    assert reply.status_code == 429
    assert reply.headers["retry-after"] == "38"
    assert reply.json() == {
        "type": "throttled_error",
        "code": "throttled",
        "detail": "Request was throttled. Expected available in 38 seconds.",
        "attr": None,
    }
    clock.now += 37.5
    assert (await api.get(NOTES)).status_code == 200


async def test_one_second_is_singular(api: AsyncClient, clock: Clock):
    for _ in range(3):
        await api.get(NOTES)
    clock.now += 59.5
    assert (await api.get(NOTES)).json()["detail"].endswith("available in 1 second.")


async def test_the_hour_limits_as_well_as_the_minute(api: AsyncClient, clock: Clock):
    for _ in range(5):
        assert (await api.get(NOTES)).status_code == 200
        clock.now += 30
    reply = await api.get(NOTES)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, str(3600 - 150))


async def test_both_keys_share_the_organizations_limit(api: AsyncClient, reader: AsyncClient):
    for client in (api, reader, api):
        assert (await client.get(NOTES)).status_code == 200
    assert (await reader.get(NOTES)).status_code == 429


async def test_each_class_of_endpoints_has_its_own_limit(sandbox: Sandbox, api: AsyncClient):
    for _ in range(4):
        await api.get(NOTES)
    assert sandbox.throttles.admit("query", key="k", organization="o") == 0
    assert sandbox.throttles.refused == 1


async def test_a_refusal_before_the_throttle_does_not_count(
    anyone: AsyncClient, api: AsyncClient, reader: AsyncClient
):
    for _ in range(5):
        assert (await anyone.get(NOTES)).status_code == 401
        assert (await reader.post(NOTES, json={})).status_code == 403
        assert (await api.get("/api/projects/2/annotations/")).status_code == 404
    assert (await api.get(NOTES)).status_code == 200


async def test_a_method_that_is_not_there_counts(api: AsyncClient):
    for _ in range(3):
        assert (await api.put(NOTES, json={})).status_code == 405
    assert (await api.get(NOTES)).status_code == 429


async def test_the_log_of_requests_counts_statuses(api: AsyncClient):
    for _ in range(5):
        await api.get(NOTES)
    log = (await api.get("/_sandbox/requests")).json()
    assert log["statuses"] == {"200": 3, "429": 2}
    assert log["requests"][-1]["path"] == NOTES


def test_a_refused_request_is_recorded_by_the_throttles_that_had_room():
    clock = Clock()
    throttles = Throttles(limits={**parse_limits(""), "crud": (Rate(1, 60), Rate(3, 3600))}, clock=clock)
    waits = [throttles.admit("crud", key="k", organization="o") for _ in range(4)]
    assert waits == [0, 60, 60, 3600]


def test_with_the_scope_of_keys_each_key_has_its_own_log():
    throttles = Throttles(scope="key", limits={**parse_limits(""), "crud": (Rate(1, 60),)}, clock=Clock())
    assert throttles.admit("crud", key="a", organization="o") == 0
    assert throttles.admit("crud", key="b", organization="o") == 0
    assert throttles.admit("crud", key="a", organization="o") == 60


def test_off_admits_everything():
    throttles = Throttles(scope="off", limits={**parse_limits(""), "crud": (Rate(1, 60),)}, clock=Clock())
    assert not any(throttles.admit("crud", key="a", organization="o") for _ in range(100))


@given(st.lists(st.floats(min_value=0, max_value=30), max_size=60))
def test_no_window_ever_holds_more_than_its_permits(gaps: list[float]):
    clock = Clock()
    throttles = Throttles(limits={**parse_limits(""), "crud": (Rate(4, 10), Rate(9, 60))}, clock=clock)
    admitted = []
    for gap in gaps:
        clock.now += gap
        if throttles.admit("crud", key="k", organization="o") == 0:
            admitted.append(clock.now)
    for permits, seconds in ((4, 10), (9, 60)):
        assert all(sum(t - seconds < one <= t for one in admitted) <= permits for t in admitted)


def test_the_defaults_are_posthogs():
    limits = parse_limits("")
    assert limits["crud"] == (Rate(480, 60), Rate(4800, 3600))
    assert limits["analytics"] == (Rate(240, 60), Rate(1200, 3600))
    assert limits["query"] == (Rate(240, 60), Rate(2400, 3600))
    assert limits["values"] == (Rate(60, 60), Rate(300, 3600))
    assert limits["definitions"] == (Rate(600, 60),)


@pytest.mark.parametrize("text", ["crud", "crud=", "crud=5", "crud=5/60", "cred=5/60s", "crud=5/60s,x"])
def test_limits_that_cannot_be_read_are_refused(text: str):
    with pytest.raises(ValueError, match=r"limits"):
        parse_limits(text)
