"""One call from start to end: refused or sent, with the right key, within the limits, repeated where safe."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

import anyio

from posthog_mcp import __version__
from posthog_mcp.api import errors
from posthog_mcp.api.answers import Answer
from posthog_mcp.api.endpoints import Effect, Endpoint, LimitClass
from posthog_mcp.api.failures import no_answer, no_permit, not_allowed, not_json, too_slow
from posthog_mcp.api.hosts import Hosts
from posthog_mcp.api.keys import Keys, KeyType
from posthog_mcp.api.refusals import Asked, error_of
from posthog_mcp.api.requests import path_of, query_of
from posthog_mcp.api.transport import RawAnswer, Transport, TransportError

ATTEMPTS = 4
# a host that stays away is told soon; one that is busy is given time
CONNECTION_ATTEMPTS = 2
BACKOFF_SECONDS = 0.25
BACKOFF_CAP_SECONDS = 5.0
_BUSY = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


class Limiter(Protocol):
    """The organization's budget of requests, asked before every request that a limit counts."""

    async def acquire(self, limit_class: str, timeout: float) -> float:  # noqa: ASYNC109 - a budget, not a cancellation
        """Wait for a permit; returns the seconds waited.

        Raises:
            TimeoutError: There is none within `timeout` seconds; known at once, not after waiting. Its
                attribute `seconds`, if it has one, is how far away the next one is.
        """
        ...

    async def penalize(self, limit_class: str, seconds: float) -> None:
        """PostHog answered 429: nobody asks again for that long."""
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
    """

    endpoint: Endpoint
    params: Mapping[str, object] = field(default_factory=dict[str, object])
    query: Mapping[str, object] = field(default_factory=dict[str, object])
    content: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass
class _Trip:
    """What one call has used up so far."""

    seconds: float
    ends: float
    waiting_left: float
    sent: bool = False


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
        asked, url, headers = self._prepared(request)
        budget = self._call_seconds if seconds is None else seconds
        trip = _Trip(budget, anyio.current_time() + budget, min(self._wait_seconds, budget))
        with anyio.CancelScope(deadline=trip.ends):
            return await self._attempts(asked, url, headers, request.content, trip)
        raise too_slow(asked, budget, sent=trip.sent)

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
            await self._permit(asked, trip)
            try:
                return await self._once(asked, url, headers, content, trip)
            except (errors.Answered, errors.Unreachable) as error:
                pause = _pause(error, attempt)
                await self._tell_limiter(asked, error, pause)
                most = CONNECTION_ATTEMPTS if isinstance(error, errors.Unreachable) else ATTEMPTS
                if attempt >= most or not _may_repeat(asked.endpoint, error):
                    raise
                # a wait that would not end in time is the caller's to decide about
                if pause > trip.waiting_left or anyio.current_time() + pause >= trip.ends:
                    raise
            trip.waiting_left -= pause
            await anyio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _once(
        self, asked: Asked, url: str, headers: Mapping[str, str], content: bytes | None, trip: _Trip
    ) -> Answer:
        trip.sent = True
        left = max(0.001, trip.ends - anyio.current_time())
        try:
            raw = await self._transport.send(
                asked.endpoint.method, url, headers=headers, content=content, read_seconds=left
            )
        except TransportError as error:
            trip.sent = error.sent
            if error.kind == "timeout":
                raise too_slow(asked, trip.seconds, sent=error.sent) from error
            raise no_answer(asked, error) from error
        return _answer(asked, raw)

    async def _permit(self, asked: Asked, trip: _Trip) -> None:
        if self._limiter is None or asked.endpoint.limit is LimitClass.NONE:
            return
        left = min(trip.waiting_left, trip.ends - anyio.current_time())
        try:
            trip.waiting_left -= await self._limiter.acquire(asked.endpoint.limit.value, max(0.0, left))
        except TimeoutError as error:
            raise no_permit(asked, getattr(error, "seconds", None)) from error

    async def _tell_limiter(self, asked: Asked, error: errors.PostHogError, pause: float) -> None:
        """Let everyone who shares the budget pause; too many queries at once is no matter of rates."""
        if self._limiter is None or asked.endpoint.limit is LimitClass.NONE:
            return
        if isinstance(error, errors.RateLimited) and error.spent == "requests":
            await self._limiter.penalize(
                asked.endpoint.limit.value, pause if error.wait is None else error.wait
            )


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


def _pause(error: errors.PostHogError, attempt: int) -> float:
    """Seconds before the next attempt: full jitter, on top of what PostHog asked for."""
    jitter = random.uniform(0, min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2**attempt))  # noqa: S311 - no secret
    return (getattr(error, "wait", None) or 0.0) + jitter


def _answer(asked: Asked, raw: RawAnswer) -> Answer:
    if raw.status == HTTPStatus.NOT_MODIFIED:
        return Answer(raw.status, raw.headers, {})
    if not HTTPStatus.OK <= raw.status < HTTPStatus.MULTIPLE_CHOICES:
        raise error_of(asked, raw.status, raw.headers, raw.body)
    if not raw.body.strip():
        return Answer(raw.status, raw.headers, {})
    try:
        body: Any = json.loads(raw.body)
    except (ValueError, RecursionError) as error:
        raise not_json(asked, raw) from error
    return Answer(raw.status, raw.headers, body)
