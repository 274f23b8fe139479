"""A sandbox in a process of its own, for whoever needs one while they run: tests, and `serve --sandbox`."""

import asyncio
import sys
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from posthog_mcp.sandbox import live
from posthog_mcp.sandbox.engine.errors import ENGINE_MISSING_EXIT, EngineMissing

START_SECONDS: Final = 60.0
END_SECONDS: Final = 15.0
_LAST_LINE: Final = "POSTHOG_PROJECT_ID"


class SandboxError(Exception):
    """The sandbox did not start; the text is what it said itself."""


class SandboxProcess:
    """Starts `posthog-mcp sandbox` on a free port and ends it by closing its stdin.

    Since only this process holds the other end of that pipe, the sandbox also ends when this one is killed.
    With a data directory that another sandbox has, it joins that one and ends nothing.

    Attributes:
        environment: The variables the sandbox printed, `POSTHOG_HOST` and the keys; empty before `start`.
        joined: Whether the sandbox is somebody else's.
    """

    def __init__(
        self,
        *,
        data: Path | None = None,
        seed: str = "none",
        throttle: str = "organization",
        limits: str = "",
        start_seconds: float = START_SECONDS,
    ) -> None:
        """Remember how to start; the arguments are those of the command, `data` None for a temporary one."""
        self.environment: dict[str, str] = {}
        self.joined = False
        self._data = data
        self._arguments = ["--port", "0", "--parent-pipe", "--seed", seed, "--throttle", throttle]
        self._arguments += ["--limits", limits] if limits else []
        self._arguments += ["--data", str(data)] if data is not None else []
        self._start_seconds = start_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._complaints: deque[str] = deque(maxlen=20)
        self._listening: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.environment["POSTHOG_HOST"]

    @property
    def pid(self) -> int | None:
        """Its process id while it runs and is ours."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Start, and return when it answers requests (the seed is in it then).

        Raises:
            EngineMissing: chdb is not installed.
            SandboxError: It ended instead, or said nothing for `start_seconds`.
        """
        if self._join():
            return
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "posthog_mcp.cli.sandbox",
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._listening = asyncio.create_task(self._listen(self._process))
        try:
            async with asyncio.timeout(self._start_seconds):
                await self._read_environment(self._process)
        except TimeoutError:
            await self.stop()
            raise SandboxError(f"The sandbox did not start within {self._start_seconds:.0f} s.") from None
        except asyncio.CancelledError:
            await self.stop()
            raise
        if _LAST_LINE not in self.environment:
            await self._explain()

    async def stop(self) -> None:
        """End the sandbox if it is ours; harmless when it has ended already."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._listening is not None:
            await self._listening

    def _join(self) -> bool:
        """Use the sandbox that has our data directory, if one has and it answers already."""
        other = live.find(self._data) if self._data is not None else None
        if other is None or not other.url:
            return False
        from posthog_mcp.sandbox.server import environment  # noqa: PLC0415  uvicorn, not needed otherwise

        self.environment = environment(other.url)
        self.joined = True
        return True

    async def _explain(self) -> None:
        process = self._process
        await self.stop()
        # Another process may have taken the directory between our look and our start.
        if self._join():
            return
        if process is not None and process.returncode == ENGINE_MISSING_EXIT:
            raise EngineMissing
        raise SandboxError("\n".join(self._complaints) or "The sandbox ended before it answered.")

    async def _read_environment(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        while line := (await process.stdout.readline()).decode():
            name, _, value = line.removeprefix("export ").rstrip("\n").partition("=")
            self.environment[name] = value
            if name == _LAST_LINE:
                return

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Keep its last complaints; read on, or it would stop at a full pipe."""
        if process.stderr is None:
            return
        while line := await process.stderr.readline():
            self._complaints.append(line.decode(errors="replace").rstrip("\n"))
