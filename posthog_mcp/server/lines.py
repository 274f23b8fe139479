"""Lines of JSON to messages of the protocol; what is no message becomes the answer it deserves."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mcp.types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    JSONRPCMessage,
    JSONRPCNotification,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from pydantic_core import from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_LINE = 4 * 1024 * 1024
"""Bytes. A longer line is dropped while it streams in."""

_ENDS = 4096  # bytes kept of each end of a line that is dropped, to find the id in
_ID = rb'"id"\s*:\s*("(?:[^"\\]|\\.){1,256}"|-?\d{1,18})'
# Clients write the id near the start or at the very end. Nested ids are not followed by the last brace.
_ID_AT_START = re.compile(
    rb'\A(?:\xef\xbb\xbf)?\s*\{\s*(?:"(?:jsonrpc|method)"\s*:\s*"[^"]{1,200}"\s*,\s*)*' + _ID
)
_ID_AT_END = re.compile(rb",\s*" + _ID + rb'\s*(?:,\s*"(?:jsonrpc|method)"\s*:\s*"[^"]{1,200}"\s*)*\}\s*\Z')


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a line that is no message."""

    id: str | int | None
    code: int
    message: str

    def encode(self) -> bytes:
        """One line of JSON."""
        error = {"code": self.code, "message": self.message}
        return json.dumps({"jsonrpc": "2.0", "id": self.id, "error": error}).encode() + b"\n"


def messages(read: Callable[[], bytes]) -> Iterator[tuple[JSONRPCMessage | Refusal, int]]:
    """The messages of a stream, each with the bytes of its line (0 for a line that was dropped).

    A byte order mark before the first one is ignored: Windows shells write it when they pipe text.

    Args:
        read: Gives the next bytes, blocking until there are some; none at the end.
    """
    mark = codecs.BOM_UTF8
    for line in _lines(read):
        if isinstance(line, Refusal):
            yield line, 0
        elif text := line.removeprefix(mark).strip():
            yield _message(text), len(line)
        mark = b""


def _lines(read: Callable[[], bytes]) -> Iterator[bytes | Refusal]:
    line, tail, length = bytearray(), b"", 0
    while chunk := read():
        first = True
        for piece in chunk.split(b"\n"):
            if not first:  # a line break stood before this piece
                yield _too_long(line, tail) if length > LONGEST_LINE else bytes(line)
                line, tail, length = bytearray(), b"", 0
            first = False
            length += len(piece)
            if length <= LONGEST_LINE:
                line += piece
            else:
                tail = ((tail or bytes(line[-_ENDS:])) + piece[-_ENDS:])[-_ENDS:]
                line = (line[:_ENDS] + piece[:_ENDS])[:_ENDS]
    if length:
        yield _too_long(line, tail) if length > LONGEST_LINE else bytes(line)


def _message(line: bytes) -> JSONRPCMessage | Refusal:
    try:
        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError:
        return _no_message(line)
    # The SDK takes a request whose id it cannot read for a notification, and its sender would wait for ever.
    if isinstance(message, JSONRPCNotification) and "id" in from_json(line):
        return Refusal(None, INVALID_REQUEST, "The `id` of a request must be a string or an integer.")
    return message


def _no_message(line: bytes) -> Refusal:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return Refusal(None, PARSE_ERROR, "This line is not JSON.")
    if isinstance(value, list):
        return Refusal(None, INVALID_REQUEST, "Batches are not supported: send one message a line.")
    request = cast("dict[str, Any]", value).get("id") if isinstance(value, dict) else None
    known = request if isinstance(request, str | int) and not isinstance(request, bool) else None
    return Refusal(known, INVALID_REQUEST, "This line is JSON, but no message of JSON-RPC 2.0.")


def _too_long(head: bytes | bytearray, tail: bytes | bytearray) -> Refusal:
    match = _ID_AT_START.search(head) or _ID_AT_END.search(tail)
    try:
        request = json.loads(match[1]) if match else None
    except ValueError:
        request = None
    return Refusal(request, INVALID_REQUEST, f"The line is longer than {LONGEST_LINE // 2**20} MiB.")
