"""JSON of any size, parsed without keeping the event loop from others."""

import json
from typing import Any

import anyio.to_thread

_LARGE_BYTES = 50_000  # half a millisecond; handing it to a thread takes a tenth of that


async def parse(text: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is none.
        RecursionError: It is nested too deep.
    """
    if len(text) < _LARGE_BYTES:
        return json.loads(text)
    return await anyio.to_thread.run_sync(loads_in_turns, text)


def loads_in_turns(text: bytes) -> Any:
    """`json.loads` for a thread of its own: others run in between, where it would keep them waiting."""
    return json.loads(text, object_hook=_switch)


def _switch(value: dict[str, Any]) -> dict[str, Any]:
    # the parser is C and holds the interpreter; it is handed on where Python is called, so at every object
    return value
