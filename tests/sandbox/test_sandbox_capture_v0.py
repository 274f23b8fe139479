"""The older capture protocol: every form a body can have, and every refusal in PostHog's words."""

from __future__ import annotations

import base64
import gzip
import json
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from light_sandbox import capture_client, light_sandbox
from recording_engine import stopped

from posthog_mcp.sandbox.capture import body, decode
from posthog_mcp.sandbox.capture.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from httpx2 import AsyncClient, Response

EVENT = {"api_key": "phc_sandbox", "event": "seen", "distinct_id": "ann", "properties": {"n": 1, "t": "é+/ "}}
BATCH = {"api_key": "phc_sandbox", "batch": [{k: v for k, v in EVENT.items() if k != "api_key"}]}
TEXT = json.dumps(EVENT, ensure_ascii=False)
FORM = {"content-type": "application/x-www-form-urlencoded"}
OK = {"status": "Ok"}


def base64_of(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Any]:
    async with light_sandbox(tmp_path) as one:
        yield one


@pytest.fixture
async def anyone(sandbox: Any) -> AsyncIterator[AsyncClient]:
    async with capture_client(sandbox) as client:
        yield client


def stored(sandbox: Any) -> list[tuple[str, str, Any]]:
    rows = [
        (row["event"], row["distinct_id"], json.loads(row["properties"]))
        for row in sandbox.engine.rows("events")
    ]
    for _, _, properties in rows:
        properties.pop("$ip", None)
    return rows


async def send(anyone: AsyncClient, payload: Any, path: str = "/batch/", **more: Any) -> Response:
    return await anyone.post(path, content=json.dumps(payload), **more)


# -- forms


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    "path", ["/i/v0/e", "/e", "/capture", "/track", "/engage", "/batch", "/i/v0/ai/batch"]
)
async def test_every_path_takes_events(sandbox: Any, anyone: AsyncClient, path: str, slash: str):
    reply = await send(anyone, EVENT, path + slash)
    assert (reply.status_code, reply.json()) == (200, OK)
    assert stored(sandbox) == [("seen", "ann", EVENT["properties"])]


FORMS: dict[str, tuple[dict[str, str], dict[str, str], bytes | str]] = {
    "plain JSON": ({}, {}, TEXT),
    "JSON as text": ({"content-type": "text/plain"}, {}, TEXT),
    "gzip by header": ({"content-encoding": "gzip"}, {}, gzip.compress(TEXT.encode())),
    "gzip by query": ({}, {"compression": "gzip"}, gzip.compress(TEXT.encode())),
    "gzip of a browser": ({}, {"compression": "gzip-js", "ver": "1.2"}, gzip.compress(TEXT.encode())),
    "gzip by its magic bytes": ({}, {}, gzip.compress(TEXT.encode())),
    "gzip in two members": ({}, {}, gzip.compress(TEXT[:9].encode()) + gzip.compress(TEXT[9:].encode())),
    "zlib": ({"content-encoding": "deflate"}, {}, zlib.compress(TEXT.encode())),
    "raw deflate": ({"content-encoding": "deflate"}, {}, zlib.compress(TEXT.encode(), wbits=-15)),
    "base64 by query": ({}, {"compression": "base64"}, base64_of(TEXT)),
    "base64 unannounced": ({}, {}, base64_of(TEXT)),
    "base64 of gzip": ({}, {"compression": "base64"}, base64_of(gzip.compress(TEXT.encode()))),
    "a form of base64": (FORM, {}, urlencode({"data": base64_of(TEXT), "compression": "base64"})),
    "a form of JSON": (FORM, {}, urlencode({"data": TEXT, "ver": "1.2"})),
    "a form whose plus signs are bare": (FORM, {}, "compression=base64&data=" + base64_of(TEXT)),
    "a query of base64": ({}, {"data": base64_of(TEXT)}, b""),
    "a query of JSON": ({}, {"data": TEXT}, b""),
}


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_of_a_body_is_read(sandbox: Any, anyone: AsyncClient, form: str):
    headers, query, content = FORMS[form]
    reply = await anyone.post("/e/", params=query, headers=headers, content=content)
    assert (reply.status_code, reply.text) == (200, '{"status":"Ok"}')
    assert stored(sandbox) == [("seen", "ann", EVENT["properties"])]


