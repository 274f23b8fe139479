"""How tools send events, and what they say of it."""

import json
import time
from typing import Any
from uuid import UUID

from pydantic import Field

from posthog_mcp import outbox
from posthog_mcp.render import Record
from posthog_mcp.tool.arguments import Input
from posthog_mcp.tool.context import Context, ToolFailure

MOST_SHOWN = 20  # uuids and problems repeated in an answer
_WAIT_SECONDS = 10.0
_ON_DISK = "Safe on disk; PostHog gets them as soon as it answers, usually within seconds."
_IN_MEMORY = (
    "Kept in memory alone, as this server was told: PostHog gets them within seconds, but they are lost if "
    "the server is ended before."
)
_NOT_YET = "Not delivered yet: it goes on in the background, and check_delivery tells how far it is."
_NO_PROJECT = (
    "The project token belongs to no project that the personal key sees; if they should be one project's, "
    "check POSTHOG_API_KEY."
)
_ROOM = (
    "Make room on the disk, or set POSTHOG_MCP_DATA_DIR to a directory that can be written; "
    "POSTHOG_MCP_OUTBOX=memory does without a disk."
)


class Sending(Input):
    """How events are sent, the same for every tool that sends some."""

    wait: bool = Field(default=False, description="Answer only when PostHog has them, within 10 s.")
    dry_run: bool = Field(default=False, description="Show the events, send nothing.")


async def send(
    ctx: Context,
    events: list[outbox.Event],
    args: Sending,
    *,
    historical: bool = False,
    notes: list[str] | None = None,
) -> Record:
    """Take events in and say what became of them.

    Args:
        ctx: The call.
        events: In their order.
        args: Whether to wait, or only to show them.
        historical: They are from the past.
        notes: What the caller should know about them, in sentences.

    Raises:
        ToolFailure: None was taken in; or PostHog refused some, and the caller waited for it.
    """
    if args.dry_run:
        shown = [json.loads(event.body) for event in events[:MOST_SHOWN]]
        return Record(_with_notes({"dry_run": True, "events": len(events), "would_send": shown}, notes or []))
    box = ctx.outbox()
    try:
        return Record(await _sent(ctx, box, events, args, historical=historical, notes=notes or []))
    except outbox.OutboxFull as full:
        step = "check_delivery says what keeps them; `posthog-mcp outbox drop` deletes those that failed."
        raise ToolFailure("No event was taken in.", str(full), step) from None
    except outbox.OutboxUnusable as error:
        raise ToolFailure("No event was taken in.", str(error), _ROOM) from None


async def _sent(
    ctx: Context,
    box: outbox.Outbox,
    events: list[outbox.Event],
    args: Sending,
    *,
    historical: bool,
    notes: list[str],
) -> dict[str, Any]:
    await box.append(events, historical=historical)
    uuids = [event.uuid for event in events]
    delivered = args.wait and await box.wait_for(uuids, _WAIT_SECONDS)
    answer: dict[str, Any] = {"delivered" if delivered else "accepted": len(events)}
    if delivered:
        _check_failures(box, uuids)
    else:
        safe = _ON_DISK if box.on_disk else _IN_MEMORY
        notes = [_NOT_YET if args.wait else safe, *notes]
        if problem := box.problem():
            answer["problem"] = problem
    answer["uuids"] = [str(uuid) for uuid in uuids[:MOST_SHOWN]]
    if len(uuids) > MOST_SHOWN:
        answer["uuids_not_shown"] = len(uuids) - MOST_SHOWN
    project = await ctx.token_project()
    if project:
        answer["project"] = str(project)
    elif ctx.services.token_asked:
        notes = [*notes, _NO_PROJECT]
    return _with_notes(answer, notes)


def _with_notes(answer: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    return {**answer, "note": " ".join(notes)} if notes else answer


def _check_failures(box: outbox.Outbox, uuids: list[UUID]) -> None:
    failed = [state for uuid in uuids if (state := box.state_of(uuid)).startswith("failed")]
    if failed:
        raise ToolFailure(
            f"PostHog took {len(uuids) - len(failed)} of {len(uuids)} events.",
            failed[0],
            "The others are kept: check_delivery lists them, and `posthog-mcp outbox retry` sends them anew.",
        )


def delivery(box: outbox.Outbox, most_failures: int = 0) -> dict[str, Any]:
    """What waits, what failed and why.

    Args:
        box: The outbox.
        most_failures: How many failed events to list with their reasons.

    Raises:
        ToolFailure: The outbox cannot be opened.
    """
    try:
        status = box.status()
        letters = box.dead_letters(most_failures) if most_failures else []
    except outbox.OutboxUnusable as error:
        raise ToolFailure("The outbox cannot be read.", str(error), _ROOM) from None
    data: dict[str, Any] = {"waiting": [_waiting(item) for item in status.waiting], "failed": status.dead}
    if letters:
        data["failures"] = [{"uuid": str(letter.uuid), "reason": letter.reason} for letter in letters]
        data["to_retry"] = "posthog-mcp outbox retry"
    if status.damaged:
        data["set_aside"] = status.damaged
        data["set_aside_note"] = "These files were damaged. What could be read of them was sent on."
    if not status.on_disk:
        data["note"] = "Events are kept in memory alone: those that wait are lost when the server ends."
    return data


def _waiting(item: outbox.Waiting) -> dict[str, Any]:
    age = max(0, round(time.time() - item.oldest))
    shown: dict[str, Any] = {"host": item.host, "events": item.events, "oldest_seconds": age}
    if item.held:
        shown["people_held_back"] = item.held
    if item.stopped:
        shown["problem"] = item.stopped
    return shown
