"""Taking a change back: what is sent for it, and why some cannot be."""

from __future__ import annotations

import json
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.api import UnknownEndpoint, endpoint
from posthog_mcp.api.errors import NotFound, PostHogError
from posthog_mcp.journal import JournalUnusable
from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.difference import Change as Difference
from posthog_mcp.tool.difference import difference
from posthog_mcp.tool.experiments import flag_of
from posthog_mcp.tool.flags import ONE as FLAG
from posthog_mcp.tool.recording import ABOUT_REQUEST, facts, target_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from posthog_mcp.api import Endpoint
    from posthog_mcp.journal import Change, Noted
    from posthog_mcp.tool.context import Context, Project

Json = dict[str, Any]
_log = logging.getLogger(__name__)

# How an object that was made is put away so that it can be had back.
_PUT_AWAY = {
    **dict.fromkeys(
        ("feature_flag", "experiment", "annotation", "insight", "dashboard", "cohort", "action"), "deleted"
    ),
    "survey": "archived",
}
_LOOK = "list_changes shows what it was; change it back by hand."
_LONGEST_VALUE = 300


@dataclass(frozen=True, slots=True)
class Undo:
    """What takes a change back.

    Attributes:
        noted: The change.
        writes: Where fields are written.
        params: What fills the path.
        body: The fields, as the update sends them; empty where only the flag is to be switched.
        now: The object as it is, with what belongs to its state.
        flag_active: Whether an experiment's flag must be on; None where there is none.
    """

    noted: Noted
    writes: Endpoint
    params: Json
    body: Json
    now: Json
    flag_active: bool | None

    @property
    def request(self) -> str:
        """The call, as it would be sent."""
        return f"{self.writes.method} {self.writes.path.format(**self.params)}"

    @property
    def shows_people(self) -> bool:
        """Whether a survey that nobody sees now would be shown again, which a person must agree to."""
        return self.noted.change.kind == "survey" and not _runs(self.now) and _runs({**self.now, **self.body})

    def differs(self, after: Json) -> list[Difference]:
        """What differs between the object as it was found and a later state of it, in the fields written."""
        names = [name for name in self.body if name not in ABOUT_REQUEST]
        was, now = ({name: found.get(name) for name in names} for found in (self.now, after))
        switched = facts(self.noted.change.kind, after).get("flag_active", self.flag_active)
        return difference(was, now) + difference(self.now.get("flag_active"), switched, "flag_active")


async def plan(ctx: Context, project: Project, noted: Noted) -> Undo:
    """What would take a change back, if the object is still as the change left it.

    Raises:
        ToolFailure: PostHog cannot take it back, or someone edited one of its fields since.
    """
    change = noted.change
    restored = _restored(noted)
    try:
        shown, writes = endpoint("GET", _one(change)), endpoint("PATCH", change.path)
    except UnknownEndpoint:
        raise _cannot(noted, f"This server does not know how a {change.kind} is written.", _LOOK) from None
    params: Json = {"project_id": project.id}
    if change.object_id and "{id}" in shown.path:
        params["id"] = change.object_id
    now = await _found(ctx, noted, shown, params)
    _check_unedited(noted, now)
    body = _body(change, restored, now)
    wanted = change.before.get("flag_active", now.get("flag_active"))
    return Undo(noted, writes, params, body, now, wanted if change.kind == "experiment" else None)


async def perform(ctx: Context, undo: Undo) -> Json:
    """Take the change back, unless somebody else does; gives the object as it is then.

    Raises:
        ToolFailure: Somebody else takes it back, or half of it could not be taken back.
        PostHogError: PostHog refused; nothing was taken back.
    """
    async with _claimed(ctx, undo.noted):
        return await _perform(ctx, undo)


@asynccontextmanager
async def _claimed(ctx: Context, noted: Noted) -> AsyncGenerator[None]:
    """Inside, nobody else undoes the change."""
    try:
        if not await ctx.journal.claim(noted, ctx.settings.call_seconds):
            raise _cannot(
                noted, "Somebody else undoes it right now, or has just done so.", "list_changes shows it."
            )
    except JournalUnusable as error:
        raise _cannot(noted, str(error), error.next_step) from None
    try:
        yield
    finally:
        try:
            await ctx.journal.release(noted)
        except JournalUnusable as error:
            _log.warning("nobody can undo change %d for a while: %s", noted.id, error)