async def test_a_pixel_sends_its_event_in_the_query(sandbox: Any, anyone: AsyncClient):
    reply = await anyone.get("/e/", params={"data": base64_of(TEXT)})
    assert reply.json() == OK
    assert len(stored(sandbox)) == 1


async def test_a_beacon_gets_no_body(anyone: AsyncClient):
    reply = await send(anyone, EVENT, "/e/?beacon=1")
    assert (reply.status_code, reply.content) == (204, b"")


@pytest.mark.parametrize(
    "payload", [EVENT, [EVENT], BATCH, {"token": "phc_sandbox", "batch": BATCH["batch"]}]
)
async def test_one_event_an_array_and_a_batch_are_taken(sandbox: Any, anyone: AsyncClient, payload: Any):
    assert (await send(anyone, payload)).json() == OK
    assert len(stored(sandbox)) == 1


@pytest.mark.parametrize(
    "token", [{"api_key": "phc_sandbox"}, {"token": "phc_sandbox"}, {"$token": " phc_sandbox\n"}, {}]
)
async def test_the_token_is_found_where_sdks_put_it(sandbox: Any, anyone: AsyncClient, token: dict[str, str]):
    inside = {} if token else {"token": "phc_sandbox"}
    await send(anyone, {"event": "seen", "distinct_id": "ann", "properties": inside, **token})
    assert len(stored(sandbox)) == 1


@pytest.mark.parametrize(
    ("item", "distinct_id"),
    [
        ({"distinct_id": 23}, "23"),
        ({"distinct_id": ["a", {"b": "é"}]}, '["a",{"b":"é"}]'),
        ({"distinct_id": True}, "true"),
        ({"$distinct_id": "x"}, "x"),
        ({"distinct_id": "top", "properties": {"distinct_id": "inside"}}, "top"),
        ({"properties": {"distinct_id": "inside"}}, "inside"),
        ({"distinct_id": "i" * 300}, "i" * 200),
        ({"distinct_id": " padded "}, " padded "),
    ],
)
async def test_a_distinct_id_is_found_and_made_text(sandbox: Any, anyone: AsyncClient, item, distinct_id):
    await send(anyone, {"api_key": "phc_sandbox", "event": "seen", **item})
    assert [row[1] for row in stored(sandbox)] == [distinct_id]


async def test_all_fields_of_an_event_arrive(sandbox: Any, anyone: AsyncClient):
    uuid = "0197F000-0000-7000-8000-0000000000AA"
    item = {"event": "seen", "distinct_id": "ann", "uuid": uuid, "timestamp": "2026-03-01T10:00:00Z"}
    more = {"$set": {"a": 1}, "$set_once": {"b": 1}}
    headers = {"x-forwarded-for": "10.1.2.3, 10.9.9.9"}
    await send(anyone, {"api_key": "phc_sandbox", "batch": [item | more]}, headers=headers)
    (row,) = sandbox.engine.rows("events")
    assert (row["uuid"], row["timestamp"]) == (uuid.lower(), "2026-03-01 10:00:00.000000")
    assert json.loads(row["properties"]) == {"$set": {"a": 1}, "$set_once": {"b": 1}, "$ip": "10.1.2.3"}


@pytest.mark.parametrize("way", ["sent_at", "_"])
async def test_the_clients_clock_is_corrected(sandbox: Any, anyone: AsyncClient, way: str):
    ahead = sandbox.clock() + timedelta(hours=3)
    item = {"event": "seen", "distinct_id": "ann", "timestamp": (ahead - timedelta(hours=1)).isoformat()}
    payload = {"api_key": "phc_sandbox", "batch": [item]}
    query = {}
    if way == "sent_at":
        payload["sent_at"] = ahead.isoformat()
    else:
        query["_"] = str(int(ahead.timestamp() * 1000))
    await send(anyone, payload, params=query)
    (row,) = sandbox.engine.rows("events")
    age = datetime.fromisoformat(row["created_at"]) - datetime.fromisoformat(row["timestamp"])
    assert abs(age - timedelta(hours=1)) < timedelta(minutes=1)


