"""The query endpoint: rows, mistakes, the background, the limits on running at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.ingest import RawEvent
from posthog_mcp.sandbox.queries.budget import Budget
from posthog_mcp.sandbox.sandbox import Options

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

QUERY = "/api/projects/1/query/"
ENDLESS = "select sum(a.number * b.number) from numbers(10000000) as a cross join numbers(10000) as b"


class Clock:
    """The sandbox's time, which the test moves on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def options(clock: Clock) -> Options:
    return Options(
        throttles=Throttles(scope="off"),
        clock=clock,
        queue_seconds=0.2,
        query_seconds=1.0,
        async_query_seconds=30.0,
    )


@pytest.fixture
async def shop(sandbox: Sandbox):
    at = datetime(2026, 3, 1, 10, tzinfo=UTC)
    await sandbox.ingest.accept(
        [
            RawEvent("order placed", "ann", {"total": 42.5, "$set": {"plan": "pro"}}, timestamp=at),
            RawEvent("$pageview", "ann", {}, timestamp=at - timedelta(days=3)),
            RawEvent("$pageview", "bob", {"$set": {"plan": "free"}}, timestamp=at - timedelta(hours=1)),
        ]
    )


async def ask(api: AsyncClient, sql: str, **more: Any):
    return await api.post(QUERY, json={"query": {"kind": "HogQLQuery", "query": sql, **more}})


async def rows(api: AsyncClient, sql: str, **more: Any):
    reply = await ask(api, sql, **more)
    assert reply.status_code == 200, reply.text
    return reply.json()["results"]


async def finished(api: AsyncClient, query_id: str):
    """The last answer to polling, which ends when the query does."""
    async with asyncio.timeout(20):
        while (reply := await api.get(f"{QUERY}{query_id}/")).status_code == 202:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return reply


async def running(sandbox: Sandbox, query_id: str) -> None:
    """Wait until the engine works on the query."""
    async with asyncio.timeout(10):
        # Another process works on it: there is no event to wait for.
        while not await _works_on(sandbox, query_id):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _works_on(sandbox: Sandbox, query_id: str) -> bool:
    job = sandbox.queries.jobs.get(query_id)
    return await _works(sandbox) and job is not None and job.picked_up is not None


async def _works(sandbox: Sandbox) -> bool:
    busy = await sandbox.engine.query("SELECT count() FROM system.processes")
    return busy.rows[0][0] > 1


@pytest.mark.usefixtures("shop")
async def test_rows_come_with_columns_and_types(api: AsyncClient):
    reply = await ask(api, "select event, count() from events group by event order by event")
    body = reply.json()
    assert body["results"] == [["$pageview", 2], ["order placed", 1]]
    assert body["columns"] == ["event", "count()"]
    assert body["types"] == [["event", "String"], ["count()", "UInt64"]]
    assert (body["limit"], body["offset"], body["hasMore"]) == (100, 0, False)
    assert body["timezone"] == "UTC"
    assert body["hogql"].startswith("SELECT event, count() FROM events")
    assert int(reply.headers["X-PostHog-Query-Bytes-Read"]) > 0
    assert int(reply.headers["X-PostHog-Query-Budget-Remaining-Bytes"]) > 0


async def test_without_a_limit_there_are_100_rows_and_a_word_of_more(api: AsyncClient):
    body = (await ask(api, "select number from numbers(101)")).json()
    assert (len(body["results"]), body["limit"], body["hasMore"]) == (100, 100, True)
    body = (await ask(api, "select number from numbers(101) limit 101")).json()
    assert (len(body["results"]), body["limit"], body["hasMore"]) == (101, None, None)


