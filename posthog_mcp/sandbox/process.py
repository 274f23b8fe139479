"""A sandbox in a process of its own, for whoever needs one while they run: tests, and `serve --sandbox`."""

import asyncio
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from posthog_mcp.sandbox import live
from posthog_mcp.sandbox.engine.errors import ENGINE_MISSING_EXIT, EngineMissing

#: How long a start may take by default, by the seed.
START_SECONDS: Final = {"none": 60.0, "small": 60.0, "large": 900.0}
END_SECONDS: Final = 15.0
_LAST_LINE: Final = "POSTHOG_PROJECT_ID"
# How often to look whether a sandbox that is starting answers yet.
_LOOK_SECONDS: Final = 0.1


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
        seed: Literal["none", "small", "large"] = "none",
        throttle: Literal["organization", "key", "off"] = "organization",
        limits: str = "",
        start_seconds: float | None = None,
    ) -> None:
        """Remember how to start; the arguments are those of the command, `data` None for a temporary one."""
        self.environment: dict[str, str] = {}
        self.joined = False
        self._data = data
        self._arguments = ["--port", "0", "--parent-pipe", "--seed", seed, "--throttle", throttle]
        self._arguments += ["--limits", limits] if limits else []
        self._arguments += ["--data", str(data)] if data is not None else []
        self._start_seconds = START_SECONDS[seed] if start_seconds is None else start_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._complaint = ""
        self._listening: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.environment["POSTHOG_HOST"]

    @property
    def pid(self) -> int | None:
        """Its process id while it runs and is ours."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def runs(self) -> bool:
        """Whether it still runs; of one we joined, whether it still has the directory."""
        if not self.joined or self._data is None:
            return self.pid is not None
        other = live.find(self._data)
        return other is not None and other.url == self.url

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
        try:
            async with asyncio.timeout(self._start_seconds):
                # Neither: another process took the directory between our look and our start.
                while not (await self._join() or await self._run()):
                    continue
        except TimeoutError:
            await self.stop()
            raise SandboxError(f"The sandbox did not start within {self._start_seconds:.0f} s.") from None
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the sandbox if it is ours; harmless when it has ended already."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._see_the_end(process)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _see_the_end(self, process: asyncio.subprocess.Process) -> None:
        """Wait for the end of the process and of its pipes, which its engine shares."""
        await process.wait()
        if process.stdout is not None:
            await process.stdout.read()
        if self._listening is not None:
            await self._listening

    async def _join(self) -> bool:
        """Use the sandbox that has our data directory, if one has, once it answers."""
        if self._data is None:
            return False
        while (other := live.find(self._data)) is not None:
            if other.url:
                self.environment = live.environment(other.url)
                self.joined = True
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def _run(self) -> bool:
        """Start a sandbox of our own; False when another has the directory."""
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # not what lies in the working directory
            "-m",
            "posthog_mcp.cli.sandbox",
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._listening = asyncio.create_task(self._listen(process))
        await self._read_environment(process)
        if _LAST_LINE in self.environment:
            return True
        await self.stop()
        if process.returncode == live.IN_USE_EXIT:
            return False
        if process.returncode == ENGINE_MISSING_EXIT:
            raise EngineMissing
        raise SandboxError(self._complaint or "The sandbox ended before it answered.")

    async def _read_environment(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        while line := (await process.stdout.readline()).decode():
            name, _, value = line.removeprefix("export ").rstrip("\n").partition("=")
            self.environment[name] = value
            if name == _LAST_LINE:
                return

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Keep the last line of its complaints; read on, or it would stop at a full pipe."""
        if process.stderr is None:
            return
        while line := await process.stderr.readline():
            self._complaint = line.decode(errors="replace").strip() or self._complaint
