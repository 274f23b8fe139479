"""One call from start to end: refused or sent, with the right key, within the limits, repeated where safe."""

import hashlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

import anyio

from posthog_mcp import __version__
from posthog_mcp.api import errors
from posthog_mcp.api.answers import Answer
from posthog_mcp.api.circuit import Circuit
from posthog_mcp.api.endpoints import Effect, Endpoint, LimitClass
from posthog_mcp.api.failures import no_answer, no_permit, not_allowed, not_json, too_slow
from posthog_mcp.api.hosts import Hosts
from posthog_mcp.api.json_text import parse
from posthog_mcp.api.keys import Keys, KeyType
from posthog_mcp.api.organizations import organizations_in
from posthog_mcp.api.refusals import Asked, error_of
from posthog_mcp.api.requests import path_of, query_of
from posthog_mcp.api.spans import answered, request_span
from posthog_mcp.api.transport import RawAnswer, Transport, TransportError
from posthog_mcp.limits import Draw, LimitExceeded

ATTEMPTS = 4
WAIT_SHARE = 25 / 45  # of the time of a whole call, the most that goes into waiting for limits
# a host that stays away is told soon; one that is busy is given time
CONNECTION_ATTEMPTS = 2
BACKOFF_SECONDS = 0.25
BACKOFF_CAP_SECONDS = 5.0
_BYTES_LEFT = "x-posthog-query-budget-remaining-bytes"
_BUSY = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


class Limiter(Protocol):
    """The budgets of requests, asked before every one; `limits.Budgets` is one."""

    def permit(self, draw: Draw, timeout: float, seconds: float) -> AbstractAsyncContextManager[float]:
        """Wait for a permit of at most `timeout` seconds; inside, the request is sent, within `seconds`.

        Gives the seconds waited.

        Raises:
            LimitExceeded: There is none in time; known at once where it can be known.
        """
        ...

    def running(self, draw: Draw, seconds: float) -> AbstractAsyncContextManager[None]:
        """Count a query that PostHog runs in the background among those that may run at once."""
        ...

    async def penalize(self, draw: Draw, seconds: float | None, *, spent: str = "requests") -> float:
        """PostHog answered 429: nobody asks again for that long, or longer each time where it named no time.

        Gives the seconds until then.
        """
        ...

    async def note_bytes(self, draw: Draw, remaining: int) -> None:
        """PostHog said how many bytes the project's queries may still read."""
        ...

    async def learn(self, draw: Draw, organizations: Mapping[str, str]) -> None:
        """PostHog said whose a project or the key is."""
        ...

    async def status(self, draw: Draw) -> dict[str, Any]:
        """How much is spent of what requests like this one share."""
        ...


@dataclass(frozen=True)
class Request:
    """What to call and with what.

    Attributes:
        endpoint: The method and path template.
        params: What fills the template.
        query: Query parameters.
        content: The body as it goes over the wire, None for none.
        headers: Header fields besides those that every call has.
        answer_seconds: The most an answer may take once the request is sent; None for the time of the call.
    """

    endpoint: Endpoint
    params: Mapping[str, object] = field(default_factory=dict[str, object])
    query: Mapping[str, object] = field(default_factory=dict[str, object])
    content: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    answer_seconds: float | None = None


@dataclass
class Patience:
    """Seconds that may still go into waiting for limits; calls made for one purpose may share them."""

    left: float


patience: ContextVar[Patience | None] = ContextVar("patience", default=None)
"""What the calls made from here share; None gives each call its own."""


class Witness(Protocol):
    """Is told of each call that is about to be made, and has it sent."""

    async def __call__(self, request: Request, send: Callable[[], Awaitable[Answer]]) -> Answer:
        """Have it sent, and give its answer."""
        ...


witness: ContextVar[Witness | None] = ContextVar("witness", default=None)
"""Who is told of the calls made from here; not of those that are refused before anything is sent."""


@dataclass
class _Trip:
    """What one call has used up so far."""

    draw: Draw
    seconds: float
    ends: float
    patience: Patience
    answer_seconds: float
    sent: bool = False
    attempts: int = 0
    waited: float = 0.0


