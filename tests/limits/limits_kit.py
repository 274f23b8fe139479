"""Stand-ins and servers for the tests of limits."""

import itertools
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from posthog_mcp.limits.limit import Budget, Limit
from posthog_mcp.limits.sqlite import SqliteRings

_numbers = itertools.count()


class Clock:
    """Seconds, as a test sets them."""

    def __init__(self) -> None:
        # Redis keeps whole budgets, so each test has a time of its own as well as names of its own.
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Awaited:
    """The rings of a file, behind the same `await` as those of Redis."""

    def __init__(self, rings: SqliteRings) -> None:
        self.rings = rings

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.rings, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        return call


class RedisServer:
    """A Redis on this machine, which can be stopped and started again."""

    def __init__(self, program: str, directory: Path) -> None:
        self._program, self._directory = program, directory
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        arguments = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", self._directory]
        self._process = subprocess.Popen([self._program, *arguments], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self
        raise AssertionError("redis-server did not answer within 10 s")

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


def make_budget(*limits: Limit) -> Budget:
    number = next(_numbers)
    return Budget(f"test {os.getpid()} {number}", limits, "tests")