async def test_engage_without_a_name_identifies(sandbox: Any, anyone: AsyncClient):
    await send(anyone, {"token": "phc_sandbox", "distinct_id": "ann", "$set": {"a": 1}}, "/engage/")
    assert [row[0] for row in stored(sandbox)] == ["$identify"]


async def test_events_of_a_token_nobody_has_vanish_with_200(sandbox: Any, anyone: AsyncClient):
    reply = await send(anyone, EVENT | {"api_key": "phc_other"})
    assert (reply.status_code, reply.json()) == (200, OK)
    assert stored(sandbox) == []


async def test_web_pages_may_send(anyone: AsyncClient):
    headers = {"origin": "https://shop.test", "access-control-request-headers": "content-type"}
    for reply in (
        await anyone.options("/e/", headers=headers),
        await send(anyone, {}, "/e/", headers=headers),
    ):
        assert reply.headers["access-control-allow-origin"] == "https://shop.test"
        assert reply.headers["access-control-allow-credentials"] == "true"
        assert reply.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
        assert reply.headers["access-control-allow-headers"] == "content-type"
    assert (await anyone.options("/e/")).json() == OK


# -- refusals


def event(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in (EVENT | changes).items() if value is not ...}


@pytest.mark.parametrize(
    ("payload", "status", "text"),
    [
        ([], 400, "request holds no event"),
        ({"api_key": "phc_sandbox", "batch": []}, 400, "request holds no event"),
        (event(event=...), 400, "event submitted with an empty event name"),
        (event(event=""), 400, "event submitted with an empty event name"),
        (event(event=None), 400, "event submitted with an empty event name"),
        (event(distinct_id=...), 400, "event submitted without a distinct_id"),
        (event(distinct_id=""), 400, "event submitted without a distinct_id"),
        (event(distinct_id=None), 400, "event submitted without a distinct_id"),
        (event(api_key=...), 401, "event submitted without an api_key"),
        ([event(), event(api_key="phc_other")], 401, "batch submitted with inconsistent api_key values"),
        (event(api_key=" "), 401, "API key is not valid: empty"),
        (event(api_key="phx_sandbox"), 401, "API key is not valid: personal_api_key"),
        (event(api_key="p" * 65), 401, "API key is not valid: too_long"),
        (event(api_key="phc_é"), 401, "API key is not valid: not_ascii"),
        (event(api_key="phc_\x00"), 401, "API key is not valid: null_byte"),
        (event(uuid="17"), 400, "failed to parse request: UUID parsing failed: '17'"),
        (event(uuid=17), 400, "failed to parse request: uuid is a number, expected a string"),
        (event(timestamp=17), 400, "failed to parse request: timestamp is a number, expected a string"),
        (event(offset="1"), 400, "failed to parse request: offset is a string, expected an integer"),
        (event(properties=[]), 400, "failed to parse request: properties is an array, expected an object"),
        (event(**{"$set": 1}), 400, "failed to parse request: $set is a number, expected an object"),
        (event(api_key=1), 400, "failed to parse request: api_key is a number, expected a string"),
        ([event(), "seen"], 400, "failed to parse request: an event is a string, expected an object"),
        (5, 400, "failed to parse request: an event is a number, expected an object"),
    ],
)
async def test_a_wrong_event_is_refused(sandbox: Any, anyone: AsyncClient, payload, status, text):
    reply = await send(anyone, payload)
    assert (reply.status_code, reply.text) == (status, text)
    assert reply.headers["content-type"].startswith("text/plain")
    assert stored(sandbox) == []


async def test_one_wrong_event_refuses_all_of_its_request(sandbox: Any, anyone: AsyncClient):
    good, bad = {"event": "seen", "distinct_id": "ann"}, {"event": "seen"}
    reply = await send(anyone, {"api_key": "phc_sandbox", "batch": [good, bad, good]})
    assert (reply.status_code, reply.text) == (400, "event submitted without a distinct_id")
    assert stored(sandbox) == []


async def test_an_engine_that_is_down_asks_for_a_retry(sandbox: Any, anyone: AsyncClient):
    sandbox.engine.failures = [stopped(), stopped()]
    item = EVENT | {"uuid": "0197f000-0000-7000-8000-0000000000aa"}
    reply = await send(anyone, item)
    assert (reply.status_code, reply.text) == (503, "transient error, please retry")
    assert (await send(anyone, item)).status_code == 200
    assert len(stored(sandbox)) == 1


