"""LLM analytics: what ingestion adds to its events, and the traces they make."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_mcp.sandbox.ai.trace import Event, trace_of
from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.ingest import RawEvent
from posthog_mcp.sandbox.ingest.ai_events import describe_ai
from posthog_mcp.sandbox.sandbox import Options

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: NOW)


def ai(kind: str, trace: Any, minutes: float, person: str = "ann", **properties: Any) -> RawEvent:
    named = {f"$ai_{name}": value for name, value in properties.items()}
    at = NOW - timedelta(minutes=minutes)
    return RawEvent(f"$ai_{kind}", person, {"$ai_trace_id": trace, **named}, timestamp=at)


@pytest.fixture
async def chats(sandbox: Sandbox):
    """A chat of Ann's with a failed tool, one of Bob's with a remark, and an old one."""
    cost = {"input_cost_usd": 0.002, "output_cost_usd": 0.00212}
    await sandbox.ingest.accept([
        ai("generation", "t1", 60, span_id="g1", parent_id="s1", model="m", input_tokens=1000,
           output_tokens=200, latency=1.504, span_name="first", **cost),
        ai("span", "t1", 59, span_id="s1", parent_id="t1", span_name="search", latency=2.0, is_error=True),
        ai("trace", "t1", 58, span_name="Help with a cart", input_state='{"q": 1}', output_state={"a": 2}),
        ai("embedding", "t1", 57, parent_id="s1", input_tokens=10, **cost),
        ai("generation", "t2", 30, "bob", model="m", input_tokens=5, output_tokens=1, latency=0.5),
        ai("generation", "t2", 29, "bob", model="m", latency=0.25),
        ai("feedback", "t2", 28, "bob", feedback_text="good"),
        ai("generation", "old", 60 * 24 * 20, model="m"),
        RawEvent("other", "ann", {"$ai_trace_id": "t1"}, timestamp=NOW - timedelta(minutes=1)),
    ])  # fmt: skip


async def ask(api: AsyncClient, **query: Any) -> Any:
    reply = await api.post("/api/projects/1/query/", json={"query": query})
    assert reply.status_code == 200, reply.text
    return reply.json()


async def ids(api: AsyncClient, **query: Any) -> list[str]:
    return [trace["id"] for trace in (await ask(api, kind="TracesQuery", **query))["results"]]


@pytest.mark.usefixtures("chats")
async def test_a_trace_adds_up_its_events(api: AsyncClient):
    (trace,) = (await ask(api, kind="TraceQuery", traceId="t1"))["results"]
    told = {
        "id": "t1", "createdAt": "2026-03-10T11:00:00Z", "distinctId": "ann", "traceName": "Help with a cart",
        "totalLatency": 2.0, "inputTokens": 1010, "outputTokens": 200,
        "inputCost": 0.004, "outputCost": 0.0042, "totalCost": 0.0082, "errorCount": 1,
        "inputState": {"q": 1}, "outputState": {"a": 2},
    }  # fmt: skip
    assert {name: trace[name] for name in told} == told
    assert trace["person"]["distinct_id"] == "ann"
    assert [event["event"] for event in trace["events"]] == ["$ai_generation", "$ai_span", "$ai_embedding"]
    assert trace["events"][0]["properties"]["$ai_total_cost_usd"] == 0.00412


@pytest.mark.usefixtures("chats")
async def test_a_list_shows_remarks_alone_and_the_latency_of_generations(api: AsyncClient):
    first, second = (await ask(api, kind="TracesQuery"))["results"]
    assert (first["id"], first["totalLatency"], first["traceName"]) == ("t2", 0.75, None)
    assert [event["properties"]["$ai_feedback_text"] for event in first["events"]] == ["good"]
    assert (second["id"], second["events"]) == ("t1", [])


@pytest.mark.usefixtures("chats")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["t2", "t1"]),
        ({"dateRange": {"date_from": "-30d"}}, ["t2", "t1", "old"]),
        # The one that began before the period is not in it, although it went on inside.
        ({"dateRange": {"date_from": "2026-03-10T11:00:30Z"}}, ["t2"]),
        ({"limit": 1}, ["t2"]),
        ({"limit": 1, "offset": 1}, ["t1"]),
        ({"properties": [{"key": "$ai_is_error", "type": "event", "value": ["true"]}]}, ["t1"]),
        ({"properties": [{"key": "$ai_model", "type": "event", "value": "m"},
                         {"key": "$ai_is_error", "type": "event", "value": ["true"]}]}, []),
        ({"properties": [{"key": "distinct_id", "type": "event_metadata", "value": ["bob"]}]}, ["t2"]),
    ],
)  # fmt: skip
async def test_traces_are_narrowed_and_cut(api: AsyncClient, query: dict, expected: list[str]):
    assert await ids(api, **query) == expected


@pytest.mark.usefixtures("chats")
async def test_a_page_says_whether_others_follow(api: AsyncClient):
    assert (await ask(api, kind="TracesQuery", limit=1))["hasMore"] is True
    assert (await ask(api, kind="TracesQuery", limit=2))["hasMore"] is False


@pytest.mark.usefixtures("chats")
async def test_the_traces_of_a_person_are_found_by_their_uuid(api: AsyncClient):
    people = (await api.get("/api/projects/1/persons/", params={"distinct_id": "bob"})).json()["results"]
    assert await ids(api, personId=people[0]["uuid"]) == ["t2"]


async def test_a_trace_that_is_not_there_has_no_result(api: AsyncClient):
    assert (await ask(api, kind="TraceQuery", traceId="none"))["results"] == []
    assert await ids(api) == []


@pytest.mark.parametrize("query", [{"kind": "TraceQuery"}, {"kind": "TracesQuery", "traceId": "t1"}])
async def test_what_posthog_does_not_take_is_refused(api: AsyncClient, query: dict):
    reply = await api.post("/api/projects/1/query/", json={"query": query})
    assert (reply.status_code, "traceId" in reply.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        # Prices of tokens: what was read from a cache costs half, or with Anthropic a tenth on top.
        ({"input_token_price": 2.5e-6, "output_token_price": 1e-5, "input_tokens": 1000, "output_tokens": 200,
          "cache_read_input_tokens": 400}, 0.004),
        ({"input_token_price": 3e-6, "output_token_price": 0, "input_tokens": 1000, "model": "claude-x",
          "cache_read_input_tokens": 400}, 0.00312),
        ({"input_cost_usd": 1, "output_cost_usd": 2, "request_cost_usd": 0.5}, 3.5),
        ({"input_cost_usd": 1, "output_cost_usd": 2, "total_cost_usd": 9}, 9),
        ({"input_tokens": 1000, "output_tokens": 200, "model": "m"}, None),
    ],
)  # fmt: skip
def test_costs_come_from_what_the_client_sends(sent: dict, expected: float | None):
    properties = {f"$ai_{name}": value for name, value in sent.items()}
    describe_ai("$ai_generation", properties)
    total = properties.get("$ai_total_cost_usd")
    assert total == (None if expected is None else pytest.approx(expected))


def test_ids_become_text_and_parameters_are_lifted():
    properties: dict[str, Any] = {
        "$ai_trace_id": 7, "$ai_span_id": {"no": "id"}, "$ai_usage": {}, "$ai_temperature": 1,
        "$ai_model_parameters": {"temperature": 0.2, "max_tokens": 5},
    }  # fmt: skip
    describe_ai("$ai_generation", properties)
    assert (properties["$ai_trace_id"], properties["$ai_temperature"], properties["$ai_max_tokens"]) == (
        "7",
        1,
        5,
    )
    assert not {"$ai_span_id", "$ai_usage"} & set(properties)


@pytest.mark.parametrize(
    ("sent", "used", "cost"),
    [
        ({"model": "gpt-4o-2024-11-20", "input_tokens": 1000, "cache_read_input_tokens": 400,
          "output_tokens": 200}, "gpt-4o", 0.004),
        ({"model": "anthropic/claude-sonnet-4-5", "input_tokens": 1000, "cache_read_input_tokens": 400},
         "claude-sonnet-4", 0.00312),
        ({"model": "gpt-4o-mini", "input_tokens": 1_000_000}, "gpt-4o-mini", 0.15),
        ({"model": "gemini-2.5-pro", "output_tokens": 10, "reasoning_tokens": 90}, "gemini-2.5-pro", 0.001),
    ],
)  # fmt: skip
def test_a_known_model_has_a_cost_by_the_longest_name_that_fits(sent: dict[str, Any], used: str, cost: float):
    properties: dict[str, Any] = {f"$ai_{name}": value for name, value in sent.items()}
    describe_ai("$ai_generation", properties)
    assert properties["$ai_model_cost_used"] == used
    assert properties["$ai_total_cost_usd"] == pytest.approx(cost)


def test_a_model_nobody_knows_has_no_cost_and_one_the_client_sent_is_kept():
    unknown: dict[str, Any] = {"$ai_model": "ours-7b", "$ai_input_tokens": 10}
    describe_ai("$ai_generation", unknown)
    assert not any("cost" in name for name in unknown)
    sent: dict[str, Any] = {"$ai_model": "gpt-4o", "$ai_input_cost_usd": 7.0, "$ai_output_tokens": 100_000}
    describe_ai("$ai_generation", sent)
    assert (sent["$ai_input_cost_usd"], sent["$ai_total_cost_usd"]) == (7.0, pytest.approx(8.0))


values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
ai_properties = st.dictionaries(
    st.sampled_from([
        "$ai_latency", "$ai_input_tokens", "$ai_output_tokens", "$ai_total_cost_usd", "$ai_input_cost_usd",
        "$ai_output_cost_usd", "$ai_input_token_price", "$ai_output_token_price", "$ai_parent_id",
        "$ai_trace_id", "$ai_span_name", "$ai_input_state", "$ai_model_parameters", "$ai_model",
    ]),
    values | st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=3), values, max_size=2),
)  # fmt: skip
kinds = st.sampled_from(["$ai_generation", "$ai_embedding", "$ai_span", "$ai_trace", "$ai_metric"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(kinds, ai_properties), min_size=1, max_size=5))
def test_whatever_strangers_send_makes_a_trace(sent: list[tuple[str, dict]]):
    events: list[Event] = []
    for kind, properties in sent:
        describe_ai(kind, properties)
        events.append(Event("u", kind, "2026-03-10T11:00:00Z", "ann", properties))
    trace = trace_of("t", events, whole=True)
    assert len(trace["events"]) == sum(kind != "$ai_trace" for kind, _ in sent)
    json.dumps({name: value for name, value in trace.items() if name != "events"}, allow_nan=False)
