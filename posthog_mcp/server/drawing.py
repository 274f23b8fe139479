"""Has charts drawn, each by a process of its own: the renderer stops its whole process while it works."""

from __future__ import annotations

import json
import logging
import sys
from importlib.util import find_spec
from typing import Any

import anyio

from posthog_mcp.server.drawer import NO_RENDERER
from posthog_mcp.tool import ToolFailure

_log = logging.getLogger(__name__)
_DRAWER = "posthog_mcp.server.drawer"
_AT_ONCE = 2
"""Each takes 100 MB while it lasts."""


def available() -> bool:
    """Whether this installation has what charts are drawn with."""
    return all(find_spec(name) for name in ("vl_convert", "PIL"))


class Drawing:
    """Draws Vega-Lite specifications, few at a time."""

    def __init__(self) -> None:
        self._room = anyio.CapacityLimiter(_AT_ONCE)

    async def png(self, specification: dict[str, Any]) -> bytes:
        """A specification, which loads nothing from elsewhere, as a PNG.

        Raises:
            ToolFailure: It cannot be drawn.
        """
        async with self._room:
            done = await anyio.run_process(
                [sys.executable, "-P", "-m", _DRAWER], input=json.dumps(specification).encode(), check=False
            )
        if done.returncode == 0:
            return done.stdout
        if done.returncode == NO_RENDERER:
            why = f"The renderer cannot be loaded: {done.stderr.decode(errors='replace')}."
            then = (
                'Have `pip install "posthog-mcp[charts]"` run where the server is, or call without `chart`.'
            )
            raise ToolFailure("No chart could be drawn.", why, then)
        _log.error("drawing a chart ended with code %s", done.returncode)
        raise ToolFailure(
            "No chart could be drawn.",
            "The renderer failed on it.",
            "The numbers are there all the same.",
        )
