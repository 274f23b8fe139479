"""What a command comes to."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    """What a command did: its code, what it printed, what it complained about."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]
