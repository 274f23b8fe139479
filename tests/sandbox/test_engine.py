"""The engine's worker: what it returns, what it refuses, and how it ends."""

import asyncio
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthog_mcp.sandbox.engine import ENGINE_MISSING_EXIT, Engine, EngineError, EngineMissing, errors, schema

pytestmark = pytest.mark.skipif(importlib.util.find_spec("chdb") is None, reason="needs posthog-mcp[sandbox]")

FOREVER = "SELECT count() FROM numbers(1000000000000) WHERE sin(number) = 2"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    running = await Engine.start(tmp_path)
    yield running
    await running.close()


def line(number: int = 0, **fields: object) -> bytes:
    row = {
        "uuid": str(uuid.UUID(int=number)),
        "event": "seen",
        "timestamp": "2026-01-02 03:04:05.678901",
        "distinct_id": f"user-{number}",
        "person_id": str(uuid.UUID(int=7)),
        "properties": "{}",
        "inserted_at": "2026-01-02 03:04:06.000000",
        **fields,
    }
    return json.dumps(row).encode() + b"\n"


async def count(engine: Engine) -> int:
    return (await engine.query("SELECT count() FROM ph.events FINAL")).rows[0][0]


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  other processes set no event of ours
            await asyncio.sleep(0.01)


async def is_running(engine: Engine) -> None:
    """Wait until ClickHouse knows of FOREVER."""
    question = "SELECT countIf(query = {sql:String}) FROM system.processes"
    async with asyncio.timeout(5):
        while (await engine.query(question, {"sql": FOREVER})).rows[0][0] == 0:  # noqa: ASYNC110  nor does ClickHouse
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_rows_come_back_with_names_types_values_and_what_was_read(engine: Engine) -> None:
    await engine.insert("events", line(1))
    rows = await engine.query(
        "SELECT event, timestamp, 1 < 2 AS less, nan, ['a'] AS list FROM ph.events FINAL"
    )
    assert rows.columns == ["event", "timestamp", "less", "nan", "list"]
    assert rows.types == ["String", "DateTime64(6, 'UTC')", "UInt8", "Float64", "Array(String)"]
    assert rows.rows == [["seen", "2026-01-02T03:04:05.678901Z", 1, None, ["a"]]]
    assert rows.read_rows == 1
    assert rows.read_bytes > 0
    assert 0 < rows.seconds < 5


async def test_every_table_of_the_schema_is_there_and_data_survives_a_restart(tmp_path: Path) -> None:
    first = await Engine.start(tmp_path)
    await first.insert("ph.events", line(1))
    await first.close()
    second = await Engine.start(tmp_path)
    try:
        assert await count(second) == 1
        described = await second.query(
            "SELECT table, name FROM system.columns WHERE database = 'ph' ORDER BY position"
        )
        for table in schema.TABLES:
            assert [name for of, name in described.rows if of == table] == schema.columns(table)
    finally:
        await second.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text())
async def test_any_text_is_safe_as_a_parameter(engine: Engine, text: str) -> None:
    rows = await engine.query("SELECT {x:String}, {n:Int64}", {"x": text, "n": -5})
    assert rows.rows == [[text, -5]]


async def test_an_event_sent_twice_is_read_once(engine: Engine) -> None:
    await engine.insert("events", line(1) + line(1) + line(2))
    await engine.insert("events", line(1, properties='{"a":1}', inserted_at="2026-01-03 00:00:00.000000"))
    rows = await engine.query("SELECT properties FROM ph.events FINAL ORDER BY uuid")
    assert rows.rows == [['{"a":1}'], ["{}"]]


async def test_text_that_is_no_unicode_fails_neither_inserts_nor_results(engine: Engine) -> None:
    await engine.insert("events", line(1, distinct_id="lone \ud800") + line(2))
    assert await count(engine) == 2
    assert len((await engine.query("SELECT distinct_id, unhex('ff41') FROM ph.events FINAL")).rows) == 2


