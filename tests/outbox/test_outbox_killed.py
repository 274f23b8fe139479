"""Real processes, killed at any moment: what was acknowledged arrives, once, in order."""

import asyncio
import json
import os
import random
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest
from posthog_stub import Reply
from test_outbox_delivery import order_of

from posthog_mcp.outbox import Event, Outbox, made

WORKER = str(Path(__file__).with_name("outbox_worker.py"))
PROGRAM = str(Path(sys.executable).with_name("posthog-mcp"))


class Worker:
    """One copy of the worker."""

    async def start(self, *arguments: str) -> "Worker":
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, WORKER, *arguments, stdout=asyncio.subprocess.PIPE
        )
        self.acknowledged: list[str] = []
        assert self._process.stdout is not None
        self._take(await self._process.stdout.readline())
        return self

    def _take(self, line: bytes) -> None:
        if line.endswith(b"\n"):
            self.acknowledged.append(line.split()[0].decode())

    async def kill(self) -> list[str]:
        """Kill it with -9; gives all that it had acknowledged by then."""
        self._process.kill()
        assert self._process.stdout is not None
        for line in (await self._process.stdout.read()).splitlines(keepends=True):
            self._take(line)
        await self._process.wait()
        return self.acknowledged


async def test_killed_at_any_moment_nothing_acknowledged_is_lost_or_out_of_order(stub, open_box, tmp_path):
    moments = random.Random(4)
    stub.answer = lambda _: Reply(delay=0.02)
    acknowledged: list[str] = []
    for number in range(8):
        worker = await Worker().start(
            stub.url, "phc_outbox_test", str(tmp_path / "state"), "seen", str(number * 100_000), "7"
        )
        await anyio.sleep(moments.uniform(0, 0.25))
        acknowledged += await worker.kill()
    box = open_box()
    assert await box.flush(20)
    assert set(acknowledged) <= set(stub.uuids)
    for numbers in order_of(stub).values():
        assert numbers == sorted(numbers)
    twice = len(stub.uuids) - len(set(stub.uuids))
    assert twice <= 8 * 2_000  # at most one batch for each kill
    assert box.status().dead == 0


async def test_killed_amid_faults_posthog_has_everything_once(sandbox, posthog, tmp_path):
    folder, name = tmp_path / "state", f"killed-{os.getpid()}"
    acknowledged: list[str] = []
    faults: list[dict[str, Any]] = [
        {"status": 503, "times": 2},
        {"drop": "after", "times": 2},
        {"drop": "before", "times": 1},
        {"status": 429, "retry_after": 1, "times": 1},
        {"delay": 0.2, "times": 3},
    ]
    for number, fault in enumerate(faults):
        await posthog.fail(**fault)
        worker = await Worker().start(
            sandbox.url, "phc_sandbox", str(folder), name, str(number * 100_000), "5"
        )
        await anyio.sleep(0.3)
        acknowledged += await worker.kill()
    await posthog.mend()
    box = Outbox("phc_sandbox", sandbox.url, folder)
    assert await box.flush(30)
    await box.close()
    stored = await posthog.uuids(name)
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)


async def test_posthogs_own_400_is_bisected_to_the_bad_event(sandbox, posthog, tmp_path):
    name = f"bad-{os.getpid()}"
    box = Outbox("phc_sandbox", sandbox.url, tmp_path / "state")
    good = [made(name, f"u{n % 3}", {"n": n}, datetime.now(UTC)) for n in range(200)]
    broken = Event(UUID(int=5), b'{"event":"x","distinct_id":"u1","uuid":"no uuid","properties":{}}')
    await box.append([*good[:120], broken, *good[120:]])
    assert await box.flush(20)
    assert await posthog.uuids(name) == [str(event.uuid) for event in good]
    assert box.state_of(broken.uuid).startswith("failed: ")
    assert box.status().dead == 1
    await box.close()


@pytest.mark.parametrize("status", [400, 401, 413, 500, 503])
async def test_a_fault_of_each_kind_loses_nothing(sandbox, posthog, tmp_path, status):
    name = f"fault-{status}-{os.getpid()}"
    await posthog.fail(status=status, times=1)
    box = Outbox("phc_sandbox", sandbox.url, tmp_path / "state")
    sent = [made(name, f"u{n % 3}", {"n": n}, datetime.now(UTC)) for n in range(40)]
    await box.append(sent)
    await box.flush(20)
    assert await box.flush(20)
    assert await posthog.uuids(name) == [str(event.uuid) for event in sent]
    assert box.status().dead == 0
    await box.close()


async def test_the_lease_of_a_killed_sender_is_taken_over_at_once(stub, open_box, tmp_path):
    stub.answer = lambda _: Reply(delay=30)
    worker = await Worker().start(stub.url, "phc_outbox_test", str(tmp_path / "state"), "seen", "0")
    with anyio.fail_after(5):
        while not stub.batches:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    box = open_box()
    mine = await box.capture("ada", "mine", {"n": 0})
    await anyio.sleep(0.3)
    assert len(stub.batches) == 1  # it is the other's turn
    acknowledged = await worker.kill()
    stub.answer = lambda _: Reply()
    assert await box.flush(5)
    assert {*acknowledged, str(mine)} <= set(stub.uuids)


