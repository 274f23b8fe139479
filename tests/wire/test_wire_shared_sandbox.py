"""Two servers on one data directory: the sandbox of the first serves both, and outlives its end."""

import importlib.util
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wire_program import SECONDS, Program, call

pytestmark = pytest.mark.skipif(importlib.util.find_spec("chdb") is None, reason="needs posthog-mcp[sandbox]")

Start = Callable[..., Program]


def kill(program: Program) -> None:
    program.process.send_signal(signal.SIGKILL)


@pytest.fixture
def pair(start: Start, tmp_path: Path) -> tuple[Program, Program]:
    """A server whose sandbox runs, and a second one that uses it."""
    first, second = (start("--sandbox", "--data", str(tmp_path / "shared")).shake_hands() for _ in range(2))
    for program in (first, second):
        assert not ask(program, 1)["isError"]
    return first, second


def ask(program: Program, number: int) -> dict[str, Any]:
    program.send(call(number, "list_projects"))
    return program.answer(number)["result"]


def lock_is_free(directory: Path) -> bool:
    from posthog_mcp.sandbox import live  # noqa: PLC0415 - only where chdb is

    return live.find(directory) is None


@pytest.mark.parametrize("end", [Program.close_input, kill])
def test_a_server_goes_on_when_the_one_whose_sandbox_it_used_ends(
    pair: tuple[Program, Program], tmp_path: Path, end: Callable[[Program], None]
) -> None:
    first, second = pair
    end(first)
    first.wait()
    until = time.monotonic() + SECONDS
    while not lock_is_free(tmp_path / "shared"):
        assert time.monotonic() < until
        time.sleep(0.02)
    for number in (2, 3):
        result = ask(second, number)
        assert not result["isError"], result
    second.close_input()
    assert second.wait()[0] == 0


def test_calls_while_a_shared_sandbox_ends_are_answered_with_sentences_until_there_is_another(
    pair: tuple[Program, Program],
) -> None:
    first, second = pair
    kill(first)
    until = time.monotonic() + SECONDS
    number = 2
    while (result := ask(second, number))["isError"] or number < 5:
        text = result["content"][0]["text"]
        assert "Traceback" not in text
        assert not result["isError"] or text.count(".") >= 2, text
        assert time.monotonic() < until
        number += 1


def test_a_sandbox_that_is_killed_is_started_again_by_the_next_call(start: Start) -> None:
    program = start("--sandbox").shake_hands()
    assert not ask(program, 1)["isError"]
    pid = program.process.pid
    [sandbox, *_] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(int(sandbox), signal.SIGKILL)
    first, second = ask(program, 2), ask(program, 3)
    assert not first["isError"] or first["content"][0]["text"].count(".") >= 2
    assert not second["isError"], second