class Caller:
    """Sends calls to one PostHog with one set of keys; the arguments are those of `PostHogClient`."""

    def __init__(
        self,
        host: str,
        keys: Keys,
        transport: Transport,
        *,
        allow: frozenset[Effect],
        limiter: Limiter | None,
        call_seconds: float,
        wait_seconds: float,
    ) -> None:
        self.keys = keys
        self._host = host
        self._hosts: Hosts | None = None
        self._transport = transport
        self._allow = allow
        self._limiter = limiter
        self._circuits: dict[str, Circuit] = {}
        self._call_seconds = call_seconds
        self._wait_seconds = wait_seconds
        self.secrets = tuple(key.get_secret_value() for key in (keys.personal, keys.secret) if key)

    @property
    def hosts(self) -> Hosts:
        """Where calls go; a wrong host is an error of the call, not of the start."""
        if self._hosts is None:
            self._hosts = Hosts.of(self._host)
        return self._hosts

    async def call(self, request: Request, *, seconds: float | None = None) -> Answer:
        """Make one call within `seconds`, all waits and attempts included.

        Raises:
            PostHogError: It was refused, or it did not succeed.
        """
        prepared = self._prepared(request)

        async def send() -> Answer:
            return await self._send(request, *prepared, self._call_seconds if seconds is None else seconds)

        told = witness.get()
        return await (send() if told is None else told(request, send))

    async def _send(
        self, request: Request, asked: Asked, url: str, headers: dict[str, str], budget: float
    ) -> Answer:
        trip = _Trip(
            draw=_draw(asked, request.params),
            seconds=budget,
            ends=anyio.current_time() + budget,
            patience=patience.get() or Patience(min(self._wait_seconds, budget)),
            answer_seconds=budget if request.answer_seconds is None else request.answer_seconds,
        )
        circuit = self._circuits.setdefault(asked.host, Circuit())
        # whoever sends events keeps them and has a schedule of its own
        if asked.endpoint.effect is not Effect.EVENT:
            circuit.check(asked)
        try:
            with anyio.CancelScope(deadline=trip.ends):
                answer = await self._attempts(asked, url, headers, request.content, trip)
                circuit.note(None)
                await self._learn(asked, request, answer, trip.draw)
                return answer
        except errors.PostHogError as error:
            circuit.note(error)
            raise
        raise too_slow(asked, budget, sent=trip.sent)

    async def limits(self, project_id: str) -> dict[str, Any] | None:
        """How much is spent of what the calls for a project share; None without a limiter."""
        return None if self._limiter is None else await self._limiter.status(self._shared(project_id))

    @asynccontextmanager
    async def running(self, project_id: str, seconds: float) -> AsyncGenerator[None]:
        """Inside, a query of the project that runs in the background counts among those that run at once."""
        if self._limiter is None:
            yield
            return
        async with self._limiter.running(self._shared(project_id), seconds):
            yield

    def _shared(self, project_id: str) -> Draw:
        """What all requests for a project share."""
        personal = self.keys.personal.get_secret_value() if self.keys.personal else ""
        return Draw(self.hosts.private, "", key=_digest(personal), project_id=project_id)

    def _prepared(self, request: Request) -> tuple[Asked, str, dict[str, str]]:
        """Everything that can be refused without the network, in the order a person would want to know."""
        asked = request.endpoint
        if asked.effect not in self._allow:
            raise not_allowed(asked, self._allow)
        path = path_of(asked, request.params)
        key = ""
        if asked.keys and KeyType.PROJECT not in asked.keys:
            # a project token travels in the body, where whoever wrote the body put it
            key = self.keys.choose(asked.keys, f"{asked.method} {path}", asked.scopes, self.hosts)
        query = query_of(request.query)
        host = self.hosts.public if asked.public else self.hosts.private
        headers = {
            "User-Agent": f"posthog-mcp/{__version__}",
            "Accept": "application/json",
            **({"Content-Type": "application/json"} if request.content is not None else {}),
            **request.headers,
        }
        if key:
            headers["Authorization"] = f"Bearer {key}"
        about = Asked(asked, path, self.hosts, str(request.params.get("project_id", "")), key, self.secrets)
        return about, host + path + (f"?{query}" if query else ""), headers

    async def _attempts(
        self, asked: Asked, url: str, headers: Mapping[str, str], content: bytes | None, trip: _Trip
    ) -> Answer:
        for attempt in range(1, ATTEMPTS + 1):
            async with self._permit(asked, trip):
                outcome = await self._once(asked, url, headers, content, trip)
            if isinstance(outcome, Answer):
                return outcome
            pause = await self._pause(outcome, attempt, trip)
            most = CONNECTION_ATTEMPTS if isinstance(outcome, errors.Unreachable) else ATTEMPTS
            if attempt >= most or not _may_repeat(asked.endpoint, outcome):
                raise outcome
            # a wait that would not end in time is the caller's to decide about
            if pause > trip.patience.left or anyio.current_time() + pause >= trip.ends:
                raise outcome
            if self._limiter is None or not _is_spent(outcome):
                # else the next permit waits for the end of the cool-down, in its turn
                trip.patience.left -= pause
                await anyio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _once(
        self, asked: Asked, url: str, headers: Mapping[str, str], content: bytes | None, trip: _Trip
    ) -> Answer | errors.Answered | errors.Unreachable:
        """One attempt; a failure that another one may mend is given back."""
        trip.sent = True
        trip.attempts += 1
        left = max(0.001, min(trip.answer_seconds, trip.ends - anyio.current_time()))
        try:
            with request_span(asked, trip.attempts, trip.waited) as span:
                raw = await self._transport.send(
                    asked.endpoint.method, url, headers=headers, content=content, read_seconds=left
                )
                answered(span, raw.status)
        except TransportError as error:
            trip.sent = error.sent
            if error.kind == "timeout":
                raise too_slow(asked, min(trip.seconds, trip.answer_seconds), sent=error.sent) from error
            failure = no_answer(asked, error)
            failure.__cause__ = error
            if isinstance(failure, errors.Unreachable):
                return failure
            raise failure from error
        if raw.status == HTTPStatus.NOT_MODIFIED or HTTPStatus.OK <= raw.status < HTTPStatus.MULTIPLE_CHOICES:
            return await _answer(asked, raw)
        return error_of(asked, raw.status, raw.headers, raw.body)

    @asynccontextmanager
    async def _permit(self, asked: Asked, trip: _Trip) -> AsyncGenerator[None]:
        if self._limiter is None:
            yield
            return
        left = trip.ends - anyio.current_time()
        wait = max(0.0, min(trip.patience.left, left))
        try:
            async with self._limiter.permit(trip.draw, wait, left) as waited:
                trip.patience.left -= waited
                trip.waited = waited
                yield
        except LimitExceeded as error:
            raise no_permit(asked, error.limit, error.seconds) from error

    async def _pause(self, error: errors.Answered | errors.Unreachable, attempt: int, trip: _Trip) -> float:
        """Seconds before the next attempt; everyone who shares the budget that is spent pauses as well."""
        wait = getattr(error, "wait", None)
        # full jitter, on top of what PostHog asked for
        jitter = random.uniform(0, min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2**attempt))  # noqa: S311 - no secret
        if self._limiter is not None and isinstance(error, errors.RateLimited) and _is_spent(error):
            seconds = None if wait is None else wait + jitter
            return await self._limiter.penalize(trip.draw, seconds, spent=error.spent)
        return (wait or 0.0) + jitter

    async def _learn(self, asked: Asked, request: Request, answer: Answer, draw: Draw) -> None:
        if self._limiter is None:
            return
        remaining = answer.headers.get(_BYTES_LEFT, "") if draw.runs_query else ""
        if remaining.removeprefix("-").isdecimal():
            await self._limiter.note_bytes(draw, int(remaining))
        organizations = organizations_in(asked.endpoint, request.params, answer.body)
        if organizations:
            await self._limiter.learn(draw, organizations)