async def _perform(ctx: Context, undo: Undo) -> Json:
    ctx.undoes = undo.noted.id
    after = undo.now
    if undo.body:
        after = (await ctx.api.call(undo.writes, undo.params, body=undo.body)).body
    flag = flag_of(after)
    # A start date puts the flag on, whatever it was.
    if undo.flag_active is not None and not after.get("deleted") and flag.get("active") != undo.flag_active:
        try:
            body = {"active": undo.flag_active}
            flag = await ctx.api.patch(FLAG, body, project_id=undo.params["project_id"], id=flag["id"])
        except PostHogError as error:
            raise ToolFailure(
                f"Only half of change {undo.noted.id} was undone." if undo.body else str(error.what),
                f"The flag {flag.get('key')} is {'on' if flag.get('active') else 'off'} still: {error.why}",
                "Switch it with update_flag.",
            ) from error
        after = {**after, "feature_flag": {**flag_of(after), "active": flag["active"]}}
    if undo.noted.change.kind in ("feature_flag", "experiment"):
        await ctx.flags_changed()
    return after


def not_restored(undo: Undo, after: Json) -> list[str]:
    """The fields that PostHog did not put back although it took them."""
    return [
        name
        for name in undo.noted.change.before
        if name in undo.body and name in after and _plain(after[name]) != _plain(undo.body[name])
    ]


def _restored(noted: Noted) -> Json:
    """The fields to write.

    Raises:
        ToolFailure: There is no way back.
    """
    change = noted.change
    if not noted.confirmed:
        raise _cannot(
            noted,
            "PostHog's answer to it never came, so nobody knows whether it happened.",
            f"Look at the {change.kind} and change it by hand.",
        )
    if change.final or change.action == "removed":
        raise _cannot(noted, f"PostHog has no way back from `{change.action}`.", _LOOK)
    if change.withheld:
        name, reason = next(iter(change.withheld.items()))
        raise _cannot(noted, f"`{name}` cannot be restored: {reason}.", _LOOK)
    if change.action == "created":
        if change.kind not in _PUT_AWAY:
            raise _cannot(noted, f"PostHog deletes a {change.kind} for good.", "Have a person do that.")
        return {_PUT_AWAY[change.kind]: True}
    if not change.before:
        raise _cannot(
            noted, f"PostHog showed no field that {change.action} changed and an update could restore.", _LOOK
        )
    return change.before


async def _found(ctx: Context, noted: Noted, shown: Endpoint, params: Json) -> Json:
    change = noted.change
    try:
        found: Json = (await ctx.api.call(shown, params)).body
    except NotFound:
        if change.after.get("deleted") is True:
            # What is deleted is not shown, so this is all that can be told: it still is.
            return dict(change.after)
        raise _cannot(
            noted, f"There is no {change.kind} {change.object_id} any more.", "list_changes may show who."
        ) from None
    return found | facts(change.kind, found)


def _check_unedited(noted: Noted, now: Json) -> None:
    edits = [
        edit for name, value in noted.change.after.items() for edit in difference(value, now.get(name), name)
    ]
    if not edits:
        return
    told = "; ".join(
        f"`{edit['field']}` became {_value(edit, 'from')} and is {_value(edit, 'to')}" for edit in edits
    )
    who = (
        f"change {noted.undone_by} undid it, or someone edited it since"
        if noted.undone_by
        else "it was edited since"
    )
    raise _cannot(
        noted,
        f"{who[0].upper()}{who[1:]}: {told}.",
        "Look at it, and change it by hand if you still want to; nothing of others is overwritten.",
    )


def _body(change: Change, restored: Json, now: Json) -> Json:
    body = {name: value for name, value in restored.items() if name not in facts(change.kind, now)}
    if change.kind == "feature_flag":
        if isinstance(body.get("filters"), dict):
            # Newer servers keep a key of the filters that an update does not name.
            added = cast("Json", now.get("filters") or {}).keys() - body["filters"].keys()
            body["filters"] = {**body["filters"], **dict.fromkeys(sorted(added))}
        if now.get("version") is not None:
            body["version"] = now["version"]
    if change.kind == "experiment" and body:
        # Its events were accepted when they came.
        body["allow_unknown_events"] = True
    return body


def _runs(survey: Json) -> bool:
    return bool(survey.get("start_date")) and not (survey.get("end_date") or survey.get("archived"))


def _one(change: Change) -> str:
    """The template of the path that shows the object whose field is written at `change.path`."""
    return target_of(endpoint("PATCH", change.path)).one


def _plain(value: Any) -> str:
    """A value to compare: a key that is null is one that is not there."""
    if isinstance(value, dict):
        value = {name: item for name, item in cast("Json", value).items() if item is not None}
    return json.dumps(value, sort_keys=True)


def _value(edit: Difference, end: str) -> str:
    text = json.dumps(edit[end], ensure_ascii=False) if end in edit else "not there"
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _cannot(noted: Noted, why: str, next_step: str) -> ToolFailure:
    return ToolFailure(f"Change {noted.id} was not undone.", why, next_step)
