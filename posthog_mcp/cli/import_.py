"""`posthog-mcp import`: send files of past events to PostHog, at constant memory, as often as it takes."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from posthog_mcp.api import PostHogClient, PostHogError
from posthog_mcp.cli._lines import Form, Line, Rejected, Source
from posthog_mcp.cli._outbox import ROOM, load, open_outbox
from posthog_mcp.cli._progress import Progress
from posthog_mcp.cli._start import refuse
from posthog_mcp.outbox import Event, Mark, Outbox, OutboxFull, OutboxUnusable
from posthog_mcp.settings import SettingsError

if TYPE_CHECKING:
    from posthog_mcp.cli import Subparsers

_MOST_LINES, _MOST_BYTES = 2_000, 4 << 20  # in one request
_SHARE = 2  # at most half of the outbox, so that captures go on
_MOST_WAITING = 50_000  # events in the outbox; more would only make its file large
_LOOK_SECONDS = 0.05
_SHOWN = 20  # rejected lines that are repeated


class Stopped(Exception):  # noqa: N818 - an outcome
    """PostHog does not take the events, and only a person can mend that."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "import",
        help="send files of past events",
        description="Send files of past events to PostHog: JSON lines of {event, distinct_id, timestamp, "
        "properties, uuid?}, or CSV; gzip is understood. Killed or stopped, run it again and it goes on "
        "where it was. Exit code 1 when lines were rejected or events are still to be delivered.",
        allow_abbrev=False,
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="file to send")
    parser.add_argument(
        "--map",
        metavar="NAME=COLUMN",
        action="append",
        default=[],
        help="for CSV: the column of event, distinct_id, timestamp, uuid, or of a property; columns not "
        "named are properties of their own name",
    )
    parser.add_argument(
        "--text", metavar="COLUMN", action="append", default=[], help="for CSV: keep its numbers as text"
    )
    parser.add_argument("--event", metavar="NAME", default="", help="name of the events of lines without one")
    parser.add_argument(
        "--timestamp",
        metavar="TIME",
        default="",
        help="ISO time of lines without one; else they are rejected",
    )
    parser.add_argument(
        "--rejected", metavar="FILE", type=Path, help="write rejected lines here, with reasons"
    )
    parser.add_argument("--restart", action="store_true", help="start at the first line again")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Import.

    Returns:
        0 when everything was delivered, 1 when lines were rejected or events wait, 2 when it cannot start.
    """
    try:
        settings = load()
        sources = [Source(path, _form(args)) for path in args.files]
        token = PostHogClient.from_settings(settings).project_token()
    except SettingsError as error:
        return refuse(error)
    except (PostHogError, OSError) as error:
        print(f"posthog-mcp: {_reason(error)}", file=sys.stderr)
        return 2
    outcome = Outcome()
    most = min(_MOST_WAITING, settings.outbox_events // _SHARE)
    task = Import(open_outbox(settings, token), outcome, most=most, rejected=args.rejected)
    try:
        asyncio.run(task.run(sources, restart=args.restart))
    except KeyboardInterrupt:
        outcome.problem = "Stopped. Run the same command again to go on."
    except (Stopped, Rejected, OSError, OutboxUnusable) as error:
        outcome.problem = _reason(error)
    return _report(outcome, sources)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"Cannot read {error.filename}: {error.strerror}."
    return f"{error} {ROOM}" if isinstance(error, OutboxUnusable) else str(error)


def _form(args: argparse.Namespace) -> Form:
    problems: list[str] = []
    columns: dict[str, str] = {}
    for item in args.map:
        name, equals, column = item.partition("=")
        if not (name and equals and column):
            problems.append(f"--map {item} must be NAME=COLUMN, such as distinct_id=user_id.")
        columns[name] = column
    moment = None
    if args.timestamp:
        try:
            moment = datetime.fromisoformat(args.timestamp)
        except ValueError:
            problems.append(f"--timestamp {args.timestamp} is no time: write 2026-03-01T10:00:00Z.")
        else:
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if problems:
        raise SettingsError(problems)
    return Form(columns if args.map else None, frozenset(args.text), args.event, moment)


@dataclass
class Outcome:
    """What became of an import.

    Attributes:
        taken: Events taken in by this run.
        resumed: Lines that an earlier run had dealt with.
        rejected: Lines that are no events, those of earlier runs included.
        samples: The first of them: file, line, reason.
        waiting: Events not delivered yet.
        failed: Events PostHog does not take.
        problem: Why it ended early.
    """

    taken: int = 0
    resumed: int = 0
    rejected: int = 0
    samples: list[tuple[Path, int, str]] = field(default_factory=list[tuple[Path, int, str]])
    waiting: int = 0
    failed: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Chunk:
    events: list[Event]
    rejected: list[tuple[Line, str]]
    mark: Mark


def _chunks(source: Source, mark: Mark, most: int) -> Iterator[_Chunk]:
    """What comes after `mark`, at most so many lines at a time."""
    lines = source.lines(mark.line, mark.offset)
    while chunk := _chunk(source, islice(lines, most), mark):
        mark = chunk.mark
        yield chunk


def _chunk(source: Source, lines: Iterator[Line], mark: Mark) -> _Chunk | None:
    """The events of as many of the lines as fit into a request, and the lines among them that are none."""
    now = datetime.now(UTC)
    events: list[Event] = []
    rejected: list[tuple[Line, str]] = []
    size, line = 0, None
    for line in lines:
        try:
            event = source.event(line, now)
        except Rejected as error:
            rejected.append((line, str(error)))
            size += len(line.raw)
        else:
            events.append(event)
            size += len(event.body)
        if size >= _MOST_BYTES:
            break
    if line is None:
        return None
    return _Chunk(events, rejected, Mark(mark.source, line.last, line.end, mark.rejected + len(rejected)))


class Import:
    """One run over some files.

    Args:
        box: Delivers what PostHog does not take at once.
        outcome: Filled in on the way.
        most: How many events may wait in the outbox.
        rejected: Where to write lines that are no events.
    """

    def __init__(self, box: Outbox, outcome: Outcome, *, most: int, rejected: Path | None) -> None:
        self._box, self._outcome, self._most, self._rejected_path = box, outcome, most, rejected
        self._rejected: IO[str] | None = None
        self._done_before = 0  # bytes of the files that are finished
        self._source: Source | None = None

    async def run(self, sources: list[Source], *, restart: bool) -> None:
        """Send the files one after the other, and wait until PostHog has everything.

        Raises:
            Stopped: PostHog does not take them.
            Rejected: A file's header does not fit.
        """
        failed_before = self._box.status().dead
        with ExitStack() as stack:
            if self._rejected_path:
                self._rejected = stack.enter_context(self._rejected_path.open("a", encoding="utf-8"))
            progress = stack.enter_context(Progress(sum(source.size for source in sources)))
            try:
                for source in sources:
                    self._source = source
                    await self._send(source, progress, restart=restart)
                    self._done_before += source.size
                    self._source = None
                while self._box.importing():
                    await self._pause(progress)
                for source in sources:
                    self._box.forget_mark(source.key())
            finally:
                self._outcome.waiting = self._box.importing()
                self._outcome.failed = self._box.status().dead - failed_before
                await self._box.close()

    async def _send(self, source: Source, progress: Progress, *, restart: bool) -> None:
        key = source.key()
        if restart:
            self._box.forget_mark(key)
        mark = self._box.mark(key)
        self._outcome.resumed += mark.line
        self._outcome.rejected += mark.rejected
        chunks = _chunks(source, mark, min(_MOST_LINES, self._most))
        # While one chunk is sent, a thread reads the next.
        reading = asyncio.create_task(asyncio.to_thread(next, chunks, None))
        try:
            while chunk := await reading:
                reading = asyncio.create_task(asyncio.to_thread(next, chunks, None))
                await self._pass_on(source, chunk, progress)
        finally:
            await asyncio.wait([reading])

    async def _pass_on(self, source: Source, chunk: _Chunk, progress: Progress) -> None:
        """See to it that PostHog or the outbox has a chunk, then note how far the file is dealt with.

        Killed before that, the next run sends it again, with the same uuids.
        """
        while self._box.importing() + len(chunk.events) > self._most:
            await self._pause(progress)
        left = [] if await self._forward(chunk.events) else chunk.events
        self._reject(source, chunk.rejected)
        while not await self._kept(left, chunk.mark):
            await self._pause(progress)
        self._outcome.taken += len(chunk.events)
        self._check()
        self._show(progress)

    async def _forward(self, events: list[Event]) -> bool:
        """Whether PostHog has taken them; while earlier ones wait they must not overtake them."""
        return not events or (not self._box.importing() and await self._box.forward(events))

    async def _kept(self, events: list[Event], mark: Mark) -> bool:
        try:
            await self._box.append(events, mark=mark)
        except OutboxFull:
            return False
        return True

    def _check(self) -> None:
        refusal = self._box.refusal()
        if refusal:
            raise Stopped(f"{refusal} What was read is kept; run the same command again to go on.")

    async def _pause(self, progress: Progress) -> None:
        """Let what waits get fewer."""
        self._box.deliver_leftovers()
        self._check()
        self._show(progress, self._box.problem())
        await asyncio.sleep(_LOOK_SECONDS)

    def _show(self, progress: Progress, note: str = "") -> None:
        done = self._done_before + (self._source.position() if self._source else 0)
        progress.show(done, lambda: self._outcome.taken - self._box.importing(), note)

    def _reject(self, source: Source, rejected: list[tuple[Line, str]]) -> None:
        self._outcome.rejected += len(rejected)
        for line, reason in rejected:
            if len(self._outcome.samples) < _SHOWN:
                self._outcome.samples.append((source.path, line.number, reason))
            if self._rejected:
                text = line.raw.decode("utf-8", "replace").rstrip("\r\n")
                entry = {"file": str(source.path), "line": line.number, "reason": reason, "text": text}
                self._rejected.write(json.dumps(entry, ensure_ascii=False) + "\n")
        if self._rejected:
            self._rejected.flush()  # once the file is noted as dealt with, nobody reads these lines again


def _report(outcome: Outcome, sources: list[Source]) -> int:
    ignored = sorted({name for source in sources for name in source.ignored})
    for path, number, reason in outcome.samples:
        print(f"{path}, line {number}: {reason}.", file=sys.stderr)
    if outcome.rejected > len(outcome.samples):
        print(f"{outcome.rejected - len(outcome.samples):,} more lines were rejected.", file=sys.stderr)
    if outcome.resumed:
        print(f"Went on after {outcome.resumed:,} lines that an earlier run had taken.")
    print(f"{outcome.taken:,} events taken, {outcome.rejected:,} lines rejected.")
    if ignored:
        print(f"Fields that PostHog does not take were left out: {', '.join(ignored[:_SHOWN])}.")
    if outcome.failed > 0:
        print(f"PostHog does not take {outcome.failed:,} events: `posthog-mcp outbox status` says why.")
    if outcome.waiting:
        print(f"{outcome.waiting:,} events are safe on disk and not delivered yet.")
    if outcome.problem:
        print(outcome.problem, file=sys.stderr)
    clean = not (outcome.rejected or outcome.waiting or outcome.failed > 0 or outcome.problem)
    return 0 if clean else 1
