"""The MCP Inspector's command line, a client that is not ours, over the installed program."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wire_program import PROGRAM, SECONDS, Program

_INSPECTOR = Path(__file__).parents[1] / "node/node_modules/.bin/mcp-inspector"


@pytest.fixture(autouse=True)
def _inspector_is_there() -> None:
    if shutil.which("node") and _INSPECTOR.exists():
        return
    if os.environ.get("CI"):
        pytest.fail("CI installs Node's counterparts; run npm install --prefix tests/node")
    pytest.skip("the Inspector is not installed: npm install --prefix tests/node")


def _inspect(target: list[str], home: Path, *options: str) -> Any:
    """What the Inspector gives for one method."""
    command = [str(_INSPECTOR), "--cli", *target, *options, "--format", "json", "-q"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}  # it keeps a catalogue of its own there
    done = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return json.loads(done.stdout)["result"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_it_lists_the_tools_and_calls_one_over_stdio(era: str, tmp_path: Path) -> None:
    target = [PROGRAM, "serve", "--sandbox"]
    listed = _inspect(target, tmp_path, "--protocol-era", era, "--method", "tools/list")
    assert {"capture_event", "query_hogql"} <= {tool["name"] for tool in listed["tools"]}
    called = _inspect(
        target,
        tmp_path,
        *("--protocol-era", era, "--method", "tools/call", "--tool-name", "query_hogql"),
        *("--tool-arg", "query=SELECT 20 + 22 AS answer"),
    )
    assert "answer\n42" in called["content"][0]["text"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_it_lists_the_tools_over_http(era: str, tmp_path: Path, start: Callable[..., Program]) -> None:
    program = start("serve", "--transport", "http", "--port", "0")
    url = program.complaints.get(timeout=SECONDS).decode().removeprefix("MCP at ").strip()
    listed = _inspect([url, "--transport", "http"], tmp_path, "--protocol-era", era, "--method", "tools/list")
    assert "evaluate_flags" in {tool["name"] for tool in listed["tools"]}


def test_it_finds_no_fault_with_the_schemas(tmp_path: Path) -> None:
    target = [PROGRAM, "serve", "--access", "full", "--areas", "all"]
    listed = _inspect(target, tmp_path, "--method", "tools/list", "--strict")
    assert listed["tools"]
