"""Queries that take longer than anybody waits: in the background, found by a handle, ended on request."""

from collections.abc import Callable

import anyio
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as bounds
from mcp import Client
from slow_posthog import RUNNING, TOO_LONG, Control, called, refused

from posthog_mcp.server.app import App
from posthog_mcp.settings import Settings

SLOW = "SELECT count() FROM numbers(9999999) a CROSS JOIN numbers(9999999) b WHERE a.number * b.number = 7"


async def test_a_query_that_posthog_stops_is_run_again_in_the_background(agent, control: Control):
    await control.fault(TOO_LONG)
    assert await agent.rows("query_hogql", query="SELECT 41 + 1") == [["42"]]


async def test_a_query_without_memory_is_not_run_twice(agent, control: Control):
    out_of_memory = {**TOO_LONG, "body": {"code": "error", "detail": "Query has hit the memory limit."}}
    await control.fault(out_of_memory)
    refusal = await agent.refusal("query_hogql", query="SELECT 40 + 2")
    assert "PostHog stopped the query. PostHog says: Query has hit the memory limit." in refusal


async def test_a_handle_gives_the_rows_once_they_are_there(hurried: App, control: Control):
    await control.fault(TOO_LONG, RUNNING)
    first = await called(hurried, "query_hogql", query="SELECT 39 + 3")
    assert first["running"] is True
    assert "get_query_status" in first["next"]
    again = await called(hurried, "get_query_status", handle=first["handle"])
    assert again["handle"] == first["handle"]
    await control.clear()
    rows = await called(hurried, "get_query_status", handle=first["handle"], format="json")
    assert rows["rows"] == [[42]]


async def test_a_handle_is_handed_out_even_where_posthog_cannot_be_asked_again(
    hurried: App, control: Control
):
    await control.fault(TOO_LONG, {**RUNNING, "status": None, "drop": "before"})
    first = await called(hurried, "query_hogql", query="SELECT 38 + 4")
    await control.clear()
    assert (await called(hurried, "get_query_status", handle=first["handle"], format="json"))["rows"] == [
        [42]
    ]


async def test_progress_says_how_far_the_query_is(settings: Settings, control: Control):
    heard: list[str] = []

    async def hear(done: float, total: float | None, message: str | None) -> None:
        del done, total
        heard.append(message or "")

    app = App(settings.model_copy(update={"call_seconds": 2.0}))
    await control.fault(TOO_LONG, RUNNING)
    async with Client(app.server()) as client:
        await client.call_tool("query_hogql", {"query": "SELECT 5"}, progress_callback=hear)
    await app.close()
    assert "PostHog runs the query in the background, 12,345 rows read so far" in heard


async def test_a_query_in_the_background_counts_among_those_that_run_at_once(
    app_of: Callable[..., App], control: Control
):
    async def running() -> int:
        return (await called(app, "get_status"))["limits"]["queries_at_once"]["running_or_waiting"]

    app = app_of(call_seconds=5.0)
    await control.fault(TOO_LONG, RUNNING)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: called(app, "query_hogql", query="SELECT 6", format="json"))
        await control.served("GET")
        assert await running() == 1
        await control.clear()
    assert await running() == 0


async def test_a_query_in_the_background_is_ended_when_its_caller_goes(
    app_of: Callable[..., App], control: Control
):
    app = app_of()
    await control.fault(TOO_LONG)
    async with Client(app.server()) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_tool, "query_hogql", {"query": SLOW})
        await control.served("GET")
        tasks.cancel_scope.cancel()
    await control.served("DELETE")


async def test_a_query_in_the_background_can_be_stopped_by_its_handle(hurried: App, control: Control):
    await control.fault(TOO_LONG)
    handle = (await called(hurried, "query_hogql", query=SLOW))["handle"]
    assert (await called(hurried, "get_query_status", handle=handle, cancel=True))["stopped"] is True
    refusal = await refused(hurried, "get_query_status", handle=handle)
    assert refusal.startswith("The query failed at PostHog.")
    assert "cancelled" in refusal


async def test_a_mistake_found_in_the_background_is_told_with_our_hint(agent, control: Control):
    await control.fault(TOO_LONG)
    refusal = await agent.refusal(
        "query_hogql", query="SELECT distnct_id FROM events WHERE timestamp > now() LIMIT 1"
    )
    assert refusal.startswith("The query failed at PostHog.")
    assert "distinct_id" in refusal


async def test_a_result_that_posthog_forgot_is_told_as_such(hurried: App, control: Control):
    await control.fault(TOO_LONG, RUNNING)
    handle = (await called(hurried, "query_hogql", query="SELECT 7"))["handle"]
    await control.clear()
    await control.fault({**RUNNING, "status": 404, "body": {"detail": "Not found."}})
    assert "result is gone" in await refused(hurried, "get_query_status", handle=handle)


async def test_another_key_and_another_project_cannot_use_a_handle(
    hurried: App, app_of: Callable[..., App], control: Control
):
    await control.fault(TOO_LONG, RUNNING)
    handle = (await called(hurried, "query_hogql", query="SELECT 8"))["handle"]
    other = app_of(personal_api_key=Settings.load({"POSTHOG_PERSONAL_API_KEY": "phx_other"}).personal_api_key)
    assert "finds no query" in await refused(other, "get_query_status", handle=handle)
    pinned = app_of(pinned_project_id=2)
    assert "bound to project 2" in await refused(pinned, "get_query_status", handle=handle)


@bounds(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(handle=strategies.one_of(strategies.text(min_size=1, max_size=80), strategies.integers(0, 10)))
async def test_what_is_no_handle_of_ours_reaches_nobody(hurried: App, control: Control, handle: object):
    genuine = "A" * 54
    for given_one in (str(handle), f"{genuine}{handle}", genuine):
        assert "finds no query" in await refused(hurried, "get_query_status", handle=given_one[:200])
    assert await control.count("GET") + await control.count("DELETE") == 0
