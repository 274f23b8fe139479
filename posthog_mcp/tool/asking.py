"""Queries of ours, asked of PostHog within one call."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.queries import answer_of
from posthog_mcp.tool.times import iso, parse_time

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

Json = dict[str, Any]


def period(ctx: Context, date_from: str, date_to: str) -> tuple[str, str]:
    """Start and end as PostHog takes them, in whole seconds, the same for all queries of a call.

    Args:
        ctx: The call.
        date_from: As `parse_time` reads it.
        date_to: The same; empty for now.

    Raises:
        ToolFailure: It would end before it starts.
    """
    now = ctx.now()
    since, until = parse_time(date_from, now), parse_time(date_to, now) if date_to else now
    if since >= until:
        raise ToolFailure(
            "Nothing was asked.",
            f"date_from, {iso(since)}, is not before date_to, {iso(until)}.",
            "Correct one of them.",
        )
    # what happened within this very second counts
    return iso(since.replace(microsecond=0)), iso(until.replace(microsecond=0) + timedelta(seconds=1))


async def rows_of(ctx: Context, project: Project, hogql: str, **values: Any) -> list[list[Any]]:
    """The rows of a HogQL query; errors as `queries.answer_of`.

    Args:
        ctx: The call.
        project: Where to ask.
        hogql: The query, with `{name}` for each value.
        values: What the names stand for.
    """
    answer = await answer_of(ctx, project, {"kind": "HogQLQuery", "query": hogql, "values": values})
    return answer.get("results") or []
