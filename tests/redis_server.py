"""A Redis for tests."""

import socket
import subprocess
import time
from pathlib import Path
from typing import Self


class RedisServer:
    """A Redis on this machine, which can be stopped and started again; it forgets everything then.

    Args:
        program: Its file.
        directory: Where it may write.
        keeps: It remembers everything instead.
    """

    def __init__(self, program: str, directory: Path, *, keeps: bool = False) -> None:
        self._program, self._directory = program, directory
        self._keeps = "yes" if keeps else "no"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        arguments = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", self._directory]
        arguments += ["--save", "", "--appendonly", self._keeps]
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
