"""What can go wrong in the engine, and how ClickHouse's own messages are made fit to be shown."""

import re
from typing import Final

#: Exit code of the worker, and of every command that needs the engine, when chdb is not installed.
ENGINE_MISSING_EXIT: Final = 3

MISSING_TEXT: Final = (
    "The sandbox needs the chdb engine, which is not installed: pip install 'posthog-mcp[sandbox]' "
    "(on Windows use WSL, on Alpine a glibc image: chdb has no build for either)."
)

#: ClickHouse's numbers of the errors that callers tell apart.
TIMED_OUT: Final = 159
CANCELLED: Final = 394
TOO_MANY_ROWS: Final = 396
#: Not ClickHouse's: the worker process itself ended, could not start, or was closed.
STOPPED: Final = 0

_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)")
# Everything from here on prints the SQL that was compiled, or where in the engine it failed.
_INTERNAL = re.compile(r"[.:]?\s*(?:In scope|While executing|: while executing|\(version \d)", re.IGNORECASE)


class EngineError(Exception):
    """A statement that the engine refused or could not finish.

    Attributes:
        code: ClickHouse's error number (159 time limit, 241 memory, 394 cancelled, 396 too many rows), or 0
            when the worker process stopped.
        name: ClickHouse's name of it, such as `TIMEOUT_EXCEEDED`; `ENGINE_STOPPED` with code 0.
        message: One or more sentences without compiled SQL.
    """

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.name = name
        self.message = message


class EngineMissing(Exception):  # noqa: N818  the name says it all, and the contract of the command line uses it
    """The chdb package is not installed. The text is the one line to show; exit with ENGINE_MISSING_EXIT."""

    def __init__(self) -> None:
        super().__init__(MISSING_TEXT)


def from_chdb(text: str) -> EngineError:
    """Read the text of an exception raised by chdb.

    Args:
        text: Such as `Code: 47. DB::Exception: Unknown identifier x. In scope SELECT x. (UNKNOWN_...)`.

    Returns:
        The error with its number and name, its message cut before the compiled SQL. Text without a number
        becomes code 1002 (ClickHouse's UNKNOWN_EXCEPTION).
    """
    code = _CODE.search(text)
    if code is None:
        return EngineError(1002, "UNKNOWN_EXCEPTION", "The engine failed without saying why.")
    names = _NAME.findall(text)
    name = names[-1] if names else "UNKNOWN_EXCEPTION"
    start = max(match.end() for match in _CODE.finditer(text))
    message = text[start:].replace(f"({name})", "")
    cut = _INTERNAL.search(message)
    if cut is not None:
        message = message[: cut.start()]
    return EngineError(int(code[1]), name, message.rstrip(" .:\n") + ".")


def stopped(message: str) -> EngineError:
    """Return the error of a worker process that is not there (any more)."""
    return EngineError(STOPPED, "ENGINE_STOPPED", message)
