"""MCP over standard input and output.

A transport of our own: the SDK's hangs on SIGINT while standard input is open, ends with -15 on SIGTERM, and
says nothing about a malformed line. A daemon thread reads, because a blocked read can neither be cancelled
nor be waited for at the end; writes happen in a worker thread that can be abandoned, because a client may
stop reading. Whatever ends the connection, the process is gone within a second.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp.types import JSONRPCError, JSONRPCMessage, JSONRPCRequest, JSONRPCResponse

from posthog_mcp.server.ending import Ending
from posthog_mcp.server.lines import Refusal, messages

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.server import Server

_Arrival = tuple[JSONRPCMessage | Refusal, int]  # with the bytes of its line

_MOST_IN_FLIGHT = 64
_MOST_READ_AHEAD = 8 * 1024 * 1024  # bytes
_MESSAGE_BYTES = 1024  # what a message takes at least, however short its line
_GRACE_SECONDS = 0.5  # for the answers still due when the client has closed its end


async def serve(server: Server[Any]) -> float:
    """Serve one connection over descriptors 0 and 1 until its client leaves or a signal comes.

    Afterwards the process has less than a second left: signals no longer end it, the backstop does.

    Returns:
        The seconds left.
    """
    stop = anyio.Event()
    with Ending(stop.set) as ending:
        await _Connection(*_take_wire(), stop, ending).run(server)
        return ending.seconds_left()


def _take_wire() -> tuple[int, int]:
    """Private copies of descriptors 0 and 1; a stray print then goes to stderr, and a child reads nothing."""
    wire = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # started without a stderr
        os.dup2(nothing, 1)
    os.close(nothing)
    return wire


class _ReadAhead:
    """How much has been read that the server has not yet taken up.

    On Windows the end of input is only seen by reading up to it, so reading goes on while the server is held
    up: thousands of requests fit. Beyond the limit the client has to wait, lest it fill the memory.
    """

    def __init__(self) -> None:
        self._bytes = 0
        self._less = threading.Condition()

    def add(self, size: int) -> None:
        """Count a message of `size` bytes; blocks until there is room."""
        with self._less:
            self._less.wait_for(lambda: self._bytes < _MOST_READ_AHEAD)
            self._bytes += size + _MESSAGE_BYTES

    def remove(self, size: int) -> None:
        """The server has taken up a message of `size` bytes."""
        with self._less:
            self._bytes -= size + _MESSAGE_BYTES
            self._less.notify()


class _Connection:
    def __init__(self, wire_in: int, wire_out: int, stop: anyio.Event, ending: Ending) -> None:
        self._stop = stop
        self._wire_in, self._wire_out, self._ending = wire_in, wire_out, ending
        self._loop = asyncio.get_running_loop()
        self._read_ahead = _ReadAhead()
        self._permits = anyio.Semaphore(_MOST_IN_FLIGHT)
        self._open = 0  # messages read and not yet dealt with
        self._ended = False

    async def run(self, server: Server[Any]) -> None:
        arrived_send, arrived = anyio.create_memory_object_stream[_Arrival](math.inf)  # _ReadAhead bounds it
        to_server, from_client = anyio.create_memory_object_stream[SessionMessage | Exception]()
        out_send, out = anyio.create_memory_object_stream[SessionMessage | Refusal](_MOST_IN_FLIGHT)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write, out)
            tasks.start_soon(self._pump, arrived, to_server, out_send.clone())
            tasks.start_soon(server.run, from_client, out_send, server.create_initialization_options())
            threading.Thread(target=self._read, args=(arrived_send,), daemon=True, name="stdin").start()
            await self._stop.wait()
            tasks.cancel_scope.cancel()

    def _read(self, arrived: MemoryObjectSendStream[_Arrival]) -> None:
        """The reading thread."""

        def read() -> bytes:
            try:
                return os.read(self._wire_in, 65_536)
            except OSError:
                return b""

        def hand_over(arrival: _Arrival) -> None:
            self._open += 1
            with suppress(anyio.BrokenResourceError):  # the connection has ended meanwhile
                arrived.send_nowait(arrival)

        with suppress(RuntimeError):  # the loop is closed: the process is ending already
            for item, size in messages(read):
                self._read_ahead.add(size)
                self._loop.call_soon_threadsafe(hand_over, (item, size))
            self._ending.begin()
            self._loop.call_soon_threadsafe(self._end_of_input)

    def _end_of_input(self) -> None:
        self._ended = True
        if self._open:
            self._loop.call_later(_GRACE_SECONDS, self._stop.set)
        else:
            self._stop.set()

    def _done(self) -> None:
        self._open -= 1
        if self._ended and not self._open:
            self._stop.set()

    async def _answered(self) -> None:
        self._permits.release()
        self._done()

    async def _pump(
        self,
        arrived: MemoryObjectReceiveStream[_Arrival],
        to_server: MemoryObjectSendStream[SessionMessage | Exception],
        out: MemoryObjectSendStream[SessionMessage | Refusal],
    ) -> None:
        async with arrived, to_server, out:
            async for item, size in arrived:
                self._read_ahead.remove(size)
                if isinstance(item, Refusal):
                    await out.send(item)
                elif isinstance(item, JSONRPCRequest):
                    await self._permits.acquire()
                    metadata = ServerMessageMetadata(on_request_unanswered=self._answered)
                    await to_server.send(SessionMessage(item, metadata))
                else:
                    await to_server.send(SessionMessage(item))
                    self._done()

    async def _write(self, out: MemoryObjectReceiveStream[SessionMessage | Refusal]) -> None:
        async with out:
            async for item in out:
                if isinstance(item, Refusal):
                    line = item.encode()
                else:
                    line = item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
                try:
                    await anyio.to_thread.run_sync(self._write_all, line, abandon_on_cancel=True)
                except OSError:  # nobody is there to read any more
                    self._stop.set()
                    return
                if isinstance(item, Refusal):
                    self._done()
                elif isinstance(item.message, JSONRPCResponse | JSONRPCError):
                    await self._answered()

    def _write_all(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self._wire_out, rest) :]
