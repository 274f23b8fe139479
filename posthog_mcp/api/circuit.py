"""A host that is down is not asked by every call: after some failures in a row, by one now and then."""

from datetime import UTC, datetime

import anyio

from posthog_mcp.api import errors
from posthog_mcp.api.refusals import Asked, in_seconds

FAILURES = 3
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 30.0


class Circuit:
    """What is known of one host: closed while it answers, open while it is down.

    Open, it refuses calls at once, and lets one through at growing intervals to see whether the host is back.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._since = datetime.min.replace(tzinfo=UTC)
        self._pause = FIRST_PAUSE_SECONDS
        self._try_at = 0.0

    def check(self, asked: Asked) -> None:
        """Let a call through.

        Raises:
            Unreachable: The host is down, and it is not time to try again.
        """
        if self._failures < FAILURES:
            return
        now = anyio.current_time()
        if now < self._try_at:
            raise self._refusal(asked, self._try_at - now)
        # The others wait for what this call finds; were it cancelled, the next one would be let through then.
        self._try_at = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)

    def note(self, error: errors.PostHogError | None) -> None:
        """Take in how a call ended; None is a success."""
        if not _is_down(error):
            # A time that ran out says nothing: a query may have been slow, or the wait for a limit long.
            unsent = isinstance(error, errors.RateLimited) and not error.status
            if not unsent and not isinstance(error, errors.Timeout):
                self._failures, self._pause = 0, FIRST_PAUSE_SECONDS
            return
        if not self._failures:
            self._since = datetime.now(UTC)
        self._failures += 1
        if self._failures >= FAILURES:
            self._try_at = anyio.current_time() + self._pause

    def _refusal(self, asked: Asked, wait: float) -> errors.Unreachable:
        error = errors.Unreachable(
            f"{asked} was not sent: {asked.host} is down.",
            f"{self._failures} calls in a row failed, the first at {self._since:%Y-%m-%d %H:%M:%S} UTC.",
            f"It is tried again in {in_seconds(wait)}; wait, or check POSTHOG_HOST and the network.",
        )
        error.sent = False
        return error


def _is_down(error: errors.PostHogError | None) -> bool:
    if isinstance(error, errors.Unreachable):
        return not isinstance(error, errors.TlsFailed)
    return isinstance(error, errors.ServerError) and error.status in (502, 503)
