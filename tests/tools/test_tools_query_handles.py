"""Long queries of every tool: the handle gives the answer that the tool would have given."""

import re
from collections.abc import Awaitable, Callable
from hashlib import sha512
from typing import Any

import anyio
import pytest
from mcp import Client
from slow_posthog import RUNNING, TOO_LONG, Control, called, refused, told

from posthog_mcp.server.app import App

MEAN = {"type": "mean", "name": "Spent", "events": [{"event": "bought", "math": "sum", "property": "total"}]}
BUYS = {"type": "funnel", "name": "Buys", "events": [{"event": "bought"}]}
SLOW_INSIGHT = {"route": "/api/projects/*/insights/*/", "method": "GET", "delay": 3, "times": 1}


@pytest.fixture
def patient(app_of: Callable[..., App]) -> App:
    """Another replica: the same key, and the usual time for a call."""
    return app_of()


@pytest.fixture
def servers(hurried: App, patient: App) -> tuple[App, App]:
    return hurried, patient


@pytest.fixture
async def shop(patient: App, name: str) -> str:
    """Three people who view, of whom two come back to buy."""
    events = [{"event": f"{name}view", "distinct_id": f"{name}-{number}"} for number in range(3)]
    events += [{"event": f"{name}buy", "distinct_id": f"{name}-{number}"} for number in range(2)]
    await called(patient, "capture_events", events=events, wait=True)
    return name


def plain(text: str) -> str:
    """An answer without what differs from call to call: the fence's id, and seconds of the clock."""
    return re.sub(r"\d\d:\d\d:\d\d(\.\d+)?", "time", re.sub(r"<(/?)data [^>]*>", r"<\1data>", text))


def of_shop(arguments: Any, shop: str) -> Any:
    """`arguments` with the names of the shop's events."""
    if isinstance(arguments, str):
        return arguments.replace("{}", shop)
    if isinstance(arguments, dict):
        return {key: of_shop(value, shop) for key, value in arguments.items()}
    return [of_shop(value, shop) for value in arguments] if isinstance(arguments, list) else arguments


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("query_trends", {"series": "{}view", "date_from": "-1d", "breakdown": "$os"}),
        ("query_funnel", {"steps": ["{}view", "{}buy"], "date_from": "-1d"}),
        ("query_retention", {"target": "{}view", "returning": "{}buy", "period": "day", "intervals": 2}),
        ("query_paths", {"date_from": "-1d", "of": "events"}),
        ("query_web", {"date_from": "-1d"}),
        ("list_events", {"event": "{}view", "date_from": "-1d"}),
        ("list_errors", {"date_from": "-1d"}),
        (
            "list_query_persons",
            {"tool": "query_funnel", "arguments": {"steps": ["{}view", "{}buy"]}, "step": 2},
        ),
    ],
)
async def test_the_handle_gives_the_answer_that_the_tool_would_have_given(
    servers: tuple[App, App], control: Control, shop: str, tool: str, arguments: dict[str, Any]
):
    (hurried, patient), given = servers, of_shop(arguments, shop)
    expected = await told(patient, tool, **given)
    await control.fault(TOO_LONG, RUNNING)
    first = await called(hurried, tool, **given)
    assert first["running"] is True
    again = await called(hurried, "get_query_status", handle=first["handle"])
    assert again["handle"] == first["handle"]
    assert len(first["handle"]) <= 300
    await control.clear()
    posted, looked = await control.count("POST"), await control.count("GET")
    assert plain(await told(patient, "get_query_status", handle=again["handle"])) == plain(expected)
    # The query that ran already is looked at, once; nothing is asked anew.
    assert (await control.count("POST") - posted, await control.count("GET") - looked) == (0, 1)


async def test_of_several_queries_the_one_that_takes_long_is_waited_for(
    hurried: App, patient: App, control: Control, name: str
):
    await called(
        patient,
        "create_experiment",
        name=name,
        flag_key=name,
        metrics=[BUYS, MEAN],
        allow_unknown_events=True,
    )
    await called(patient, "change_experiment_state", experiment=name, action="launch")
    expected = await told(patient, "get_experiment_results", experiment=name)
    assert "Spent" in expected
    slow_third = {**TOO_LONG, "status": None, "body": None, "times": 2}
    await control.fault(slow_third, TOO_LONG, RUNNING)
    handle = (await called(hurried, "get_experiment_results", experiment=name))["handle"]
    await control.clear()
    assert plain(await told(patient, "get_query_status", handle=handle)) == plain(expected)


async def test_a_stored_insight_that_computes_long_is_found_by_a_handle(
    hurried: App, patient: App, control: Control, shop: str
):
    query = {"series": f"{shop}view", "date_from": "-1d"}
    saved = await called(patient, "save_insight", name=shop, tool="query_trends", arguments=query)
    await control.fault(SLOW_INSIGHT, RUNNING)
    handle = (await called(hurried, "get_insight", insight=str(saved["id"])))["handle"]
    assert await control.count("DELETE") == 1  # what nobody waits for any more was ended
    await control.clear()
    text = await told(patient, "get_query_status", handle=handle)
    assert text.startswith(f"{shop} ({saved['id']}), trends. Computed ")
    assert f"In all: {shop}view 3." in text
    kept = await told(patient, "get_insight", insight=shop)
    assert "which it repeats until" in kept
    assert text.split("\n")[1:] == kept.split("\n")[1:]


