"""Queries at PostHog: run while the caller waits, then in the background, and found again by a handle."""

from __future__ import annotations

import logging
from math import inf
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar
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
from posthog_mcp.render import Record
from posthog_mcp.tool.arguments import ProjectInput
from posthog_mcp.tool.context import Context, Project, ToolFailure
from posthog_mcp.tool.handles import Ticket, handle_of, mark_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)

QUERY = "/api/projects/{project_id}/query/"
ONE = QUERY + "{id}/"
STATUS_TOOL = "get_query_status"
_CANCEL_SECONDS = 2.0
_FIRST_LOOK, _LOOK_AT_LEAST_EVERY = 0.3, 3.0  # seconds; each look counts as one of the queries of a minute
# of a call's time: 3.6, 9 and 15 of 45 seconds; PostHog itself stops HogQL whose caller waits after 10
_TO_ANSWER, _TO_HAND_OVER, _AT_ONCE = 0.08, 0.2, 1 / 3
_NARROW = "Narrow the time range, select fewer columns, or SAMPLE 1/10."
_Answer = TypeVar("_Answer")
Json = dict[str, Any]


class StillRunning(Exception):  # noqa: N818 - it is no fault: the call's time is over, and the query goes on
    """A query that goes on in the background; whoever runs tools hands out what finds it again.

    Attributes:
        project: Where it runs.
        query_id: Its id at PostHog.
        mark: See `handles.mark_of`.
        seconds: How long it was waited for there.
    """

    def __init__(self, project: Project, query_id: str, mark: str, seconds: int) -> None:
        super().__init__(query_id)
        self.project, self.query_id, self.mark, self.seconds = project, query_id, mark, seconds


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


class Times(TypedDict, total=False):
    """The time of a request, as `PostHogClient.call` takes it."""

    seconds: float
    answer_seconds: float


async def answer_of(ctx: Context, project: Project, query: Json) -> Json:
    """Run a query object, and have PostHog end it when the caller goes away.

    Most queries end while their caller waits, and cost one request. One that does not starts again in the
    background, where it may take longer. A call that goes on where another one ended waits for the query
    that runs already.

    Raises:
        StillRunning: The call's time is over, and the query is not.
        ToolFailure: PostHog stopped it.
        PostHogError: It was refused or failed.
    """
    runs = ctx.resumes is not None and ctx.resumes.mark == mark_of(project, query)
    answer = None if runs else await quick_answer_of(ctx, project, query)
    return await in_background(ctx, project, query) if answer is None else answer


async def quick_answer_of(ctx: Context, project: Project, query: Json) -> Json | None:
    """The answer of a query object that is not worth waiting long for; arguments and errors as `at_once`."""

    async def ask(query_id: str, times: Times) -> Json:
        body = _body(query, query_id)
        return await ctx.api.post(QUERY, body, project_id=project.id, **times)

    return await at_once(ctx, project, ask)


async def at_once(
    ctx: Context, project: Project, ask: Callable[[str, Times], Awaitable[_Answer]]
) -> _Answer | None:
    """What PostHog answers while the caller waits; None where it takes too long, and has been ended.

    Args:
        ctx: The call.
        project: Where it runs.
        ask: Sends the request, given the id that its queries can be ended by, and the time it has.

    Raises:
        ToolFailure: PostHog stopped it for its memory: it would be stopped again.
        PostHogError: It was refused or failed.
    """
    query_id, ended = str(uuid4()), False
    seconds = ctx.settings.call_seconds
    left = _ends(ctx) - anyio.current_time() - seconds * _TO_HAND_OVER
    try:
        times: Times = {"seconds": max(0.1, left), "answer_seconds": seconds * _AT_ONCE}
        answer = await ask(query_id, times)
        ended = True
    except QueryTimeout as error:
        ended = True
        if "memory" in error.said.lower():
            raise ToolFailure("PostHog stopped the query.", error.why, _NARROW) from None
    except Timeout as error:
        ended = not error.sent
        if ended:
            raise
    except (Answered, Refused):
        ended = True
        raise
    else:
        return answer
    finally:
        if not ended:
            await _cancel(ctx, project, query_id)
    return None


