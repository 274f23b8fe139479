"""The newer capture protocol: a result for each event, and JSON refusals."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from light_sandbox import capture_client, light_sandbox
from recording_engine import stopped

from posthog_mcp.sandbox.capture import body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from httpx2 import AsyncClient, Response

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATH = "/i/v1/analytics/events"
HEADERS = {
    "authorization": "Bearer phc_sandbox",
    "content-type": "application/json",
    "posthog-sdk-info": "posthog-python/7.91.1",
    "posthog-attempt": "1",
    "posthog-request-id": "0197f000-0000-7000-8000-000000000000",
    "posthog-request-timestamp": "2026-03-01T12:00:10Z",
}


def uuid(number: int = 1) -> str:
    return f"0197f000-0000-7000-8000-{number:012d}"


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    plain = {
        "event": "seen",
        "uuid": uuid(number),
        "distinct_id": "ann",
        "timestamp": "2026-03-01T10:00:00+00:00",
        "options": {},
        "properties": {"n": number},
    }
    return {key: value for key, value in (plain | changes).items() if value is not ...}


def batch(*events: Any, **more: Any) -> bytes:
    return json.dumps({"created_at": "2026-03-01T12:00:00Z", "batch": list(events), **more}).encode()


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Any]:
    async with light_sandbox(tmp_path, NOW) as one:
        yield one


@pytest.fixture
async def anyone(sandbox: Any) -> AsyncIterator[AsyncClient]:
    async with capture_client(sandbox) as client:
        yield client


async def send(anyone: AsyncClient, content: bytes, **headers: str) -> Response:
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in (HEADERS | changed).items() if value}
    return await anyone.post(PATH, content=content, headers=kept)


async def test_every_event_gets_its_result(sandbox: Any, anyone: AsyncClient):
    wrong = {
        2: ({"distinct_id": " Anonymous "}, "malformed_distinct_id"),
        3: ({"distinct_id": " "}, "missing_distinct_id"),
        4: ({"distinct_id": "i" * 201}, "distinct_id_too_large"),
        5: ({"event": ""}, "missing_event_name"),
        6: ({"event": "n" * 201}, "event_name_too_long"),
        7: ({"timestamp": "2026-03-01T10:00:00"}, "invalid_event_timestamp"),
        8: ({"properties": []}, "malformed_event_properties"),
    }
    reply = await send(
        anyone, batch(event(), *(event(number, **change) for number, (change, _) in wrong.items()))
    )
    dropped = {uuid(number): {"result": "drop", "details": reason} for number, (_, reason) in wrong.items()}
    assert (reply.status_code, reply.json()) == (200, {"results": {uuid(): {"result": "ok"}, **dropped}})
    assert [row["uuid"] for row in sandbox.engine.rows("events")] == [uuid()]


@pytest.mark.parametrize(
    "illegal",
    ["0", "00000000-0000-0000-0000-000000000000", "[object Object]", "anonymous-user", "backend",
     "distinct_id", "distinctId", "email", "false", "guest", "id", "NaN", "None", "not_authenticated",
     "null", "system", "true", "undefined", "user"],
)  # fmt: skip
async def test_ids_that_are_known_mistakes_are_dropped(sandbox: Any, anyone: AsyncClient, illegal: str):
    reply = await send(anyone, batch(event(distinct_id=illegal)))
    assert reply.json()["results"][uuid()] == {"result": "drop", "details": "malformed_distinct_id"}
    assert sandbox.engine.rows("events") == []


async def test_options_ids_and_library_become_properties(sandbox: Any, anyone: AsyncClient):
    options = {
        "disable_skew_correction": True,
        "product_tour_id": "t",
        "cookieless_mode": False,
        "other": [1],
    }
    item = event(
        options=options, session_id="s", window_id="w", properties={"$set": {"plan": "pro"}, "$lib": "x"}
    )
    await send(anyone, batch(item | {"distinct_id": " ann "}))
    (row,) = sandbox.engine.rows("events")
    properties = json.loads(row["properties"])
    properties.pop("$ip")
    assert properties == {
        "$set": {"plan": "pro"},
        "$lib": "posthog-python",
        "$lib_version": "7.91.1",
        "$ignore_sent_at": True,
        "$product_tour_id": "t",
        "$cookieless_mode": False,
        "$session_id": "s",
        "$window_id": "w",
        "$sent_at": "2026-03-01T12:00:10.000000Z",
    }
    assert (row["$session_id"], row["$window_id"], row["distinct_id"]) == ("s", "w", "ann")
    assert row["timestamp"] == "2026-03-01 10:00:00.000000"


async def test_a_person_can_be_left_out_by_an_option(sandbox: Any, anyone: AsyncClient):
    await send(anyone, batch(event(options={"process_person_profile": False})))
    assert sandbox.engine.rows("persons") == []


async def test_the_clients_clock_is_corrected_by_the_requests_time(sandbox: Any, anyone: AsyncClient):
    await send(anyone, batch(event()))
    assert sandbox.engine.rows("events")[0]["timestamp"] == "2026-03-01 09:59:50.000000"


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("", bytes),
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("GZIP", gzip.compress),
    ],
)
async def test_bodies_are_decompressed_as_announced(
    sandbox: Any, anyone: AsyncClient, encoding: str, pack: Any
):
    reply = await send(anyone, pack(batch(event())), content_encoding=encoding)
    assert reply.json() == {"results": {uuid(): {"result": "ok"}}}
    assert len(sandbox.engine.rows("events")) == 1


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="has a decoder for it")
async def test_zstd_without_a_decoder_is_refused_plainly(anyone: AsyncClient):
    reply = await send(anyone, b"\x28\xb5\x2f\xfd", content_encoding="zstd")
    assert reply.status_code == 415
    assert "use gzip" in reply.json()["error_description"]


@pytest.mark.parametrize(
    ("content", "headers", "status", "tag"),
    [
        (batch(event()), {"posthog_sdk_info": ""}, 400, "missing_required_headers"),
        (batch(event()), {"posthog_request_timestamp": ""}, 400, "missing_required_headers"),
        (batch(event()), {"posthog_request_timestamp": "now"}, 400, "invalid_header_value"),
        (batch(event()), {"content_type": "text/plain"}, 415, "unsupported_content_type"),
        (batch(event()), {"content_encoding": "br"}, 415, "unsupported_encoding"),
        (batch(event()), {"content_encoding": "gzip"}, 400, "request_decoding_error"),
        (batch(event()), {"authorization": ""}, 401, "invalid_api_token"),
        (batch(event()), {"authorization": "phc_sandbox"}, 401, "invalid_api_token"),
        (batch(event()), {"authorization": "Bearer phx_sandbox"}, 401, "invalid_api_token"),
        (b"", {}, 400, "empty_body"),
        (b"{", {}, 400, "request_parsing_error"),
        (b"[]", {}, 400, "request_parsing_error"),
        (b'{"created_at": "x"}', {}, 400, "request_parsing_error"),
        (b'{"batch": [{}]}', {}, 400, "request_parsing_error"),
        (batch(), {}, 400, "empty_batch"),
        (batch(event(), historical_migration="yes"), {}, 400, "request_parsing_error"),
        (batch("seen"), {}, 400, "request_parsing_error"),
        (batch(event(distinct_id=5)), {}, 400, "request_parsing_error"),
        (batch(event(timestamp=...)), {}, 400, "request_parsing_error"),
        (batch(event(session_id=5)), {}, 400, "request_parsing_error"),
        (batch(event(options=[])), {}, 400, "request_parsing_error"),
        (batch(event(options={"process_person_profile": "false"})), {}, 400, "request_parsing_error"),
        (batch(event(options={"product_tour_id": 5})), {}, 400, "request_parsing_error"),
        (batch(event(uuid="17")), {}, 400, "missing_event_uuid"),
        (batch(event(), event()), {}, 400, "duplicate_event_uuid"),
        (b" " * (body.LIMIT + 1), {}, 413, "payload_too_large"),
        (gzip.compress(b" " * (body.LIMIT + 1)), {"content_encoding": "gzip"}, 413, "payload_too_large"),
    ],
)  # fmt: skip
async def test_a_wrong_request_is_refused_whole(
    sandbox: Any,
    anyone: AsyncClient,
    *,
    content: bytes,
    headers: dict[str, str],
    status: int,
    tag: str,
):
    reply = await send(anyone, content, **headers)
    assert (reply.status_code, reply.json()["error"]) == (status, tag)
    assert reply.json()["error_description"]
    assert sandbox.engine.rows("events") == []


async def test_a_token_nobody_has_gets_its_results_too(sandbox: Any, anyone: AsyncClient):
    reply = await send(anyone, batch(event()), authorization="Bearer phc_other")
    assert reply.json() == {"results": {uuid(): {"result": "ok"}}}
    assert sandbox.engine.rows("events") == []


async def test_an_engine_that_is_down_asks_for_a_retry_of_what_was_good(sandbox: Any, anyone: AsyncClient):
    sandbox.engine.failures = [stopped(), stopped()]
    content = batch(event(), event(2, distinct_id="guest"))
    reply = await send(anyone, content)
    assert (reply.status_code, reply.headers["retry-after"]) == (200, "1")
    dropped = {"result": "drop", "details": "malformed_distinct_id"}
    assert reply.json()["results"] == {uuid(): {"result": "retry"}, uuid(2): dropped}
    assert (await send(anyone, content)).json()["results"][uuid()] == {"result": "ok"}
    assert len(sandbox.engine.rows("events")) == 1


async def test_web_pages_may_ask(anyone: AsyncClient):
    reply = await anyone.options(PATH + "/", headers={"origin": "https://shop.test"})
    assert reply.headers["access-control-allow-origin"] == "https://shop.test"
