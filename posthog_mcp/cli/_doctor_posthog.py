"""What `posthog-mcp doctor` asks PostHog: whether it is there, what the keys may do, clock, budgets."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from posthog_mcp.api import Answer, Effect, Endpoint, LimitClass, PostHogClient, PostHogError, endpoint
from posthog_mcp.api.errors import Answered, BadAnswer, NotAuthenticated, QuotaExceeded, WrongHost
from posthog_mcp.cli._doctor import Check
from posthog_mcp.limits import Budgets
from posthog_mcp.server.catalog import Catalogue
from posthog_mcp.tool import Context, ProjectInput, Services, ToolFailure

if TYPE_CHECKING:
    from posthog_mcp.settings import Settings

_SECONDS = 10.0
_SKEW_SECONDS = 30.0
_SCARCE = 0.1
_FRONT_DOOR = Endpoint("GET", "/", (), (), Effect.READ, LimitClass.NONE, public=True)
Json = dict[str, Any]


@dataclass(slots=True)
class PostHog:
    """One PostHog under examination.

    Args:
        settings: The start.
        clock: The time here, in seconds since 1970.
    """

    settings: Settings
    clock: Callable[[], float] = time.time

    async def checks(self) -> list[Check]:
        """Everything there is to ask, in the order in which one thing depends on the other."""
        budgets = Budgets.from_settings(self.settings)
        api = PostHogClient.from_settings(self.settings, limiter=budgets)
        context = Context(Services(api, self.settings))
        try:
            return await self._asked(context)
        except WrongHost as error:
            return [_broken("host", error)]
        finally:
            await api.close()
            if budgets is not None:
                await budgets.close()

    async def _asked(self, context: Context) -> list[Check]:
        private = await self._private(context.api)
        found = [*private, await self._public(context.api)]
        if self.settings.personal_api_key is not None and private[0].state == "ok":
            found += [*await _with_personal_key(context), await _budgets(context)]
        return found

    async def _private(self, api: PostHogClient) -> list[Check]:
        name, host = "private host", api.hosts.private
        before, started = self.clock(), time.monotonic()
        try:
            answer = await api.call(endpoint("GET", "/_preflight/"), seconds=_SECONDS)
        except PostHogError as error:
            return [_broken(name, error)]
        took = time.monotonic() - started
        check = Check(name, "ok", f"{host} answered in {took * 1000:.0f} ms.")
        return [check, _skew(answer, before + took / 2)]

    async def _public(self, api: PostHogClient) -> Check:
        """With a project token, whether the host knows it: flags are asked for, but none is evaluated."""
        name, host, started = "public host", api.hosts.public, time.monotonic()
        try:
            token = api.project_token()
        except PostHogError:
            token = ""
        try:
            if token:
                body = {"api_key": token, "distinct_id": "posthog-mcp doctor", "disable_flags": True}
                await api.call(endpoint("POST", "/flags/"), query={"v": 2}, body=body, seconds=_SECONDS)
            else:
                await api.call(_FRONT_DOOR, seconds=_SECONDS)
        except NotAuthenticated as error:
            return _broken(name, error)
        except QuotaExceeded as error:
            return Check(name, "warning", f"{error.what} {error.why}", error.next_step)
        except (Answered, BadAnswer) as error:
            if token:
                return _broken(name, error)
        except PostHogError as error:
            return _broken(name, error)
        known = " and knows the project token" if token else ""
        return Check(name, "ok", f"{host} answered in {(time.monotonic() - started) * 1000:.0f} ms{known}.")


def _broken(name: str, error: PostHogError) -> Check:
    return Check(name, "broken", f"{error.what} {error.why}", error.next_step)


def _skew(answer: Answer, here: float) -> Check:
    name = "clock"
    try:
        there = parsedate_to_datetime(answer.headers.get("date", ""))
    except (TypeError, ValueError):
        return Check(name, "note", "PostHog's answer has no date to compare with.")
    # The header is cut to the second.
    seconds = here - there.replace(tzinfo=there.tzinfo or UTC).timestamp() - 0.5
    if abs(seconds) <= _SKEW_SECONDS:
        return Check(name, "ok", f"Within {max(1, round(abs(seconds)))} s of PostHog's.")
    way = "ahead of" if seconds > 0 else "behind"
    now = datetime.fromtimestamp(here, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Check(
        name,
        "warning",
        f"This machine's clock ({now}) is {abs(seconds):.0f} s {way} PostHog's.",
        "Set it, or have it set over the network (NTP): events and flags with dates go by it.",
    )


async def _with_personal_key(context: Context) -> list[Check]:
    try:
        key: Json = await context.api.get("/api/personal_api_keys/@current/", seconds=_SECONDS)
    except PostHogError as error:
        return [_broken("key scopes", error)]
    return [_scopes(context.settings, key.get("scopes") or ["*"]), await _project(context)]


def _scopes(settings: Settings, held: list[str]) -> Check:
    """Which of the tools that a server with these settings shows lack a scope."""
    lacking: dict[str, list[str]] = {}
    for tool in Catalogue.of(settings).tools:
        for scope in tool.scopes if "personal" in tool.keys else ():
            if not _covers(held, scope):
                lacking.setdefault(scope, []).append(tool.name)
    if not lacking:
        all_of_them = "all" if "*" in held else f"{len(held)} scopes"
        return Check("key scopes", "ok", f"The personal key has {all_of_them}, enough for every tool shown.")
    tools = sorted({name for names in lacking.values() for name in names})
    shown = ", ".join(tools[:6]) + (f" and {len(tools) - 6} more" if len(tools) > 6 else "")  # noqa: PLR2004
    return Check(
        "key scopes",
        "warning",
        f"The personal key lacks {', '.join(sorted(lacking))}: {shown} will be refused.",
        "Add the scopes to the key in PostHog's settings, or leave the tools out with POSTHOG_MCP_TOOLS.",
    )


def _covers(held: list[str], scope: str) -> bool:
    # who may write may read
    return "*" in held or scope in held or scope.replace(":read", ":write") in held


async def _project(context: Context) -> Check:
    try:
        project = await context.project(ProjectInput(project_id=None))
    except ToolFailure as failure:
        # Where it sees several and none is set, every call may still name its own.
        wanted = context.settings.pinned_project_id or context.settings.project_id
        return Check("project", "broken" if wanted else "warning", failure.why, failure.next_step)
    except PostHogError as error:
        return _broken("project", error)
    mine = await context.token_project()
    if mine is not None and mine.id != project.id:
        return Check(
            "project",
            "warning",
            f"Tools ask project {project}, but the project token sends events to {mine}.",
            "Set POSTHOG_PROJECT_ID or POSTHOG_API_KEY so that both are the same project.",
        )
    sends = "; events go there too" if mine is not None else ""
    return Check("project", "ok", f"{project}, {project.timezone}{sends}.")


async def _budgets(context: Context) -> Check:
    settings = context.settings
    limits = await context.api.limits(settings.pinned_project_id or settings.project_id)
    if limits is None:
        return Check("budgets", "note", "Off, as POSTHOG_MCP_LIMITS says.")
    scarce = [name for name, state in limits["limits"].items() if _is_scarce(state)]
    shared = f"counted for {limits['counted_for']}, shared by {limits['shared_by']}"
    if settings.redis_url and "cannot be reached" in limits["shared_by"]:
        return Check(
            "budgets",
            "warning",
            f"They are {shared}.",
            "Check POSTHOG_MCP_REDIS_URL and that Redis runs there: others do not see what is spent here.",
        )
    if scarce:
        return Check(
            "budgets",
            "warning",
            f"Little is left of {', '.join(scarce)}; {shared}.",
            "Calls wait for their turn; `posthog-mcp call get_status` says how much is left of each.",
        )
    return Check("budgets", "ok", f"Enough is left of each; {shared}.")


def _is_scarce(state: Json) -> bool:
    windows: list[Json] = state["windows"]
    return bool(state.get("cool_down_seconds")) or any(
        window["left"] < (window["left"] + window["used"]) * _SCARCE for window in windows
    )
