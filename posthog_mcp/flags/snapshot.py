"""Flag definitions as they are kept on disk, where every server process of the machine finds them."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from posthog_mcp.api.json_text import loads_in_turns

_BACK_OFF_SECONDS = 5.0
_MOST_DOUBLINGS = 10
_REFUSED_SECONDS = 30.0
"""How long a refusal is believed: whoever gives the key its scope wants to go on at once."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why PostHog did not give definitions, in the sentences of `PostHogError`; `refused` for good reason."""

    what: str
    why: str
    next_step: str
    said: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a project's definitions.

    Attributes:
        body: The definitions as PostHog gave them; None when it never did.
        etag: PostHog's tag of the body, whole.
        confirmed_at: When PostHog last said that they are current, in seconds since 1970.
        outdated: They were changed since.
        problem: Why the last request failed; None when it did not.
        failures: How many failed in a row.
        ask_again_at: Nobody asks before this time.
    """

    body: dict[str, Any] | None = None
    etag: str = ""
    confirmed_at: float = 0.0
    outdated: bool = False
    problem: Problem | None = None
    failures: int = 0
    ask_again_at: float = 0.0

    def dumps(self) -> str:
        """Everything as JSON text."""
        # asdict would copy every definition
        parts = {**asdict(replace(self, body=None)), "body": self.body}
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def loads(cls, text: bytes) -> Kept:
        """The same from the text.

        Raises:
            ValueError: It is not what `dumps` writes.
        """
        try:
            parts: Any = loads_in_turns(text)
            problem = parts.pop("problem")
            return cls(**parts, problem=Problem(**problem) if problem else None)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"no kept definitions: {error}") from None

    def fresh(self, now: float, poll_seconds: float) -> bool:
        """Whether it can be used without asking: a time that lies ahead comes from a clock set back."""
        return self.body is not None and not self.outdated and 0 <= now - self.confirmed_at < poll_seconds

    def after(self, problem: Problem, now: float, *, wait: float | None, most: float) -> Kept:
        """The same after a request that failed; asked again after `wait`, or longer each time."""
        doublings = min(self.failures, _MOST_DOUBLINGS)
        pause = _REFUSED_SECONDS if problem.refused else _BACK_OFF_SECONDS * 2**doublings
        again = now + max(min(pause, most), wait or 0.0)
        return replace(self, problem=problem, failures=self.failures + 1, ask_again_at=again)


@dataclass(slots=True)
class SnapshotFile:
    """The file, replaced as a whole: who reads it sees one state or the next. Nobody but its owner can.

    Attributes:
        path: Where; its directory is made when something is saved.
    """

    path: Path
    _seen: tuple[int, int, int] | None = field(default=None, init=False)

    def changed(self) -> bool:
        """Whether it is another one than was last loaded or saved here."""
        return self._signature() != self._seen

    def load(self) -> Kept:
        """What is in it; nothing where there is no file, or one that is damaged."""
        self._seen = self._signature()
        try:
            return Kept.loads(self.path.read_bytes())
        except (OSError, ValueError):
            # It can be had again from PostHog, so whatever is wrong with it ends with the next answer.
            return Kept()

    def save(self, kept: Kept) -> None:
        """Put `kept` in its place.

        Raises:
            OSError: The directory cannot be written.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes files of mode 0600
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(kept.dumps())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._seen = self._signature()

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
