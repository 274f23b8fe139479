"""Logs: to standard error, without keys, without tracebacks, whichever library writes them."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING

from posthog_mcp.safety.redact import RedactingFilter

if TYPE_CHECKING:
    from posthog_mcp.settings import Settings


def configure(settings: Settings) -> None:
    """Send every log of the process to standard error, at the level the start asked for.

    Hosts keep standard error in files that others can read, so nothing a person wrote belongs there. And some
    never read it: a full pipe would block, so the default level is warning.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_places_only)
    handler.addFilter(RedactingFilter(settings.secrets()))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    if settings.log_level != "debug":
        # At their info and debug levels libraries log addresses and messages with what is in them.
        for library in ("mcp", "httpx2", "httpcore2", "uvicorn", "asyncio", "sse_starlette"):
            logging.getLogger(library).setLevel(logging.WARNING)
    for warning in settings.warnings:
        logging.getLogger("posthog_mcp").warning(warning)


def places(error: BaseException, most: int = 6) -> str:
    """Kind and places of an error, innermost first: its words may repeat what a person wrote."""
    frames = traceback.extract_tb(error.__traceback__)[-most:]
    where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {where or 'no place'}"


def _places_only(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        record.msg = f"{record.getMessage()} ({places(error)})"
        record.args = ()
    record.exc_info = record.exc_text = record.stack_info = None
    return True
