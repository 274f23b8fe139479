"""Web analytics beyond the worked examples: splits, goals, filters, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.ingest import RawEvent
from posthog_mcp.sandbox.sandbox import Options

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = {"date_from": "2026-03-09", "date_to": "2026-03-09"}


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: NOW)


def session(number: int) -> str:
    return f"0195757a-0000-7000-8000-{number:012x}"


def seen(who: str, number: int, url: str, **properties: Any) -> RawEvent:
    """A page view on 9 March, in the `minute` given."""
    minute = properties.pop("minute", 0)
    host, _, path = url.partition("/")
    about = {"$current_url": f"https://{url}", "$pathname": f"/{path}", "$host": host}
    at = NOW - timedelta(days=1) + timedelta(minutes=minute)
    return RawEvent("$pageview", who, {"$session_id": session(number), **about, **properties}, timestamp=at)


@pytest.fixture
async def visits(sandbox: Sandbox) -> None:
    bought = {"$session_id": session(1)}
    await sandbox.ingest.accept(
        [
            seen("ann", 1, "shop.test/a/1", utm_source="google", utm_medium="cpc"),
            seen("ann", 1, "shop.test/buy", minute=1, **{"$browser": "Chrome"}),
            RawEvent("bought", "ann", bought, timestamp=NOW - timedelta(days=1, minutes=-2)),
            RawEvent("bought", "ann", bought, timestamp=NOW - timedelta(days=1, minutes=-3)),
            seen("bob", 2, "shop.test/a/2", **{"$referring_domain": "www.google.com"}),
            seen("cid", 3, "app.test/a/1", **{"$referring_domain": "$direct", "$set": {"team": True}}),
        ]
    )


async def ask(api: AsyncClient, kind: str = "WebStatsTableQuery", status: int = 200, **query: Any) -> Any:
    body = {"kind": kind, "dateRange": DAY, "properties": [], **query}
    reply = await api.post("/api/projects/1/query/", json={"query": body})
    assert reply.status_code == status, reply.text
    return reply.json()


async def rows(api: AsyncClient, breakdown: str, **query: Any) -> dict[Any, list[Any]]:
    """The numbers of this period, by value."""
    answer = await ask(api, breakdownBy=breakdown, **query)
    return {
        tuple(row[0]) if isinstance(row[0], list) else row[0]: [cell[0] for cell in row[1:]]
        for row in answer["results"]
    }


@pytest.mark.usefixtures("visits")
@pytest.mark.parametrize(
    ("breakdown", "expected"),
    [
        ("Page", {"/a/1": [2, 2], "/a/2": [1, 1], "/buy": [1, 1]}),
        ("InitialPage", {"/a/1": [2, 3], "/a/2": [1, 1]}),
        ("ExitPage", {"/buy": [1, 2], "/a/1": [1, 1], "/a/2": [1, 1]}),
        ("InitialChannelType", {"Paid Search": [1, 2], "Direct": [1, 1], "Organic Search": [1, 1]}),
        ("InitialReferringDomain", {"$direct": [1, 1], "www.google.com": [1, 1]}),
        ("InitialUTMSource", {"google": [1, 2], None: [2, 2]}),
        ("InitialUTMSourceMediumCampaign",
         {"google / cpc / (none)": [1, 2], "(none) / (none) / (none)": [2, 2]}),
        ("Browser", {"Chrome": [1, 1]}),
        ("Country", {}),
        ("City", {}),
    ],
)  # fmt: skip
async def test_visits_are_split_by(api, breakdown, expected):
    assert await rows(api, breakdown) == expected


@pytest.mark.usefixtures("visits")
async def test_paths_can_be_made_alike_and_carry_their_host(sandbox: Sandbox, api):
    rules = [{"regex": "/a/\\d+", "alias": "/a/:id", "order": 1}]
    sandbox.project.settings["path_cleaning_filters"] = rules
    assert await rows(api, "Page", doPathCleaning=True) == {"/a/:id": [3, 3], "/buy": [1, 1]}
    hosts = await rows(api, "InitialPage", includeHost=True)
    assert set(hosts) == {"shop.test/a/1", "shop.test/a/2", "app.test/a/1"}


@pytest.mark.usefixtures("visits")
async def test_a_page_bounces_where_sessions_entered(api):
    bounces = await rows(api, "Page", includeBounceRate=True)
    assert {page: cells[2] for page, cells in bounces.items()} == {"/a/1": 0.5, "/a/2": 1.0, "/buy": None}


@pytest.mark.usefixtures("visits")
async def test_a_goal_turns_the_numbers_to_conversions(api):
    goal = {"customEventName": "bought"}
    overview = await ask(api, "WebOverviewQuery", conversionGoal=goal)
    assert [(one["key"], one["value"]) for one in overview["results"]] == [
        ("visitors", 3), ("total conversions", 2), ("unique conversions", 1),
        ("conversion rate", pytest.approx(100 / 3)),
    ]  # fmt: skip
    answer = await ask(api, breakdownBy="InitialChannelType", conversionGoal=goal)
    assert answer["columns"] == [
        f"context.columns.{name}"
        for name in (
            "breakdown_value", "visitors", "total_conversions", "unique_conversions", "conversion_rate",
        )
    ]  # fmt: skip
    assert answer["results"][0] == ["Paid Search", [1, None], [2, None], [1, None], [1.0, None]]
    step = {"event": "bought"}
    action = (await api.post("/api/projects/1/actions/", json={"name": "Buys", "steps": [step]})).json()
    same = await ask(api, "WebOverviewQuery", conversionGoal={"actionId": action["id"]})
    assert same["results"] == overview["results"]


async def test_a_visit_over_midnight_belongs_to_the_day_it_began_where_days_are_compared(sandbox, api):
    late = datetime(2026, 3, 9, 23, 59, tzinfo=UTC) - (NOW - timedelta(days=1))
    minute = int(late.total_seconds()) // 60
    await sandbox.ingest.accept(
        [seen("ann", 1, "shop.test/a", minute=minute), seen("ann", 1, "shop.test/b", minute=minute + 2)]
    )
    days = {"date_from": "2026-03-10", "date_to": "2026-03-10"}
    (visitors, views, *_) = (await ask(api, "WebOverviewQuery", dateRange=days))["results"]
    assert (visitors["value"], views["value"]) == (0, 0)
    assert await rows(api, "Page", dateRange=days) == {"/b": [1, 1]}
    compared = await ask(api, breakdownBy="Page", dateRange=days, compareFilter={"compare": True})
    assert compared["results"] == [["/a", [0, 1], [0, 1]], ["/b", [0, 1], [0, 1]]]


@pytest.mark.usefixtures("visits")
async def test_filters_narrow_the_events_of_visits(sandbox: Sandbox, api):
    on_buy = {"key": "$pathname", "value": "/buy", "operator": "exact", "type": "event"}
    assert await rows(api, "Page", properties=[on_buy]) == {"/buy": [1, 1]}
    of_search = {"key": "$channel_type", "value": "Paid Search", "operator": "exact", "type": "session"}
    assert len(await rows(api, "Page", properties=[of_search])) == 2
    team = {"key": "team", "value": "is_set", "operator": "is_not_set", "type": "person"}
    sandbox.project.settings["test_account_filters"] = [team]
    assert "Direct" not in await rows(api, "InitialChannelType", filterTestAccounts=True)
    assert "Direct" in await rows(api, "InitialChannelType")


@pytest.mark.usefixtures("visits")
async def test_rows_are_ordered_and_paged(api):
    answer = await ask(api, breakdownBy="Page", orderBy=["Visitors", "ASC"], limit=2)
    assert [row[0] for row in answer["results"]] == ["/a/2", "/buy"]
    assert (answer["hasMore"], answer["limit"], answer["offset"]) == (True, 2, 0)
    rest = await ask(api, breakdownBy="Page", orderBy=["Visitors", "ASC"], limit=2, offset=2)
    assert [row[0] for row in rest["results"]] == ["/a/1"]
    assert rest["hasMore"] is False


@pytest.mark.parametrize(
    "query",
    [
        {"breakdownBy": "Planet"},
        {"breakdownBy": "FrustrationMetrics"},
        {"breakdownBy": "Browser", "includeScrollDepth": True},
        {
            "breakdownBy": "Page",
            "includeAvgTimeOnPage": True,
            "conversionGoal": {"customEventName": "bought"},
        },
        {"breakdownBy": "Page", "orderBy": ["BounceRate", "ASC"]},
        {"breakdownBy": "Page", "dateRange": {"daysOfWeek": [1]}},
        {"breakdownBy": "Page", "colour": "red"},
        {"breakdownBy": "Page", "properties": [{"type": "event"}]},
        {"breakdownBy": "Page", "conversionGoal": {"actionId": 99}},
        {"breakdownBy": "Page", "dateRange": {"date_from": "2026-02-31"}},
        {},
    ],
)
async def test_what_cannot_be_computed_is_refused(api, query):
    assert (await ask(api, status=400, **query))["type"] == "validation_error"


def left(who: str, number: int, path: str, minute: int, **numbers: float) -> RawEvent:
    """The end of a visit to a page, with how it was read."""
    read = {f"$prev_pageview_{name}": value for name, value in numbers.items()}
    about = {"$session_id": session(number), "$prev_pageview_pathname": path, "$host": "shop.test"}
    at = NOW - timedelta(days=1) + timedelta(minutes=minute)
    return RawEvent("$pageleave", who, {**about, **read}, timestamp=at)


@pytest.mark.usefixtures("visits")
async def test_how_pages_were_read_is_told_by_the_events_after_them(sandbox: Sandbox, api: AsyncClient):
    # The page of this event is the next one: what it tells is about the one before.
    told = {"pathname": "/a/1", "duration": 100, "max_scroll_percentage": 0.5, "max_content_percentage": 0.9}
    read = {f"$prev_pageview_{name}": value for name, value in told.items()}
    await sandbox.ingest.accept(
        [
            seen("ann", 1, "shop.test/end", minute=2, **read),
            left("bob", 2, "/a/1", 3, duration=50, max_scroll_percentage=1, max_content_percentage=0.8),
            left("cid", 3, "/a/1", 4, duration=200_000),
            left("cid", 3, "/a/2", 5, duration=7, max_scroll_percentage=0.25, max_content_percentage=1),
            left("cid", 3, "/nobody", 6, duration=7),
        ]
    )
    answer = await ask(api, breakdownBy="Page", includeScrollDepth=True)
    assert [name.removeprefix("context.columns.") for name in answer["columns"][1:]] == [
        *("visitors", "views", "bounce_rate", "average_scroll_percentage", "scroll_gt80_percentage"),
    ]
    # Of /a/1: half and all of it, without the visit that told nothing; beyond 80 % once of twice.
    assert {row[0]: [cell[0] for cell in row[4:]] for row in answer["results"]} == {
        "/a/1": [0.75, 0.5],
        "/a/2": [0.25, 1],
        "/buy": [None, None],
        "/end": [None, None],
    }
    answer = await ask(api, breakdownBy="Page", includeAvgTimeOnPage=True, orderBy=["AvgTimeOnPage", "DESC"])
    assert answer["columns"][3:] == ["context.columns.avg_time_on_page", "context.columns.bounce_rate"]
    times = {row[0]: row[3][0] for row in answer["results"]}
    # The 90th percentile of 50, 100 and a day, which is the most that counts: 8 tenths between the last two.
    assert times == {"/a/1": pytest.approx(100 + 0.8 * (86_400 - 100)), "/a/2": 7, "/buy": 0, "/end": 0}
    assert next(iter(times)) == "/a/1"

    one = [{"type": "event", "key": "$pathname", "value": "/a/2", "operator": "exact"}]
    only = await ask(api, breakdownBy="Page", includeAvgTimeOnPage=True, properties=one)
    assert [(row[0], row[3][0]) for row in only["results"]] == [("/a/2", 7)]


async def test_everything_since_the_first_visit_can_be_asked_for(api):
    answer = await ask(api, "WebOverviewQuery", dateRange={"date_from": "all"})
    assert answer["results"][0]["value"] == 0
