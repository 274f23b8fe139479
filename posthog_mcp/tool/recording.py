"""Every change that a tool makes at PostHog is noted in the journal, whatever tool makes it.

Tools know nothing of it: the one who is told of each call to PostHog sees what it is about to change, reads
the state before where the tool has not, and notes both.
"""

from __future__ import annotations

import json
import logging
import re
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.api import Effect, Endpoint, UnknownEndpoint, endpoint, errors
from posthog_mcp.journal import Change, JournalUnusable
from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.experiments import flag_of, state_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from posthog_mcp.api import Answer
    from posthog_mcp.api.calls import Request
    from posthog_mcp.tool.context import Context

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_HOLDER = re.compile(r"/api/(\w+)s/\{\w+\}/")
_NAMES = ("key", "name", "content", "title")
ABOUT_REQUEST = {"version", "allow_unknown_events", "update_feature_flag_params", "creation_context"}
"""What an update may say that is no field of the object."""
# Shown in another form than it is taken in, or merged with what is there.
_ONE_WAY = {("dashboard", "tiles"), ("experiment", "feature_flag"), ("person", "properties")}
# What PostHog's own actions change of an object, and an update can change back.
_STATE = {
    "experiment": ("start_date", "end_date", "conclusion", "conclusion_comment", "archived"),
    "feature_flag": ("active", "archived"),
    "survey": ("start_date", "end_date", "archived"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a call is about.

    Attributes:
        kind: The object's kind, in PostHog's word.
        one: The template of the path that shows it; empty where the call is about several.
        action: The word behind its id, or in place of it; empty for the object itself.
        id_name: The name of the id in the template; empty where there is none.
    """

    kind: str
    one: str
    action: str = ""
    id_name: str = ""


def target_of(asked: Endpoint) -> Target:
    """What an endpoint is about, read from its path."""
    path = _as_in_table(asked)
    holder = _HOLDER.match(path)
    start = holder.end() if holder else len("/api/")
    collection, brace, rest = path[start:].strip("/").partition("/{")
    if brace:
        id_name, _, action = rest.partition("}")
        one = f"{path[:start]}{collection}/{{{id_name}}}/"
        return Target(_singular(collection), one, action.strip("/"), id_name)
    if holder and not collection:
        return Target(holder[1], path)
    one = f"{path}{{id}}/"
    if asked.method == "POST" and shows(one):
        return Target(_singular(collection), one)
    above, _, action = collection.rpartition("/")
    return Target(_singular(above or action), "", action)


def shows(path: str) -> bool:
    """Whether an object can be read there."""
    try:
        endpoint("GET", path)
    except UnknownEndpoint:
        return False
    return True


def facts(kind: str, found: Json) -> Json:
    """What belongs to an object's state and is no field of it that could be written."""
    if kind != "experiment" or "feature_flag" not in found:
        return {}
    flag = flag_of(found)
    return {"state": state_of(found), "flag_active": flag.get("active"), "flag_filters": flag.get("filters")}


class Recorder:
    """Notes what one call of a tool changes.

    Args:
        ctx: The call.
        reads_only: The tool means to change nothing, so what it reads need not be remembered.
    """

    def __init__(self, ctx: Context, *, reads_only: bool = False) -> None:
        self._ctx = ctx
        self._reads_only = reads_only
        self._seen: dict[tuple[str, str], Json] = {}

    async def __call__(self, request: Request, send: Callable[[], Awaitable[Answer]]) -> Answer:
        """Have a call sent, and note it if it changes an object.

        Raises:
            PostHogError: It did not succeed.
            ToolFailure: It cannot be noted, so it was not sent.
        """
        if request.endpoint.effect in (Effect.CHANGE, Effect.DESTROY):
            return await self._changed(request, send)
        answer = await send()
        if not self._reads_only and _shows_one(request):
            self._remember(target_of(request.endpoint), request, answer.body)
        return answer

    async def _changed(self, request: Request, send: Callable[[], Awaitable[Answer]]) -> Answer:
        sent = _object(json.loads(request.content or b"{}"))
        call = _Call(target_of(request.endpoint), request.endpoint.method, sent)
        before = await self._before(call, request)
        change = self._begun(call, request, before or {})
        number = await self._begin(change)
        try:
            answer = await send()
        except errors.PostHogError as error:
            if not _may_have_happened(error):
                await _as_far_as_possible(number, self._ctx.journal.drop(number))
            raise
        self._ctx.recorded.append(number)
        after = _object(answer.body)
        if call.target.action and not call.creates and str(after.get("id")) != change.object_id:
            after = {}  # an action may answer with something else than the object
        made = _made(change, call, before, after)
        await _as_far_as_possible(number, self._ctx.journal.confirm(number, made))
        self._remember(call.target, request, after)
        return answer

    async def _begin(self, change: Change) -> int:
        try:
            return await self._ctx.journal.begin(change)
        except JournalUnusable as error:
            raise ToolFailure(
                "Nothing was changed.",
                str(error),
                "Every change is noted before it is made: make room on the disk, or move that file away and "
                "start the server again.",
            ) from None

    async def _before(self, call: _Call, request: Request) -> Json | None:
        """The object before the change; None where PostHog does not show it, or does not have it."""
        target = call.target
        if call.creates or call.method == "DELETE" or not shows(target.one):
            return None
        where = _where(target, request)
        if self._reads_only or where not in self._seen:
            names = ("project_id", target.id_name)
            params = {name: request.params[name] for name in names if name in request.params}
            try:
                answer = await self._ctx.api.call(endpoint("GET", target.one), params)
            except errors.NotFound:
                return None
            self._remember(target, request, answer.body)
        return self._seen.get(where)

    def _remember(self, target: Target, request: Request, body: Any) -> None:
        found = _object(body)
        if target.one and "id" in found:
            # A copy: the tool may go on to work on its own.
            self._seen[_where(target, request)] = deepcopy(found)

    def _begun(self, call: _Call, request: Request, before: Json) -> Change:
        ctx, asked, target = self._ctx, request.endpoint, call.target
        return Change(
            at=ctx.now().timestamp(),
            host=ctx.api.hosts.private,
            project_id=int(str(request.params.get("project_id", 0))),
            kind=target.kind,
            object_id=str(request.params.get(target.id_name, "")),
            name=_name(target.kind, before or call.sent),
            action=call.action,
            path=_as_in_table(asked) if call.writes else target.one,
            final=asked.effect is Effect.DESTROY,
            before={name: before[name] for name in call.fields if not _hidden(target.kind, name, before)},
            tool=ctx.tool,
            caller=ctx.caller,
            undoes=ctx.undoes,
        )


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that changes something."""

    target: Target
    method: str
    sent: Json

    @property
    def creates(self) -> bool:
        """Whether it makes an object, from nothing or after another one."""
        target = self.target
        return self.method == "POST" and (
            target.action == "duplicate" or not (target.action or target.id_name)
        )

    @property
    def writes(self) -> bool:
        """Whether what is sent are fields of the object."""
        return self.method in ("PATCH", "PUT")

    @property
    def action(self) -> str:
        if self.creates:
            return "created"
        if self.target.action:
            return self.target.action
        if self.method == "DELETE":
            return "removed"
        return {True: "deleted", False: "restored"}.get(self.sent.get("deleted", ""), "updated")

    @property
    def fields(self) -> list[str]:
        """The fields it may change, as far as they can be written back."""
        if self.writes:
            # A deleted flag that an experiment runs on gets another key.
            return [name for name in dict.fromkeys([*self.sent, "key"]) if name not in ABOUT_REQUEST]
        return [] if self.creates else list(_STATE.get(self.target.kind, ()))


def _made(change: Change, call: _Call, before: Json | None, after: Json) -> Change:
    """The change, with what PostHog's answer shows of it."""
    kind = call.target.kind
    named = replace(change, name=_name(kind, after) or change.name)
    if call.creates:
        became = {
            name: after[name]
            for name in call.sent
            if name in after and name not in ABOUT_REQUEST and (kind, name) not in _ONE_WAY
        }
        state = {name: value for name, value in facts(kind, after).items() if name == "state"}
        return replace(named, object_id=str(after.get("id") or ""), before={}, after=became | state)
    if before is None and change.action == "restored":
        # What is deleted is not shown, so that it was can be told without looking; its key comes with it.
        before = {"deleted": True, **{name: call.sent[name] for name in ("key",) if name in call.sent}}
    then = before or {}
    now = {**then, **(call.sent if call.writes else {}), **after}
    hidden = {name: reason for name in call.fields if (reason := _hidden(kind, name, then))}
    kept = [name for name in call.fields if name not in hidden and then[name] != now[name]]
    was, became = facts(kind, then), facts(kind, after)
    kept += [name for name in was if name in became and was[name] != became[name]]
    then, now = then | was, now | became
    return replace(
        named,
        before={name: then[name] for name in kept},
        after={name: now[name] for name in kept},
        withheld={name: reason for name, reason in hidden.items() if name in call.sent},
    )


def _hidden(kind: str, name: str, before: Json) -> str:
    """Why the value of a field before a change cannot be told; empty where it can."""
    if name not in before:
        return "PostHog does not show what it was"
    if (kind, name) in _ONE_WAY:
        return "PostHog does not take it back the way it shows it"
    if name == "filters" and before.get("has_encrypted_payloads"):
        return "PostHog shows a mark instead of encrypted payloads"
    return ""


def _shows_one(request: Request) -> bool:
    asked = request.endpoint
    return asked.method == "GET" and asked.path.endswith("}/") and not request.query


async def _as_far_as_possible(number: int, noting: Awaitable[None]) -> None:
    """What happened at PostHog is the answer; that it could not be noted is for the log."""
    try:
        await noting
    except JournalUnusable as error:
        _log.warning("change %d stays unconfirmed: %s", number, error)


def _may_have_happened(error: errors.PostHogError) -> bool:
    """Whether PostHog may have made the change although the call failed."""
    if isinstance(error, errors.NoAnswer):
        return error.sent
    return isinstance(error, errors.ServerError | errors.BadAnswer)


def _name(kind: str, found: Json) -> str:
    """What people call the object; a person's name stays with PostHog, where it can be deleted."""
    named = (found.get(name) for name in _NAMES) if kind != "person" else ()
    return next((name for name in named if isinstance(name, str) and name), "")


def _where(target: Target, request: Request) -> tuple[str, str]:
    return target.one, str(request.params.get(target.id_name, ""))


def _as_in_table(asked: Endpoint) -> str:
    """The path as our table of endpoints has it; instances describe some under an older name."""
    return asked.path.replace("/api/environments/", "/api/projects/", 1)


def _singular(collection: str) -> str:
    return collection.strip("/").rpartition("/")[2].removesuffix("s")


def _object(body: Any) -> Json:
    return cast("Json", body) if isinstance(body, dict) else {}
