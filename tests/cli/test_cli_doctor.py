"""The doctor says what is wrong and what to do, and never a key."""

import json
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from cli_done import Done, Run

from posthog_mcp.cli._doctor import python
from posthog_mcp.cli._doctor_posthog import PostHog
from posthog_mcp.outbox import Outbox
from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.settings import Settings

NOWHERE = "http://127.0.0.1:9"


async def examined(run: Run, **environment: str) -> tuple[int, dict[str, dict[str, str]]]:
    """The code and the checks by name; the command has an event loop of its own, so it needs a thread."""
    done: Done = await anyio.to_thread.run_sync(lambda: run("doctor", "--json", **environment))
    report: dict[str, Any] = json.loads(done.out)
    assert report["ok"] is (done.code == 0)
    return done.code, {check["name"]: check for check in report["checks"]}


async def test_a_healthy_installation_has_nothing_to_complain_about(run: Run, sandbox: SandboxProcess):
    code, checks = await examined(run, **sandbox.environment)
    assert code == 0
    assert {check["state"] for check in checks.values()} == {"ok"}
    assert "answered in" in checks["private host"]["found"]
    assert "knows the project token" in checks["public host"]["found"]
    assert checks["project"]["found"] == "Sandbox (1), UTC; events go there too."


async def test_plain_text_names_each_check_and_what_to_do(run: Run, sandbox: SandboxProcess):
    environment = {**sandbox.environment, "POSTHOG_API_KEY": "phx_wrong"}
    done = await anyio.to_thread.run_sync(lambda: run("doctor", **environment))
    assert done.code == 1
    assert any(line.startswith("broken   project token") for line in done.out.splitlines())
    assert "-> Copy the project token from" in done.out


@pytest.mark.parametrize("form", [[], ["--json"]])
async def test_no_key_is_ever_shown(run: Run, sandbox: SandboxProcess, form: list[str]):
    for environment in (
        sandbox.environment,
        {
            **sandbox.environment,
            "POSTHOG_API_KEY": "phx_sEcRetOne",
            "POSTHOG_PERSONAL_API_KEY": "phc_sEcRet2",
        },
        {"POSTHOG_HOST": sandbox.url, "POSTHOG_PERSONAL_API_KEY": "sEcRetWithoutPrefix"},
        {
            "POSTHOG_HOST": NOWHERE,
            "POSTHOG_API_KEY": "sEcRet blank",
            "POSTHOG_MCP_PROXY": "http://a:sEcRet@b",
        },
    ):
        done = await anyio.to_thread.run_sync(lambda keys=environment: run("doctor", *form, **keys))
        assert "sEcRet" not in done.out + done.err
        for name in ("POSTHOG_API_KEY", "POSTHOG_PERSONAL_API_KEY", "POSTHOG_PROJECT_SECRET_KEY"):
            if name in environment:
                assert environment[name] not in done.out + done.err


async def test_keys_of_the_wrong_kind_are_named_with_the_variable(run: Run, sandbox: SandboxProcess):
    keys = sandbox.environment
    swapped = {**keys, "POSTHOG_API_KEY": "phx_sandbox", "POSTHOG_PERSONAL_API_KEY": "phc_sandbox"}
    code, checks = await examined(run, **swapped)
    assert code == 1
    assert checks["project token"]["state"] == checks["personal API key"]["state"] == "broken"
    assert "POSTHOG_API_KEY" in checks["project token"]["found"]


async def test_keys_that_posthog_does_not_know_are_broken(run: Run, sandbox: SandboxProcess):
    unknown = {
        "POSTHOG_HOST": sandbox.url,
        "POSTHOG_API_KEY": "phc_nobody",
        "POSTHOG_PERSONAL_API_KEY": "phx_nobody",
    }
    code, checks = await examined(run, **unknown)
    assert code == 1
    assert checks["public host"]["state"] == "broken"
    assert "POSTHOG_API_KEY" in checks["public host"]["next_step"]
    assert checks["key scopes"]["state"] == "broken"
    assert "POSTHOG_PERSONAL_API_KEY" in checks["key scopes"]["next_step"]


async def test_without_keys_it_says_where_to_get_them_and_still_looks_at_the_host(
    run: Run, sandbox: SandboxProcess
):
    code, checks = await examined(run, POSTHOG_HOST=sandbox.url)
    assert code == 0
    assert checks["personal API key"]["state"] == "warning"
    assert "/settings/user-api-keys" in checks["personal API key"]["next_step"]
    assert checks["private host"]["state"] == checks["public host"]["state"] == "ok"


async def test_a_host_that_nobody_answers_at_is_broken_twice(run: Run):
    code, checks = await examined(run, POSTHOG_HOST=NOWHERE)
    assert code == 1
    assert checks["private host"]["state"] == checks["public host"]["state"] == "broken"
    assert "POSTHOG_HOST" in checks["private host"]["next_step"]


