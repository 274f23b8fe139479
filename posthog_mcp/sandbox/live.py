"""Which sandbox has a data directory: one at a time, and a second one can find it.

The lock is the operating system's, so it goes with the process however that ends. `sandbox.json` beside it
names the process and where it listens.
"""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from posthog_mcp.sandbox.project import PERSONAL_KEY, PROJECT_TOKEN, SECRET_KEY

_LOCK: Final = "sandbox.lock"
_ABOUT: Final = "sandbox.json"
# Whoever only looks whether the lock is held takes it for an instant.
_CLAIM_SECONDS: Final = 1.0


#: Exit code of a sandbox whose data directory another one has.
IN_USE_EXIT: Final = 4


@dataclass(frozen=True, slots=True)
class Live:
    """A running sandbox: its process id, and its URL once it listens ("" while it starts)."""

    pid: int
    url: str


class DirectoryInUseError(Exception):
    """Another sandbox has the data directory; `live` says which, when it has said so itself."""

    def __init__(self, data_dir: Path, live: Live | None) -> None:
        holder = f"pid {live.pid}" if live is not None else "another process"
        where = f" at {live.url}" if live is not None and live.url else ""
        super().__init__(
            f"The data directory {data_dir} is already in use by {holder}{where}. "
            "Use that sandbox, stop it, or name another directory with --data."
        )
        self.live = live


class Claim:
    """A data directory that is ours."""

    def __init__(self, data_dir: Path) -> None:
        self._about = data_dir / _ABOUT

    def announce(self, url: str) -> None:
        """Say where we listen."""
        draft = self._about.with_suffix(".draft")
        draft.write_text(json.dumps({"pid": os.getpid(), "url": url}))
        draft.replace(self._about)


@contextmanager
def claim(data_dir: Path) -> Generator[Claim]:
    """Hold `data_dir`, made when missing, until the end of the block.

    Raises:
        DirectoryInUseError: Another process holds it.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with FileLock(data_dir / _LOCK, timeout=_CLAIM_SECONDS, mode=0o600):
            held = Claim(data_dir)
            held.announce("")
            yield held
            (data_dir / _ABOUT).unlink(missing_ok=True)
    except Timeout:
        raise DirectoryInUseError(data_dir, _read(data_dir)) from None


def find(data_dir: Path) -> Live | None:
    """Return the sandbox that holds `data_dir` now, if one does."""
    if not (data_dir / _LOCK).exists():
        return None
    try:
        with FileLock(data_dir / _LOCK, timeout=0, mode=0o600):
            return None
    except Timeout:
        return _read(data_dir)


def environment(url: str) -> dict[str, str]:
    """Return the variables that point a client of PostHog at the sandbox."""
    return {
        "POSTHOG_HOST": url,
        "POSTHOG_API_KEY": PROJECT_TOKEN,
        "POSTHOG_PERSONAL_API_KEY": PERSONAL_KEY,
        "POSTHOG_PROJECT_SECRET_KEY": SECRET_KEY,
        "POSTHOG_PROJECT_ID": "1",
    }


def _read(data_dir: Path) -> Live | None:
    try:
        about = json.loads((data_dir / _ABOUT).read_text())
    except FileNotFoundError:
        return None
    return Live(pid=about["pid"], url=about["url"])
