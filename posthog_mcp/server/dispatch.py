"""The one road of a call: find, validate, allow, run, clean, cut, fence, audit."""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.to_thread

from posthog_mcp.api.calls import WAIT_SHARE, Patience, patience, witness
from posthog_mcp.api.errors import PostHogError
from posthog_mcp.api.keys import KeyType
from posthog_mcp.limits import waiting
from posthog_mcp.render import Record, Table, render, vega_lite
from posthog_mcp.safety import audit, clean, fence
from posthog_mcp.safety.mask import mask
from posthog_mcp.safety.redact import redact
from posthog_mcp.server.arguments import check
from posthog_mcp.server.drawing import Drawing
from posthog_mcp.server.log import places
from posthog_mcp.server.metrics import Metrics
from posthog_mcp.server.traces import UNKNOWN, trace
from posthog_mcp.tool import AnswerPending, Context, ToolFailure
from posthog_mcp.tool.queries import STATUS_TOOL, StillRunning, handed_over, not_in_time
from posthog_mcp.tool.recording import Recorder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from posthog_mcp.render import Result
    from posthog_mcp.server.catalog import Catalogue
    from posthog_mcp.settings import Settings
    from posthog_mcp.tool import Listing, Question, Services, Tool
    from posthog_mcp.tool.handles import Ticket

_log = logging.getLogger(__name__)

