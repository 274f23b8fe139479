"""Errors are listed by whom they hit, looked into with the flags people had, and resolved."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

# What a tool does is the same in both eras of the protocol.
pytestmark = pytest.mark.parametrize("agent", ["auto"], indirect=True)

MISSING = "0197f000-0000-7000-8000-0000000000ff"


@pytest.fixture
def happened(sandbox):
    """Sends events as an application would: `await happened([(event, person, hours ago, properties)])`."""

    async def send(events: list[tuple[str, str, float, dict[str, Any]]]) -> None:
        now = datetime.now(UTC)
        batch = [
            {
                "event": event,
                "distinct_id": person,
                "timestamp": (now - timedelta(hours=hours)).isoformat(),
                "properties": properties,
            }
            for event, person, hours, properties in events
        ]
        async with httpx2.AsyncClient(base_url=sandbox.environment["POSTHOG_HOST"]) as client:
            reply = await client.post("/batch/", json={"api_key": "phc_sandbox", "batch": batch})
        assert reply.status_code == 200, reply.text

    return send


def raised(kind: str, message: str, *, own: int = 1, foreign: int = 0, **properties: Any) -> dict[str, Any]:
    """Properties of an `$exception`, its frames the oldest call first."""
    frames = [
        {"platform": "python", "filename": f"lib{n}.py", "function": "run", "lineno": n, "in_app": False}
        for n in range(foreign)
    ] + [
        {"platform": "python", "filename": "shop/cart.py", "function": f"pay{n}", "lineno": n + 1}
        for n in range(own)
    ]
    exception = {"type": kind, "value": message, "mechanism": {"handled": False}}
    return {
        "$exception_list": [{**exception, "stacktrace": {"type": "raw", "frames": frames}}],
        "$lib": "python",
        **properties,
    }


@pytest.fixture
async def cart(happened, name):
    """Three people meet the error of this test, two of whom had its flag, as one of ten people has."""
    events = [
        ("$exception", f"ann-{name}", 50, raised(name, "total 1", **{f"$feature/{name}": True})),
        ("$exception", f"ann-{name}", 2, raised(name, "total 2", **{f"$feature/{name}": True})),
        ("$exception", f"bob-{name}", 3, raised(name, "total 3", **{f"$feature/{name}": True})),
        ("$exception", f"cat-{name}", 1,
         raised(name, "total 4", own=20, foreign=2, **{"$app_version": "2.4.1", "$session_id": f"s-{name}"})
         | {"$exception_fingerprint": "x"}),
    ]  # fmt: skip
    first = events[0][3]["$exception_list"]
    for event in events:
        event[3]["$exception_fingerprint"] = name
    asked = [
        ("$feature_flag_called", f"user{n}-{name}", 5,
         {"$feature_flag": name, "$feature_flag_response": n == 0})
        for n in range(10)
    ]  # fmt: skip
    await happened([*events, *asked])
    return first


async def error_id(agent, name: str) -> str:
    return (await agent.rows("list_errors", search=f'"{name}"'))[0][0]


@pytest.mark.usefixtures("cart")
async def test_an_error_is_listed_with_whom_it_hit_and_its_trend(agent, name):
    (row,) = await agent.rows("list_errors", search=f'"{name}"', date_from="-4d")
    assert row[1:3] == [name, "total 1"]
    assert row[4:7] == ["3", "1", "4"]
    parts = [int(part) for part in row[7].split()]
    assert (len(parts), sum(parts), parts[-1]) == (8, 4, 3)
    assert row[10] == "active"


@pytest.mark.usefixtures("cart")
async def test_the_list_says_what_outsiders_wrote_and_how_to_go_on(agent, name):
    text = await agent.ask("list_errors", search=f'"{name}"')
    assert "Written by outsiders: name, message, where." in text
    assert "Open errors of project" in text
    assert "status=all" in await agent.ask("list_errors", search=f'"no such {name}"')


async def test_pages_and_orders_of_the_list_are_those_asked_for(agent, happened, name):
    await happened([
        ("$exception", f"{person}-{name}", hours, raised(f"{kind}{name}", name, batch=name)
         | {"$exception_fingerprint": f"{kind}{name}"})
        for kind, person, hours in [("A", "ann", 3), ("A", "bob", 5), ("B", "ann", 1)]
    ])  # fmt: skip
    filters = [{"property": "batch", "value": name, "on": "event"}]
    by_users = await agent.rows("list_errors", filters=filters)
    assert [row[1] for row in by_users] == [f"A{name}", f"B{name}"]
    by_time = await agent.rows("list_errors", filters=filters, order="last_seen")
    assert [row[1] for row in by_time] == [f"B{name}", f"A{name}"]
    assert "For the rest: offset=1" in await agent.ask("list_errors", filters=filters, limit=1)
    (second,) = await agent.rows("list_errors", filters=filters, limit=1, offset=1)
    assert second[1] == f"B{name}"


@pytest.mark.usefixtures("cart")
async def test_an_error_tells_whether_a_flag_has_to_do_with_it(agent, name):
    error = await agent.record("get_error", error_id=await error_id(agent, name))
    (flag,) = error["flags"]
    assert flag == {"flag": name, "value": True, "people": 2, "share": 0.667, "usual_share": 0.1}
    assert "usual_share" in error["flags_about"]


@pytest.mark.usefixtures("cart")
async def test_an_error_shows_the_latest_exception_in_a_few_frames(agent, name):
    error = await agent.record("get_error", error_id=await error_id(agent, name))
    latest = error["latest"]
    assert (latest["distinct_id"], latest["session_id"]) == (f"cat-{name}", f"s-{name}")
    assert latest["releases"] == ["2.4.1"]
    (exception,) = latest["exceptions"]
    assert (exception["type"], exception["message"], exception["unhandled"]) == (name, "total 4", True)
    assert exception["frames"][-1] == "shop/cart.py:20 pay19"
    assert (len(exception["frames"]), exception["frames_left_out"]) == (15, 7)
    assert {"latest", "people", "name"} <= set(error["written_by_outsiders"])


@pytest.mark.usefixtures("cart")
async def test_an_error_names_the_people_and_their_versions(agent, name):
    error = await agent.record("get_error", error_id=await error_id(agent, name))
    assert (error["users"], error["occurrences"], error["sessions"]) == (3, 4, 1)
    assert error["people"][0]["distinct_ids"] == [f"ann-{name}"]
    assert [person["occurrences"] for person in error["people"]] == [2, 1, 1]
    assert error["people_by"] == {"lib": {"python": 3}, "app_version": {"2.4.1": 1}}
    assert error["url"].endswith(f"/project/1/error_tracking/{error['id']}")


@pytest.mark.usefixtures("cart")
async def test_an_error_that_did_not_happen_in_the_period_is_told_all_the_same(agent, name):
    error = await agent.record(
        "get_error", error_id=await error_id(agent, name), date_from="2020-01-01", date_to="2020-02-01"
    )
    assert (error["name"], error["occurrences"]) == (name, 0)
    assert "people" not in error


async def test_where_events_name_no_flags_those_evaluated_for_the_people_are_told(agent, happened, name):
    asked = [
        ("$feature_flag_called", f"{person}-{name}", 2, {"$feature_flag": name, "$feature_flag_response": on})
        for person, on in (("ann", True), ("bob", False), ("cat", False))
    ]
    await happened([*asked, ("$exception", f"ann-{name}", 1, raised(name, name))])
    error = await agent.record("get_error", error_id=await error_id(agent, name))
    assert error["flags"] == [{"flag": name, "value": True, "people": 1, "share": 1.0, "usual_share": 0.333}]
    assert error["flags_about"].startswith("The events name no flags: these were evaluated")


async def test_where_events_name_no_flags_it_says_how_they_would(agent, happened, name):
    await happened([("$exception", f"ann-{name}", 1, raised(name, name))])
    error = await agent.record("get_error", error_id=await error_id(agent, name))
    assert error["flags"] == []
    assert "send_feature_flags" in error["flags_about"]


@pytest.mark.usefixtures("cart")
async def test_an_error_is_resolved_and_comes_back_when_it_happens_again(agent, happened, name):
    issue = await error_id(agent, name)
    resolved = await agent.record("update_error", error_id=issue, status="resolved")
    assert resolved["changed"] == [{"field": "status", "from": "active", "to": "resolved"}]
    assert "No rows." in await agent.ask("list_errors", search=f'"{name}"')
    assert (await agent.rows("list_errors", search=f'"{name}"', status="resolved"))[0][0] == issue
    await happened([("$exception", f"dan-{name}", 0, raised(name, "again")
                     | {"$exception_fingerprint": name})])  # fmt: skip
    assert (await agent.rows("list_errors", search=f'"{name}"'))[0][6] == "5"


@pytest.mark.usefixtures("cart")
@pytest.mark.parametrize("who", ["me", "1", "Sandbox@Example.com"])
async def test_an_error_is_given_to_somebody_and_taken_back(agent, name, who):
    issue = await error_id(agent, name)
    given = await agent.record("update_error", error_id=issue, assign_to=who, name=f"{name} named")
    assert (given["assignee"], given["name"]) == ("user 1", f"{name} named")
    assert (await agent.record("get_error", error_id=issue))["assignee"] == "user 1"
    nobody = await agent.record("update_error", error_id=issue, assign_to="")
    assert nobody["assignee"] is None
    again = await agent.record("update_error", error_id=issue, assign_to="")
    assert again["changed"] == "nothing: it is so already"


@pytest.mark.usefixtures("cart")
async def test_what_was_changed_of_an_error_is_taken_back(agent, name):
    issue = await error_id(agent, name)
    resolved = await agent.record("update_error", error_id=issue, status="resolved")
    await agent.record("undo_change", change=resolved["change"])
    assert (await agent.record("get_error", error_id=issue))["status"] == "active"


@pytest.mark.usefixtures("cart")
async def test_a_dry_run_shows_the_change_and_makes_none(agent, name):
    issue = await error_id(agent, name)
    shown = await agent.record("update_error", error_id=issue, status="suppressed", dry_run=True)
    assert shown["would_change"] == [{"field": "status", "from": "active", "to": "suppressed"}]
    assert (await agent.record("get_error", error_id=issue))["status"] == "active"


async def test_an_error_that_is_not_there_is_said_so_with_where_the_ids_are(agent):
    for tool, arguments in (("get_error", {}), ("update_error", {"status": "resolved"})):
        refusal = await agent.refusal(tool, error_id=MISSING, **arguments)
        assert f"There is no error {MISSING}" in refusal
        assert "list_errors" in refusal


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("get_error", {"error_id": "../flags"}, "list_errors has them"),
        ("update_error", {"error_id": MISSING}, "give status, assign_to"),
        ("list_errors", {"date_from": "-1d", "date_to": "-2d"}, "is not before date_to, 2"),
    ],
)
async def test_what_cannot_be_meant_is_refused(agent, tool, arguments, said):
    assert said in await agent.refusal(tool, **arguments)


@pytest.mark.usefixtures("cart")
async def test_nobody_by_that_email_is_an_error_that_changes_nothing(agent, name):
    issue = await error_id(agent, name)
    refusal = await agent.refusal("update_error", error_id=issue, assign_to="x@y.z", status="resolved")
    assert "No member of the organization has the email x@y.z." in refusal
    assert (await agent.record("get_error", error_id=issue))["status"] == "active"


async def test_an_exception_of_posthogs_own_sdk_is_told_with_its_place(agent, sandbox, name):
    command = [sys.executable, str(Path(__file__).parent / "sdk_errors.py"), name]
    with anyio.fail_after(60):
        await anyio.run_process(command, env={**os.environ, **sandbox.environment}, stderr=None)
    own = [{"property": "$exception_fingerprint", "value": name, "on": "event"}]
    (row,) = await agent.rows("list_errors", filters=own, search='"bad total"')
    error = await agent.record("get_error", error_id=row[0])
    (exception,) = error["latest"]["exceptions"]
    assert (exception["type"], exception["message"]) == ("ValueError", "bad total 7")
    assert exception["frames"][-1].endswith("sdk_errors.py:10 pay")
    assert error["people"][0]["distinct_ids"] == [name]
    assert [(flag["flag"], flag["value"]) for flag in error["flags"]] == [("checkout", "test")]


@pytest.mark.usefixtures("cart")
async def test_a_period_without_the_error_says_how_to_find_it(agent, name):
    error = await agent.record(
        "get_error", error_id=await error_id(agent, name), date_from="2026-03-01", date_to="2026-03-02"
    )
    assert (error["occurrences"], error["note"]) == (
        0,
        "It did not happen in the period: give an earlier date_from.",
    )


@pytest.mark.usefixtures("cart")
async def test_what_is_filled_in_empty_is_left_out(agent, name):
    filled = {"date_from": "", "date_to": "", "status": "", "limit": "", "filters": "", "order": ""}
    assert len(await agent.rows("list_errors", search=f'"{name}"', **filled)) == 1


async def test_a_list_says_what_it_was_filtered_by(agent, name):
    filters = [{"property": "$lib", "value": name}]
    text = await agent.ask("list_errors", search="total", filters=filters)
    assert f'Filtered by $lib exact {name} (event); words "total".' in text


@pytest.mark.usefixtures("cart")
async def test_a_dry_run_of_a_change_shows_its_requests(agent, name):
    found = await error_id(agent, name)
    planned = await agent.record(
        "update_error", error_id=found, status="resolved", assign_to="me", dry_run=True
    )
    path = f"PATCH /api/projects/1/error_tracking/issues/{found}/"
    assert planned["requests"] == {
        path: {"status": "resolved"},
        f"{path}assign/": {"assignee": {"type": "user", "id": 1}},
    }


@pytest.mark.usefixtures("cart")
async def test_a_change_to_what_is_so_already_is_not_sent(agent, name):
    found = await error_id(agent, name)
    kept = await agent.record("update_error", error_id=found, status="active")
    assert kept["changed"] == "nothing: it is so already"
    assert "change" not in kept


async def test_a_name_that_nobody_can_see_is_refused(agent):
    words = await agent.refusal("update_error", error_id=MISSING, name="\u200b ")
    assert "`name` has no character that can be seen" in words
