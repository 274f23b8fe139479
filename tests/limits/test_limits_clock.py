"""The clock of the machine is one for all its processes."""

import subprocess
import sys

from posthog_mcp.limits.clock import boot_id, since_boot


def elsewhere(expression: str) -> str:
    code = f"from posthog_mcp.limits.clock import boot_id, since_boot; print({expression})"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, timeout=30, text=True
    ).stdout


def test_two_processes_read_the_same_clock():
    before = since_boot()
    assert before <= float(elsewhere("since_boot()")) <= since_boot()


def test_two_processes_see_the_same_start_of_the_machine():
    assert elsewhere("boot_id()").strip() == boot_id()
    assert sys.platform not in {"linux", "darwin"} or boot_id()
