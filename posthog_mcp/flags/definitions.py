"""A project's flag definitions: fetched when an evaluation needs them, by one process of the machine for all.

Each request is billed as ten flag evaluations, so nobody polls: definitions older than the poll interval are
asked for by the next evaluation, under a lock, and the other processes read what came from a file.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.to_thread

from posthog_mcp.api import PostHogClient, PostHogError, errors, key_type
from posthog_mcp.api.answers import Answer
from posthog_mcp.api.endpoints import endpoint
from posthog_mcp.api.keys import Keys, KeyType, key_variable
from posthog_mcp.flags.compiler import compile_flags
from posthog_mcp.flags.flagset import FlagSet
from posthog_mcp.flags.snapshot import Kept, Problem, SnapshotFile
from posthog_mcp.limits.lock import SharedLock

if TYPE_CHECKING:
    from posthog_mcp.flags.exchange import Exchange

_log = logging.getLogger(__name__)

ENDPOINT = endpoint("GET", "/flags/definitions")
# PostHog installations of some age serve the same body here.
_OLDER = endpoint("GET", "/api/feature_flag/local_evaluation/")
_LOOK_SECONDS = 0.02
# How long an evaluation waits for another process's request when it has older definitions to go on with.
_PATIENCE_SECONDS = 3.0
_WORKING_KEYS = (
    "Keys that work are a project secret key (phs_…), and a personal API key (phx_…) with the scope "
    "feature_flag:read whose owner is a member of the project's organization."
)


class DefinitionsUnavailable(PostHogError):  # noqa: N818 - named as its like in api.errors
    """There are no definitions to evaluate with.

    Attributes:
        refused: PostHog does not give them to this key or this project; asking elsewhere would hide that.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what, problem.why, problem.next_step, said=problem.said)
        self.refused = problem.refused


@dataclass(frozen=True, slots=True)
class Definitions:
    """One snapshot, compiled: an evaluation works with it from start to end.

    Attributes:
        flags: The flags.
        body: What they were compiled from.
        confirmed_at: When PostHog last said that they are current, in seconds since 1970.
        problem: Why they are not newer, when they should be; empty otherwise.
    """

    flags: FlagSet
    body: dict[str, Any]
    confirmed_at: float
    problem: str = ""

    def age(self, now: float) -> float:
        """Seconds since PostHog confirmed them."""
        return max(0.0, now - self.confirmed_at)


def readable(keys: Keys) -> bool:
    """Whether a key is configured that is meant to read definitions; a wrong one counts, to be told."""
    if keys.secret is not None:
        return True
    return keys.personal is not None and key_type(keys.personal.get_secret_value()) is not KeyType.OAUTH