@pytest.mark.usefixtures("shop")
async def test_values_filters_and_variables_fill_placeholders(api: AsyncClient):
    sql = "select distinct_id from events where event = {name} order by timestamp"
    assert await rows(api, sql, values={"name": "$pageview"}) == [["ann"], ["bob"]]
    assert await rows(api, sql, values={"name": "it's; drop"}) == []
    sql = "select distinct_id from events where event = '$pageview' and {filters} order by timestamp"
    assert await rows(api, sql, filters={"dateRange": {"date_from": "-7d"}}) == [["ann"], ["bob"]]
    day = {
        "dateRange": {"date_from": "-1d"},
        "properties": [{"type": "person", "key": "plan", "value": "free"}],
    }
    assert await rows(api, sql, filters=day) == [["bob"]]

    variable = {"v1": {"variableId": "v1", "code_name": "who", "value": "bob"}}
    sql = "select count() from events where distinct_id = {variables.who}"
    assert await rows(api, sql, variables=variable) == [[1]]
    override = {"v1": {"variableId": "v1", "code_name": "who", "value": "ann"}}
    query = {"kind": "HogQLQuery", "query": sql, "variables": variable}
    reply = await api.post(QUERY, json={"query": query, "variables_override": override})
    assert reply.json()["results"] == [[2]]

    query = {"kind": "HogQLQuery", "query": "select count() from events where {filters}"}
    narrowed = {"date_from": "-1d", "properties": [{"type": "person", "key": "plan", "value": "pro"}]}
    reply = await api.post(QUERY, json={"query": query, "filters_override": narrowed})
    assert reply.json()["results"] == [[1]]


async def test_a_request_says_nothing_that_posthog_does_not_know(api: AsyncClient):
    query = {"kind": "HogQLQuery", "query": "select 1"}
    reply = await api.post(QUERY, json={"query": query, "limit": 5})
    assert (reply.status_code, "limit" in reply.json()["detail"]) == (400, True)
    unknown = {"query": query, "filters_override": {"colour": "red"}}
    reply = await api.post(QUERY, json=unknown)
    assert (reply.status_code, "colour" in reply.json()["detail"]) == (400, True)


async def test_the_filters_of_a_dashboard_reach_insights_too(
    sandbox: Sandbox, api: AsyncClient, clock: Clock
):
    made = [
        RawEvent("view", who, {"plan": who}, timestamp=clock.now - timedelta(days=2))
        for who in ("pro", "free")
    ]
    await sandbox.ingest.accept(made)
    node = {"kind": "EventsNode", "event": "view"}
    query = {"kind": "TrendsQuery", "series": [node], "dateRange": {"date_from": "-1d", "date_to": "-1d"}}

    async def lines(**override: Any) -> list[tuple[Any, list[int]]]:
        reply = await api.post(QUERY, json={"query": query, "filters_override": override})
        assert reply.status_code == 200, reply.text
        return [(one.get("breakdown_value"), one["data"]) for one in reply.json()["results"]]

    assert await lines() == [(None, [0])]
    # The range is one: an end of its own goes as well.
    assert await lines(date_from="-2d") == [(None, [2, 0, 0])]
    pro = [{"key": "plan", "value": "pro", "type": "event", "operator": "exact"}]
    assert await lines(date_from="-2d", properties=pro) == [(None, [1, 0, 0])]
    split = {"breakdown": "plan"}
    assert await lines(date_from="-2d", breakdown_filter=split) == [("free", [1, 0, 0]), ("pro", [1, 0, 0])]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("placeholder", ["{filters}", "timestamp > {filters.dateRange.from}"])