_KINDS = {
    "project": (KeyType.PROJECT,),
    "personal": (KeyType.PERSONAL, KeyType.OAUTH),
    "secret": (KeyType.SECRET,),
}
_LONGEST_ERROR = 4_000
"""Characters; Claude Code cuts errors at about 10,000."""
_SECONDS_TO_THINK = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call comes to, before it is put into the words of the protocol."""

    text: str
    structured: dict[str, Any] | None = None
    picture: bytes | None = None
    """A chart, as PNG."""
    is_error: bool = False
    question: Question | None = None
    """Set where the human must answer first: the same call, sent again, brings what they said."""


class Dispatcher:
    """Runs calls, whatever transport or command they came by.

    Args:
        catalogue: The tools that may be called.
        settings: The server's settings.
        services: Opens what the calls share at the first call that gets so far; called for each.
    """

    def __init__(
        self, catalogue: Catalogue, settings: Settings, services: Callable[[], Awaitable[Services]]
    ) -> None:
        self.catalogue = catalogue
        self.metrics = Metrics()
        self._settings = settings
        self._services = services
        self._secrets = settings.secrets()
        self._tools: dict[str, Tool] = {}
        self._drawing = Drawing()

    async def call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        caller: str = "",
        report: Callable[[float, float | None, str], Awaitable[None]] | None = None,
        ask: Callable[[Question], Awaitable[str | None]] | None = None,
        as_json: bool = False,
    ) -> Answer:
        """Run one tool. Never raises: whatever goes wrong becomes an answer that says what to do next.

        Args:
            name: The tool.
            arguments: As they were sent.
            caller: Name and version of the client.
            report: Takes progress: how far, of how much, words.
            ask: Has the human type a name, and gives what they typed or None; raises AnswerPending where the
                answer can only come later. Left out where nobody can be asked.
            as_json: Rows as an object rather than as a table of text.
        """
        started = time.monotonic()
        self.metrics.running += 1
        shown, outcome, answer = UNKNOWN, "cancelled", Answer("", is_error=True)
        try:
            listing = self.catalogue.find(name)
            shown = listing.name
            tool = await self._loaded(listing)
            args = check(tool, arguments, self.catalogue.without(tool))
            with anyio.move_on_after(self._settings.call_seconds) as deadline:
                context = Context(await self._services(), caller, tool=tool.name)
                context.repeat = partial(self._again, context)
                if report is not None:
                    context.report = report
                if ask is not None:
                    context.ask = _without_haste(ask, deadline)
                result = _past_the_end(await self._run(tool, context, args, arguments), args)
                picture = await self._picture(result)
                rendered = render(result, as_json=as_json or getattr(args, "format", "") == "json")
                answer, outcome = self._kept(rendered.text, rendered.structured, picture), "ok"
            if deadline.cancelled_caught:
                answer, outcome = self._error(self._too_slow(tool)), "error"
        except AnswerPending as pending:
            answer, outcome = Answer(str(pending), question=pending.question), "asked"
        except ToolFailure as failure:
            answer, outcome = self._error(str(failure)), "refused"
        except Exception as error:  # noqa: BLE001 - the last stop before the wire
            answer, outcome = self._failed(shown, error), "error"
        finally:
            seconds = time.monotonic() - started
            self.metrics.running -= 1
            self.metrics.count(shown, outcome, seconds)
            trace(shown, outcome)
            audit(shown, outcome, milliseconds=seconds * 1000, characters=len(answer.text))
        return answer

    async def _loaded(self, listing: Listing) -> Tool:
        """The tool with its code: imported at its first call, in a thread, since other calls use the loop."""
        if listing.name not in self._tools:
            self._tools[listing.name] = await anyio.to_thread.run_sync(listing.load)
        return self._tools[listing.name]

    async def _run(self, tool: Tool, context: Context, args: Any, arguments: Mapping[str, Any]) -> Result:
        """Run a tool: its waits have one sum, its caller is told of them, and what it changes is recorded."""
        told = waiting.set(context.waits)
        shared = patience.set(Patience(self._settings.call_seconds * WAIT_SHARE))
        recorder = witness.set(Recorder(context, reads_only=tool.read_only))
        try:
            return await self._result(tool, context, args, arguments)
        finally:
            witness.reset(recorder)
            patience.reset(shared)
            waiting.reset(told)

    async def _result(self, tool: Tool, context: Context, args: Any, arguments: Mapping[str, Any]) -> Result:
        """What a tool answers, or what finds its query again where that takes longer than the call."""
        _have_a_key(tool, context)
        if tool.read_only:
            # A call that goes on where another one ended asks the same, and that includes the time.
            moment = context.now()
            context.clock = lambda: moment
        try:
            return _with_changes(await tool.run(context, args), context.recorded)
        except (StillRunning, ExceptionGroup) as error:
            running = _innermost(error)
            if not isinstance(running, StillRunning):
                raise
            # What changes something must not run twice.
            if not tool.read_only or not self.catalogue.shows(STATUS_TOOL):
                raise not_in_time(running) from None
            given = {name: value for name, value in arguments.items() if name != "project_id"}
            return handed_over(context, running, tool.name, given)

    async def _again(self, context: Context, ticket: Ticket) -> Result:
        """Run the call that handed out a handle once more, to the answer that it would have given."""
        tool = await self._loaded(self.catalogue.find(ticket.tool))
        withheld, arguments = self.catalogue.without(tool), dict(ticket.arguments)
        if "project_id" in tool.input.model_fields and "project_id" not in withheld:
            arguments["project_id"] = ticket.project_id
        context.tool, context.resumes = tool.name, ticket
        moment = datetime.fromtimestamp(ticket.moment, UTC)
        context.clock = lambda: moment
        return await self._result(tool, context, check(tool, arguments, withheld), arguments)

    async def _picture(self, result: Result) -> bytes | None:
        """The chart of a result; what the text hides, its labels hide too.

        Where it cannot be drawn the result says so: its numbers are there all the same.
        """
        if not isinstance(result, Table) or result.chart is None:
            return None
        try:
            return await self._drawing.png(vega_lite(result.chart, self._hidden))
        except ToolFailure as failure:
            result.about.append(str(failure))
            return None

    def _kept(self, text: str, structured: dict[str, Any] | None, picture: bytes | None) -> Answer:
        """An answer without keys that PostHog's objects or events may carry, and without people if so set."""
        kept = self._hidden(text)
        if structured is not None and kept != text:
            structured = {key: self._kept_value(value) for key, value in structured.items()}
        return Answer(kept, structured, picture)

    def _hidden(self, text: str) -> str:
        text = redact(text, self._secrets)
        return mask(text) if self._settings.mask_pii else text

    def _kept_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._hidden(value)
        if isinstance(value, dict):
            return {key: self._kept_value(item) for key, item in cast("dict[str, Any]", value).items()}
        if isinstance(value, list):
            return [self._kept_value(item) for item in cast("list[Any]", value)]
        return value

    def _error(self, text: str) -> Answer:
        return Answer(clean(self._hidden(text))[:_LONGEST_ERROR], is_error=True)

    def _failed(self, name: str, error: Exception) -> Answer:
        known = _innermost(error)
        if isinstance(known, PostHogError):
            return self._refused_by_posthog(known)
        if isinstance(known, ToolFailure):
            return self._error(str(known))
        incident = secrets.token_hex(4)
        _log.error("incident %s: %s failed with %s", incident, name, places(known))
        return self._error(
            f"{name} failed. This is a fault of posthog-mcp, not of the call; its log has it as incident "
            f"{incident}. Try once more; if it fails again, report the incident and go on without this tool.",
        )

    def _refused_by_posthog(self, error: PostHogError) -> Answer:
        if not error.said:
            return self._error(str(error))
        said = error.said.rstrip(".")
        why = error.why.replace(f": {said}", " what stands below").replace(said, "what stands below")
        why = f"{why.removesuffix('.')}."
        words = self._error(" ".join(filter(None, (error.what, why, error.next_step)))).text
        return Answer(f"{words}\n{fence(self._error(error.said).text)}", is_error=True)

    def _too_slow(self, tool: Tool) -> str:
        what = f"{tool.name} was stopped. It had not finished within {self._settings.call_seconds:g} seconds."
        if tool.read_only:
            return f"{what} Ask for less: a shorter period, fewer rows, or a narrower filter."
        return f"{what} Look whether it happened before you call it again."


