"""Drives the installed program over real pipes, and a host that never answers."""

import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

PROGRAM = str(Path(sys.executable).with_name("posthog-mcp"))
SECONDS = 20.0
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "wire", "version": "1"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
}


def request(number: int, method: str, *, modern: bool = False, **params: Any) -> dict[str, Any]:
    """A request of either era."""
    meta = {"_meta": MODERN} if modern else {}
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, **meta}}


def call(number: int, tool: str, *, modern: bool = False, **arguments: Any) -> dict[str, Any]:
    """A call of a tool."""
    return request(number, "tools/call", modern=modern, name=tool, arguments=arguments)


class Program:
    """One running copy of `posthog-mcp`."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        self.process = subprocess.Popen(
            [PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**kept, **environment},
            cwd="/",
        )
        self.lines: queue.Queue[bytes] = queue.Queue()
        self.complaints: queue.Queue[bytes] = queue.Queue()
        self._reading = threading.Event()
        self._reading.set()
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, *messages: dict[str, Any] | bytes) -> None:
        """Write messages, or bytes as they are."""
        assert self.process.stdin is not None
        for message in messages:
            line = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
            self.process.stdin.write(line)
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The next message the program wrote."""
        return json.loads(self.lines.get(timeout=SECONDS))

    def answer(self, number: int) -> dict[str, Any]:
        """The answer to a request, whatever else comes before it."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            message = self.receive()
            if message.get("id") == number and "method" not in message:
                return message
        raise AssertionError(f"no answer to {number}")

    def shake_hands(self) -> Self:
        """Open the connection as clients of the older era do."""
        self.send(INITIALIZE, INITIALIZED)
        assert self.answer(0)["result"]["serverInfo"]["name"] == "posthog"
        return self

    def stop_reading(self) -> None:
        """From now on nobody reads what the program writes."""
        self._reading.clear()

    def close_input(self) -> None:
        """End of input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def wait(self) -> tuple[int, float]:
        """Wait for the end: its code, and the seconds it took from now."""
        started = time.monotonic()
        return self.process.wait(SECONDS), time.monotonic() - started

    def said(self) -> str:
        """What it wrote to standard error, once it has ended."""
        text = b""
        while (line := self.complaints.get(timeout=SECONDS)) != b"":
            text += line
        return text.decode()

    def end(self) -> None:
        """End it however it may be."""
        self._reading.set()
        self.process.kill()
        self.process.wait(SECONDS)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with_pipe_closed(pipe)

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._copy(self.process.stdout, self.lines)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self._copy(self.process.stderr, self.complaints)

    def _copy(self, pipe: Any, to: "queue.Queue[bytes]") -> None:
        while True:
            self._reading.wait()
            try:
                line = pipe.readline()
            except ValueError:
                line = b""
            to.put(line)
            if not line:
                return


def with_pipe_closed(pipe: Any) -> None:
    """Close a pipe that the other side may have closed before."""
    try:
        pipe.close()
    except BrokenPipeError:
        return


class Silence:
    """Takes connections and never answers them."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.arrived = threading.Semaphore(0)
        self.left = threading.Semaphore(0)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._hold, args=(connection,), daemon=True).start()

    def _hold(self, connection: socket.socket) -> None:
        with connection:
            connection.recv(65_536)
            self.arrived.release()
            try:
                while connection.recv(65_536):
                    pass
            except OSError:
                return
            finally:
                self.left.release()