async def test_filters_and_values_exclude_each_other(api: AsyncClient, placeholder: str):
    sql = f"select count() from events where event = {{name}} and {placeholder}"
    week = {"dateRange": {"date_from": "-7d"}}
    refused = await ask(api, sql, values={"name": "$pageview"}, filters=week)
    assert refused.status_code == 400
    assert "{filters" in refused.json()["detail"]
    assert "You can use the following: name" in refused.json()["detail"]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("sql", "code", "words"),
    [
        ("select nope from events", "invalid_input", "nope"),
        ("select 1 from nowhere", "invalid_input", 'Unknown table "nowhere"'),
        ("select hostName()", "invalid_input", "hostName"),
        ("select 1 from events where event = {x}", "invalid_input", "{x}"),
        ("selec 1", "invalid_input", "line 1, column 1"),
        ("select 1; select 2", "invalid_input", "line 1"),
        ("insert into events values (1)", "invalid_input", "line 1"),
        ("select 1 from events limit 1 offset 2", "invalid_input", "OFFSET is not supported"),
        ("select event from events limit 1 by event offset 1", "invalid_input", ""),
        ("select sum(event) from events", "illegal_type_of_argument", "String"),
    ],
)
async def test_mistakes_are_400_in_words(api: AsyncClient, sql: str, code: str, words: str):
    reply = await ask(api, sql)
    assert reply.status_code == 400
    body = reply.json()
    assert (body["type"], body["code"], body["attr"]) == ("validation_error", code, None)
    assert words in body["detail"]
    assert "ph." not in body["detail"]


@pytest.mark.parametrize(
    "sql",
    [
        "select * from file('/etc/passwd')",
        "select file('/etc/passwd')",
        "select * from system.tables",
        "select * from merge('system', '.*')",
        "select * from url('http://127.0.0.1/', CSV)",
        "select 1 into outfile '/tmp/x'",
        "select hostName(), version()",
        "select getSetting('max_threads')",
        "kill query where 1",
        "describe file('/etc/passwd')",
        "use system",
        "set readonly = 0",
        "select 1 settings readonly = 0",
        "select 1 format JSON",
        "select * from ph.events",
        "select * from events where event = `' or 1 --`",
        "select dictGet('x', 'y', 1)",
        "select * from remote('127.0.0.1', system.one)",
        "select * from executable('id', TSV, 'x String')",
    ],
)
async def test_no_query_reaches_past_the_project(api: AsyncClient, sql: str):
    reply = await ask(api, sql)
    assert reply.status_code == 400, reply.text
    assert "root:" not in reply.text


async def test_a_value_cannot_break_out_of_its_place(api: AsyncClient):
    for text in ("'", "\\", "\\'", "`", "{x}", "'; select 1 --", "\x00", "\u2028"):
        assert await rows(api, "select {x}", values={"x": text}) == [[text]]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "query\n  Field required [type=missing]"),
        ({"query": 3}, "valid dictionary"),
        ({"query": {}}, "discriminator 'kind'"),
        ({"query": {"kind": "Nonsense"}}, "Input tag 'Nonsense'"),
        ({"query": {"kind": "HogQLQuery"}}, "1 validation error for HogQLQuery\nquery\n  Field required"),
        (
            {"query": {"kind": "HogQLQuery", "query": "select 1", "speed": 9}},
            "Extra inputs are not permitted",
        ),
        ({"query": {"kind": "HogQLQuery", "query": "select 1"}, "refresh": "soon"}, "refresh"),
        ({"query": {"kind": "FunnelCorrelationQuery"}}, "cannot run a FunnelCorrelationQuery yet"),
        ({"query": {"kind": "DataTableNode"}}, "query.DataTableNode.source"),
    ],
)
async def test_a_query_object_that_makes_no_sense_is_400(api: AsyncClient, body: dict[str, Any], words: str):
    reply = await api.post(QUERY, json=body)
    assert reply.status_code == 400
    assert words in reply.json()["detail"]


async def test_wrappers_run_their_source_and_paths_may_name_the_kind(api: AsyncClient):
    source = {"kind": "HogQLQuery", "query": "select 1"}
    for kind in ("DataTableNode", "DataVisualizationNode"):
        reply = await api.post(QUERY, json={"query": {"kind": kind, "source": source}})
        assert reply.json()["results"] == [[1]]
    assert (await api.post(f"{QUERY}HogQLQuery/", json={"query": source})).json()["results"] == [[1]]
    assert (await api.post(f"{QUERY}EventsQuery/", json={"query": source})).status_code == 400


