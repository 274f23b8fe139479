"""Commands, run in this process with an environment of the test's own."""

import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from cli_done import Done

from posthog_mcp.cli import main
from posthog_mcp.sandbox.process import SandboxProcess


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[SandboxProcess]:
    async with SandboxProcess(throttle="off") as process:
        yield process


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Done]]:
    """Runs a command with these variables and no others of ours, in a home and a directory of its own."""

    def make(*arguments: str, **environment: str) -> Done:
        for name in os.environ:
            if name.startswith(("POSTHOG", "XDG_", "CODEX", "APPDATA")):
                monkeypatch.delenv(name)
        for name, value in {"HOME": str(tmp_path), "POSTHOG_MCP_DATA_DIR": str(tmp_path / "state")}.items():
            monkeypatch.setenv(name, environment.pop(name, value))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        code = main.run(list(arguments))
        printed = capsys.readouterr()
        for name in environment:
            monkeypatch.delenv(name)
        return Done(code, printed.out, printed.err)

    loggers = [logging.getLogger(name) for name in ("posthog_mcp", "posthog_mcp.outbox")]
    levels = [logger.level for logger in loggers]
    yield make
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)  # a command says what it has to say in its own words, and ends; tests go on
