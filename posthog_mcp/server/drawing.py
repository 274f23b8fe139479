"""Draws charts, in a process of their own: the renderer stops the one it runs in, for half a second."""

from __future__ import annotations

import io
import json
import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import anyio

from posthog_mcp.tool import ToolFailure

if TYPE_CHECKING:
    from anyio import CapacityLimiter

_log = logging.getLogger(__name__)
_COLOURS = 128
"""Of a picture; edges need some, and a palette makes it a third of the size."""


def available() -> bool:
    """Whether this installation has what charts are drawn with."""
    return all(find_spec(name) for name in ("vl_convert", "PIL"))


def png(specification: str) -> bytes:
    """A Vega-Lite specification, in JSON, as a small PNG.

    Raises:
        ImportError: The renderer cannot be loaded here.
        ValueError: The renderer does not take the specification.
    """
    import vl_convert  # noqa: PLC0415 - of the extra
    from PIL import Image  # noqa: PLC0415 - of the extra

    drawn = io.BytesIO(vl_convert.vegalite_to_png(specification, allowed_base_urls=[]))
    small = io.BytesIO()
    picture = Image.open(drawn).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    picture.save(small, "PNG", optimize=True)
    return small.getvalue()


async def draw(specification: dict[str, Any], room: CapacityLimiter) -> bytes:
    """A Vega-Lite specification as a PNG.

    Args:
        specification: Without anything that has to be loaded; nothing is.
        room: How many may be drawn at once; each takes a process of about 150 MB, kept for the next.

    Raises:
        ToolFailure: It cannot be drawn.
    """
    from anyio import to_process  # noqa: PLC0415 - few calls need it

    try:
        return await to_process.run_sync(png, json.dumps(specification), cancellable=True, limiter=room)
    except ImportError as error:
        why = f"The renderer cannot be loaded: {error.name or 'a part of it'} is missing."
        then = 'Have `pip install "posthog-mcp[charts]"` run where the server is, or call without `chart`.'
        raise ToolFailure("No chart could be drawn.", why, then) from error
    except (ValueError, anyio.BrokenWorkerProcess) as error:
        _log.error("drawing a chart failed with %s", type(error).__name__)
        raise ToolFailure(
            "No chart could be drawn.",
            "The renderer failed on it; the numbers are there all the same.",
            "Call again without `chart`.",
        ) from error