async def test_a_reading_key_may_run_poll_and_cancel(reader: AsyncClient):
    body = {"query": {"kind": "HogQLQuery", "query": "select 1"}, "refresh": "async"}
    reply = await reader.post(QUERY, json=body)
    assert reply.status_code == 202
    query_id = reply.json()["query_status"]["id"]
    assert (await finished(reader, query_id)).status_code == 200
    assert (await reader.delete(f"{QUERY}{query_id}/")).status_code == 200


async def test_a_query_that_takes_too_long_is_504(api: AsyncClient):
    reply = await ask(api, ENDLESS)
    assert reply.status_code == 504
    assert reply.json()["type"] == "server_error"
    assert "max execution time" in reply.json()["detail"]


async def test_a_query_in_the_background_is_polled_until_it_is_done(api: AsyncClient, clock: Clock):
    body = {
        "query": {"kind": "HogQLQuery", "query": "select 7"},
        "refresh": "force_async",
        "client_query_id": "mine",
    }
    reply = await api.post(QUERY, json=body)
    assert reply.status_code == 202
    status = reply.json()["query_status"]
    assert (status["id"], status["complete"], status["results"]) == ("mine", False, None)
    reply = await finished(api, "mine")
    status = reply.json()["query_status"]
    assert (reply.status_code, status["complete"], status["error"]) == (200, True, False)
    assert status["results"]["results"] == [[7]]
    assert status["end_time"] == "2026-03-01T12:00:00Z"
    shown = (await api.get(f"{QUERY}mine/?show_progress=true")).json()["query_status"]
    assert shown["query_progress"]["time_elapsed"] == 0

    clock.now += timedelta(minutes=21)
    assert (await api.get(f"{QUERY}mine/")).status_code == 404


async def test_a_failed_query_in_the_background_tells_only_of_mistakes(api: AsyncClient):
    body = {"query": {"kind": "HogQLQuery", "query": "select nope from events"}, "async": True}
    query_id = (await api.post(QUERY, json=body)).json()["query_status"]["id"]
    reply = await finished(api, query_id)
    assert reply.status_code == 400
    assert "nope" in reply.json()["query_status"]["error_message"]


async def test_a_query_in_the_background_is_cancelled(sandbox: Sandbox, api: AsyncClient):
    body = {"query": {"kind": "HogQLQuery", "query": ENDLESS}, "refresh": "async", "client_query_id": "long"}
    assert (await api.post(QUERY, json=body)).status_code == 202
    await running(sandbox, "long")
    again = await api.post(QUERY, json=body)
    assert again.json()["query_status"]["start_time"] is not None
    assert (await api.get(f"{QUERY}long/")).status_code == 202
    reply = await api.delete(f"{QUERY}long/")
    assert (reply.status_code, list(reply.json())) == (200, ["message"])
    reply = await api.get(f"{QUERY}long/")
    status = reply.json()["query_status"]
    assert (reply.status_code, status["complete"], status["error"]) == (400, True, True)
    assert status["error_message"] == "The query was cancelled."
    assert await rows(api, "select 1") == [[1]]


async def test_an_unknown_query_is_404(api: AsyncClient):
    assert (await api.get(f"{QUERY}nothing/")).status_code == 404


async def test_a_fourth_query_waits_and_is_refused_without_a_time(sandbox: Sandbox, api: AsyncClient):
    for name in ("a", "b", "c"):
        body = {
            "query": {"kind": "HogQLQuery", "query": ENDLESS},
            "refresh": "async",
            "client_query_id": name,
        }
        await api.post(QUERY, json=body)
    await running(sandbox, "a")
    reply = await ask(api, "select 1")
    assert reply.status_code == 429
    assert "retry-after" not in reply.headers
    assert (await api.get("/api/projects/1/persons/values/?key=plan")).json() == []
    assert reply.json()["code"] == "throttled"
    assert reply.json()["detail"].startswith(
        "Exceeded maximum concurrency limit: 3 for key: api:query:per-team:1 and task: "
    )
    for name in ("a", "b", "c"):
        await api.delete(f"{QUERY}{name}/")
    assert await rows(api, "select 1") == [[1]]


