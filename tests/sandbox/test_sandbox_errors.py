"""Issues of error tracking: made by exceptions, changed by people, counted by queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from exception_making import exception

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.sandbox import Options

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ISSUES = "/api/projects/1/error_tracking/issues/"
PYTHON = {"key": "$lib", "type": "event", "value": ["python"]}
FOREIGN = {"type": "error_tracking_issue", "key": "name", "operator": "exact"}


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: NOW)


@pytest.fixture
async def shop(sandbox: Sandbox):
    """Two people meet one error in a cart, one of them another error once."""
    await sandbox.ingest.accept([
        exception("ValueError", "ann", NOW - timedelta(days=2), value="total 1", place="shop/cart.py:pay",
                  **{"$session_id": "s1", "$lib": "python", "email": "ann@example.com"}),
        exception("ValueError", "ann", NOW - timedelta(days=1), value="total 2", place="shop/cart.py:pay",
                  **{"$session_id": "s1", "$lib": "python"}),
        exception("ValueError", "bob", NOW - timedelta(hours=1), value="total 3", place="shop/cart.py:pay",
                  **{"$session_id": "s2", "$lib": "python"}),
        exception("KeyError", "bob", NOW - timedelta(days=3), value="price"),
    ])  # fmt: skip


async def ask(api: AsyncClient, **query: Any) -> Any:
    body = {
        "kind": "ErrorTrackingQuery",
        "dateRange": {"date_from": "-7d"},
        "orderBy": "occurrences",
        "volumeResolution": 7,
    }
    return await api.post("/api/projects/1/query/", json={"query": body | query})


async def found(api: AsyncClient, **query: Any) -> list[dict[str, Any]]:
    reply = await ask(api, **query)
    assert reply.status_code == 200, reply.text
    return reply.json()["results"]


async def names(api: AsyncClient, **query: Any) -> list[str]:
    return [issue["name"] for issue in await found(api, **query)]


async def ids(api: AsyncClient) -> dict[str, str]:
    return {issue["name"]: issue["id"] for issue in (await api.get(ISSUES)).json()["results"]}


@pytest.mark.usefixtures("shop")
async def test_exceptions_of_one_place_are_one_issue_whatever_their_words(api: AsyncClient):
    first, second = await found(api)
    assert first["aggregations"]["volumeRange"] == [0, 0, 0, 0, 0, 1, 2]
    assert {name: first["aggregations"][name] for name in ("occurrences", "sessions", "users")} == {
        "occurrences": 3,
        "sessions": 2,
        "users": 2,
    }
    assert (first["name"], first["description"], first["status"]) == ("ValueError", "total 1", "active")
    assert (first["function"], first["source"], first["library"]) == ("pay", "shop/cart.py", "python")
    assert (first["first_seen"], first["last_seen"]) == ("2026-03-08T12:00:00Z", "2026-03-10T11:00:00Z")
    assert (second["name"], second["aggregations"]["sessions"], second["function"]) == ("KeyError", 0, None)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"orderBy": "last_seen"}, ["ValueError", "KeyError"]),
        ({"orderBy": "first_seen"}, ["KeyError", "ValueError"]),
        ({"orderBy": "first_seen", "orderDirection": "DESC"}, ["ValueError", "KeyError"]),
        ({"orderBy": "users", "orderDirection": "ASC"}, ["KeyError", "ValueError"]),
        ({"searchQuery": "PAY total"}, ["ValueError"]),
        ({"searchQuery": '"total 2"'}, ["ValueError"]),
        ({"searchQuery": "pay price"}, []),
        ({"searchQuery": "ann@example"}, ["ValueError"]),
        ({"dateRange": {"date_from": "-2d"}}, ["ValueError"]),
        ({"dateRange": {"date_from": "all", "date_to": "2026-03-07T23:00:00Z"}}, ["KeyError"]),
        ({"status": "resolved"}, []),
        ({"status": "all"}, ["ValueError", "KeyError"]),
        ({"limit": 1, "offset": 1}, ["KeyError"]),
        ({"filterGroup": {"type": "AND", "values": [{"type": "OR", "values": [PYTHON]}]}}, ["ValueError"]),
    ],
)  # fmt: skip
async def test_issues_are_ordered_narrowed_and_cut(api: AsyncClient, query: dict, expected: list[str]):
    assert await names(api, **query) == expected


@pytest.mark.usefixtures("shop")
async def test_the_first_and_the_last_event_come_when_asked_for(api: AsyncClient):
    plain, full = (await found(api))[0], (await found(api, withFirstEvent=True, withLastEvent=True))[0]
    assert (plain["first_event"], plain["last_event"]) == (None, None)
    assert full["first_event"]["distinct_id"] == "ann"
    assert full["last_event"]["timestamp"] == "2026-03-10T11:00:00Z"
    assert '"total 3"' in full["last_event"]["properties"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"orderBy": "luck"}, "orderBy"),
        ({"surprise": 1}, "surprise"),
        ({"searchQuery": "a " * 101}, "Too many search tokens"),
        ({"filterGroup": FOREIGN}, "cannot be run"),
    ],
)
async def test_what_cannot_be_asked_is_refused(api: AsyncClient, query: dict, said: str):
    reply = await ask(api, **query)
    assert reply.status_code == 400
    assert said in reply.json()["detail"]


@pytest.mark.usefixtures("shop")
async def test_a_resolved_issue_is_active_again_when_it_happens_again(api: AsyncClient, sandbox: Sandbox):
    key_error = (await ids(api))["KeyError"]
    reply = await api.patch(f"{ISSUES}{key_error}/", json={"status": "resolved", "name": "Price missing"})
    assert (reply.json()["status"], reply.json()["name"]) == ("resolved", "Price missing")
    assert await names(api, status="active") == ["ValueError"]
    await sandbox.ingest.accept([exception("KeyError", "cat", NOW, value="price")])
    again = (await api.get(f"{ISSUES}{key_error}/")).json()
    assert (again["status"], again["name"]) == ("active", "Price missing")


@pytest.mark.usefixtures("shop")
async def test_events_of_a_suppressed_issue_are_dropped_with_their_person(api: AsyncClient, sandbox: Sandbox):
    key_error = (await ids(api))["KeyError"]
    await api.patch(f"{ISSUES}{key_error}/", json={"status": "suppressed"})
    await sandbox.ingest.accept([exception("KeyError", "nobody yet", NOW, value="price")])
    (issue,) = await found(api, status="suppressed")
    assert issue["aggregations"]["occurrences"] == 1
    assert (await api.get("/api/projects/1/persons/", params={"search": "nobody yet"})).json()[
        "results"
    ] == []


@pytest.mark.parametrize("status", ["archived", "pending_release", "gone"])
@pytest.mark.usefixtures("shop")
async def test_statuses_that_are_left_over_cannot_be_written(api: AsyncClient, status: str):
    reply = await api.patch(f"{ISSUES}{(await ids(api))['KeyError']}/", json={"status": status})
    assert (reply.status_code, reply.json()["attr"]) == (400, "status")


@pytest.mark.usefixtures("shop")
async def test_an_issue_is_given_to_a_user_and_taken_back(api: AsyncClient):
    issue = (await ids(api))["ValueError"]
    mine = {"id": 1, "type": "user"}
    assert (await api.patch(f"{ISSUES}{issue}/assign/", json={"assignee": mine})).json() == {"success": True}
    assert await names(api, assignee=mine) == ["ValueError"]
    assert (await api.get(f"{ISSUES}{issue}/")).json()["assignee"] == mine
    stranger = await api.patch(f"{ISSUES}{issue}/assign/", json={"assignee": {"id": 9, "type": "user"}})
    assert stranger.status_code == 400
    await api.patch(f"{ISSUES}{issue}/assign/", json={"assignee": None})
    assert await names(api, assignee=mine) == []
    activity = (await api.get(f"{ISSUES}{issue}/activity/")).json()["results"]
    assert [entry["activity"] for entry in activity] == ["assigned", "assigned"]


@pytest.mark.usefixtures("shop")
async def test_merged_issues_count_as_one_for_events_of_the_past_and_to_come(
    api: AsyncClient, sandbox: Sandbox
):
    issues = await ids(api)
    target, source = issues["ValueError"], issues["KeyError"]
    assert (await api.post(f"{ISSUES}{target}/merge/", json={"ids": [source]})).json() == {"success": True}
    await sandbox.ingest.accept([exception("KeyError", "cat", NOW, value="price")])
    (merged,) = await found(api)
    assert (merged["id"], merged["aggregations"]["occurrences"]) == (target, 5)
    assert merged["first_seen"] == "2026-03-07T12:00:00Z"
    assert (await api.get(f"{ISSUES}{source}/")).status_code == 404
    counted = await api.post(
        "/api/projects/1/query/",
        json={"query": {"kind": "HogQLQuery",
                        "query": "SELECT toString(issue_id), count() FROM events WHERE event = '$exception' "
                                 "GROUP BY 1"}},
    )  # fmt: skip
    assert counted.json()["results"] == [[target, 5]]


@pytest.mark.usefixtures("shop")
async def test_a_fingerprint_that_is_split_off_is_an_issue_of_its_own(api: AsyncClient, sandbox: Sandbox):
    issues = await ids(api)
    target, source = issues["ValueError"], issues["KeyError"]
    fingerprint = (await api.get(f"{ISSUES}{source}/")).json()["fingerprint"]
    await api.post(f"{ISSUES}{target}/merge/", json={"ids": [source]})
    part = {"fingerprint": fingerprint, "name": "Price"}
    split = await api.post(f"{ISSUES}{target}/split/", json={"fingerprints": [part]})
    (made,) = split.json()["new_issue_ids"]
    await sandbox.ingest.accept([exception("KeyError", "cat", NOW, value="price")])
    assert [(one["id"], one["name"], one["aggregations"]["occurrences"]) for one in await found(api)] == [
        (target, "ValueError", 3),
        (made, "Price", 2),
    ]
    moved = await api.get(f"{ISSUES}{target}/", params={"fingerprint": fingerprint})
    assert (moved.status_code, moved.json()) == (308, {"issue_id": made})
    foreign = await api.post(f"{ISSUES}{target}/split/", json={"fingerprints": [part]})
    assert foreign.status_code == 400


@pytest.mark.usefixtures("shop")
async def test_several_issues_are_changed_at_once(api: AsyncClient):
    change = {"action": "set_status", "status": "resolved", "ids": list((await ids(api)).values())}
    assert (await api.post(f"{ISSUES}bulk/", json=change)).json() == {"success": True}
    assert len(await found(api, status="resolved")) == 2
    wrong = await api.post(f"{ISSUES}bulk/", json=change | {"status": "archived"})
    assert (wrong.status_code, wrong.json()["detail"]) == (400, "Invalid status")


async def test_an_issue_that_is_not_there_is_not_found(api: AsyncClient, reader: AsyncClient):
    assert (await api.get(f"{ISSUES}exists/")).json() == {"exists": False}
    missing = await api.get(f"{ISSUES}0197f000-0000-7000-8000-0000000000ff/")
    assert (missing.status_code, missing.json()["detail"]) == (404, "Issue not found")
    assert (await reader.post(f"{ISSUES}bulk/", json={})).status_code == 403