@pytest.mark.parametrize(
    ("table", "rows", "code"),
    [
        ("nothing", line(1), 60),
        ("events", line(1, colour="blue"), 117),
        ("events", line(1) + b'{"uuid": 5x}\n', 27),
    ],
)
async def test_a_wrong_insert_writes_nothing(engine: Engine, table: str, rows: bytes, code: int) -> None:
    with pytest.raises(EngineError) as caught:
        await engine.insert(table, rows)
    assert caught.value.code == code
    assert await count(engine) == 0


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SET max_threads = 9", 164),
        ("SELECT 1 SETTINGS max_execution_time = 900", 164),
        ("CREATE TABLE ph.mine (x Int8) ENGINE = Memory", 164),
        ("INSERT INTO ph.events (event) VALUES ('x')", 164),
        ("DROP TABLE ph.events", 164),
        ("SELECT nope FROM ph.events", 47),
        ("SELECT nope(1)", 46),
        ("SELECT number FROM numbers(60000)", 396),
        ("SELECT groupArray(number) FROM numbers(1000000000)", 241),
    ],
)
async def test_a_refused_query_says_why_without_its_sql(engine: Engine, sql: str, code: int) -> None:
    with pytest.raises(EngineError) as caught:
        await engine.query(sql)
    error = caught.value
    assert error.code == code
    assert error.name.isupper()
    assert error.message == str(error)
    assert error.message.endswith(".")
    for internal in ("In scope", "While executing", "DB::Exception", "(version", error.name):
        assert internal not in error.message


def test_a_message_is_cut_before_the_compiled_sql() -> None:
    text = (
        "Code: 47. DB::Exception: Code: 47. DB::Exception: Unknown expression identifier `x`. In scope "
        "SELECT x FROM ph.events. (UNKNOWN_IDENTIFIER) (version 26.9.2.1). (UNKNOWN_IDENTIFIER)"
    )
    error = errors.from_chdb(text)
    assert (error.code, error.name) == (47, "UNKNOWN_IDENTIFIER")
    assert error.message == "Unknown expression identifier `x`."
    assert errors.from_chdb("no number").code == 1002


async def test_a_query_that_fails_while_it_writes_leaks_no_rows_into_the_next(engine: Engine) -> None:
    for _ in range(5):
        with pytest.raises(EngineError):
            await engine.query(
                "SELECT number, throwIf(number = 40000) FROM numbers(50000)", settings={"max_block_size": 100}
            )
        assert (await engine.query("SELECT 42 AS answer")).rows == [[42]]


async def test_long_sql_is_taken(engine: Engine) -> None:
    assert (await engine.query(f"SELECT length('{'x' * 1_000_000}')")).rows == [[1_000_000]]


async def test_settings_of_a_query_are_given_beside_its_sql(engine: Engine) -> None:
    joined = "SELECT b.x FROM (SELECT 1 AS x) AS a LEFT JOIN (SELECT 2 AS x) AS b ON a.x = b.x"
    assert (await engine.query(joined)).rows == [[0]]
    assert (await engine.query(joined, settings={"join_use_nulls": 1})).rows == [[None]]


async def test_a_query_ends_at_its_time_limit(engine: Engine) -> None:
    started = time.monotonic()
    with pytest.raises(EngineError) as caught:
        await engine.query(FOREVER, seconds=0.5)
    assert caught.value.code == errors.TIMED_OUT
    assert time.monotonic() - started < 3


async def test_a_running_and_a_waiting_query_can_be_cancelled_by_id(engine: Engine) -> None:
    assert await engine.cancel("mine") is False
    running = [asyncio.create_task(engine.query(FOREVER, query_id="mine", seconds=30)) for _ in range(5)]
    # Writes have a thread of their own: this returns although every reading thread is taken.
    await engine.insert("events", line(1))
    assert await engine.cancel("mine") is True
    for ended in await asyncio.gather(*running, return_exceptions=True):
        assert isinstance(ended, EngineError)
        assert ended.code == errors.CANCELLED
    assert (await engine.query("SELECT 1")).rows == [[1]]


async def test_a_caller_that_goes_away_frees_the_thread(engine: Engine) -> None:
    for _ in range(6):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await engine.query(FOREVER, seconds=60)
    assert (await engine.query("SELECT 1", seconds=5)).rows == [[1]]


async def test_closing_while_a_query_runs_ends_both_at_once(engine: Engine) -> None:
    running = asyncio.create_task(engine.query(FOREVER, seconds=60))
    await is_running(engine)
    process = engine._process
    started = time.monotonic()
    await engine.close()
    assert time.monotonic() - started < 2
    assert process is not None
    assert process.returncode == 0
    with pytest.raises(EngineError):
        await running
    with pytest.raises(EngineError, match="closed"):
        await engine.query("SELECT 1")


