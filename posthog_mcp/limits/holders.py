"""Who holds a place, and whether that process still lives."""

import os
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

from posthog_mcp.limits.clock import boot_id


class Holder(NamedTuple):
    """A process.

    Attributes:
        machine: Where its number means something: one start of one machine, one space of process numbers.
        pid: Its number.
    """

    machine: str
    pid: int

    @classmethod
    def own(cls) -> "Holder":
        """This process."""
        return cls(_machine(), os.getpid())

    def gone(self) -> bool:
        """Whether it is certain that the process has ended; what cannot be seen from here lives."""
        # On Windows `os.kill` would end the process; there a place is kept until its time is over.
        if self.machine != _machine() or sys.platform == "win32":
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


@cache
def _machine() -> str:
    space = Path("/proc/self/ns/pid")
    return f"{boot_id()} {space.readlink() if space.is_symlink() else ''}"
