"""The asynchronous side of the engine: starts the worker process, sends it statements, reads its answers."""

import asyncio
import itertools
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from posthog_mcp.sandbox.engine import errors, frames, schema
from posthog_mcp.sandbox.engine.errors import ENGINE_MISSING_EXIT, EngineError, EngineMissing

Parameters = Mapping[str, str | int | float]

START_SECONDS: Final = 30.0
END_SECONDS: Final = 5.0
#: How long beyond a query's own limit its answer is waited for.
GRACE_SECONDS: Final = 5.0
_BUFFER: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rows:
    """The result of a query.

    Attributes:
        columns: Names, in the order of the SELECT.
        types: ClickHouse's types of them, such as `DateTime64(6, 'UTC')`.
        rows: Values as JSON has them: times are ISO 8601 text in UTC, UInt64 an int, NaN and infinity None.
        read_rows: Rows the engine read for it.
        read_bytes: Bytes the engine read for it, uncompressed.
        seconds: Time from its start in the worker to its end.
    """

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    read_rows: int
    read_bytes: int
    seconds: float


@dataclass(slots=True)
class _Call:
    query_id: str
    answer: asyncio.Future[tuple[frames.Header, bytes]]


class Engine:
    """One data directory of the sandbox's database, used from one event loop.

    A worker that dies fails the calls in flight with EngineError code 0; the next call starts it again.
    """

    def __init__(self, data_dir: Path) -> None:
        """Use `Engine.start`."""
        self._data_dir = data_dir
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._calls: dict[int, _Call] = {}
        self._numbers = itertools.count(1)
        self._closed = False

    @classmethod
    async def start(cls, data_dir: Path) -> Self:
        """Open `data_dir` (made when missing) and create the tables of schema.py in it.

        Raises:
            EngineMissing: chdb is not installed.
            EngineError: Another process has the directory open, or the engine could not start.
        """
        engine = cls(data_dir)
        await engine._worker()
        return engine

    @property
    def pid(self) -> int | None:
        """The worker's process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def query(
        self,
        sql: str,
        params: Parameters | None = None,
        *,
        query_id: str = "",
        seconds: float = 10.0,
        settings: Mapping[str, str | int | float] | None = None,
    ) -> Rows:
        """Run one SELECT, readonly, at most 50,001 rows.

        Args:
            sql: SQL printed by the compiler, never a user's own text: readonly does not stop `file()`.
            params: Values of its `{name:Type}` placeholders.
            query_id: What `cancel` finds it by.
            seconds: Time limit, the wait for a free thread counted.
            settings: Further ClickHouse settings (SQL cannot set any).

        Raises:
            EngineError: See its attributes for the kinds.
        """
        header = {
            "sql": sql,
            "params": dict(params or {}),
            "seconds": seconds,
            "settings": dict(settings or {}),
        }
        try:
            async with asyncio.timeout(seconds + GRACE_SECONDS):
                answer, body = await self._call("query", header, query_id=query_id)
        except TimeoutError:
            raise EngineError(
                errors.TIMED_OUT, "TIMEOUT_EXCEEDED", "The query did not end in time."
            ) from None
        result = json.loads(body.decode(errors="replace"))
        meta, statistics = result["meta"], result["statistics"]
        return Rows(
            columns=[column["name"] for column in meta],
            types=[column["type"] for column in meta],
            rows=result["data"],
            read_rows=statistics["rows_read"],
            read_bytes=statistics["bytes_read"],
            seconds=answer["seconds"],
        )

    async def insert(self, table: str, rows: bytes) -> None:
        """Append rows to a table; they survive a killed process once this returns.

        Args:
            table: A name of schema.TABLES, with or without `ph.`.
            rows: JSON lines; times as `YYYY-MM-DD hh:mm:ss.ffffff` in UTC. A field that the table
                lacks is an error.

        Raises:
            EngineError: Nothing was written, unless the code is 0 (the worker died: unknown).
        """
        name = table.removeprefix(f"{schema.DATABASE}.")
        if name not in schema.TABLES:
            raise EngineError(60, "UNKNOWN_TABLE", f"The sandbox has no table {table!r}.")
        expected = rows.count(b"\n") + (bool(rows) and not rows.endswith(b"\n"))
        _, body = await self._call("insert", {"table": name}, rows)
        if int(body) != expected:
            raise EngineError(
                1002, "UNKNOWN_EXCEPTION", f"Of {expected} rows for {name}, {int(body)} were written."
            )

    async def execute(self, sql: str, params: Parameters | None = None) -> None:
        """Run one statement of the sandbox's own that changes something, mutations included, to its end."""
        await self._call("execute", {"sql": sql, "params": dict(params or {})})

    async def cancel(self, query_id: str) -> bool:
        """Stop the queries started with this id, and wait until they have ended with code 394.

        Returns:
            Whether one was running or waiting.
        """
        targets = [number for number, call in self._calls.items() if query_id and call.query_id == query_id]
        answers = [await self._call("cancel", {"target": target}) for target in targets]
        return any(body == b"true" for _, body in answers)

    async def close(self) -> None:
        """Stop what runs (its callers get an EngineError) and end the worker. Further calls are refused."""
        self._closed = True
        async with self._starting:
            if self._process is not None:
                await _end(self._process)
            if self._reading is not None:
                await self._reading

    async def _call(
        self, op: str, header: frames.Header, body: bytes = b"", *, query_id: str = ""
    ) -> tuple[frames.Header, bytes]:
        process = await self._worker()
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._calls[number] = _Call(query_id, answer)
        try:
            await _send(process, {"id": number, "op": op, **header}, body)
            return await answer
        except asyncio.CancelledError:
            # Nobody wants the result any more, so the engine need not go on either.
            if op == "query" and self.pid is not None:
                _write(process, {"id": next(self._numbers), "op": "cancel", "target": number})
            raise
        finally:
            del self._calls[number]

    async def _worker(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._closed:
                raise errors.stopped("The sandbox's engine is closed.")
            if self._process is None or self._process.returncode is not None or _ended(self._reading):
                self._process = await self._spawn()
            return self._process

    async def _spawn(self) -> asyncio.subprocess.Process:
        if self._process is not None:
            await _end(self._process)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the working directory is somebody else's: a warnings.py there is not ours to import
            "-m",
            "posthog_mcp.sandbox.engine.worker",
            str(self._data_dir),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_BUFFER,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                frame = await _receive(process)
        except TimeoutError:
            frame = None
        header = frame[0] if frame is not None else {}
        if "ready" not in header:
            await _end(process)
            await _receive(process)
            if process.returncode == ENGINE_MISSING_EXIT:
                raise EngineMissing
            if "error" in header:
                raise EngineError(**header["error"])
            raise errors.stopped(f"The sandbox's engine did not start (exit code {process.returncode}).")
        self._reading = asyncio.create_task(self._read(process))
        return process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        while (frame := await _receive(process)) is not None:
            header, body = frame
            call = self._calls.get(header["id"])
            if call is None or call.answer.done():
                continue
            if "error" in header:
                call.answer.set_exception(EngineError(**header["error"]))
            else:
                call.answer.set_result((header, body))
        for call in self._calls.values():
            if not call.answer.done():
                call.answer.set_exception(errors.stopped(self._why_stopped()))

    def _why_stopped(self) -> str:
        if self._closed:
            return "The sandbox's engine was closed while this call ran."
        return "The sandbox's engine stopped while this call ran. Repeat the call: it starts again."


def _ended(task: asyncio.Task[None] | None) -> bool:
    return task is not None and task.done()


def _write(process: asyncio.subprocess.Process, header: frames.Header, body: bytes = b"") -> None:
    assert process.stdin is not None  # noqa: S101  PIPE was asked for
    process.stdin.write(frames.opening(header, body))
    process.stdin.write(body)


async def _send(process: asyncio.subprocess.Process, header: frames.Header, body: bytes) -> None:
    _write(process, header, body)
    assert process.stdin is not None  # noqa: S101  PIPE was asked for
    try:
        await process.stdin.drain()
    except ConnectionError:
        # The worker died. The reader of its answers sees that too, and says so to every call.
        return


async def _receive(process: asyncio.subprocess.Process) -> tuple[frames.Header, bytes] | None:
    assert process.stdout is not None  # noqa: S101  PIPE was asked for
    try:
        head_size, body_size = frames.LENGTHS.unpack(await process.stdout.readexactly(frames.LENGTHS.size))
        head = await process.stdout.readexactly(head_size)
        body = await process.stdout.readexactly(body_size)
    except asyncio.IncompleteReadError:
        return None
    return json.loads(head), body


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close the worker's stdin, which ends it; kill it if it does not within END_SECONDS."""
    assert process.stdin is not None  # noqa: S101  PIPE was asked for
    process.stdin.close()
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
