"""A change is noted before it is made, and what became of it afterwards, whatever PostHog answers."""

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from posthog_mcp.api import Effect, PostHogClient, Transport
from posthog_mcp.api.calls import witness
from posthog_mcp.api.endpoints import ENDPOINTS
from posthog_mcp.api.errors import PostHogError
from posthog_mcp.journal import JournalUnusable, Noted
from posthog_mcp.settings import Settings
from posthog_mcp.tool import Context, Services, ToolFailure
from posthog_mcp.tool.recording import Recorder, target_of

FLAG = "/api/projects/{project_id}/feature_flags/{id}/"
BEFORE = {"id": 7, "key": "cart", "name": "The cart", "active": False, "version": 3, "updated_at": "a"}
AFTER = {**BEFORE, "active": True, "version": 4, "updated_at": "b"}
Handler = Callable[[httpx2.Request], httpx2.Response]


class Stage:
    """One call of a tool, against a PostHog made of one function."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.answer: Handler = lambda request: httpx2.Response(
            200, json=BEFORE if request.method == "GET" else AFTER
        )
        settings = Settings.load(
            {"POSTHOG_PERSONAL_API_KEY": "phx_CANARY000000000000"}, data_dir=folder, access="full"
        )
        transport = Transport(wire=httpx2.MockTransport(self._answer))
        self.services = Services(PostHogClient.from_settings(settings, transport=transport), settings)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.method)
        return self.answer(request)

    def context(self, tool: str = "update_flag", **options: Any) -> Context:
        ctx = Context(self.services, "client 1", tool=tool)
        witness.set(Recorder(ctx, **options))
        return ctx

    async def noted(self) -> list[Noted]:
        ctx = self.context()
        found, _ = await ctx.journal.changes(
            ctx.api.hosts.private, 1, now=ctx.now().timestamp(), limit=500, skip=0
        )
        return found


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path)
    yield made
    await made.context().journal.close()
    witness.set(None)


async def test_a_change_is_noted_with_what_was_and_what_became(stage):
    ctx = stage.context()
    await ctx.api.patch(FLAG, {"active": True, "version": 3}, project_id=1, id=7)
    [noted] = await stage.noted()
    assert noted.confirmed
    assert ctx.recorded == [noted.id]
    change = noted.change
    assert (change.kind, change.object_id, change.name, change.action) == (
        "feature_flag",
        "7",
        "cart",
        "updated",
    )
    assert (change.before, change.after, change.withheld) == ({"active": False}, {"active": True}, {})
    assert (change.tool, change.caller, change.project_id) == ("update_flag", "client 1", 1)


async def test_what_the_tool_has_read_is_not_read_again(stage):
    ctx = stage.context()
    flag = await ctx.api.get(FLAG, project_id=1, id=7)
    flag["active"] = "changed in place by the tool"
    await ctx.api.patch(FLAG, {"active": True}, project_id=1, id=7)
    assert stage.asked == ["GET", "PATCH"]
    assert (await stage.noted())[0].change.before == {"active": False}


async def test_two_changes_in_one_call_build_on_each_other(stage):
    ctx = stage.context()
    await ctx.api.patch(FLAG, {"active": True}, project_id=1, id=7)
    stage.answer = lambda _: httpx2.Response(200, json={**AFTER, "name": "Other"})
    await ctx.api.patch(FLAG, {"name": "Other"}, project_id=1, id=7)
    assert stage.asked == ["GET", "PATCH", "PATCH"]
    assert (await stage.noted())[0].change.before == {"name": "The cart"}


async def test_it_is_in_the_journal_before_posthog_is_told(stage):
    found: list[int] = []

    def look(request: httpx2.Request) -> httpx2.Response:
        if request.method == "PATCH":
            with closing(sqlite3.connect(stage.services.settings.data_dir / "journal.db")) as db:
                found.extend(db.execute("SELECT count(*), max(confirmed) FROM changes").fetchone())
        return httpx2.Response(200, json=BEFORE)

    stage.answer = look
    await stage.context().api.patch(FLAG, {"active": True}, project_id=1, id=7)
    assert found == [1, 0]


@pytest.mark.parametrize("status", [400, 403, 404, 409])
async def test_what_posthog_refuses_leaves_no_trace(stage, status):
    body = {"type": "validation_error", "code": "x", "detail": "No.", "attr": None}
    stage.answer = lambda request: (
        httpx2.Response(200, json=BEFORE) if request.method == "GET" else httpx2.Response(status, json=body)
    )
    with pytest.raises(PostHogError):
        await stage.context().api.patch(FLAG, {"active": True}, project_id=1, id=7)
    assert await stage.noted() == []


@pytest.mark.parametrize(
    "answer", [httpx2.ReadError("cut"), httpx2.Response(500), httpx2.Response(200, text="<")]
)
async def test_what_may_have_happened_stays_unconfirmed(stage, answer):
    def give(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(200, json=BEFORE)
        if isinstance(answer, Exception):
            raise answer
        return answer

    stage.answer = give
    with pytest.raises(PostHogError):
        await stage.context().api.patch(FLAG, {"active": True}, project_id=1, id=7)
    [noted] = await stage.noted()
    assert not noted.confirmed
    assert noted.change.before["active"] is False


async def test_a_call_that_is_cancelled_leaves_its_change_unconfirmed(stage):
    arrived = anyio.Event()

    class Waits(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "GET":
                return httpx2.Response(200, json=BEFORE)
            arrived.set()
            await anyio.sleep_forever()
            raise AssertionError

    settings = stage.services.settings
    stage.services.api = PostHogClient.from_settings(settings, transport=Transport(wire=Waits()))
    ctx = stage.context()
    async with anyio.create_task_group() as tasks:

        async def change() -> None:
            await ctx.api.patch(FLAG, {"active": True}, project_id=1, id=7)

        tasks.start_soon(change)
        with anyio.fail_after(5):
            await arrived.wait()
        tasks.cancel_scope.cancel()
    assert [noted.confirmed for noted in await stage.noted()] == [False]


async def test_a_change_that_cannot_be_noted_is_not_made(stage, monkeypatch):
    ctx = stage.context()

    async def full(_: object) -> int:
        raise JournalUnusable("The journal of changes at /x cannot be used: database or disk is full.")

    monkeypatch.setattr(ctx.journal, "begin", full)
    with pytest.raises(ToolFailure) as caught:
        await ctx.api.patch(FLAG, {"active": True}, project_id=1, id=7)
    assert str(caught.value).startswith("Nothing was changed. The journal of changes at /x cannot be used")
    assert stage.asked == ["GET"]


async def test_a_change_that_cannot_be_confirmed_is_still_the_answer(stage, monkeypatch, caplog):
    ctx = stage.context()

    async def full(*_: object) -> None:
        raise JournalUnusable("It is full.")

    monkeypatch.setattr(ctx.journal, "confirm", full)
    assert (await ctx.api.patch(FLAG, {"active": True}, project_id=1, id=7))["active"] is True
    assert "stays unconfirmed: It is full." in caplog.text
    assert [noted.confirmed for noted in await stage.noted()] == [False]


async def test_an_object_that_was_made_is_noted_with_what_it_was_made_with(stage):
    stage.answer = lambda _: httpx2.Response(201, json=AFTER)
    ctx = stage.context("create_flag")
    await ctx.api.post(
        "/api/projects/{project_id}/feature_flags/", {"key": "cart", "active": True}, project_id=1
    )
    [noted] = await stage.noted()
    assert (noted.change.action, noted.change.object_id) == ("created", "7")
    assert noted.change.after == {"key": "cart", "active": True}
    assert stage.asked == ["POST"]


async def test_a_field_that_posthog_does_not_show_is_named(stage):
    ctx = stage.context()
    await ctx.api.patch(FLAG, {"active": True, "hidden": 1}, project_id=1, id=7)
    [noted] = await stage.noted()
    assert noted.change.withheld == {"hidden": "PostHog does not show what it was"}
    assert json.loads(noted.change.written())["after"] == {"active": True}


async def test_tools_that_mean_to_read_are_recorded_all_the_same(stage):
    ctx = stage.context("get_flag", reads_only=True)
    await ctx.api.get(FLAG, project_id=1, id=7)
    await ctx.api.patch(FLAG, {"active": True}, project_id=1, id=7)
    assert stage.asked == ["GET", "GET", "PATCH"]
    assert (await stage.noted())[0].change.before == {"active": False}


CHANGING = [one for one in ENDPOINTS if one.effect in (Effect.CHANGE, Effect.DESTROY)]
ASKING = [one for one in ENDPOINTS if one.effect in (Effect.READ, Effect.EVENT)]


def params(path: str) -> dict[str, object]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return {name: 1 if name == "project_id" else "7" for name in names}


@pytest.mark.parametrize("asked", CHANGING, ids=str)
async def test_every_endpoint_that_changes_something_is_recorded_whoever_calls_it(stage, asked):
    stage.answer = lambda _: httpx2.Response(200, json=BEFORE)
    ctx = stage.context("any_tool")
    await ctx.api.call(asked, params(asked.path), body={"name": "Other"})
    [noted] = await stage.noted()
    assert noted.confirmed
    assert noted.change.tool == "any_tool"
    assert noted.change.kind
    assert noted.change.final == (asked.effect is Effect.DESTROY)
    assert target_of(asked).kind in asked.path


async def test_what_asks_and_what_sends_events_is_not_recorded(stage):
    settings = Settings.load(
        {"POSTHOG_PERSONAL_API_KEY": "phx_CANARY000000000000", "POSTHOG_API_KEY": "phc_x"},
        data_dir=stage.services.settings.data_dir,
    )
    transport = Transport(wire=httpx2.MockTransport(stage._answer))
    stage.services.api = PostHogClient.from_settings(settings, transport=transport)
    ctx = stage.context()
    for asked in ASKING:
        await ctx.api.call(asked, params(asked.path), body=None if asked.method == "GET" else {})
    assert await stage.noted() == []