async def test_one_process_sends_for_all(stub, open_box, tmp_path):
    stub.answer = lambda _: Reply(delay=0.05)
    workers = [
        await Worker().start(stub.url, "phc_outbox_test", str(tmp_path / "state"), "seen", str(n * 100_000))
        for n in range(3)
    ]
    await anyio.sleep(1.5)
    acknowledged = [uuid for worker in workers for uuid in await worker.kill()]
    assert stub.most_at_once == 1
    box = open_box()
    assert await box.flush(10)
    assert set(acknowledged) <= set(stub.uuids)
    assert len(stub.uuids) - len(set(stub.uuids)) <= 2_000


class Server:
    """`posthog-mcp` over stdio, as a host starts it."""

    async def start(self, *arguments: str, **environment: str) -> "Server":
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            PROGRAM, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env={**kept, **environment}
        )
        information = {"name": "test", "version": "1"}
        await self.ask(0, "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=information)
        self._write({"method": "notifications/initialized"})
        return self

    def _write(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def ask(self, number: int, method: str, **params: Any) -> dict[str, Any]:
        assert self.process.stdout is not None
        self._write({"id": number, "method": method, "params": params})
        async with asyncio.timeout(20):
            while True:
                message = json.loads(await self.process.stdout.readline())
                if message.get("id") == number and "result" in message:
                    return message["result"]

    async def call(self, number: int, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.ask(number, "tools/call", name=tool, arguments=arguments)
        assert not result.get("isError"), result
        return result["structuredContent"]

    async def end(self) -> tuple[int, float, str]:
        """Wait for its end: the code, the seconds it took, and what it said."""
        assert self.process.stderr is not None
        started = asyncio.get_running_loop().time()
        async with asyncio.timeout(20):
            code = await self.process.wait()
            took = asyncio.get_running_loop().time() - started
            return code, took, (await self.process.stderr.read()).decode()


@pytest.fixture
def environment(sandbox, tmp_path) -> dict[str, str]:
    return {**sandbox.environment, "POSTHOG_MCP_DATA_DIR": str(tmp_path / "state")}


async def command(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *arguments,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_a_server_killed_after_its_answer_has_lost_nothing(environment, posthog):
    name = f"server-{os.getpid()}"
    server = await Server().start(**environment)
    answer = await server.call(1, "capture_event", event=name, distinct_id="ada", properties={"n": 1})
    server.process.send_signal(signal.SIGKILL)
    await server.end()
    assert answer["accepted"] == 1
    code, said = await command(environment, "outbox", "flush")
    assert (code, said) == (0, "1 events delivered.\n")
    assert await posthog.uuids(name) == answer["uuids"]


async def test_a_server_that_may_only_read_delivers_what_another_left(environment, posthog):
    name = f"left-{os.getpid()}"
    server = await Server().start(**environment)
    await server.call(1, "capture_event", event=name, distinct_id="ada", properties={"n": 1})
    server.process.kill()
    await server.end()
    reader = await Server().start("--access", "read", **environment)
    assert (await reader.call(1, "get_status"))["outbox"]["waiting"][0]["events"] == 1
    with anyio.fail_after(5):
        while (await reader.call(2, "get_status"))["outbox"]["waiting"]:  # noqa: ASYNC110
            await anyio.sleep(0.05)
    assert len(await posthog.uuids(name)) == 1
    reader.process.kill()
    await reader.end()


async def test_no_database_is_opened_before_an_event_or_the_status(environment, tmp_path):
    server = await Server().start(**environment)
    assert (await server.ask(1, "tools/list"))["tools"]
    file = anyio.Path(tmp_path / "state" / "outbox.db")
    assert not await file.exists()
    await server.call(2, "get_status")
    assert await file.exists()
    server.process.kill()
    await server.end()


@pytest.mark.parametrize("how", ["eof", "SIGTERM", "SIGINT"])
async def test_the_end_sends_what_waits(environment, posthog, how):
    name = f"end-{how}-{os.getpid()}"
    server = await Server().start(**environment)
    await server.call(1, "capture_event", event=name, distinct_id="ada", properties={"n": 1})
    if how == "eof":
        assert server.process.stdin is not None
        server.process.stdin.close()
    else:
        server.process.send_signal(getattr(signal, how))
    code, took, _ = await server.end()
    assert code == 0
    assert took < 1.5
    assert len(await posthog.uuids(name)) == 1


async def test_an_end_that_cannot_send_is_quick_and_says_how_many_stay(environment, posthog):
    name = f"slow-{os.getpid()}"
    server = await Server().start(**environment)
    await server.call(1, "capture_event", event=name, distinct_id="ada", properties={"n": 1})
    await posthog.fail(delay=10)
    assert server.process.stdin is not None
    server.process.stdin.close()
    code, took, said = await server.end()
    assert code == 0
    assert took < 1.5
    assert "1 events stay on disk" in said
    await posthog.mend()
    assert (await command(environment, "outbox", "flush"))[0] == 0
    assert len(await posthog.uuids(name)) == 1