async def test_a_dashboard_that_computes_long_shows_what_is_kept(
    hurried: App, patient: App, control: Control, shop
):
    query = {"series": f"{shop}view", "date_from": "-1d"}
    await called(patient, "save_insight", name=shop, tool="query_trends", arguments=query)
    made = await called(patient, "save_dashboard", name=shop, add=[shop])
    await told(patient, "get_dashboard", dashboard=str(made["id"]))
    await control.fault({**SLOW_INSIGHT, "route": "/api/projects/*/dashboards/*/"})
    text = await told(hurried, "get_dashboard", dashboard=str(made["id"]), refresh=True)
    assert "too slow to compute it" in text
    assert f"{shop}view 3" in text


async def test_a_result_that_posthog_forgot_is_asked_for_anew(
    hurried: App, patient: App, control: Control, shop: str
):
    await control.fault(TOO_LONG, RUNNING)
    handle = (await called(hurried, "query_trends", series=f"{shop}view", date_from="-1d"))["handle"]
    await control.clear()
    await control.fault({**RUNNING, "status": 404, "times": 1, "body": {"detail": "Not found."}})
    text = await told(patient, "get_query_status", handle=handle)
    assert f"In all: {shop}view 3." in text
    # Whoever asks now is answered by PostHog's cache, and told how old that is.
    text = await told(patient, "query_trends", series=f"{shop}view", date_from="-1d")
    assert re.search(r"As PostHog knew it at [0-9T:-]+Z, which it repeats until [0-9T:-]+Z\.", text)


async def test_a_quick_query_costs_one_request_and_a_long_one_is_ended_when_it_changes_over(
    patient: App, hurried: App, control: Control, shop: str
):
    await told(patient, "query_trends", series=f"{shop}view", date_from="-1d")
    assert [await control.count(method) for method in ("POST", "GET", "DELETE")] == [1, 0, 0]
    await control.fault({**TOO_LONG, "status": None, "body": None, "delay": 3}, RUNNING)
    assert (await called(hurried, "query_trends", series=f"{shop}view", date_from="-2d"))["running"]
    assert [await control.count(method) for method in ("POST", "DELETE")] == [2, 1]


async def leave(app: App, tool: str, arguments: dict[str, Any], seen: Callable[[], Awaitable[None]]) -> None:
    """Call a tool, and go away once PostHog has seen it."""
    async with Client(app.server()) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_tool, tool, arguments)
        await seen()
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("tool", "arguments", "route"),
    [
        ("query_funnel", {"steps": ["a", "b"]}, TOO_LONG["route"]),
        ("get_insight", {"insight": "12345"}, SLOW_INSIGHT["route"]),
        ("get_dashboard", {"dashboard": "12345"}, "/api/projects/*/dashboards/*/"),
    ],
)
async def test_a_query_is_ended_at_posthog_when_its_caller_leaves(
    patient: App, control: Control, tool: str, arguments: dict[str, Any], route: str
):
    await control.fault({"route": route, "delay": 20, "times": 1})
    await leave(patient, tool, arguments, control.taken)
    await control.served("DELETE")


async def test_a_query_in_the_background_is_ended_when_its_caller_leaves_but_not_when_a_handle_has_it(
    patient: App, hurried: App, control: Control, shop: str
):
    await control.fault(TOO_LONG, RUNNING)
    await leave(patient, "query_trends", {"series": f"{shop}view"}, lambda: control.served("GET"))
    await control.served("DELETE")
    await control.fault(TOO_LONG)
    handle = (await called(hurried, "query_trends", series=f"{shop}buy"))["handle"]
    await control.forget()
    await leave(patient, "get_query_status", {"handle": handle}, lambda: control.served("GET"))
    assert await control.count("DELETE") == 0


async def test_a_long_query_among_others_at_once_has_a_handle_too(
    hurried: App, patient: App, control: Control, shop: str
):
    await called(patient, "create_flag", key=shop)
    change = {"flag": shop, "changes": [{"do": "set_rollout", "rollout_percentage": 50}]}
    await control.fault(TOO_LONG, RUNNING)
    handle = (await called(hurried, "preview_flag_change", **change))["handle"]
    await control.clear()
    preview = await called(patient, "get_query_status", handle=handle)
    assert preview["would_change"]
    assert preview["simulation"]


async def test_a_tools_query_is_stopped_by_its_handle(
    hurried: App, patient: App, control: Control, shop: str
):
    await control.fault(TOO_LONG, RUNNING)
    handle = (await called(hurried, "query_trends", series=f"{shop}view"))["handle"]
    assert (await called(patient, "get_query_status", handle=handle, cancel=True))["stopped"] is True
    assert await control.count("DELETE") == 1


@pytest.mark.parametrize(
    ("server", "tool", "arguments"),
    [
        # Nobody could ask with it.
        ({"tools": ("-get_query_status",)}, "query_trends", {"series": "{}view"}),
        # Nobody could repeat it: words at random do not shrink.
        ({}, "query_funnel", {"steps": [sha512(bytes([step])).hexdigest() for step in range(20)]}),
        # What changes something must not run twice.
        ({}, "save_cohort", {"name": "{}", "persons": ["{}-1"]}),
    ],
)
async def test_no_handle_is_given_that_could_not_be_used(
    app_of: Callable[..., App], control: Control, server: dict[str, Any], tool: str, arguments: dict[str, Any]
):
    await control.fault(TOO_LONG, RUNNING)
    refusal = await refused(app_of(call_seconds=1.0, **server), tool, **of_shop(arguments, "shop"))
    assert refusal.startswith("PostHog has not answered in time. Its query was still running after")


async def test_a_handle_opens_no_tool_that_the_server_does_not_show(
    hurried: App, app_of: Callable[..., App], control: Control, shop: str
):
    await control.fault(TOO_LONG, RUNNING)
    handle = (await called(hurried, "query_trends", series=f"{shop}view"))["handle"]
    narrow = app_of(areas=("query",))
    assert "There is no tool `query_trends`." in await refused(narrow, "get_query_status", handle=handle)
