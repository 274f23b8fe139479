"""Bodies of capture requests: read, decompressed and unwrapped, never beyond the size a request may have."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import parse_qs

from posthog_mcp.sandbox.capture.errors import CaptureError, too_big, undecodable, unparsable

if TYPE_CHECKING:
    from starlette.requests import Request

LIMIT: Final = 20 * 1024 * 1024
"""Bytes of a request, as sent and decompressed."""

_FORM: Final = "application/x-www-form-urlencoded"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ANY_ZLIB: Final = 32 + zlib.MAX_WBITS
_RAW_DEFLATE: Final = -zlib.MAX_WBITS
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_\-\s]{8,}={0,2}\s*")


async def read(request: Request) -> bytes:
    """The body as sent.

    Raises:
        CaptureError: 413 as soon as it is longer than `LIMIT`.
    """
    if int(request.headers.get("content-length") or 0) > LIMIT:
        raise too_big(LIMIT)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LIMIT:
            raise too_big(LIMIT)
        chunks.append(chunk)
    return b"".join(chunks)


def unwrap(body: bytes, *, query: dict[str, str], content_type: str, encoding: str) -> bytes:
    """The JSON text inside a request of the older endpoints.

    Args:
        body: The body as sent; unused when the query has `data`.
        query: The query parameters; `data` and `compression` count.
        content_type: The header; a form has its JSON in the field `data`.
        encoding: The header `Content-Encoding`.

    Raises:
        CaptureError: 400 when it cannot be decoded, 413 when it is too large.
    """
    compression = query.get("compression", "")
    if data := query.get("data"):
        body = data.replace(" ", "+").encode() if _is_base64(data.encode()) else data.encode()
    elif content_type.startswith(_FORM):
        body, compression = _form(body, compression)
    if not body:
        raise undecodable("the request has no body and no data")
    hint = compression or encoding
    if hint == "lz64":
        raise undecodable("lz64 is not supported here, use gzip or plain JSON")
    if hint == "base64" or (body[:1] not in b'{["' and _is_base64(body)):
        body = _from_base64(body)
    if body.startswith(_GZIP_MAGIC) or hint in ("gzip", "gzip-js", "deflate"):
        body = inflate(body)
    return body


def _form(body: bytes, compression: str) -> tuple[bytes, str]:
    try:
        fields = parse_qs(body.decode(), max_num_fields=100)
    except ValueError as error:
        raise undecodable(f"invalid form data: {error}") from None
    if "data" not in fields:
        raise undecodable("expected form data in POST request payload")
    data = fields["data"][0].encode()
    if _is_base64(data):  # the form reads its plus signs as spaces
        data = data.replace(b" ", b"+")
    return data, fields.get("compression", [compression])[0]


def _is_base64(data: bytes) -> bool:
    return _BASE64.fullmatch(data) is not None


def _from_base64(data: bytes) -> bytes:
    compact = data.translate(bytes.maketrans(b"-_", b"+/"), b" \t\r\n=")
    try:
        return base64.b64decode(compact + b"=" * (-len(compact) % 4), validate=True)
    except binascii.Error as error:
        raise undecodable(f"invalid base64: {error}") from None


def inflate(data: bytes) -> bytes:
    """Decompress gzip (several members too), zlib or raw deflate, stopping at `LIMIT`."""
    zipped = data[:1] in (b"\x1f", b"\x78")
    parts: list[bytes] = []
    room = LIMIT
    while data:
        decoder = zlib.decompressobj(_ANY_ZLIB if zipped else _RAW_DEFLATE)
        try:
            part = decoder.decompress(data, room + 1)
        except zlib.error as error:
            raise undecodable(f"invalid gzip or deflate data: {error}") from None
        room -= len(part)
        if room < 0:
            raise too_big(LIMIT)
        if not decoder.eof:
            raise undecodable("the compressed data ends too early")
        parts.append(part)
        data = decoder.unused_data
        if not data.startswith(_GZIP_MAGIC):
            break
    return b"".join(parts)


class _Zstandard(Protocol):
    """What Python 3.14 has for Zstandard."""

    def ZstdDecompressor(self) -> Any:  # noqa: N802 - Python's name
        """A decoder with `decompress(data, max_length)` and `eof`."""
        ...


def unzstd(data: bytes) -> bytes:
    """Decompress Zstandard, stopping at `LIMIT`.

    Raises:
        CaptureError: 415 where this Python has no decoder (before 3.14), 400 for what is no Zstandard.
    """
    try:
        zstandard = cast("_Zstandard", import_module("compression.zstd"))
    except ImportError:
        raise CaptureError(
            415, "unsupported content encoding: zstd needs Python 3.14 here, use gzip"
        ) from None
    decoder = zstandard.ZstdDecompressor()
    try:
        text: bytes = decoder.decompress(data, LIMIT + 1)
    except Exception as error:  # noqa: BLE001 - its own error class exists only where the module does
        raise undecodable(f"invalid zstd data: {error}") from None
    if len(text) > LIMIT:
        raise too_big(LIMIT)
    if not decoder.eof:
        raise undecodable("the compressed data ends too early")
    return text


def parse(text: bytes) -> Any:
    """The JSON value of a text.

    Raises:
        CaptureError: 400 when it is none; NaN and Infinity are none.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise unparsable("recursion limit exceeded") from None
    except ValueError as error:
        raise unparsable(str(error)) from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")
