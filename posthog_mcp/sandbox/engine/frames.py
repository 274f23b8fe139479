"""The frames that the sandbox and its engine worker exchange over pipes.

A frame is two lengths (big-endian, 4 bytes each), a JSON header, and raw bytes that are never re-encoded:
the rows of an insert on the way in, ClickHouse's own JSON on the way out.
"""

import json
import struct
from typing import Any, BinaryIO

Header = dict[str, Any]

LENGTHS = struct.Struct(">II")


def opening(header: Header, body: bytes) -> bytes:
    """Return the lengths and the header of a frame; `body` follows as it is."""
    head = json.dumps(header, separators=(",", ":")).encode()
    return LENGTHS.pack(len(head), len(body)) + head


def write(pipe: BinaryIO, header: Header, body: bytes = b"") -> None:
    """Write one frame and flush it."""
    pipe.write(opening(header, body))
    pipe.write(body)
    pipe.flush()


def read(pipe: BinaryIO) -> tuple[Header, bytes] | None:
    """Read one frame; None when the other side has closed the pipe, within a frame or between two."""
    lengths = pipe.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head_size, body_size = LENGTHS.unpack(lengths)
    head, body = pipe.read(head_size), pipe.read(body_size)
    if len(head) < head_size or len(body) < body_size:
        return None
    return json.loads(head), body