async def test_a_used_up_budget_of_bytes_is_429_until_it_has_refilled(sandbox: Sandbox, api: AsyncClient):
    now = 0.0
    sandbox.queries.budget = Budget(rate=3600, clock=lambda: now)
    sandbox.queries.budget.debit(24 * 3600 + 90)
    reply = await ask(api, "select 1")
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "90")
    assert reply.json()["code"] == "api_queries_budget_exceeded"
    now = 91.0
    assert (await ask(api, "select 1")).status_code == 200
    sandbox.queries.budget.debit(10**12)
    assert sandbox.queries.budget.remaining() == -3600


@pytest.mark.usefixtures("shop")
async def test_metadata_says_whether_a_query_would_run(api: AsyncClient):
    async def metadata(text: str):
        query = {"kind": "HogQLMetadata", "language": "hogQL", "query": text}
        return (await api.post(QUERY, json={"query": query})).json()

    good = await metadata("with x as (select 1) select event from events, x where event = {name}")
    assert (good["isValid"], good["errors"], good["table_names"]) == (True, [], ["events"])
    bad = await metadata("select nope from events")
    assert bad["isValid"] is False
    assert (bad["errors"][0]["start"], bad["errors"][0]["end"]) == (7, 11)
    broken = await metadata("select (")
    assert broken["isValid"] is False


async def test_the_schema_lists_tables_and_fields(api: AsyncClient):
    tables = (await api.post(QUERY, json={"query": {"kind": "DatabaseSchemaQuery"}})).json()["tables"]
    assert {"events", "persons", "sessions", "groups"} <= set(tables)
    fields = tables["events"]["fields"]
    assert fields["timestamp"]["type"] == "datetime"
    assert fields["person"]["type"] == "virtual_table"


@pytest.mark.usefixtures("shop")
async def test_events_query_gives_whole_events_newest_first(api: AsyncClient):
    query = {"kind": "EventsQuery", "select": ["*", "person", "timestamp"], "after": "-7d", "limit": 2}
    body = (await api.post(QUERY, json={"query": query})).json()
    assert body["columns"] == ["*", "person", "timestamp"]
    first = body["results"][0]
    assert (first[0]["event"], first[0]["properties"]["total"]) == ("order placed", 42.5)
    assert first[1]["properties"]["plan"] == "pro"
    assert (body["hasMore"], body["limit"], body["offset"]) == (True, 2, 0)
    rest = (await api.post(QUERY, json={"query": {**query, "before": body["nextCursor"]}})).json()
    assert [row[2] for row in rest["results"]] == ["2026-02-26T10:00:00Z"]
    assert rest["nextCursor"] is None


@pytest.mark.usefixtures("shop")
async def test_events_query_groups_and_filters(api: AsyncClient):
    query = {"kind": "EventsQuery", "select": ["event", "count()"], "after": "all", "where": ["event != 'x'"]}
    body = (await api.post(QUERY, json={"query": query})).json()
    assert body["results"] == [["$pageview", 2], ["order placed", 1]]
    step = {"event": "order placed"}
    query = {"kind": "EventsQuery", "select": ["distinct_id"], "after": "all", "actionSteps": [step]}
    assert (await api.post(QUERY, json={"query": query})).json()["results"] == [["ann"]]