def _with_changes(result: Result, numbers: list[int]) -> Result:
    """The result of a tool that changed something, with the numbers that undo_change takes."""
    if numbers and isinstance(result, Record):
        result.data["change"] = numbers[0] if len(numbers) == 1 else numbers
    return result


def _past_the_end(result: Result, args: Any) -> Result:
    """The result, which says so where it is empty only because the call skipped all there is."""
    skipped = getattr(args, "offset", 0)
    if skipped and isinstance(result, Table) and not result.rows:
        result.empty = [f"offset={skipped} is past the last one; the first are at offset=0."]
    return result


def _have_a_key(tool: Tool, context: Context) -> None:
    """Refuse before anything is looked up for the tool, in the tool's name and with the scopes it needs.

    Raises:
        WrongKey: No configured key is of a kind that the tool can work with.
    """
    wanted = tuple(kind for key in tool.keys for kind in _KINDS[key])
    if wanted:
        context.api.keys.choose(wanted, tool.name, tool.scopes, context.api.hosts)


def _without_haste(
    ask: Callable[[Question], Awaitable[str | None]], deadline: anyio.CancelScope
) -> Callable[[Question], Awaitable[str | None]]:
    """`ask`, with the call's own time standing still while the human thinks."""

    async def asking(question: Question) -> str | None:
        left = deadline.deadline - anyio.current_time()
        deadline.deadline = anyio.current_time() + _SECONDS_TO_THINK
        try:
            return await ask(question)
        finally:
            deadline.deadline = anyio.current_time() + left

    return asking


def _innermost(error: Exception) -> Exception:
    """The error inside the groups that concurrent work raises."""
    while isinstance(error, ExceptionGroup):
        inner = cast("ExceptionGroup[Exception]", error).exceptions
        error = next((item for item in inner if isinstance(item, PostHogError | ToolFailure)), inner[0])
    return error
