"""The sandbox as a program: how it starts, is found, and ends."""

import asyncio
import importlib.util
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from posthog_mcp.sandbox import live
from posthog_mcp.sandbox.engine import EngineMissing
from posthog_mcp.sandbox.process import SandboxError, SandboxProcess

pytestmark = pytest.mark.skipif(importlib.util.find_spec("chdb") is None, reason="needs posthog-mcp[sandbox]")

COMMAND = [sys.executable, "-m", "posthog_mcp.cli.sandbox"]
ANNOTATIONS = "/api/projects/1/annotations/"
KEY = {"Authorization": "Bearer phx_sandbox"}


async def until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  other processes set no event of ours
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_seeding(store: Path) -> bool:
    if not store.exists():
        return False
    with closing(sqlite3.connect(store)) as db:
        tables = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'documents'").fetchone()
        return bool(tables[0]) and bool(db.execute("SELECT 1 FROM documents WHERE kind = 'seed'").fetchall())


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxProcess]:
    async with SandboxProcess() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
def no_chdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chdb").mkdir()
    (tmp_path / "chdb" / "__init__.py").write_text("raise ImportError('no such wheel')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


async def test_it_says_where_it_is_and_answers_there(
    sandbox: SandboxProcess, http: httpx2.AsyncClient
) -> None:
    assert sandbox.environment == {
        "POSTHOG_HOST": sandbox.url,
        "POSTHOG_API_KEY": "phc_sandbox",
        "POSTHOG_PERSONAL_API_KEY": "phx_sandbox",
        "POSTHOG_PROJECT_SECRET_KEY": "phs_sandbox",
        "POSTHOG_PROJECT_ID": "1",
    }
    status = await http.get(f"{sandbox.url}/_sandbox/status/")
    assert status.json()["ok"] is True


async def test_stopping_ends_the_process_and_its_engine_and_can_be_repeated(sandbox: SandboxProcess) -> None:
    assert sandbox.pid is not None
    both = [sandbox.pid, *children(sandbox.pid)]
    assert len(both) == 2
    started = time.monotonic()
    await sandbox.stop()
    assert time.monotonic() - started < 5
    assert not any(alive(pid) for pid in both)
    await sandbox.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly_and_its_temporary_directory_with_it(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("export POSTHOG_HOST=http://127.0.0.1:")
        assert list(tmp_path.iterdir())
        running.send_signal(number)
        _, complaints = running.communicate(timeout=10)
    assert running.returncode == 0
    assert complaints == ""
    assert list(tmp_path.iterdir()) == []


async def test_it_ends_quietly_while_a_query_runs(http: httpx2.AsyncClient) -> None:
    endless = "select sum(a.number * b.number) from numbers(10000000) as a cross join numbers(1000000) as b"
    running = await asyncio.create_subprocess_exec(*COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    url = (await asyncio.wait_for(running.stdout.readline(), 20)).decode().strip().partition("=")[2]
    body = {"query": {"kind": "HogQLQuery", "query": endless}}
    query = asyncio.create_task(http.post(f"{url}/api/projects/1/query/", headers=KEY, json=body))
    (engine,) = children(running.pid)
    before = cpu_ticks(engine)
    await until(lambda: cpu_ticks(engine) > before + 20)
    running.send_signal(signal.SIGTERM)
    _, complaints = await asyncio.wait_for(running.communicate(), 7)
    assert (running.returncode, complaints) == (0, b"")
    assert (await query).status_code == 500


async def test_it_can_be_stopped_while_it_seeds(tmp_path: Path) -> None:
    running = await asyncio.create_subprocess_exec(
        *COMMAND, "--seed", "large", "--data", str(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    await until(lambda: is_seeding(tmp_path / "sandbox.sqlite"), seconds=20)
    running.send_signal(signal.SIGTERM)
    printed, complaints = await asyncio.wait_for(running.communicate(), 8)
    assert (running.returncode, printed, complaints) == (0, b"", b"")
    async with asyncio.timeout(20):
        with pytest.raises(SandboxError, match="stopped while it filled"):
            await SandboxProcess(data=tmp_path, seed="large").start()


async def test_it_ends_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    script = (
        "import asyncio\nfrom posthog_mcp.sandbox.process import SandboxProcess\n"
        "async def main():\n"
        "    async with SandboxProcess() as sandbox:\n"
        "        print(sandbox.pid, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert parent.stdout is not None
    async with asyncio.timeout(20):
        pid = int(await parent.stdout.readline())
    both = [pid, *children(pid)]
    parent.kill()
    await until(lambda: not any(alive(pid) for pid in both))
    await parent.wait()
    assert os.listdir(tmp_path) == []  # noqa: PTH208  ruff forbids the other one in an async function


async def test_data_outlives_the_process_even_when_it_is_killed(
    tmp_path: Path, http: httpx2.AsyncClient
) -> None:
    note = {"content": "kept", "date_marker": "2026-01-01T00:00:00Z", "scope": "project"}
    async with SandboxProcess(data=tmp_path) as first:
        created = await http.post(first.url + ANNOTATIONS, headers=KEY, json=note)
        assert created.status_code == 201
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
    async with SandboxProcess(data=tmp_path) as second:
        listed = await http.get(second.url + ANNOTATIONS, headers=KEY)
    assert [one["content"] for one in listed.json()["results"]] == ["kept"]


async def test_a_second_sandbox_on_a_directory_is_told_who_has_it(tmp_path: Path) -> None:
    async with SandboxProcess(data=tmp_path) as first:
        second = await asyncio.create_subprocess_exec(
            *COMMAND, "--data", str(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        printed, complaints = await asyncio.wait_for(second.communicate(), 20)
        assert second.returncode == live.IN_USE_EXIT == 4
        assert printed == b""
        assert f"already in use by pid {first.pid} at {first.url}." in complaints.decode()
        assert len(complaints.splitlines()) == 1


async def test_a_second_process_joins_the_sandbox_of_a_directory(
    tmp_path: Path, http: httpx2.AsyncClient
) -> None:
    assert live.find(tmp_path) is None
    async with SandboxProcess(data=tmp_path) as first:
        async with SandboxProcess(data=tmp_path) as second:
            assert (first.joined, second.joined) == (False, True)
            assert second.environment == first.environment
        assert (await http.get(f"{first.url}/_sandbox/status/")).status_code == 200
    assert live.find(tmp_path) is None


async def test_of_several_started_at_once_one_serves_and_the_others_join(tmp_path: Path) -> None:
    sandboxes = [SandboxProcess(data=tmp_path) for _ in range(3)]
    try:
        await asyncio.gather(*(sandbox.start() for sandbox in sandboxes))
        assert len({sandbox.url for sandbox in sandboxes}) == 1
        assert sorted(sandbox.joined for sandbox in sandboxes) == [False, True, True]
    finally:
        await asyncio.gather(*(sandbox.stop() for sandbox in sandboxes))


async def test_a_file_left_by_a_killed_sandbox_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "sandbox.json").write_text(json.dumps({"pid": 1, "url": "http://127.0.0.1:1"}))
    (tmp_path / "sandbox.lock").touch()
    assert live.find(tmp_path) is None


async def test_limits_and_whom_they_count_can_be_chosen(http: httpx2.AsyncClient) -> None:
    async with SandboxProcess(limits="crud=1/600s", throttle="key") as sandbox:
        statuses = [(await http.get(sandbox.url + ANNOTATIONS, headers=KEY)).status_code for _ in range(2)]
        other = await http.get(
            sandbox.url + ANNOTATIONS, headers={"Authorization": "Bearer phx_sandbox_read"}
        )
    assert statuses == [200, 429]
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--colour", "blue"], "unrecognized arguments: --colour blue"),
        (["--see", "small"], "unrecognized arguments: --see small"),
        (["--seed", "huge"], "invalid choice"),
        (["--limits", "crud=many"], "Cannot read the limits 'crud=many'"),
        (["--limits", "cruds=1/2s"], "Unknown class of limits 'cruds'"),
    ],
)
def test_a_wrong_option_stops_the_start(arguments: list[str], complaint: str) -> None:
    ended = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert ended.stdout == ""


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*COMMAND, "--port", port], capture_output=True, text=True, timeout=20, check=False
        )
    assert ended.returncode == 1
    assert ended.stderr == f"Cannot serve on 127.0.0.1 port {port}: Address already in use. Choose another.\n"


@pytest.mark.usefixtures("no_chdb")
def test_without_the_engines_wheel_it_says_so_in_one_line_and_ends_with_3() -> None:
    ended = subprocess.run(COMMAND, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 3
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert "pip install 'posthog-mcp[sandbox]'" in ended.stderr


@pytest.mark.usefixtures("no_chdb")
async def test_whoever_starts_it_without_the_wheel_gets_the_same_line() -> None:
    with pytest.raises(EngineMissing, match="pip install"):
        await SandboxProcess().start()


async def test_a_sandbox_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SandboxError, match="file"):
        await SandboxProcess(data=tmp_path / "file").start()
    with pytest.raises(SandboxError, match="did not start within"):
        await SandboxProcess(start_seconds=0.05).start()
