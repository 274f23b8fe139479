"""A clock that all processes of a machine share and that nobody can set.

Slots are kept in seconds since the machine started, time asleep included, together with the identity of that
start: setting the wall clock then changes nothing, and a restart is noticed.
"""

import sys
import time
from functools import cache
from pathlib import Path


def since_boot() -> float:
    """Seconds since the machine started; where the platform allows, time asleep counts."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(
            time.CLOCK_MONOTONIC_RAW
        )  # there, unlike time.monotonic, it runs on in sleep
    return time.monotonic()


@cache
def boot_id() -> str:
    """The identity of this start of the machine; empty where the platform tells none."""
    if sys.platform == "linux":
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    if sys.platform == "darwin":
        return _session_of_macos()
    return _boot_of_windows() if sys.platform == "win32" else ""


if sys.platform == "darwin":

    def _session_of_macos() -> str:
        import ctypes  # noqa: PLC0415 - only here

        size = ctypes.c_size_t(64)
        text = ctypes.create_string_buffer(size.value)
        failed = ctypes.CDLL(None).sysctlbyname(
            b"kern.bootsessionuuid", text, ctypes.byref(size), None, ctypes.c_size_t(0)
        )
        return "" if failed else text.value.decode("ascii", "replace")


if sys.platform == "win32":

    def _boot_of_windows() -> str:
        import winreg  # noqa: PLC0415 - only here

        path = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
                return str(winreg.QueryValueEx(key, "BootId")[0])
        except OSError:
            return ""
