"""`posthog-mcp outbox`: what waits for PostHog on this machine, and what to do about it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from posthog_mcp.cli._outbox import ROOM, load, open_outbox, seconds
from posthog_mcp.cli._start import refuse
from posthog_mcp.outbox import Outbox, OutboxUnusable, Status
from posthog_mcp.settings import SettingsError

if TYPE_CHECKING:
    from posthog_mcp.cli import Subparsers

_SHOWN = 20


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its actions."""
    parser = subparsers.add_parser(
        "outbox",
        help="look after events that wait to be sent",
        description="Look after events of this machine that wait to be sent, or that PostHog does not take.",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    status = actions.add_parser("status", help="what waits, what failed and why", allow_abbrev=False)
    status.add_argument("--json", action="store_true", help="as JSON, with the failed events whole")
    flush = actions.add_parser("flush", help="send everything now", allow_abbrev=False)
    flush.add_argument(
        "--seconds", type=seconds, default=60.0, help="how long to try at most (default: %(default)s)"
    )
    actions.add_parser("retry", help="put failed events back in line and send them", allow_abbrev=False)
    drop = actions.add_parser("drop", help="delete failed events", allow_abbrev=False)
    drop.add_argument(
        "--refused", action="store_true", help="also what waits for projects that refuse everything"
    )
    drop.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what was asked.

    Returns:
        0; 1 when events still wait after `flush` or `retry`, or nothing was dropped; 2 when it cannot start.
    """
    try:
        settings = load()
        return asyncio.run(_run(args, open_outbox(settings)))
    except SettingsError as error:
        return refuse(error)
    except OutboxUnusable as error:
        print(f"posthog-mcp: {error} {ROOM}", file=sys.stderr)
        return 2


async def _run(args: argparse.Namespace, box: Outbox) -> int:
    try:
        return await _ACTIONS[args.action](args, box)
    finally:
        await box.close()


async def _status(args: argparse.Namespace, box: Outbox) -> int:
    print(json.dumps(_as_json(box), ensure_ascii=False, indent=2) if args.json else _as_text(box))
    return 0


async def _flush(args: argparse.Namespace, box: Outbox) -> int:
    before = box.status()
    done = await box.flush(args.seconds)
    after = box.status()
    print(f"{before.events - after.events - (after.dead - before.dead):,} events delivered.")
    if not done or after.dead > before.dead:
        print(_as_text(box), file=sys.stderr)
        return 1
    return 0


async def _retry(args: argparse.Namespace, box: Outbox) -> int:
    args.seconds = 60.0
    print(f"{box.retry():,} failed events are back in line.")
    return await _flush(args, box)


async def _drop(args: argparse.Namespace, box: Outbox) -> int:
    status = box.status()
    refused = sum(item.events for item in status.waiting if item.refused) if args.refused else 0
    if not status.dead + refused:
        print("There is nothing to drop.")
        return 0
    if not args.yes and not _agrees(status.dead, refused):
        print("Nothing was dropped. Say yes, or use --yes.", file=sys.stderr)
        return 1
    print(f"{box.drop(refused=args.refused):,} events dropped.")
    return 0


_ACTIONS = {"status": _status, "flush": _flush, "retry": _retry, "drop": _drop}


def _agrees(dead: int, refused: int) -> bool:
    if not sys.stdin.isatty():
        return False
    waiting = f" and {refused:,} that wait" if refused else ""
    return input(f"Delete {dead:,} failed events{waiting} for good? [yes/no] ").strip().lower() in (
        "y",
        "yes",
    )


def _as_text(box: Outbox) -> str:
    status = box.status()
    lines = [_waiting_line(status)]
    for item in status.waiting:
        lines.append(f"  {item.host} {item.token}: {item.events:,} since {_time(item.oldest)}")
        if item.held:
            lines.append(
                f"    {item.held} people's events are held back, because PostHog fails on one of each"
            )
        if item.stopped:
            lines.append(f"    {item.stopped}")
    lines.append(f"{status.dead:,} events failed." if status.dead else "No event failed.")
    lines += [f"  {letter.uuid} {_time(letter.died)}: {letter.reason}" for letter in box.dead_letters(_SHOWN)]
    if status.dead > _SHOWN:
        lines.append(f"  … and {status.dead - _SHOWN:,} more; --json shows all.")
    if status.damaged:
        lines.append("Damaged files that were set aside; what could be read of them was sent on:")
        lines += [f"  {path}" for path in status.damaged]
    return "\n".join(lines)


def _waiting_line(status: Status) -> str:
    return f"{status.events:,} events wait:" if status.events else "No event waits."


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_json(box: Outbox) -> dict[str, Any]:
    status = box.status()
    return {
        "waiting": [
            {
                "host": item.host,
                "token": item.token,
                "events": item.events,
                "oldest": _time(item.oldest),
                "held": item.held,
                "problem": item.stopped or None,
                "refused": bool(item.refused),
            }
            for item in status.waiting
        ],
        "failed": [
            {
                "uuid": str(letter.uuid),
                "host": letter.host,
                "reason": letter.reason,
                "died": _time(letter.died),
                "event": json.loads(letter.event),
            }
            for letter in box.dead_letters(status.dead or 1)
        ],
        "damaged": status.damaged,
    }
