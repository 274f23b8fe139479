"""Serves a sandbox over HTTP until it is told to stop."""

import asyncio
import contextlib
import importlib.util
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import uvicorn

from posthog_mcp.sandbox import live, seed
from posthog_mcp.sandbox.engine import EngineMissing
from posthog_mcp.sandbox.http.app import build
from posthog_mcp.sandbox.http.throttles import DEFAULT_LIMITS, LimitClass, Rate, Throttles, ThrottleScope
from posthog_mcp.sandbox.sandbox import Options, Sandbox

SeedSize = Literal["none", "small", "large"]

#: Requests still running when the sandbox is told to stop have this long.
GRACEFUL_SECONDS: Final = 2
#: And the process itself this long, whatever hangs.
END_SECONDS: Final = 8.0


class ListenError(Exception):
    """The address cannot be listened on; the text says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What `posthog-mcp sandbox` can be told.

    Attributes:
        host: Address to listen on.
        port: 0 for any free port.
        data: Directory to keep everything in; None for a temporary one that is removed at the end.
        seed: Product data to fill an empty sandbox with.
        throttle: Whose requests PostHog's limits count together; `off` for no limits.
        limits: The limits, by class.
        parent_pipe: Stop when stdin closes.
    """

    host: str = "127.0.0.1"
    port: int = 0
    data: Path | None = None
    seed: SeedSize = "none"
    throttle: ThrottleScope = "organization"
    limits: dict[LimitClass, tuple[Rate, ...]] = field(default_factory=lambda: dict(DEFAULT_LIMITS))
    parent_pipe: bool = False


def print_environment(url: str) -> None:
    """Print the lines that a shell can evaluate."""
    lines = [f"export {name}={value}\n" for name, value in live.environment(url).items()]
    sys.stdout.write("".join(lines))
    sys.stdout.flush()


def _seeded(events: int) -> None:
    print(f"Seeded {events:,} events.", file=sys.stderr)  # noqa: T201 - the large seed takes a minute


async def serve(options: ServeOptions, announce: Callable[[str], None] = print_environment) -> None:
    """Run a sandbox until SIGINT or SIGTERM, or until stdin closes with `parent_pipe`.

    Args:
        options: See there.
        announce: Called with the URL once requests are answered.

    Raises:
        EngineMissing: chdb is not installed.
        live.DirectoryInUseError: Another sandbox has the data directory.
        ListenError: The address cannot be listened on.
        seed.HalfSeededError: An earlier process was stopped while it filled the data directory.
        OSError: The data directory cannot be used.
    """
    # Before anything else: where there is no engine, the rest (signals, locks) may be missing as well.
    if importlib.util.find_spec("chdb") is None:
        raise EngineMissing
    task = asyncio.create_task(_serve(options, announce))
    # Told to stop while it was starting or seeding: that is no error either.
    with (
        _until_told_to_stop(task, parent_pipe=options.parent_pipe),
        contextlib.suppress(asyncio.CancelledError),
    ):
        await task


async def _serve(options: ServeOptions, announce: Callable[[str], None]) -> None:
    with _data_dir(options.data) as data_dir, live.claim(data_dir) as claim, _listen(options) as listening:
        throttles = Throttles(scope=options.throttle, limits=options.limits)
        sandbox = await Sandbox.open(data_dir, Options(throttles=throttles))
        try:
            if options.seed != "none":
                await seed.fill(sandbox, options.seed, _seeded)
            url = _url(listening)
            server = _Server(sandbox, lambda: (claim.announce(url), announce(url)))
            await server.serve([listening])
        finally:
            await sandbox.close()


@contextlib.contextmanager
def _until_told_to_stop(task: asyncio.Task[None], *, parent_pipe: bool) -> Generator[None]:
    """Cancel the task on SIGINT, SIGTERM and, if asked, the end of stdin."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if task.cancelling():
            return
        task.cancel()
        backstop = threading.Timer(END_SECONDS, os._exit, (0,))
        backstop.daemon = True
        backstop.start()

    def read_pipe() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if parent_pipe:
        loop.add_reader(0, read_pipe)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        if parent_pipe:
            loop.remove_reader(0)


class _Server(uvicorn.Server):
    """uvicorn, told by cancelling when to stop: with its own signal handlers it ends in an error."""

    def __init__(self, sandbox: Sandbox, started: Callable[[], object]) -> None:
        super().__init__(
            uvicorn.Config(
                build(sandbox),
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                # Longer than clients keep idle connections, so that they are the ones to close them.
                timeout_keep_alive=75,
                timeout_graceful_shutdown=GRACEFUL_SECONDS,
            )
        )
        self._on_start = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so once requests are answered."""
        await super().startup(sockets)
        self._on_start()

    async def main_loop(self) -> None:
        """Serve until cancelled; what follows lets running requests end."""
        with contextlib.suppress(asyncio.CancelledError):
            await super().main_loop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running requests end, and cut those that take too long."""
        # Which is meant; uvicorn reports each as an error, with its traceback.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone."""
        yield


@contextlib.contextmanager
def _data_dir(given: Path | None) -> Generator[Path]:
    if given is not None:
        yield given
        return
    made = Path(tempfile.mkdtemp(prefix="posthog-sandbox-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _listen(options: ServeOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        listener = socket.create_server((options.host, options.port), family=family, backlog=1024)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ListenError(
            f"Cannot serve on {options.host} port {options.port}: {why}. Choose another."
        ) from error
    # asyncio does not do it for a socket it did not make, and then each answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  only compared: every address also answers on this one
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
