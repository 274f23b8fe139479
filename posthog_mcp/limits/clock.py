"""A clock that all processes of a machine share and that nobody can set.

Slots are kept in seconds since the machine started, time asleep included, together with the identity of that
start: setting the wall clock then changes nothing, and a restart is noticed.
"""

import ctypes
import sys
import time
from functools import cache
from pathlib import Path


def since_boot() -> float:
    """Seconds since the machine started; where the platform allows, time asleep counts."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@cache
def boot_id() -> str:
    """The identity of this start of the machine; empty where the platform tells none."""
    if sys.platform == "linux":
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    if sys.platform == "darwin":
        size = ctypes.c_size_t(64)
        text = ctypes.create_string_buffer(size.value)
        libc = ctypes.CDLL(None)
        if (
            libc.sysctlbyname(b"kern.bootsessionuuid", text, ctypes.byref(size), None, ctypes.c_size_t(0))
            == 0
        ):
            return text.value.decode("ascii", "replace")
    return ""
