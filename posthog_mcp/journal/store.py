"""Where changes are kept, as the journal sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from posthog_mcp.journal.change import Change

DAYS = 90
KEPT_SECONDS = DAYS * 86_400
MOST = 10_000


class JournalUnusable(Exception):  # noqa: N818 - a state of the journal
    """The journal cannot be written or read; its text says why, in one sentence.

    Args:
        why: That sentence.
        next_step: What to do about it, in another.
    """

    def __init__(self, why: str, next_step: str = "Move that file away and start the server again.") -> None:
        super().__init__(why)
        self.next_step = next_step


@dataclass(frozen=True, slots=True)
class Noted:
    """A change with what the journal knows of it.

    Attributes:
        id: Its number, the same for everyone.
        change: The change.
        confirmed: PostHog said that it happened; else the answer never came.
        undone_by: The number of the latest change that undid it; 0 for none.
    """

    id: int
    change: Change
    confirmed: bool
    undone_by: int


class Store(Protocol):
    """What `Journal` needs; see there for what each method does. All raise JournalUnusable."""

    @property
    def caveat(self) -> str:
        """In one sentence: who has no part in it for now; empty while all have that should."""
        ...

    async def begin(self, change: Change) -> int:
        """Note a change that is about to be made."""
        ...

    async def confirm(self, number: int, change: Change) -> None:
        """Note that it was made."""
        ...

    async def drop(self, number: int) -> bool:
        """Forget it; gives whether it was there."""
        ...

    async def find(self, number: int, host: str, since: float) -> Noted | None:
        """One change, unless it was made before `since`."""
        ...

    async def changes(
        self, host: str, project_id: int, *, kind: str, since: float, limit: int, skip: int
    ) -> tuple[list[Noted], int]:
        """Changes since then, and how many there are in all."""
        ...

    async def claim(self, number: int, undone_by: int, seconds: float) -> bool:
        """Take the right to undo a change."""
        ...

    async def release(self, number: int) -> None:
        """Give it back."""
        ...

    async def close(self) -> None:
        """Let go of what is held open."""
        ...
