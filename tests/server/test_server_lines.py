import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.types import JSONRPCNotification, JSONRPCRequest

from posthog_mcp.server.lines import LONGEST_LINE, Refusal, messages

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


def read_all(*chunks: bytes) -> list[object]:
    rest = list(chunks)
    return [item for item, _ in messages(lambda: rest.pop(0) if rest else b"")]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=50), max_size=20))
def test_it_does_not_matter_where_reads_cut_the_stream(cuts: list[int]) -> None:
    stream = (
        PING + b"\n" + b'{"jsonrpc":"2.0","method":"notifications/initialized"}' + b"\r\n\n" + PING + b"\n"
    )
    chunks, start = list[bytes](), 0
    for cut in cuts:
        chunks.append(stream[start : start + cut])
        start += cut
    found = read_all(*[chunk for chunk in chunks if chunk], stream[start:])
    assert [type(item) for item in found] == [JSONRPCRequest, JSONRPCNotification, JSONRPCRequest]


def test_a_last_line_without_its_end_still_counts() -> None:
    assert [type(item) for item in read_all(PING)] == [JSONRPCRequest]


@pytest.mark.parametrize("line", [b"nope", b"{", b"\xff\xfe", b'{"id": 1, "method"}', b"[" * 5_000])
def test_what_is_not_json_is_a_parse_error(line: bytes) -> None:
    [refusal] = read_all(line + b"\n")
    assert isinstance(refusal, Refusal)
    assert (refusal.id, refusal.code) == (None, -32700)


@pytest.mark.parametrize(
    ("line", "request_id"),
    [
        (b'{"id": 7}', 7),
        (b'{"id": "seven", "method": 3, "jsonrpc": "2.0"}', "seven"),
        (b'{"id": true, "jsonrpc": "2.0"}', None),
        (b'{"id": 1, "method": "ping"}', 1),
        (b"[]", None),
        (b"[" + PING + b"]", None),
        (b"3", None),
        (b"null", None),
    ],
)
def test_json_that_is_no_message_is_an_invalid_request_with_its_id(line: bytes, request_id: object) -> None:
    [refusal] = read_all(line + b"\n")
    assert isinstance(refusal, Refusal)
    assert (refusal.id, refusal.code) == (request_id, -32600)


@pytest.mark.parametrize("request_id", ["2.5", "2.0", "1e3", "null", "true", "[1]", '{"a":1}'])
def test_a_request_whose_id_is_neither_text_nor_an_integer_is_refused(request_id: str) -> None:
    [refusal] = read_all(b'{"jsonrpc":"2.0","method":"ping","id":%s}\n' % request_id.encode())
    assert refusal == Refusal(None, -32600, "The `id` of a request must be a string or an integer.")


def test_an_id_inside_the_params_of_a_notification_is_none_of_its_own() -> None:
    [message] = read_all(b'{"jsonrpc":"2.0","method":"notifications/x","params":{"id":2.5}}\n')
    assert isinstance(message, JSONRPCNotification)


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n", b"\xef\xbb\xbf  "])
def test_a_byte_order_mark_before_the_first_message_is_ignored(before: bytes) -> None:
    assert [type(item) for item in read_all(before[:1], before[1:] + PING + b"\n")] == [JSONRPCRequest]


def test_a_byte_order_mark_further_on_is_refused() -> None:
    _, refusal = read_all(PING + b"\n\xef\xbb\xbf" + PING + b"\n")
    assert isinstance(refusal, Refusal)
    assert (refusal.id, refusal.code) == (1, -32600)


def test_each_message_comes_with_the_bytes_of_its_line() -> None:
    rest = [PING + b"\n" + LONG + b"\nnope\n"]
    assert [size for _, size in messages(lambda: rest.pop() if rest else b"")] == [len(PING), 0, 4]


LONG = b"x" * (LONGEST_LINE + 10)


@pytest.mark.parametrize(
    ("line", "request_id"),
    [
        (b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"a":"' + LONG + b'"}}', 5),
        (b'\xef\xbb\xbf{"id":5,"method":"tools/call","params":{"a":"' + LONG + b'"}}', 5),
        (b'{"method":"tools/call","params":{"id":9,"a":"' + LONG + b'"},"jsonrpc":"2.0","id":"b-6"}', "b-6"),
        (b'{"method":"tools/call","params":{"a":"' + LONG + b'","id":9}}', None),
        (LONG, None),
    ],
)
@pytest.mark.parametrize("size", [1_000, 65_536, 10**7])
def test_a_line_that_is_too_long_is_refused_with_its_own_id(
    line: bytes, request_id: object, size: int
) -> None:
    stream = line + b"\n" + PING + b"\n"
    refusal, after = read_all(*[stream[start : start + size] for start in range(0, len(stream), size)])
    assert isinstance(refusal, Refusal)
    assert (refusal.id, refusal.code) == (request_id, -32600)
    assert isinstance(after, JSONRPCRequest)


def test_a_refusal_is_one_line_of_json() -> None:
    line = Refusal("a", -32600, "No.\nReally.").encode()
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "jsonrpc": "2.0",
        "id": "a",
        "error": {"code": -32600, "message": "No.\nReally."},
    }
