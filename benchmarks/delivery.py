"""Delivery of events: our outbox beside posthog-python and posthog-node, against the same sink, in one run.

python benchmarks/delivery.py [PART …] [--down SECONDS] [--rounds N] [--events N]

Parts: latency, drain, kill, down, import. Without any, all of them. Needs `npm install --prefix tests/node`.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Self

HERE = Path(__file__).parent
PROGRAM = Path(sys.executable).with_name("posthog-mcp")
WHO = ("ours", "python", "node")
NAMES = {"ours": "posthog-mcp", "python": "posthog-python", "node": "posthog-node"}
DRAINED = 60_000
IMPORTS = 5  # each between two drains, since what else the machine does changes by the minute


class Sink:
    """The sink in its process; one port for all its lives."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, HERE / "delivery_sink.py", str(self.port)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.process.stdout.readline()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=60) as answer:  # noqa: S310 - our own sink
            return json.load(answer)


class App:
    """One application in its process."""

    def __init__(self, who: str, host: str, folder: Path, *arguments: object) -> None:
        command = (
            ["node", str(HERE / "delivery_node.mjs")]
            if who == "node"
            else [sys.executable, str(HERE / "delivery_apps.py"), who]
        )
        self.process = subprocess.Popen(
            [*command, host, str(folder), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def says(self) -> dict[str, Any]:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def kill(self) -> list[int]:
        """Kill it with -9; the numbers of the captures it had finished."""
        self.process.kill()
        assert self.process.stdout
        lines = [line for line in self.process.stdout.read().split("\n")[:-1] if line]
        self.process.wait()
        return [json.loads(line)["n"] for line in lines]


class Table:
    """What was asked and what was measured, row by row."""

    def __init__(self) -> None:
        print(f"{'figure':46} {'asked':>16} " + " ".join(f"{NAMES[who]:>15}" for who in WHO), flush=True)

    def row(self, figure: str, asked: str, ours: str, python: str = "-", node: str = "-") -> None:
        print(f"{figure:46} {asked:>16} {ours:>15} {python:>15} {node:>15}", flush=True)


def latency(table: Table, folder: Path, _: argparse.Namespace) -> None:
    found = {}
    with Sink() as sink:
        for who in WHO:
            app = App(who, sink.url, folder / who, "latency", 5_000)
            found[who] = app.says()
            app.process.wait()
    texts = [f"{found[who]['p50']:.3f} ms" for who in WHO]
    table.row("capture of one event, p50 (theirs: in memory)", "<= 0.3 ms", *texts)
    table.row("capture of one event, p99", "", *[f"{found[who]['p99']:.3f} ms" for who in WHO])
    app = App("ours", "http://127.0.0.1:9", folder / "batches", "batches", 100_000)
    table.row("events acknowledged durable, batches of 100", ">= 15,000/s", f"{app.says()['rate']:,.0f}/s")


def drain(table: Table, folder: Path, _: argparse.Namespace) -> None:
    rates = {who: _drain_rate(who, folder) for who in WHO}
    table.row("drain into a loopback sink, gzip", ">= 15,000/s", *[f"{rates[who]:,.0f}/s" for who in WHO])
    table.row("drain against posthog-python", ">= 1.2 x", f"{rates['ours'] / rates['python']:.2f} x")


def _drain_rate(who: str, folder: Path) -> float:
    return median(_drained(who, folder / f"{who}{turn}") for turn in range(3))


def _drained(who: str, folder: Path) -> float:
    """Events a second; the queue is full before the first answer comes."""
    with Sink() as sink:
        sink.ask("hold")
        app = App(who, sink.url, folder, "fill", DRAINED)
        app.says()
        sink.ask("open")
        app.go()
        rate = app.says()["rate"]
        app.process.wait()
        arrived = {uuid for _, _, uuid in sink.ask("report")}
    assert len(arrived) == DRAINED, f"{who}: {len(arrived)} of {DRAINED} arrived"
    return rate


def kill(table: Table, folder: Path, options: argparse.Namespace) -> None:
    lost: dict[str, str] = {}
    for who in WHO:
        with Sink() as sink:
            captured = _kill_rounds(who, sink, folder / who, options.rounds)
            if who == "ours":
                _flush(sink, folder / who)
            else:
                time.sleep(1)
            report = sink.ask("report")
        arrived = {n for _, n, _ in report}
        missing = len(captured - arrived)
        lost[who] = f"{missing:,} of {len(captured):,}"
        if who == "ours":
            twice = len(report) - len({uuid for _, _, uuid in report})
            disorder = _out_of_order(report)
    table.row(f"kill -9, {options.rounds} rounds: acknowledged and lost", "0", *[lost[who] for who in WHO])
    table.row("  sent twice (PostHog merges them by uuid)", "0 after merging", f"{twice:,} sent, 0 left")
    table.row("  out of order for a person", "0", str(disorder))


def _kill_rounds(who: str, sink: Sink, folder: Path, rounds: int) -> set[int]:
    moments = random.Random(7)
    captured: set[int] = set()
    for number in range(rounds):
        app = App(who, sink.url, folder, "forever", number * 100_000)
        captured.add(app.says()["n"])
        time.sleep(moments.uniform(0, 2.5))
        captured.update(app.kill())
    return captured


def _flush(sink: Sink, folder: Path) -> None:
    environment = {
        **os.environ,
        "POSTHOG_HOST": sink.url,
        "POSTHOG_API_KEY": "phc_benchmark",
        "POSTHOG_MCP_DATA_DIR": str(folder),
    }
    subprocess.run([PROGRAM, "outbox", "flush"], env=environment, check=True, stdout=subprocess.DEVNULL)


def _out_of_order(report: list[list[Any]]) -> int:
    """Events that first arrived after a later one of the same person."""
    newest: dict[str, int] = {}
    seen: set[str] = set()
    wrong = 0
    for who, n, uuid in report:
        if uuid not in seen:
            seen.add(uuid)
            wrong += n < newest.get(who, -1)
            newest[who] = max(n, newest.get(who, -1))
    return wrong


def down(table: Table, folder: Path, options: argparse.Namespace) -> None:
    """All three at once: each its sink, gone for the time of the outage."""
    sinks = {who: Sink() for who in WHO}
    apps = {who: App(who, sinks[who].url, folder / who, "steady", 10, options.down + 10) for who in WHO}
    time.sleep(options.down)
    for sink in sinks.values():
        sink.__enter__()
    back = time.monotonic()
    first = 0.0
    while not first and time.monotonic() - back < 30:
        time.sleep(0.05)
        first = time.monotonic() - back if sinks["ours"].ask("report") else 0.0
    lost: list[str] = []
    for who in WHO:
        captured = apps[who].says()["captured"]
        apps[who].process.wait(120)
        if who == "ours":
            _flush(sinks[who], folder / who)
        arrived = len({uuid for _, _, uuid in sinks[who].ask("report")})
        lost.append(f"{captured - arrived} of {captured}")
        sinks[who].__exit__()
    table.row(f"endpoint down {options.down} s at 10 events/s: lost", "0", *lost)
    table.row("  first delivery after it is back", "<= 5 s", f"{first:.1f} s")


def imported(table: Table, folder: Path, options: argparse.Namespace) -> None:
    count = options.events
    path = folder / "events.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    _write_events(path, count)
    rates: list[float] = []
    shares: list[float] = []
    peaks: list[float] = []
    for turn in range(IMPORTS):
        before = _drained("ours", folder / f"before{turn}")
        with Sink() as sink:
            environment = {"POSTHOG_HOST": sink.url, "POSTHOG_API_KEY": "phc_benchmark"}
            took, peak = _import(path, folder / f"sink{turn}", environment)
            assert took
        after = _drained("ours", folder / f"after{turn}")
        rates.append(count / took)
        shares.append(rates[-1] / ((before + after) / 2))
        peaks.append(peak)
    table.row(f"import of {count:,} events: peak memory above start", "<= 150 MiB", f"{max(peaks):.0f} MiB")
    table.row("  rate into the sink", "", f"{median(rates):,.0f}/s")
    spread = f"{min(shares):.2f} to {max(shares):.2f}"
    table.row(f"  against the drains before and after ({spread})", ">= 0.8 x", f"{median(shares):.2f} x")
    asyncio.run(_resumed(table, path, folder, count))


async def _resumed(table: Table, path: Path, folder: Path, count: int) -> None:
    from posthog_mcp.sandbox.process import SandboxProcess

    async with SandboxProcess(throttle="off") as sandbox:
        await asyncio.to_thread(_resumed_into, dict(sandbox.environment), table, path, folder, count)


def _resumed_into(environment: dict[str, str], table: Table, path: Path, folder: Path, count: int) -> None:
    took, _ = _import(path, folder / "killed", environment, 0.35)
    assert took is None
    took, peak = _import(path, folder / "killed", environment)
    assert took
    total, uuids = _counted(environment["POSTHOG_HOST"])
    table.row("  killed with -9, resumed: events in the sandbox", f"{count:,}", f"{total:,}")
    table.row("  different uuids among them", f"{count:,}", f"{uuids:,}")
    table.row("  the resumed run: seconds, peak above start", "", f"{took:.0f} s, {peak:.0f} MiB")


def _counted(url: str) -> list[int]:
    """Events of the import in the sandbox, and different uuids among them."""
    query = "SELECT count(), count(DISTINCT uuid) FROM events WHERE event = 'imported'"
    request = urllib.request.Request(  # noqa: S310 - our own sandbox
        f"{url}/api/projects/1/query/",
        json.dumps({"query": {"kind": "HogQLQuery", "query": query}, "refresh": "force_blocking"}).encode(),
        {"Authorization": "Bearer phx_sandbox", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)["results"][0]


def _write_events(path: Path, count: int) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    with path.open("w") as file:
        for n in range(count):
            moment = (start + timedelta(seconds=n)).isoformat()
            event = {"event": "imported", "distinct_id": f"user-{n % 5_000}", "timestamp": moment}
            file.write(json.dumps({**event, "properties": {"n": n, "plan": "pro", "text": "x" * 250}}) + "\n")


def _import(
    path: Path, folder: Path, environment: dict[str, str], kill_at: float | None = None
) -> tuple[float | None, float]:
    """Seconds it took, None if killed at that part of the file, and MiB at its peak above its start."""
    process = subprocess.Popen(
        [PROGRAM, "import", path],
        env={**os.environ, **environment, "POSTHOG_MCP_DATA_DIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    started, first, peak = time.monotonic(), 0.0, 0.0
    while process.poll() is None:
        now = _resident(process.pid)
        first = first or (now if time.monotonic() - started > 0.5 else 0.0)
        peak = max(peak, now)
        if kill_at is not None and _read_share(process.pid, path) > kill_at:
            process.kill()
            process.wait()
            return None, peak - first
        time.sleep(0.05)
    assert process.returncode == 0, f"import ended with {process.returncode}"
    return time.monotonic() - started, peak - first


def _resident(pid: int) -> float:
    """MiB in memory of a process."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _read_share(pid: int, path: Path) -> float:
    """How far it has read the file."""
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            if entry.resolve() == path.resolve():
                text = Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text()
                return int(text.split("pos:")[1].split()[0]) / path.stat().st_size
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return 0.0


PARTS: dict[str, Callable[[Table, Path, argparse.Namespace], None]] = {
    "latency": latency,
    "drain": drain,
    "kill": kill,
    "down": down,
    "import": imported,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    parser.add_argument("--down", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--events", type=int, default=1_000_000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="delivery-"))
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f} at the start, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    table = Table()
    try:
        for name in options.parts or PARTS:
            PARTS[name](table, folder / name, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
