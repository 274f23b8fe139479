"""The wire: one pooled HTTP client, the only place that knows the HTTP library.

Proxy and certificate variables of the system are not read, redirects are not followed, cookies are not kept,
and an answer is read no further than the cap.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread
import httpx2

CONNECT_SECONDS = 5.0
WRITE_SECONDS = 30.0
KEEP_ALIVE_SECONDS = 30.0
CONNECTIONS = 32


@dataclass(frozen=True)
class RawAnswer:
    """What came back: the status, the header fields by lower-case name, the decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TransportError(Exception):
    """No usable answer came back.

    Attributes:
        kind: `connect`, `tls`, `timeout`, `broken`, `too_large`, `undecodable` or `setup`.
        sent: False when the request certainly never left.
        reason: The library's own words; they may hold addresses.
    """

    def __init__(self, kind: str, reason: str, *, sent: bool) -> None:
        super().__init__(kind)
        self.kind = kind
        self.reason = reason
        self.sent = sent


class Transport:
    """Sends requests; opens nothing before the first one.

    Args:
        proxy: URL of an HTTP proxy, else empty.
        ca_file: PEM file of the authorities to trust instead of the system's.
        max_answer_bytes: Largest decoded body that is read.
        wire: Stand-in for the network, for tests and for PostHogs in process.
    """

    def __init__(
        self,
        *,
        proxy: str = "",
        ca_file: Path | None = None,
        max_answer_bytes: int = 64 * 1024 * 1024,
        wire: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._proxy = proxy
        self._ca_file = ca_file
        self._max_answer_bytes = max_answer_bytes
        self._wire = wire
        self._client: httpx2.AsyncClient | None = None
        self._opening = anyio.Lock()

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None, read_seconds: float
    ) -> RawAnswer:
        """Send one request and read its answer whole. Cancelling it closes the connection.

        Raises:
            TransportError: There is no usable answer.
        """
        timeout = httpx2.Timeout(
            read_seconds, connect=CONNECT_SECONDS, write=WRITE_SECONDS, pool=CONNECT_SECONDS
        )
        client = await self._opened()
        try:
            async with client.stream(
                method, url, headers=headers, content=content, timeout=timeout
            ) as answer:
                body = await self._body(answer)
                return RawAnswer(answer.status_code, _lower(answer.headers), body)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise _translated(error) from error

    async def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _opened(self) -> httpx2.AsyncClient:
        client = self._client
        if client is None:
            async with self._opening:
                client = self._client = self._client or await self._first()
        # a cookie of one answer must not change the next one
        client.cookies.clear()
        return client

    async def _first(self) -> httpx2.AsyncClient:
        try:
            # reading the certificates of the system takes tens of milliseconds
            return await anyio.to_thread.run_sync(self._made)
        except (OSError, ValueError, ImportError, httpx2.InvalidURL) as error:
            raise TransportError("setup", str(error), sent=False) from error

    def _made(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            verify=ssl.create_default_context(cafile=str(self._ca_file)) if self._ca_file else True,
            limits=httpx2.Limits(max_connections=CONNECTIONS, keepalive_expiry=KEEP_ALIVE_SECONDS),
            proxy=self._proxy or None,
            transport=self._wire,
        )

    async def _body(self, answer: httpx2.Response) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in answer.aiter_bytes():
            size += len(chunk)
            if size > self._max_answer_bytes:
                raise TransportError("too_large", f"more than {self._max_answer_bytes} bytes", sent=True)
            chunks.append(chunk)
        return b"".join(chunks)


def _lower(headers: httpx2.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _translated(error: Exception) -> TransportError:
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return TransportError("connect", "no connection in time", sent=False)
    if isinstance(error, httpx2.ConnectError | ssl.SSLError):
        tls = isinstance(error, ssl.SSLError) or "CERTIFICATE" in reason.upper() or "SSL" in reason.upper()
        return TransportError("tls" if tls else "connect", reason, sent=False)
    if isinstance(error, httpx2.ProxyError | httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
        return TransportError("connect", reason, sent=False)
    if isinstance(error, httpx2.TimeoutException):
        return TransportError("timeout", reason, sent=True)
    if isinstance(error, httpx2.DecodingError):
        return TransportError("undecodable", reason, sent=True)
    if isinstance(error, httpx2.InvalidURL):
        return TransportError("setup", reason, sent=False)
    return TransportError("broken", reason, sent=True)