async def in_background(ctx: Context, project: Project, query: Json, *, anew: bool = False) -> Json:
    """Run a query object in the background and wait for it there; errors as `answer_of`.

    Args:
        ctx: The call.
        project: Where it runs.
        query: The query object.
        anew: Compute it even where PostHog has a fresh answer.
    """
    query_id, mark = str(uuid4()), mark_of(project, query)
    if ctx.resumes is not None and ctx.resumes.mark == mark:
        try:
            return await _waited(ctx, project, ctx.resumes.query_id, mark)
        except _Gone:
            _log.info("PostHog has forgotten a query in the background: it is asked anew")
    try:
        body = {**_body(query, query_id), "refresh": "force_async" if anew else "async"}
        answer: Json = await ctx.api.post(QUERY, body, project_id=project.id)
        if not answer.get("query_status"):
            return answer  # PostHog had it in its cache
        return await _waited(ctx, project, query_id, mark)
    except anyio.get_cancelled_exc_class():
        await _cancel(ctx, project, query_id)
        raise


async def look(ctx: Context, ticket: Ticket) -> tuple[Project, Json]:
    """Wait for a query in the background; it goes on when the caller goes away.

    Raises:
        StillRunning: The call's time is over, and the query is not.
        ToolFailure: The query is gone or was stopped.
        PostHogError: It was refused or failed.
    """
    project = await _project(ctx, ticket)
    return project, await _waited(ctx, project, ticket.query_id, ticket.mark)


async def stop(ctx: Context, ticket: Ticket) -> Project:
    """Have PostHog end a query in the background; one that has ended stays as it is."""
    project = await _project(ctx, ticket)
    await ctx.api.delete(ONE, project_id=project.id, id=ticket.query_id)
    return project


def handed_over(ctx: Context, running: StillRunning, tool: str = "", arguments: Json | None = None) -> Record:
    """What a call answers whose query goes on in the background.

    Args:
        ctx: The call.
        running: The query.
        tool: The tool that finishes the answer; empty where the rows of the query are all of it.
        arguments: What the tool was called with.

    Raises:
        ToolFailure: The arguments are too long for a handle.
    """
    project, query_id = running.project, running.query_id
    ticket = Ticket(project.id, query_id)
    if tool:
        ticket = Ticket(project.id, query_id, tool, arguments or {}, ctx.now().timestamp(), running.mark)
    handle = handle_of(ctx, ticket)
    if not handle:
        raise not_in_time(running)
    return Record(
        {
            "running": True,
            "project": str(project),
            "waited_seconds": running.seconds,
            "handle": handle,
            "next": f"Call {STATUS_TOOL} with the handle; PostHog keeps the result for some minutes.",
        }
    )


def not_in_time(running: StillRunning) -> ToolFailure:
    """What a call says whose query goes on in the background, and no handle can find it again."""
    return ToolFailure(
        "PostHog has not answered in time.",
        f"Its query was still running after {running.seconds} s.",
        "Call again in a minute, when PostHog may have the answer, or ask for a shorter period.",
    )


async def _waited(ctx: Context, project: Project, query_id: str, mark: str) -> Json:
    started, ends, pause = anyio.current_time(), _ends(ctx), _FIRST_LOOK
    async with ctx.api.running(project.id, max(0.0, ends - started)):
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
                raise StillRunning(project, query_id, mark, round(now - started))
            told = f"PostHog runs the query in the background{_read(status)}"
            await ctx.progress(now - started, None, told)
            await anyio.sleep(pause)
            pause = min(pause * 1.5, _LOOK_AT_LEAST_EVERY)


class _Gone(ToolFailure):
    """PostHog has forgotten the query."""


async def _status(ctx: Context, project: Project, query_id: str, ends: float) -> Json:
    left = max(0.1, ends - anyio.current_time())
    try:
        answer = await ctx.api.get(
            ONE, query={"show_progress": True}, seconds=left, project_id=project.id, id=query_id
        )
    except NotFound:
        raise _Gone(
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


async def _project(ctx: Context, ticket: Ticket) -> Project:
    return await ctx.project(ProjectInput(project_id=ticket.project_id))
