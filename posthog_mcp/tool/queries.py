"""Queries at PostHog: run while the caller waits, then in the background, and found again by a handle."""

from __future__ import annotations

import base64
import hmac
import logging
import re
from dataclasses import dataclass
from math import inf
from typing import Any
from uuid import uuid4

import anyio

from posthog_mcp.api.errors import (
    Answered,
    Invalid,
    NoAnswer,
    NotFound,
    PostHogError,
    QueryTimeout,
    RateLimited,
    Refused,
    ServerError,
    Timeout,
)
from posthog_mcp.tool.arguments import ProjectInput
from posthog_mcp.tool.context import Context, Project, ToolFailure

_log = logging.getLogger(__name__)

QUERY = "/api/projects/{project_id}/query/"
ONE = QUERY + "{id}/"
_CANCEL_SECONDS = 2.0
_FIRST_LOOK, _LOOK_AT_LEAST_EVERY = 0.3, 3.0  # seconds; each look counts as one of the queries of a minute
_TO_ANSWER, _TO_HAND_OVER = 0.08, 0.2  # of a call's time: 3.6 and 9 of 45 seconds
_HANDLE = re.compile(r"([0-9]{1,18})\.([0-9a-f-]{36})\.([A-Za-z0-9_-]{22})")
_NARROW = "Narrow the time range, select fewer columns, or SAMPLE 1/10."
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Running:
    """A query that goes on in the background.

    Attributes:
        project: Where it runs.
        handle: Finds it again, for whoever has the same personal key.
        seconds: How long it was waited for.
    """

    project: Project
    handle: str
    seconds: int


def checked(text: str, values: Json, *, unchecked: bool = False) -> list[str]:
    """Notes on a query in HogQL; one that cannot run is refused here, before it costs a request.

    Args:
        text: The query.
        values: What its placeholders stand for.
        unchecked: Let text pass that our grammar cannot read.

    Raises:
        ToolFailure: PostHog would refuse it.
    """
    from posthog_mcp import hogql  # noqa: PLC0415 - 15 ms that a start without a query can do without

    try:
        query = hogql.refuse(text, values, unchecked=unchecked)
    except hogql.QueryRefusedError as refused:
        raise ToolFailure(f"The query was not sent. {refused.what}", refused.why, refused.next) from None
    if query is None:
        return []
    used = {name.partition(".")[0] for name in hogql.placeholder_names(query)}
    unused = ", ".join(name for name in values if name.partition(".")[0] not in used)
    bare = f"The query does not use {unused} of values: a placeholder stands bare, {{name}} without quotes."
    return [*([bare] if unused else []), *hogql.notes(query)]


async def run(ctx: Context, project: Project, query: Json) -> Json | Running:
    """Run a query object, and have PostHog end it when the caller goes away.

    Most queries end within the ten seconds that PostHog gives those whose caller waits, and cost one
    request. One that does not starts again in the background, where it may take longer.

    Returns:
        PostHog's answer, or what the query can be found by when the call's time is over.

    Raises:
        ToolFailure: PostHog stopped it.
        PostHogError: It was refused or failed.
    """
    ends = _ends(ctx)
    try:
        return await _at_once(ctx, project, query, ends)
    except QueryTimeout as error:
        if "memory" in error.said.lower():
            raise ToolFailure("PostHog stopped the query.", error.why, _NARROW) from None
    except Timeout as error:
        if not error.sent:
            raise
    return await _in_background(ctx, project, query, ends)


async def look(ctx: Context, handle: str) -> tuple[Project, Json | Running]:
    """Wait for a query in the background; it goes on when the caller goes away.

    Raises:
        ToolFailure: The handle is not ours, or the query is gone or was stopped.
    """
    project, query_id = await _opened(ctx, handle)
    return project, await _waited(ctx, project, query_id, _ends(ctx))


async def stop(ctx: Context, handle: str) -> Project:
    """Have PostHog end a query in the background; one that has ended stays as it is.

    Raises:
        ToolFailure: The handle is not ours.
    """
    project, query_id = await _opened(ctx, handle)
    await ctx.api.delete(ONE, project_id=project.id, id=query_id)
    return project


async def _at_once(ctx: Context, project: Project, query: Json, ends: float) -> Json:
    query_id, asked = str(uuid4()), True
    left = ends - anyio.current_time() - ctx.settings.call_seconds * _TO_HAND_OVER
    try:
        answer = await ctx.api.post(
            QUERY, _body(query, query_id), project_id=project.id, seconds=max(0.1, left)
        )
        asked = False
    except (Answered, Refused):
        asked = False
        raise
    finally:
        if asked:
            await _cancel(ctx, project, query_id)
    return answer


