"""Delivers the outbox while another process fills it: an import reads on one core and sends on another.

Run by `posthog-mcp import`. It ends when its standard input does, or with the reason on standard output when
PostHog refuses the project's events.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Self

from posthog_mcp.api import PostHogClient
from posthog_mcp.cli._outbox import load, open_outbox

if TYPE_CHECKING:
    from posthog_mcp.outbox import Outbox

_LOOK_SECONDS = 0.05
_LAST_SECONDS = 2.0  # when the import was killed: what is left is for later


class Deliverer:
    """The process that delivers, from the outside."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", __spec__.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def refusal(self) -> str:
        """Why it has ended; empty while it goes on."""
        if self._process.poll() is None:
            return ""
        said = self._process.stdout.read().strip() if self._process.stdout else ""
        return said or "The process that delivers has ended."


async def _deliver(box: Outbox) -> int:
    left = threading.Event()
    # A daemon: nothing may have to wait for a read that does not end.
    threading.Thread(target=lambda: (sys.stdin.read(), left.set()), daemon=True).start()
    try:
        while not left.is_set():
            box.deliver_leftovers()
            if box.refusal():
                print(box.refusal(), flush=True)
                return 1
            await asyncio.sleep(_LOOK_SECONDS)
        await box.flush(_LAST_SECONDS)
    finally:
        await box.close()
    return 0


def main() -> int:
    """Deliver until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the import as well, which ends us
    settings = load()
    token = PostHogClient.from_settings(settings).project_token()
    code = asyncio.run(_deliver(open_outbox(settings, token)))
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
