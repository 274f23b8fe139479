"""How long evaluating 500 flags keeps the event loop of the server from other calls; wanted: never 10 ms.

    python benchmarks/flags_loop.py

A beat runs on the loop each millisecond while `evaluate_flags` is called. What counts is the processor time
that the loop's thread used between two beats: the most that one callback can have used. The longest time by
the clock is shown as well, beside that of a process that only beats, since a busy machine pauses both.
"""

import asyncio
import gc
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from flags import product_flags

from posthog_mcp.server.app import App
from posthog_mcp.settings import Settings

FLAGS = 500
LONGEST_WANTED = 0.010
BEAT_SECONDS = 0.001
POLL_SECONDS = 0.2
CALLS = 100


@dataclass
class Longest:
    """The most seconds between two beats, by the clock and of the thread's processor time."""

    clock: float = 0.0
    processor: float = 0.0


async def beat(longest: Longest) -> None:
    while True:
        clock, processor = time.perf_counter(), time.thread_time()
        await asyncio.sleep(BEAT_SECONDS)
        longest.clock = max(longest.clock, time.perf_counter() - clock - BEAT_SECONDS)
        longest.processor = max(longest.processor, time.thread_time() - processor)


async def measured(work: Callable[[], Awaitable[None]]) -> Longest:
    longest = Longest()
    beating = asyncio.create_task(beat(longest))
    await asyncio.sleep(0.01)
    await work()
    await asyncio.sleep(0.01)
    beating.cancel()
    return longest


class Definitions(BaseHTTPRequestHandler):
    """Gives the definitions as PostHog does, as changed ones each time."""

    protocol_version = "HTTP/1.1"
    body = json.dumps(product_flags(FLAGS, Random(FLAGS))).encode()
    given = 0

    def do_GET(self) -> None:
        Definitions.given += 1
        self.send_response(200)
        self.send_header("ETag", f'W/"{Definitions.given}"')
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(port: Connection) -> None:
    server = HTTPServer(("127.0.0.1", 0), Definitions)
    port.send(server.server_port)
    server.serve_forever()


def idle(found: Connection) -> None:
    """Beat until somebody asks how it went."""

    async def until_asked() -> None:
        await asyncio.to_thread(found.recv)

    longest = asyncio.run(measured(until_asked))
    found.send(longest.clock)


async def run(port: int) -> dict[str, Longest]:
    """The longest of each kind of call."""
    gc.freeze()  # as the program does at its start
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.load(
            {
                "POSTHOG_API_KEY": "phc_benchmark",
                "POSTHOG_PERSONAL_API_KEY": "phx_benchmark",
                "POSTHOG_HOST": f"http://127.0.0.1:{port}",
            },
            data_dir=Path(folder),
            flag_poll_seconds=POLL_SECONDS,
        )
        app = App(settings)

        async def call(**arguments: object) -> None:
            asked = {"distinct_id": "user-7", "mode": "local", **arguments}
            answer = await app.dispatcher.call("evaluate_flags", asked)
            if answer.is_error:
                sys.exit(answer.text)
            # as a transport does between two messages
            await asyncio.sleep(0)

        async def renewed() -> None:
            for _ in range(20):
                await asyncio.sleep(POLL_SECONDS)
                await call()

        async def repeated(**arguments: object) -> None:
            for _ in range(CALLS):
                await call(**arguments)

        found = {
            "first call: imports, certificates, fetch, compile": await measured(call),
            "changed definitions, fetched and compiled": await measured(renewed),
            f"all {FLAGS} flags of a person": await measured(repeated),
            f"all {FLAGS} flags explained": await measured(lambda: repeated(explain=True)),
        }
        await app.close()
        return found


def main() -> None:
    fresh = multiprocessing.get_context("spawn")
    processes: list[multiprocessing.process.BaseProcess] = []
    ends: list[Connection] = []
    for target in (serve, idle):
        mine, its = fresh.Pipe()
        processes.append(fresh.Process(target=target, args=(its,), daemon=True))
        processes[-1].start()
        ends.append(mine)
    found = asyncio.run(run(ends[0].recv()))
    ends[1].send("enough")
    paused = ends[1].recv()
    for process in processes:
        process.terminate()
    print(f"{'longest hold of the event loop, ms':<52}processor   clock")
    for name, longest in found.items():
        print(f"{name:<52}{longest.processor * 1000:9.1f}{longest.clock * 1000:8.1f}")
    print(f"{'a process that only beats, meanwhile':<52}{'':9}{paused * 1000:8.1f}")
    raise SystemExit(0 if all(longest.processor <= LONGEST_WANTED for longest in found.values()) else 1)


if __name__ == "__main__":
    main()
