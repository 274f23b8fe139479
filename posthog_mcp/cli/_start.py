"""What the commands that run tools share: their options, the settings these make, and the sandbox."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from posthog_mcp.settings import Settings, SettingsError, environment
from posthog_mcp.tool import ToolFailure

if TYPE_CHECKING:
    from posthog_mcp.sandbox.process import SandboxProcess


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide which tools there are and which PostHog they reach."""
    parser.add_argument("--access", metavar="LEVEL", help="read, write (default) or full")
    parser.add_argument(
        "--areas", metavar="A,B", help="areas of tools, or all (default: a choice of the most used)"
    )
    parser.add_argument("--project", metavar="ID", help="the only project; tools then take no project_id")
    parser.add_argument(
        "--unattended-deletes",
        action="store_const",
        const=True,
        help="do what cannot be taken back unasked where the client cannot ask a person",
    )
    parser.add_argument(
        "--sandbox", action="store_true", help="use an embedded PostHog instead of an account"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="with --sandbox: keep its data here, or join the one that does",
    )


def load(args: argparse.Namespace, **flags: object) -> Settings:
    """The settings of a start.

    Args:
        args: With the options of `add_options`.
        flags: More fields of `Settings`.

    Raises:
        SettingsError: They do not fit.
    """
    if args.data is not None and not args.sandbox:
        raise SettingsError(
            ["--data belongs to --sandbox; the directory for the server's state is POSTHOG_MCP_DATA_DIR."]
        )
    chosen = {
        "access": args.access,
        "areas": args.areas,
        "pinned_project_id": args.project,
        "unattended_deletes": args.unattended_deletes,
        **flags,
    }
    return Settings.load(environment(), **chosen)


def refuse(error: SettingsError) -> int:
    """Say on standard error why the start must not happen; returns the exit code."""
    print(f"posthog-mcp: {error}", file=sys.stderr)
    return 2


class LateSandbox:
    """A sandbox that starts when the first call needs it, and ends with this process.

    One that is gone, since it was somebody else's or was killed, is started or joined anew by the next call.

    Args:
        settings: The start; keys, host and state are replaced by the sandbox's own.
        data: Directory to keep its data in, shared with others that name it; None for one that goes with it.
    """

    def __init__(self, settings: Settings, data: Path | None) -> None:
        self._settings = settings
        self._data = data
        self._starting: asyncio.Task[Settings] | None = None
        self._process: SandboxProcess | None = None
        self._own: Path | None = None

    async def settings(self) -> Settings:
        """The settings that reach the sandbox, the same object while it runs; starts it where none does.

        Raises:
            ToolFailure: It does not start.
        """
        if self._starting is None or (self._starting.done() and not self._runs()):
            self._starting = asyncio.create_task(self._start())
        # A cancelled call must not take the start away from the calls that wait for it too.
        return await asyncio.shield(self._starting)

    async def close(self) -> None:
        """End the sandbox if it is ours, and drop what was to go with it."""
        try:
            if self._process is not None:
                await self._process.stop()
        finally:
            if self._own is not None:
                shutil.rmtree(self._own, ignore_errors=True)

    def _runs(self) -> bool:
        return self._process is not None and self._process.runs

    async def _start(self) -> Settings:
        from posthog_mcp.sandbox.engine.errors import EngineMissing  # noqa: PLC0415 - not without --sandbox
        from posthog_mcp.sandbox.process import SandboxError, SandboxProcess  # noqa: PLC0415

        if self._process is not None:
            await self._process.stop()
        process = SandboxProcess(data=self._data)
        try:
            await process.start()
        except (EngineMissing, SandboxError, OSError) as error:
            raise ToolFailure(
                "The sandbox did not start.",
                _last_line(str(error)),
                "Run `posthog-mcp sandbox` in a terminal to see it fail, or start without --sandbox.",
            ) from None
        self._process = process
        if self._data is None and self._own is None:
            self._own = Path(tempfile.mkdtemp(prefix="posthog-mcp-"))
        found = process.environment
        return self._settings.model_copy(
            update={
                "host": found["POSTHOG_HOST"],
                "project_token": SecretStr(found["POSTHOG_API_KEY"]),
                "personal_api_key": SecretStr(found["POSTHOG_PERSONAL_API_KEY"]),
                "project_secret_key": SecretStr(found["POSTHOG_PROJECT_SECRET_KEY"]),
                "project_id": int(found["POSTHOG_PROJECT_ID"]),
                "proxy": None,
                "data_dir": self._own or Path(str(self._data)) / "server",
            },
        )


def _last_line(text: str) -> str:
    """What a process said last: above it there may be a traceback, which is nothing for a client."""
    return (text.strip().splitlines() or ["It said nothing."])[-1][:300]
