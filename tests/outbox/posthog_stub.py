"""A PostHog of a few lines in this process: it notes every batch, and answers as a test says."""

import asyncio
import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

Json = dict[str, Any]


@dataclass
class Reply:
    """An answer; `drop` cuts the connection, `before` the events are noted or `after` that."""

    status: int = 200
    body: Any = None
    page: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    drop: str = ""
    delay: float = 0.0


@dataclass
class Batch:
    """One request: what was in it, and when it came."""

    body: Json
    at: float
    size: int

    @property
    def events(self) -> list[Json]:
        return self.body["batch"]

    @property
    def names(self) -> list[str]:
        return [event["event"] for event in self.events]


class Stub:
    """Answers `POST /batch/`.

    Attributes:
        batches: Every request that was answered or cut.
        taken: The events of those answered with 200 (or whose answer was lost), in order of arrival.
    """

    def __init__(self, answer: Callable[[Batch], Reply] = lambda _: Reply()) -> None:
        self.answer = answer
        self.batches: list[Batch] = []
        self.taken: list[Json] = []
        self._serving: set[asyncio.Task[None]] = set()
        self.busy = 0
        self.most_at_once = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=64 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        serving = tuple(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def uuids(self) -> list[str]:
        return [event["uuid"] for event in self.taken]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode().lower():
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                body = await reader.readexactly(int(headers["content-length"]))
                self.busy += 1
                self.most_at_once = max(self.most_at_once, self.busy)
                try:
                    if not await self._answer(headers, body, writer):
                        return
                finally:
                    self.busy -= 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return  # asyncio's server would complain of a cancelled task
        finally:
            self._serving.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        assert headers["content-encoding"] == "gzip"
        plain = gzip.decompress(body)
        batch = Batch(json.loads(plain), asyncio.get_running_loop().time(), len(plain))
        self.batches.append(batch)
        reply = self.answer(batch)
        await asyncio.sleep(reply.delay)
        if reply.status == 200 and reply.drop != "before":
            self.taken += batch.events
        if reply.drop:
            writer.transport.abort()
            return False
        text = (reply.page or json.dumps({"status": "Ok"} if reply.body is None else reply.body)).encode()
        lines = [f"HTTP/1.1 {reply.status} X", "content-type: application/json"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        lines += [f"content-length: {len(text)}", "", ""]
        writer.write("\r\n".join(lines).encode() + text)
        await writer.drain()
        return True


def bad(names: set[str], status: int) -> Callable[[Batch], Reply]:
    """Refuses every request that holds an event of these names, as PostHog does."""

    def answer(batch: Batch) -> Reply:
        return Reply(status, {"detail": "no"}) if names & set(batch.names) else Reply()

    return answer


def in_turn(*replies: Reply) -> Callable[[Batch], Reply]:
    """These answers one after the other, then 200."""
    left = list(replies)
    return lambda _: left.pop(0) if left else Reply()