class DefinitionsSource:
    """Where a server gets the definitions of its project from.

    Args:
        api: A client with the project token, and a project secret key or a personal key.
        state_dir: Directory that the server processes of a machine share; None keeps to this process.
        poll_seconds: Age at which they are asked for again.
        redis_url: Redis that several machines share.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        api: PostHogClient,
        state_dir: Path | None,
        *,
        poll_seconds: float = 300.0,
        redis_url: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._state_dir = state_dir
        self._poll = poll_seconds
        self._redis_url = redis_url
        self._clock = clock
        self._file: SnapshotFile | None = None
        self._lock: SharedLock | None = None
        self._exchange: Exchange | None = None
        self._kept = Kept()
        self._compiled: tuple[dict[str, Any], FlagSet] | None = None

    async def current(self) -> Definitions:
        """The definitions, asked for where those at hand are too old.

        Raises:
            WrongKey: No configured key can read them; nothing was sent.
            DefinitionsUnavailable: PostHog refused, or it cannot be asked and there are none from before.
        """
        lock = self._open()
        await self._reload()
        if not self._usable():
            patience = None if self._kept.body is None else _PATIENCE_SECONDS
            async with _held(lock, patience) as mine:
                await self._reload()
                if mine and not self._usable():
                    await self._renew(patience)
        return await self._published()

    async def outdate(self) -> None:
        """Have the next evaluation ask again, in any process: a flag was changed."""
        if self._file is None:
            try:
                self._open()
            except PostHogError:
                return  # without a key nothing is kept
        if self._lock is None:
            return
        async with _held(self._lock, _PATIENCE_SECONDS):
            await self._reload()
            if self._kept.body is not None:
                await self._keep(replace(self._kept, outdated=True, ask_again_at=0.0))
                if self._exchange is not None:
                    await self._exchange.put(self._kept)

    async def close(self) -> None:
        """Close the lock's file, and the connection to Redis."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._exchange is not None:
            await self._exchange.close()
            self._exchange = None

    def _open(self) -> SharedLock:
        """Choose the key, and with it the files: what one key may read is not another's to have."""
        if self._lock is not None:
            return self._lock
        token = self._api.project_token()
        hosts = self._api.hosts
        key = self._api.keys.choose(ENDPOINT.keys, "Local flag evaluation", ENDPOINT.scopes, hosts)
        name = hashlib.sha256(f"{hosts.public}\n{token}\n{key}".encode()).hexdigest()[:16]
        self._lock = SharedLock(None)
        if self._state_dir is not None:
            try:
                self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock = SharedLock(self._state_dir / f"flags-{name}.lock")
                self._file = SnapshotFile(self._state_dir / f"flags-{name}.json")
            except OSError as error:
                _log.warning("Flag definitions are not shared with other processes: %s", error)
        if self._redis_url:
            from posthog_mcp.flags.exchange import Exchange  # noqa: PLC0415 - an extra that few have

            self._exchange = Exchange(self._redis_url, name)
        return self._lock

    def _usable(self) -> bool:
        now = self._clock()
        return self._kept.fresh(now, self._poll) or now < self._kept.ask_again_at

    async def _published(self) -> Definitions:
        kept = self._kept
        if kept.problem is not None and (kept.problem.refused or kept.body is None):
            raise DefinitionsUnavailable(kept.problem)
        if kept.body is None:
            raise DefinitionsUnavailable(
                Problem("There are no flag definitions.", "Another process is asking for them.", "Try again.")
            )
        if self._compiled is None or self._compiled[0] is not kept.body:
            replaced, self._compiled = [self._compiled], None
            flags = await anyio.to_thread.run_sync(_compiled, kept.body, replaced)
            self._compiled = (kept.body, flags)
        problem = f"{kept.problem.what} {kept.problem.why}" if kept.problem else ""
        return Definitions(self._compiled[1], kept.body, kept.confirmed_at, problem)

    async def _reload(self) -> None:
        file = self._file
        if file is None or not file.changed():
            return
        kept = await anyio.to_thread.run_sync(file.load)
        same = kept.etag and kept.etag == self._kept.etag and self._kept.body is not None
        # The same definitions, confirmed by another process, need no second compilation.
        self._kept = replace(kept, body=self._kept.body) if same else kept

    async def _keep(self, kept: Kept) -> None:
        self._kept = kept
        if self._file is not None:
            try:
                await anyio.to_thread.run_sync(self._file.save, kept)
            except OSError as error:
                _log.warning("Flag definitions could not be written: %s", error)

    async def _renew(self, patience: float | None) -> None:
        """Take what another machine has, else ask PostHog for all of them."""
        if self._exchange is None:
            await self._ask()
            return
        async with self._exchange.turn(patience) as mine:
            found = await self._exchange.get()
            if found is not None and found.confirmed_at > self._kept.confirmed_at:
                await self._keep(found)
            if mine and not self._usable():
                await self._ask()
                await self._exchange.put(self._kept)

    async def _ask(self) -> None:
        kept, now = self._kept, self._clock()
        headers = {"If-None-Match": kept.etag} if kept.etag and kept.body is not None else {}
        try:
            answer = await self._call(headers)
            body = kept.body if answer.status == HTTPStatus.NOT_MODIFIED else _checked(answer)
        except PostHogError as error:
            problem = self._problem(error)
            _log.warning("%s %s", problem.what, problem.why)
            wait = error.wait if isinstance(error, errors.Answered) else None
            await self._keep(kept.after(problem, now, wait=wait, most=self._poll))
            return
        etag = answer.headers.get("etag", kept.etag if body is kept.body else "")
        await self._keep(Kept(body, etag, confirmed_at=now))

    async def _call(self, headers: dict[str, str]) -> Answer:
        query = {"token": self._api.project_token(), "send_cohorts": ""}
        try:
            return await self._api.call(ENDPOINT, query=query, headers=headers)
        except errors.NotFound:
            return await self._api.call(_OLDER, query=query, headers=headers)

    def _problem(self, error: PostHogError) -> Problem:
        if isinstance(error, errors.NotAuthenticated | errors.Forbidden):
            key = self._api.keys.choose(ENDPOINT.keys, "", (), self._api.hosts)
            kind = key_type(key)
            return Problem(
                f"PostHog does not give the flag definitions to the {kind} in {key_variable(kind)} "
                f"({error.status}).",
                f"{error.why} {_WORKING_KEYS}",
                f"{error.next_step} Flags can be evaluated by PostHog instead, with mode remote.",
                error.said,
                refused=True,
            )
        if isinstance(error, errors.QuotaExceeded):
            return Problem(
                "PostHog withholds the flag definitions (402).",
                f"The project is over its quota of flag requests. {error.why}",
                error.next_step,
                error.said,
                refused=True,
            )
        return Problem(error.what, error.why, error.next_step, error.said)


def _compiled(body: dict[str, Any], replaced: list[tuple[dict[str, Any], FlagSet] | None]) -> FlagSet:
    """The flags of a body, kept from the collector of garbage; for a thread, since it takes its time.

    Args:
        body: The definitions.
        replaced: What was used before, to be freed here, which takes its time as well.

    A set is tens of thousands of objects without a circle among them, freed as soon as nobody uses it. The
    collector would find nothing in it, and stop all threads for tens of milliseconds each time it looks.
    """
    replaced.clear()
    collects = gc.isenabled()
    gc.collect()  # else the garbage of others would be kept as well
    gc.disable()
    try:
        return compile_flags(body)
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def _checked(answer: Answer) -> dict[str, Any]:
    body = answer.body
    if not isinstance(body, dict) or not isinstance(cast("dict[str, Any]", body).get("flags"), list):
        raise errors.BadAnswer(
            "PostHog's flag definitions cannot be used.",
            "The answer holds no list of flags.",
            "Check that POSTHOG_HOST is the address of a PostHog.",
        )
    return cast("dict[str, Any]", body)


@asynccontextmanager
async def _held(lock: SharedLock, seconds: float | None) -> AsyncGenerator[bool]:
    """Hold the lock inside; False when others still have it after `seconds`, None waits with the call."""
    ends = None if seconds is None else anyio.current_time() + seconds
    while True:
        with lock.held(blocking=False) as mine:
            if mine:
                yield True
                return
        if ends is not None and anyio.current_time() >= ends:
            yield False
            return
        await anyio.sleep(_LOOK_SECONDS)