async def _in_background(ctx: Context, project: Project, query: Json, ends: float) -> Json | Running:
    query_id = str(uuid4())
    try:
        body = {**_body(query, query_id), "refresh": "async"}
        answer: Json = await ctx.api.post(QUERY, body, project_id=project.id)
        if not answer.get("query_status"):
            return answer  # PostHog had it in its cache
        return await _waited(ctx, project, query_id, ends)
    except anyio.get_cancelled_exc_class():
        await _cancel(ctx, project, query_id)
        raise


async def _waited(ctx: Context, project: Project, query_id: str, ends: float) -> Json | Running:
    async with ctx.api.running(project.id, max(0.0, ends - anyio.current_time())):
        return await _looked(ctx, project, query_id, ends)


async def _looked(ctx: Context, project: Project, query_id: str, ends: float) -> Json | Running:
    started, pause = anyio.current_time(), _FIRST_LOOK
    while True:
        try:
            status = await _status(ctx, project, query_id, ends)
        except (RateLimited, NoAnswer) as error:
            # It runs on all the same, and the handle finds it when PostHog can be asked again.
            _log.info("a query in the background could not be looked at: %s", error.what)
            status = None
        now = anyio.current_time()
        if status is not None and status.get("complete"):
            return status["results"]
        if status is None or now + pause >= ends:
            return Running(project, _handle(ctx, project.id, query_id), round(now - started))
        await ctx.progress(now - started, None, f"PostHog runs the query in the background{_read(status)}")
        await anyio.sleep(pause)
        pause = min(pause * 1.5, _LOOK_AT_LEAST_EVERY)


async def _status(ctx: Context, project: Project, query_id: str, ends: float) -> Json:
    left = max(0.1, ends - anyio.current_time())
    try:
        answer = await ctx.api.get(
            ONE, query={"show_progress": True}, seconds=left, project_id=project.id, id=query_id
        )
    except NotFound:
        raise ToolFailure(
            "The query's result is gone.",
            "PostHog keeps what ran in the background for 20 minutes, on some instances for 10.",
            "Run the query again.",
        ) from None
    except Invalid as error:
        error.what, error.next_step = "The query failed at PostHog.", "Correct the query and run it again."
        raise
    except ServerError as error:
        if error.said:
            raise
        raise ToolFailure(
            "PostHog stopped the query.",
            "It gives no reason; as a rule the query took too much time or memory.",
            _NARROW,
        ) from None
    return answer["query_status"]


async def _cancel(ctx: Context, project: Project, query_id: str) -> None:
    """Nobody waits for the answer any more, so PostHog should not work on it."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(_CANCEL_SECONDS):
        try:
            await ctx.api.delete(ONE, project_id=project.id, id=query_id)
        except PostHogError as error:
            # Why the query itself did not finish is what its caller has to read.
            _log.info("a query could not be cancelled: %s", error.what)


def _body(query: Json, query_id: str) -> Json:
    return {"query": query, "client_query_id": query_id, "name": "posthog-mcp"}


def _ends(ctx: Context) -> float:
    """When the call has to answer, by the clock of the event loop."""
    seconds = ctx.settings.call_seconds
    deadline = anyio.current_effective_deadline()
    return (anyio.current_time() + seconds if deadline == inf else deadline) - seconds * _TO_ANSWER


def _read(status: Json) -> str:
    progress: Json = status.get("query_progress") or {}
    rows = progress.get("rows_read")
    return f", {rows:,} rows read so far" if rows else ""


def _handle(ctx: Context, project_id: int, query_id: str) -> str:
    return f"{project_id}.{query_id}.{_signature(ctx, project_id, query_id)}"


async def _opened(ctx: Context, handle: str) -> tuple[Project, str]:
    parts = _HANDLE.fullmatch(handle.strip())
    genuine = parts and hmac.compare_digest(parts[3], _signature(ctx, int(parts[1]), parts[2]))
    if not parts or not genuine:
        raise ToolFailure(
            "That handle finds no query.",
            "It is not one that this server, or one with the same personal API key, has given out.",
            "Pass it exactly as query_hogql answered it, or run the query again.",
        )
    pinned = ctx.settings.pinned_project_id
    if pinned and int(parts[1]) != pinned:
        raise ToolFailure(
            "That handle finds no query.",
            f"It is of project {parts[1]}, and this server is bound to project {pinned}.",
            "Run the query again.",
        )
    return await ctx.project(ProjectInput(project_id=int(parts[1]))), parts[2]


def _signature(ctx: Context, project_id: int, query_id: str) -> str:
    """What only a server with the same key can write: any replica can check it, no other caller make it."""
    held = ctx.settings.personal_api_key
    key = hmac.digest(
        held.get_secret_value().encode() if held else b"", b"posthog-mcp query handle", "sha256"
    )
    about = f"{ctx.api.hosts.private}\n{project_id}\n{query_id}".encode()
    return base64.urlsafe_b64encode(hmac.digest(key, about, "sha256")[:16]).decode().rstrip("=")
