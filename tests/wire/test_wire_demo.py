"""The first thing a newcomer runs."""

import os
import subprocess
import sys
from pathlib import Path

from wire_program import PROGRAM


def _demo(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "HOME": str(home), **environment}
    return subprocess.run(
        [PROGRAM, "demo"], capture_output=True, text=True, env=kept, cwd="/", timeout=120, check=False
    )


def test_the_demo_tells_the_main_job_from_end_to_end(tmp_path: Path) -> None:
    done = _demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout
    assert "protocol 2026-07-28" in told
    for tool in (
        "capture_events",
        "identify_person",
        "create_flag",
        "evaluate_flags",
        "create_annotation",
        "query_hogql",
    ):
        assert f"-> {tool} " in told
    assert ["ada@example.com", "3", "1", "42.5"] in [line.split() for line in told.splitlines()]
    assert "Done." in told


def test_the_demo_takes_no_keys_of_the_person_who_runs_it(tmp_path: Path) -> None:
    done = _demo(tmp_path, POSTHOG_API_KEY="phc_mine", POSTHOG_HOST="http://127.0.0.1:9")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_demo_whose_server_does_not_answer_says_so_and_fails() -> None:
    program = (
        "import sys; sys.executable = '/bin/false'; "
        "from posthog_mcp.cli.main import run; sys.exit(run(['demo']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "The demo failed: the server did not answer" in done.stderr
    assert "Traceback" not in done.stderr
