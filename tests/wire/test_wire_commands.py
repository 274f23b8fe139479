import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wire_program import PROGRAM, SECONDS, Program, call

Start = Callable[..., Program]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the program to its end."""

    def make(*arguments: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.run(
            [PROGRAM, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**kept, "POSTHOG_MCP_DATA_DIR": str(tmp_path), **environment},
        )

    return make


Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_call_prints_what_a_client_would_get(run: Run) -> None:
    done = run("call", "get_status")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["access"] == "write"
    assert json.loads(run("call", "get_status", "{}", "--json").stdout)["access"] == "write"
    assert json.loads(run("call", "get_status", "-", text="{}").stdout)["access"] == "write"


def test_a_call_that_fails_says_why_and_ends_with_code_1(run: Run) -> None:
    done = run("call", "list_projects")
    assert (done.returncode, done.stdout) == (1, "")
    assert "POSTHOG_PERSONAL_API_KEY is not set" in done.stderr


@pytest.mark.parametrize("arguments", ["{", "[]", "3"])
def test_arguments_that_are_no_object_end_with_code_2(run: Run, arguments: str) -> None:
    done = run("call", "get_status", arguments)
    assert done.returncode == 2
    assert "JSON" in done.stderr


def test_tools_are_listed_for_people_and_as_json(run: Run) -> None:
    assert "get_status" in run("tools").stdout
    described: list[dict[str, Any]] = json.loads(run("tools", "--json", "--access", "read").stdout)
    assert {"name", "description", "input_schema", "scopes"} <= described[0].keys()
    assert all(tool["read_only"] for tool in described)


def test_output_that_nobody_reads_on_ends_the_command_without_a_word() -> None:
    environment = {"PATH": os.environ["PATH"]}
    command = [PROGRAM, "tools", "--json", "--areas", "all"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(SECONDS) == 141


def test_help_and_version_are_told(run: Run) -> None:
    assert run("--version").stdout.startswith("posthog-mcp ")
    helped = run("--help").stdout
    assert "serve" in helped
    assert "call" in helped


def test_a_start_over_stdio_imports_nothing_it_does_not_need() -> None:
    heavy = ["chdb", "redis", "rich", "posthog_mcp.sandbox", "posthog_mcp.server.http"]
    probe = (
        "import sys; sys.argv=['posthog-mcp']; from posthog_mcp.__main__ import main; main(); "
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [str(Path(PROGRAM).with_name("python")), "-c", probe],
        input="", capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.stderr == "[]\n"


def test_the_sandbox_starts_at_the_first_call_that_needs_it_and_ends_with_the_server(start: Start) -> None:
    program = start("--sandbox").shake_hands()
    assert children(program) == []
    program.send(call(1, "list_projects"))
    result = program.answer(1)["result"]
    assert not result["isError"], result
    assert "Sandbox" in result["content"][0]["text"]
    [sandbox, *_] = children(program)
    program.close_input()
    assert program.wait()[0] == 0
    assert gone(sandbox)


def test_a_sandbox_that_cannot_start_is_an_answer_that_says_why(run: Run, tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("")
    done = run("call", "list_projects", "--sandbox", "--data", str(taken))
    assert done.returncode == 1
    assert done.stderr.startswith("The sandbox did not start.")
    assert "Traceback" not in done.stderr


def children(program: Program) -> list[int]:
    """Processes the program has started."""
    listed = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children")
    return [int(number) for number in listed.read_text().split()]


def gone(process: int) -> bool:
    """Whether a process that is not ours ends within the time of a test."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    import select  # noqa: PLC0415 - Linux alone has what this test needs

    ready, _, _ = select.select([descriptor], [], [], SECONDS)
    os.close(descriptor)
    return bool(ready)
