"""What tools select with HogQL: constant text, every value a placeholder, pages by cursor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from pydantic import AfterValidator

from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.queries import answer_of
from posthog_mcp.tool.times import iso, parse_time

if TYPE_CHECKING:
    from datetime import datetime

    from posthog_mcp.tool.context import Context, Project

Json = dict[str, Any]
_FRACTION = re.compile(r"\.\d+")
_CURSOR = re.compile(r"(\d{4}-\d\d-\d\dT[0-9:.]{8,15}(?:Z|[+-]\d\d:\d\d))\|([0-9a-f-]{36})")


async def selected(ctx: Context, project: Project, text: str, values: Json) -> Json:
    """PostHog's answer to a HogQL query.

    Args:
        ctx: The call.
        project: Where to ask.
        text: The query, made of words of ours alone, with a LIMIT of its own.
        values: What its placeholders stand for.

    Raises:
        StillRunning: It takes longer than the call has time.
        PostHogError: It was refused or failed.
    """
    return await answer_of(ctx, project, {"kind": "HogQLQuery", "query": text, "values": values})


async def select(ctx: Context, project: Project, text: str, values: Json) -> list[list[Any]]:
    """The rows of a HogQL query; arguments and errors as `selected`."""
    return (await selected(ctx, project, text, values)).get("results") or []


def freshness(answer: Json) -> str:
    """Words for an answer that PostHog had kept; empty for one that it worked out anew."""
    if not (answer.get("is_cached") and answer.get("last_refresh")):
        return ""
    known, until = (
        _FRACTION.sub("", str(answer.get(name) or "")) for name in ("last_refresh", "cache_target_age")
    )
    return f" As PostHog knew it at {known}{f', which it repeats until {until}' if until else ''}."


def within(ctx: Context, date_from: str, date_to: str) -> tuple[list[str], Json, str]:
    """A period as conditions on `timestamp`, the values in them, and in words.

    Args:
        ctx: The call, whose time relative dates count from.
        date_from: As `times.parse_time` takes it.
        date_to: The same; empty for no end, since events may come from clocks that are ahead.

    Raises:
        ToolFailure: It ends before it starts.
    """
    start = parse_time(date_from, ctx.now())
    conditions, values = ["timestamp >= toDateTime({date_from})"], {"date_from": iso(start)}
    if not date_to:
        return conditions, values, f"since {_second(start)}"
    end = parse_time(date_to, ctx.now())
    if end <= start:
        raise ToolFailure(
            "Nothing was looked for.",
            f"The period ends at {_second(end)}, before it starts at {_second(start)}.",
            "Give date_from as the earlier one.",
        )
    conditions.append("timestamp < toDateTime({date_to})")
    return conditions, {**values, "date_to": iso(end)}, f"from {_second(start)} to {_second(end)}"


def _second(moment: datetime) -> str:
    return iso(moment.replace(microsecond=0))


def cursor_of(time: str, uuid: str) -> str:
    """Names the row that a page ended with."""
    return f"{time}|{uuid}"


def read_cursor(cursor: str) -> Json:
    """The values `cursor_time` and `cursor_uuid` of the row that a page ended with."""
    time, _, uuid = cursor.partition("|")
    return {"cursor_time": time, "cursor_uuid": uuid}


def is_cursor(cursor: str) -> bool:
    """Whether `cursor_of` could have made it."""
    found = _CURSOR.fullmatch(cursor)
    return bool(found and uuid_of(found[2]))


def _check(cursor: str) -> str:
    if cursor and not is_cursor(cursor):
        raise ValueError("is no cursor: pass the one that the answer before ended with, unchanged")
    return cursor


RowCursor = Annotated[str, AfterValidator(_check)]
"""An argument that names the last row of the page before."""


def uuid_of(text: str) -> str:
    """The uuid that `text` is, as PostHog writes it; empty when it is none."""
    try:
        return str(UUID(text.strip()))
    except ValueError:
        return ""