async def test_two_engines_run_side_by_side(tmp_path: Path) -> None:
    one, two = await asyncio.gather(Engine.start(tmp_path / "one"), Engine.start(tmp_path / "two"))
    try:
        await one.insert("events", line(1))
        assert (await count(one), await count(two)) == (1, 0)
    finally:
        await asyncio.gather(one.close(), two.close())


async def test_a_second_engine_on_the_same_directory_is_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="in use by another sandbox"):
        await Engine.start(tmp_path)
    assert (await engine.query("SELECT 1")).rows == [[1]]


async def test_a_killed_worker_fails_its_calls_and_is_started_again(engine: Engine) -> None:
    running = asyncio.create_task(engine.query(FOREVER, seconds=60))
    await is_running(engine)
    first = engine.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    with pytest.raises(EngineError, match="stopped while this call ran") as caught:
        await running
    assert (caught.value.code, caught.value.name) == (0, "ENGINE_STOPPED")
    assert (await engine.query("SELECT 1")).rows == [[1]]
    assert engine.pid != first


async def test_kill_9_loses_no_acknowledged_insert(tmp_path: Path) -> None:
    engine = await Engine.start(tmp_path)
    acknowledged: list[int] = []

    async def keep_inserting(start: int) -> None:
        for number in range(start, start + 100_000, 10):
            await engine.insert("events", b"".join(line(n) for n in range(number, number + 10)))
            acknowledged.extend(range(number, number + 10))

    try:
        for attempt in range(3):
            inserting = asyncio.create_task(keep_inserting(attempt * 100_000))
            already = len(acknowledged)
            await until(lambda already=already: len(acknowledged) > already + 200)
            assert engine.pid is not None
            os.kill(engine.pid, signal.SIGKILL)
            with pytest.raises(EngineError):
                await inserting
            stored = await engine.query("SELECT distinct_id FROM ph.events FINAL")
            assert {f"user-{number}" for number in acknowledged} <= {row[0] for row in stored.rows}
    finally:
        await engine.close()


async def test_an_interrupt_at_the_terminal_is_not_the_workers_business(engine: Engine) -> None:
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGINT)
    assert (await engine.query("SELECT 1")).rows == [[1]]


async def test_the_worker_ends_when_its_parent_is_killed_even_with_the_parents_children_alive(
    tmp_path: Path,
) -> None:
    script = (
        "import asyncio, subprocess, sys\nfrom pathlib import Path\n"
        "from posthog_mcp.sandbox.engine import Engine\n"
        "async def main():\n"
        "    engine = await Engine.start(Path(sys.argv[1]))\n"
        "    child = subprocess.Popen(['sleep', '60'], close_fds=False)\n"
        "    query = asyncio.create_task(engine.query(sys.argv[2], seconds=60))\n"
        "    await asyncio.sleep(0.2)\n"
        "    print(engine.pid, child.pid, flush=True)\n"
        "    await query\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen(  # noqa: ASYNC220  it takes a millisecond
        [sys.executable, "-c", script, str(tmp_path), FOREVER], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    worker, child = (int(number) for number in parent.stdout.readline().split())
    try:
        assert alive(worker)
        parent.kill()
        await until(lambda: not alive(worker), seconds=3)
        assert alive(child)
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()
        parent.wait(5)


@pytest.fixture
def no_chdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every Python process started from here on fail to import chdb."""
    (tmp_path / "chdb").mkdir()
    (tmp_path / "chdb" / "__init__.py").write_text("raise ImportError('no such wheel')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("no_chdb")
async def test_without_the_engines_wheel_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(EngineMissing, match=r"pip install 'posthog-mcp\[sandbox\]'"):
        await Engine.start(tmp_path / "data")


@pytest.mark.usefixtures("no_chdb")
def test_without_the_engines_wheel_the_worker_ends_with_a_code_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "posthog_mcp.sandbox.engine.worker", str(tmp_path / "data")]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    assert ended.returncode == ENGINE_MISSING_EXIT == 3
    assert ended.stderr == b""