async def test_a_sandbox_that_stops_asks_for_a_retry(sandbox: Any, anyone: AsyncClient):
    await sandbox.ingest.close()
    assert (await send(anyone, EVENT)).status_code == 503


@pytest.mark.parametrize(
    ("content", "more", "text"),
    [
        (b"", {}, "failed to decode request: the request has no body and no data"),
        (b"\x1f\x8bnot gzip", {}, "failed to decode request: invalid gzip or deflate data"),
        (
            gzip.compress(b"{}" * 99, mtime=0)[:-9],
            {},
            "failed to decode request: the compressed data ends too early",
        ),
        (b"AAAAA", {"params": {"compression": "base64"}}, "failed to decode request: invalid base64"),
        (b"{}", {"params": {"compression": "lz64"}}, "failed to decode request: lz64 is not supported"),
        (b"x=1", {"headers": FORM}, "failed to decode request: expected form data"),
        (b"{", {}, "failed to parse request: "),
        (b'{"a": NaN}', {}, "failed to parse request: NaN"),
        (b"[" * 100_000, {}, "failed to parse request: recursion limit exceeded"),
        (b'{"event": "\xff"}', {}, "failed to parse request: "),
    ],
)
async def test_what_cannot_be_read_is_refused(anyone: AsyncClient, content: bytes, more: Any, text: str):
    reply = await anyone.post("/batch/", content=content, **more)
    assert reply.status_code == 400
    assert reply.text.startswith(text)


async def test_what_is_too_large_is_refused_before_it_is_read(anyone: AsyncClient):
    reply = await anyone.post("/batch/", content=b" " * (body.LIMIT + 1))
    assert (reply.status_code, reply.text[:27]) == (413, "maximum event size exceeded")


async def test_what_is_too_large_is_refused_as_it_streams_in(anyone: AsyncClient):
    read = 0

    async def endless():
        nonlocal read
        while True:
            read += 1 << 20
            yield b" " * (1 << 20)

    reply = await anyone.post("/batch/", content=endless())
    assert reply.status_code == 413
    assert read <= body.LIMIT + (2 << 20)


@pytest.mark.parametrize("bomb", [gzip.compress(b" " * (200 << 20), 9), zlib.compress(b" " * (200 << 20), 9)])
async def test_a_bomb_is_refused_without_being_unpacked(anyone: AsyncClient, bomb: bytes):
    tracemalloc.start()
    reply = await anyone.post("/batch/", content=bomb, headers={"content-encoding": "deflate"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reply.status_code == 413
    assert peak < 64 << 20


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200)
    | st.binary(max_size=99).map(gzip.compress)
    | st.binary(max_size=99).map(base64.b64encode),
    st.sampled_from(["", "gzip", "gzip-js", "base64", "lz64", "deflate"]),
    st.sampled_from(["", "application/json", FORM["content-type"]]),
)
def test_any_bytes_are_read_or_refused(data: bytes, compression: str, content_type: str):
    status = 200
    try:
        text = body.unwrap(data, query={"compression": compression}, content_type=content_type, encoding="")
        body.parse(text)
    except CaptureError as error:
        status = error.status
    assert status in (200, 400, 413)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ITEMS = st.dictionaries(
    st.sampled_from(
        ["event", "distinct_id", "properties", "uuid", "timestamp", "offset", "$set", "api_key", "token"]
    ),
    JSON_VALUES,
)


@settings(max_examples=150, deadline=None)
@given(
    JSON_VALUES
    | ITEMS
    | st.lists(ITEMS, max_size=3)
    | st.fixed_dictionaries({"batch": JSON_VALUES | st.lists(ITEMS)})
)
def test_any_json_becomes_events_or_a_refusal(payload: Any):
    status, token, events = 200, "x", []
    try:
        token, events = decode.decode(payload, received_at=datetime(2026, 3, 1, tzinfo=UTC), ip=None)
    except CaptureError as error:
        status = error.status
    assert status in (200, 400, 401)
    assert token.strip()
    assert all(one.event and one.distinct_id for one in events)
