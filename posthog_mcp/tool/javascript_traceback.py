"""Stacks as Node.js and browsers print them."""

import re
from typing import Any

from posthog_mcp.tool.tracebacks import Raised

_V8 = re.compile(r"^\s*at (?:async )?(?P<what>.+?)(?: \{|,)?$")
_CALL = re.compile(r"^(?P<function>.+?) \((?P<place>.+)\)$")
_GECKO = re.compile(r"^\s*(?P<function>[^@\s]*)@(?P<place>\S+:\d+)$")  # Firefox and Safari
_PLACE = re.compile(r"^(?P<file>.+?):(?P<line>\d+)(?::(?P<column>\d+))?$")
_NO_PLACE = re.compile(r"^(?:<anonymous>|native|index \d+)$")
_RAISED = re.compile(
    r"^\s*(?:Uncaught )?(?:\(in promise\) )?(?P<type>[A-Za-z_$][\w$.]*)"
    r"(?: \[[\w:-]+\])?(?::\s?(?P<message>.*))?$"
)
_CAUSE = re.compile(r"^\s*\[?(?:cause|Caused by)\]?:\s*(?P<rest>.*)$")
_ERRORS = re.compile(r"^\s*\[errors\]: \[")
_NOT_THE_APP = re.compile(r"(?:^|/)node_modules/|^node:|^internal/|^<anonymous>$|^native$|^\w+-extension:")


def read(lines: list[str]) -> list[Raised]:
    """The errors, the one that was caught first; none where the text is no stack."""
    if not any(_frame(line) for line in lines):
        return []
    found: list[Raised] = []
    head: list[str] = []
    source = ""
    parent: int | None = None
    aggregate: int | None = None
    for line in lines:
        frame = _frame(line)
        cause = _CAUSE.match(line)
        if frame and head:
            found.append(_raised(head, source, parent))
            head = []
        if frame and found:
            found[-1].frames.insert(0, frame)
        elif frame:
            found.append(Raised("Error", "", [frame]))
        elif cause and found:
            head, source, parent = [cause["rest"]], "cause", len(found) - 1
        elif _ERRORS.match(line):
            aggregate = len(found) - 1
        elif aggregate is not None and _names_an_error(line):
            number = sum(one.parent == aggregate for one in found)
            head, source, parent = [line.strip()], f"errors[{number}]", aggregate
        elif not found or head:
            head.append(line)
    if head and source and head[0].strip():  # a cause that was printed without its stack
        found.append(_raised(head[:1], source, parent))
    return found


def _names_an_error(line: str) -> bool:
    raised = _RAISED.match(line)
    return bool(raised and raised["type"].endswith(("Error", "Exception")))


def _raised(head: list[str], source: str, parent: int | None) -> Raised:
    """The error of the lines above its frames; Node.js also prints the code there, and browsers a prefix."""
    start = next((place for place, line in enumerate(head) if _names_an_error(line)), None)
    if start is None:
        kept = [place for place, line in enumerate(head) if line.strip()]
        start = kept[-1] if kept else 0
    first, rest = head[start] if head else "", head[start + 1 :]
    raised = _RAISED.match(first)
    kind, message = (raised["type"], raised["message"] or "") if raised else ("Error", first.strip())
    words = "\n".join([message, *rest]).strip()
    return Raised(kind.rpartition(".")[2], words, source=source, parent=parent)


def _frame(line: str) -> dict[str, Any] | None:
    gecko = _GECKO.match(line)
    if gecko:
        return _made(gecko["function"], gecko["place"])
    v8 = _V8.match(line)
    if not v8:
        return None
    call = _CALL.match(v8["what"])
    return _made(call["function"], call["place"]) if call else _made("", v8["what"])


def _made(function: str, where: str) -> dict[str, Any] | None:
    place = _PLACE.match(where.rpartition(", ")[2] if where.startswith("eval at ") else where)
    if place is None and not _NO_PLACE.match(where):
        return None
    path = (place["file"] if place else where).removeprefix("file://")
    web = path.startswith(("http://", "https://"))
    frame: dict[str, Any] = {
        "platform": "web:javascript" if web else "node:javascript",
        "filename": path,
        "function": function or "<anonymous>",
        "in_app": not _NOT_THE_APP.search(path) and not _NO_PLACE.match(path),
    }
    if place:
        frame["lineno"] = int(place["line"])
        if place["column"]:
            frame["colno"] = int(place["column"])
    return frame
