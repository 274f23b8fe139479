"""The record of calls: names, outcome, sizes and times, never an argument or a value."""

import logging

_log = logging.getLogger("posthog_mcp.audit")


def audit(tool: str, outcome: str, *, milliseconds: float, characters: int) -> None:
    """Log one finished call.

    Args:
        tool: The tool's name as the catalogue knows it.
        outcome: `ok`, `error`, `refused` or `cancelled`.
        milliseconds: How long the whole call took.
        characters: How long the answer was.
    """
    _log.info("%s %s %.0f ms %d characters", tool, outcome, milliseconds, characters)
