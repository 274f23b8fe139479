"""A Redis or Valkey that several machines share, for whoever can go on without it while it is away.

Imported only where a Redis is configured: the library is the extra `redis`.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import anyio
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

PREFIX = "posthog-mcp"
ANSWER_SECONDS = 1.0
RETRY_SECONDS = 5.0


def connect(url: str, *, decoded: bool = True) -> Any:
    """A client of the Redis; nothing is opened yet. Whoever uses it keeps time with `ANSWER_SECONDS`.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        decoded: Whether it answers with text rather than with bytes.
    """
    return cast("Any", redis.asyncio.Redis).from_url(
        url,
        decode_responses=decoded,
        # The library's own time limit is `asyncio.wait_for`, which before Python 3.12 now and then swallows
        # the cancellation of its caller.
        socket_timeout=None,
        socket_connect_timeout=ANSWER_SECONDS,
        # once: a connection that the server closed while it was idle says so at the next command
        retry=Retry(NoBackoff(), 1),
    )


class Reach:
    """Whether the Redis answers: after it did not, it is left alone for five seconds.

    Args:
        lost: Gives what the log says of the time without it.
        found: What the log says when it is back.
        refusal: What a question may raise as Redis's answer to it.

    Attributes:
        lost_since: When it was lost; None while it answers.
        found_at: When it came back, by the clock of the event loop.
    """

    def __init__(
        self, lost: Callable[[], str], found: str, *, refusal: type[Exception] | tuple[()] = ()
    ) -> None:
        self.lost_since: datetime | None = None
        self.found_at = float("-inf")
        self._lost, self._found, self._refusal = lost, found, refusal
        self._try_again = 0.0

    async def ask(self, question: Callable[[], Awaitable[_T]]) -> _T | None:
        """What Redis says; None while it cannot be used."""
        if self.lost_since is not None:
            if anyio.current_time() < self._try_again:
                return None
            # Whoever comes meanwhile goes on without it at once instead of waiting for this one.
            self._try_again = anyio.current_time() + RETRY_SECONDS
        try:
            answer = await question()
        except self._refusal:
            self._find()
            raise
        except (redis.RedisError, OSError) as error:
            self._lose(error)
            return None
        self._find()
        return answer

    def _lose(self, error: Exception) -> None:
        self._try_again = anyio.current_time() + RETRY_SECONDS
        if self.lost_since is None:
            self.lost_since = datetime.now(UTC)
            _log.warning("Redis cannot be used (%s). %s", type(error).__name__, self._lost())

    def _find(self) -> None:
        if self.lost_since is not None:
            self.lost_since, self.found_at = None, anyio.current_time()
            _log.warning("Redis answers again. %s", self._found)