async def test_a_host_that_cannot_be_one_is_broken(run: Run):
    code, checks = await examined(run, POSTHOG_HOST="https://posthog.example.com/project/1")
    assert code == 1
    assert checks["host"]["state"] == "broken"


async def test_a_key_without_a_scope_is_told_with_the_tools_that_will_fail(run: Run, sandbox: SandboxProcess):
    environment = {**sandbox.environment, "POSTHOG_PERSONAL_API_KEY": "phx_sandbox_read"}
    code, checks = await examined(run, **environment)
    assert code == 0
    assert checks["key scopes"]["state"] == "warning"
    assert "feature_flag:write" in checks["key scopes"]["found"]
    assert "create_flag" in checks["key scopes"]["found"]
    read_only = {**environment, "POSTHOG_MCP_ACCESS": "read"}
    assert (await examined(run, **read_only))[1]["key scopes"]["state"] == "ok"


async def test_a_project_that_the_key_cannot_see_is_broken(run: Run, sandbox: SandboxProcess):
    code, checks = await examined(run, **{**sandbox.environment, "POSTHOG_PROJECT_ID": "99"})
    assert code == 1
    assert checks["project"]["state"] == "broken"


async def test_budgets_that_are_nearly_spent_or_not_shared_are_a_warning(run: Run, sandbox: SandboxProcess):
    limits = {"POSTHOG_MCP_LIMITS": "crud=4/3600s"}
    _, checks = await examined(run, **sandbox.environment, **limits)
    assert checks["budgets"]["state"] == "warning"
    assert "crud" in checks["budgets"]["found"]
    lost = {"POSTHOG_MCP_REDIS_URL": "redis://127.0.0.1:1"}
    _, checks = await examined(run, **sandbox.environment, **lost)
    assert checks["budgets"]["state"] == "warning"
    assert "POSTHOG_MCP_REDIS_URL" in checks["budgets"]["next_step"]
    off = {"POSTHOG_MCP_LIMITS": "off"}
    assert (await examined(run, **sandbox.environment, **off))[1]["budgets"]["state"] == "note"


@pytest.mark.parametrize(("seconds", "way"), [(3600, "3600 s ahead of"), (-120, "120 s behind")])
async def test_a_clock_that_goes_wrong_is_told(
    sandbox: SandboxProcess, tmp_path: Path, seconds: int, way: str
):
    settings = Settings.load({"POSTHOG_HOST": sandbox.url}, data_dir=tmp_path)
    checks = await PostHog(settings, clock=lambda: time.time() + seconds).checks()
    clock = next(check for check in checks if check.name == "clock")
    assert clock.state == "warning"
    assert any(words in clock.found for words in (way, f"{abs(seconds) - 1} s", f"{abs(seconds) + 1} s"))


async def test_events_that_wait_and_memory_are_told(run: Run, tmp_path: Path):
    box = Outbox("phc_x", NOWHERE, tmp_path / "state", delivers=False)
    await box.capture("ada", "order placed")
    await box.close()
    _, checks = await examined(run, POSTHOG_HOST=NOWHERE)
    assert checks["outbox"]["found"].startswith("1 events wait")
    _, checks = await examined(run, POSTHOG_HOST=NOWHERE, POSTHOG_MCP_OUTBOX="memory")
    assert checks["outbox"]["state"] == "note"


async def test_state_that_others_can_read_or_change_is_told(run: Run, tmp_path: Path):
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "flags.json").write_text("{}")
    (state / "flags.json").chmod(0o644)
    _, checks = await examined(run, POSTHOG_HOST=NOWHERE)
    assert checks["data directory"]["state"] == "warning"
    assert "flags.json" in checks["data directory"]["found"]
    state.chmod(0o777)
    _, checks = await examined(run, POSTHOG_HOST=NOWHERE)
    assert checks["data directory"]["state"] == "broken"
    assert "chmod 700" in checks["data directory"]["next_step"]


@pytest.mark.parametrize("place", ["taken", "taken/below"])
async def test_a_data_directory_that_cannot_be_is_broken(run: Run, tmp_path: Path, place: str):
    (tmp_path / "taken").write_text("a file")
    code, checks = await examined(run, POSTHOG_HOST=NOWHERE, POSTHOG_MCP_DATA_DIR=str(tmp_path / place))
    assert code == 1
    assert checks["data directory"]["state"] == "broken"
    assert "POSTHOG_MCP_DATA_DIR" in checks["data directory"]["next_step"]


async def test_settings_that_do_not_fit_are_broken(run: Run):
    code, checks = await examined(run, POSTHOG_MCP_ACCES="read")
    assert code == 1
    assert "POSTHOG_MCP_ACCESS" in checks["settings"]["found"]


def test_an_old_python_is_broken():
    assert python((3, 10, 1)).state == "broken"