def _draw(asked: Asked, params: Mapping[str, object]) -> Draw:
    return Draw(
        host=asked.host if asked.endpoint.limit is LimitClass.NONE else asked.hosts.private,
        limit_class=asked.endpoint.limit.value,
        endpoint=str(asked.endpoint),
        key=_digest(asked.key),
        project_id=asked.project_id,
        organization_id=str(params.get("organization_id", "")),
        runs_query=asked.endpoint.runs_query,
    )


def _digest(key: str) -> str:
    """What tells a key from others and may be written to a file."""
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else ""


def _is_spent(error: errors.PostHogError) -> bool:
    """Whether a budget is spent that we keep; too many queries at once is no matter of rates."""
    return isinstance(error, errors.RateLimited) and error.spent != "concurrency"


def _may_repeat(asked: Endpoint, error: errors.PostHogError) -> bool:
    """Whether sending it again cannot do anything twice."""
    if isinstance(error, errors.NoAnswer):
        return asked.effect is Effect.READ or not error.sent
    if isinstance(error, errors.RateLimited):
        # PostHog counts a request before it looks at it, so one that was throttled has changed nothing
        counted_out = error.code == "throttled" and error.wait is not None
        return asked.effect is Effect.READ or (asked.effect is not Effect.EVENT and counted_out)
    if not isinstance(error, errors.Answered) or asked.effect is not Effect.READ:
        return False
    # a query that PostHog itself gave up on would only be given up again; a gateway may just be restarting
    given_up = isinstance(error, errors.QueryTimeout) and asked.limit is LimitClass.QUERY and error.code
    return error.status in _BUSY and not given_up


async def _answer(asked: Asked, raw: RawAnswer) -> Answer:
    if raw.status == HTTPStatus.NOT_MODIFIED or not raw.body.strip():
        return Answer(raw.status, raw.headers, {})
    try:
        body: Any = await parse(raw.body)
    except (ValueError, RecursionError) as error:
        raise not_json(asked, raw) from error
    return Answer(raw.status, raw.headers, body)
