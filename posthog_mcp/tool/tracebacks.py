"""Traceback texts of Python and JavaScript, read into PostHog's `$exception_list`.

The list begins with the exception that was caught; its causes follow, each naming its parent. The frames of
each go from the oldest call to the one that raised.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

_MOST_FRAMES = 200  # of each exception; endless recursion has thousands that say the same
_MOST_MESSAGE = 10_000


@dataclass(slots=True)
class Raised:
    """One exception.

    Attributes:
        type: Its class.
        message: Its words.
        frames: From the oldest call to the newest.
        module: Where its class comes from.
        source: How it belongs to its parent: `__cause__`, `__context__`, `cause`, or `exceptions[0]`.
        parent: Place of its parent in the list, None for the first.
    """

    type: str
    message: str
    frames: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    module: str = ""
    source: str = ""
    parent: int | None = None


def exception_list(raised: Iterable[Raised], *, handled: bool) -> list[dict[str, Any]]:
    """PostHog's `$exception_list`."""
    return [_posthog_exception(place, one, handled=handled) for place, one in enumerate(raised)]


def _posthog_exception(place: int, one: Raised, *, handled: bool) -> dict[str, Any]:
    mechanism: dict[str, Any] = {
        "type": "generic" if one.parent is None else "chained",
        "handled": handled,
        "synthetic": False,
        "exception_id": place,
    }
    if one.parent is not None:
        mechanism |= {"parent_id": one.parent, "source": one.source}
    found: dict[str, Any] = {"type": one.type, "value": one.message[:_MOST_MESSAGE], "mechanism": mechanism}
    if one.module:
        found["module"] = one.module
    if one.frames:
        frames = one.frames
        if len(frames) > _MOST_FRAMES:
            frames = frames[: _MOST_FRAMES // 4] + frames[-_MOST_FRAMES * 3 // 4 :]
        found["stacktrace"] = {"type": "raw", "frames": frames}
    return found


def read_traceback(text: str) -> list[Raised]:
    """The exceptions in a traceback, the one that was caught first.

    Args:
        text: As Python or JavaScript prints it: chained exceptions, groups and lines around it included.

    Returns:
        At least one exception; without frames where the text holds none.

    Raises:
        ValueError: The text is blank.
    """
    lines = text.expandtabs().replace("\r\n", "\n").split("\n")
    if not text.strip():
        raise ValueError("is blank")
    from posthog_mcp.tool import javascript_traceback, python_traceback  # noqa: PLC0415 - few calls need them

    for language in (python_traceback, javascript_traceback):
        found = language.read(lines)
        if found:
            return found
    return [_plain(text.strip())]


def _plain(text: str) -> Raised:
    head, colon, message = text.partition(":")
    if colon and re.fullmatch(r"[A-Za-z_$][\w$.]*", head):
        return Raised(head.rpartition(".")[2], message.strip(), module=head.rpartition(".")[0])
    return Raised("Error", text)


_PLATFORMS = {
    "py": "python",
    "js": "node:javascript",
    "mjs": "node:javascript",
    "cjs": "node:javascript",
    "ts": "node:javascript",
    "jsx": "web:javascript",
    "tsx": "web:javascript",
    "rb": "ruby",
    "go": "go",
    "php": "php",
    "java": "java",
}
_FRAME_FIELDS = {
    "filename": str,
    "function": str,
    "lineno": int,
    "colno": int,
    "in_app": bool,
    "module": str,
    "context_line": str,
    "abs_path": str,
    "platform": str,
}


def given_frames(items: list[Any]) -> list[dict[str, Any]]:
    """Frames that a caller wrote, completed.

    Args:
        items: `{"filename", "function", "lineno", "colno", "in_app", "module", "context_line"}` each, oldest
            call first.

    Raises:
        ValueError: One does not fit; the words name its place.
    """
    return [_given_frame(place, item) for place, item in enumerate(items)]


def _given_frame(place: int, item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise ValueError(f"frames[{place}] must be an object")  # noqa: TRY004 - the caller's words
    frame = cast("dict[str, Any]", item)
    if not frame.get("filename") and not frame.get("function"):
        raise ValueError(f"frames[{place}] needs a filename or a function")
    for name, value in frame.items():
        wanted = _FRAME_FIELDS.get(name)
        if wanted is None:
            raise ValueError(f"frames[{place}] has an unknown field {name}; use {', '.join(_FRAME_FIELDS)}")
        if not isinstance(value, wanted):
            raise ValueError(f"frames[{place}].{name} must be of type {wanted.__name__}")  # noqa: TRY004
    ending = str(frame.get("filename", "")).rpartition(".")[2]
    return {"platform": _PLATFORMS.get(ending, "custom"), "in_app": True, **frame}