async def test_events_of_one_moment_are_each_on_one_page(sandbox: Sandbox, api: AsyncClient):
    at = datetime(2026, 3, 1, 10, tzinfo=UTC)
    await sandbox.ingest.accept([RawEvent("tick", f"u{n}", {}, timestamp=at) for n in range(25)])
    query = {"kind": "EventsQuery", "select": ["timestamp", "uuid", "distinct_id"], "limit": 10}
    seen, cursor = [], None
    for _ in range(3):
        page = {**query, **({"before": cursor} if cursor else {})}
        body = (await api.post(QUERY, json={"query": page})).json()
        seen += [row[2] for row in body["results"]]
        cursor = body["nextCursor"]
    assert sorted(seen) == sorted(f"u{n}" for n in range(25))
    assert cursor is None


@pytest.mark.usefixtures("shop")
async def test_actors_query_lists_people(api: AsyncClient):
    query = {"kind": "ActorsQuery", "select": ["person", "properties.plan"], "orderBy": ["properties.plan"]}
    body = (await api.post(QUERY, json={"query": query})).json()
    assert [row[1] for row in body["results"]] == ["free", "pro"]
    assert body["results"][0][0]["distinct_ids"] == ["bob"]
    assert (body["missing_actors_count"], body["limit"], body["offset"]) == (0, 100, 0)

    source = {
        "kind": "HogQLQuery",
        "query": "select distinct person_id from events where event = 'order placed'",
    }
    body = (await api.post(QUERY, json={"query": {**query, "source": source}})).json()
    assert [row[1] for row in body["results"]] == ["pro"]
    source["query"] = "select distinct distinct_id from events where event = '$pageview'"
    filtered = {**query, "source": source, "properties": [{"key": "plan", "type": "person", "value": "free"}]}
    body = (await api.post(QUERY, json={"query": filtered})).json()
    assert [row[1] for row in body["results"]] == ["free"]
    source["query"] = "select count() from events"
    assert (await api.post(QUERY, json={"query": {**query, "source": source}})).status_code == 400


@pytest.mark.usefixtures("shop")
async def test_times_come_in_the_projects_time_zone(sandbox: Sandbox, api: AsyncClient):
    sandbox.project.settings["timezone"] = "Asia/Tokyo"
    body = (await ask(api, "select timestamp from events where event = 'order placed'")).json()
    assert body["results"] == [["2026-03-01T19:00:00+09:00"]]
    assert body["timezone"] == "Asia/Tokyo"


async def test_what_ran_in_the_background_is_kept_until_it_is_stale(api: AsyncClient, clock: Clock):
    async def asked(refresh: str) -> tuple[int, bool]:
        reply = await api.post(QUERY, json={"query": query, "refresh": refresh})
        body = reply.json()
        if reply.status_code == 202:
            body = (await finished(api, body["query_status"]["id"])).json()["query_status"]["results"]
        assert body["results"] == [[8]]
        return reply.status_code, body["is_cached"]

    query = {"kind": "HogQLQuery", "query": "select 8"}
    assert await asked("blocking") == (200, False)
    assert await asked("async") == (202, False)
    assert await asked("blocking") == (200, True)
    assert await asked("async") == (200, True)
    assert await asked("force_async") == (202, False)
    assert await asked("force_blocking") == (200, False)
    clock.now += timedelta(minutes=6)
    assert await asked("blocking") == (200, False)


async def test_the_query_of_a_saved_insight_is_cancelled_by_the_id_its_reader_gave(
    sandbox: Sandbox, api: AsyncClient
):
    source = {"kind": "DataVisualizationNode", "source": {"kind": "HogQLQuery", "query": ENDLESS}}
    made = (await api.post("/api/projects/1/insights/", json={"name": "Endless", "query": source})).json()
    path = f"/api/projects/1/insights/{made['id']}/?refresh=blocking&client_query_id=chart"
    reading = asyncio.create_task(api.get(path))
    async with asyncio.timeout(10):
        while not await _works(sandbox):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (await api.delete(f"{QUERY}chart/")).status_code == 200
    # 504 is what it would have ended with by itself.
    assert (await reading).status_code == 500
