"""Start, memory and cost of a call over stdio, against the least an MCP server can be.

    python benchmarks/start.py [--runs 15] [--calls 1000]

Both are measured in turns, so that a busy machine slows both; ratios are what counts. The program runs with
the default catalogue and no key. One of its calls asks nobody (`get_status`), another asks PostHog
(
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BARE = [sys.executable, str(Path(__file__).with_name("bare_server.py"))]
OURS = [str(Path(sys.executable).with_name("posthog-mcp"))]
HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}


class Server:
    """A server as a process, spoken to in lines."""

    def __init__(self, command: list[str], **environment: str) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**kept, **environment}
        )
        self.number = 0

    def ask(self, method: str, **params: Any) -> Any:
        self.number += 1
        self._send({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        return json.loads(self.process.stdout.readline())["result"]

    def shake_hands(self) -> None:
        self.ask("initialize", **HELLO)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def megabytes(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def end(self) -> float:
        """End it; gives the milliseconds of processor time it used in all."""
        self.process.stdin.close()
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.process.stdout.close()
        return (used.ru_utime + used.ru_stime) * 1000

    def _send(self, message: dict[str, Any]) -> None:
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()


def start(command: list[str], **environment: str) -> tuple[float, float, float]:
    """Milliseconds from the start to the list of tools, megabytes in memory then, processor time in all."""
    server = Server(command, **environment)
    server.shake_hands()
    server.ask("tools/list")
    found = (time.perf_counter() - server.started) * 1000, server.megabytes()
    return *found, server.end()


def calls(servers: list[tuple[Server, str]], count: int) -> list[float]:
    """Milliseconds of one call at the median, for each server; asked in turns."""
    times: list[list[float]] = [[] for _ in servers]
    for _ in range(count):
        for (server, tool), found in zip(servers, times, strict=True):
            began = time.perf_counter()
            server.ask("tools/call", name=tool, arguments={})
            found.append((time.perf_counter() - began) * 1000)
    return [statistics.median(found) for found in times]


@contextmanager
def posthog() -> Iterator[str]:
    """A PostHog that knows no annotation, and says so at once."""
    ready = threading.Event()
    where: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            one = b'{"id":1,"name":"P"}'
            body = b'{"count":0,"next":null,"results":[]}' if b"/annotations/" in head else one
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            writer.write(head % len(body) + body)

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(quietly, "127.0.0.1", 0)
        where.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        ready.set()
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    ready.wait(10)
    yield where[0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--calls", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as state, posthog() as url:
        environment = {"POSTHOG_MCP_DATA_DIR": state, "POSTHOG_HOST": url, "POSTHOG_PROJECT_ID": "1"}
        for command in (BARE, OURS):
            start(command, **environment)  # compiles the modules
        bare, ours = [], []
        for _ in range(options.runs):
            bare.append(start(BARE, **environment))
            ours.append(start(OURS, **environment))
        started = [statistics.median(run[0] for run in runs) for runs in (bare, ours)]
        processor = [statistics.median(run[2] for run in runs) for runs in (bare, ours)]
        memory = [statistics.median(run[1] for run in runs) for runs in (bare, ours)]
        print(f"start to tools/list: bare {started[0]:.0f} ms, ours {started[1]:.0f} ms, "
              f"ratio {started[1] / started[0]:.2f} (at most 1.25)")  # fmt: skip
        print(f"processor time of it: bare {processor[0]:.0f} ms, ours {processor[1]:.0f} ms, "
              f"ratio {processor[1] / processor[0]:.2f}")  # fmt: skip
        print(f"memory: bare {memory[0]:.1f} MB, ours {memory[1]:.1f} MB, "
              f"ratio {memory[1] / memory[0]:.2f} (at most 1.30)")  # fmt: skip
        key = {"POSTHOG_PERSONAL_API_KEY": "phx_benchmark"}
        servers = [
            (Server(BARE), "echo"),
            (Server(OURS, **environment), "get_status"),
            (Server([*BARE, f"{url}/api/projects/1/annotations/"]), "echo"),
            (Server(OURS, **environment, **key), "list_annotations"),
        ]
        for server, _ in servers:
            server.shake_hands()
        calls(servers, 50)
        found = calls(servers, options.calls)
        for server, _ in servers:
            server.end()
        for words, bare_call, our_call in [("call", *found[:2]), ("call that asks PostHog", *found[2:])]:
            print(f"{words}: bare {bare_call:.2f} ms, ours {our_call:.2f} ms, "
                  f"{our_call - bare_call:+.2f} ms (at most +0.50)")  # fmt: skip


if __name__ == "__main__":
    main()
