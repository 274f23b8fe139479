"""Tracebacks as Python prints them."""

import re
from typing import Any

from posthog_mcp.tool.tracebacks import Raised

_HEADER = "Traceback (most recent call last):"
_FRAME = re.compile(r'^(?P<indent>\s*)File "(?P<file>.+?)", line (?P<line>\d+)(?:, in (?P<function>.+))?$')
_MARKS = re.compile(r"^\s*[~^][~^ ]*$")  # the carets under a line of code
_RAISED = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?::\s?(?P<message>.*))?$")
_LINKS = {
    "The above exception was the direct cause of the following exception:": "__cause__",
    "During handling of the above exception, another exception occurred:": "__context__",
}
_GROUP_MARGIN = re.compile(r"^\s*(?:\+-)?[+|] ?")
_GROUP_MEMBER = re.compile(r"^-+ (?:\d+|\.\.\.) -+$|^-+$")
_NOT_THE_APP = re.compile(r"[/\\](?:site|dist)-packages[/\\]|[/\\][Ll]ib[/\\](?:python\d)?|^<frozen ")
_MODULE = re.compile(r"(?:(?:site|dist)-packages|[/\\]lib[/\\]python\d+\.\d+)[/\\](?P<path>.+)\.py$")


def read(lines: list[str]) -> list[Raised]:
    """The exceptions, the one that was caught first; none where the text is not Python's."""
    if not any(_HEADER in line or _FRAME.match(line) for line in lines):
        return []
    if any("Exception Group " + _HEADER in line for line in lines):
        lines = [_GROUP_MARGIN.sub("", line) for line in lines]
    return _in_order(_chains(lines))


def _chains(lines: list[str]) -> list[list[Raised]]:
    """The exceptions in the order they were printed, a list for the main one and for each of a group."""
    chains: list[list[Raised]] = [[]]
    reader = _Reader()
    for line in lines:
        link = _LINKS.get(line.strip())
        member = bool(_GROUP_MEMBER.match(line))
        if link or member or _HEADER in line:
            chains[-1] += reader.finish(link or "")
        if member:
            chains.append([])
            reader.begin()  # one that was never raised has no header
        elif not link:
            reader.take(line)
    chains[-1] += reader.finish("")
    return [chain for chain in chains if chain]


def _in_order(chains: list[list[Raised]]) -> list[Raised]:
    """What was caught was printed last of its chain; each earlier one belongs to the one after it."""
    found: list[Raised] = []
    for number, chain in enumerate(chains):
        for step, one in enumerate(reversed(chain)):
            if step:
                one.parent = len(found) - 1
            elif number:
                one.parent, one.source = 0, f"exceptions[{number - 1}]"
            found.append(one)
    return found


class _Reader:
    """Reads one exception line by line: header, frames with their code, then its type and message."""

    def __init__(self) -> None:
        self._frames: list[dict[str, Any]] = []
        self._words: list[str] = []
        self._inside = False
        self._code_follows = False
        self._margin = 0

    def begin(self) -> None:
        """From here on, lines belong to an exception."""
        self._inside, self._margin = True, 0

    def finish(self, source: str) -> list[Raised]:
        """The exception read so far, none where there was none; the next one starts afresh.

        Args:
            source: How it belongs to the one that is printed after it.
        """
        words = "\n".join(self._words).strip()
        frames, self._frames, self._words = self._frames, [], []
        self._inside = self._code_follows = False
        if not words and not frames:
            return []
        first, _, rest = words.partition("\n")
        raised = _RAISED.match(first)
        if raised is None:
            return [Raised("Error", words, frames, source=source)]
        module, _, name = raised["type"].rpartition(".")
        message = "\n".join(filter(None, (raised["message"], rest)))
        return [Raised(name, message, frames, module, source)]

    def take(self, line: str) -> None:
        """One more line."""
        frame = _FRAME.match(line)
        if _HEADER in line:
            self._inside = True
            self._margin = len(line) - len(line.lstrip())
        elif frame and not self._words:
            self._inside = self._code_follows = True
            self._frames.append(_frame(frame))
        elif not self._inside or (not self._words and not line.strip()):
            return  # what was logged around it
        elif not self._words and len(line) - len(line.lstrip()) > self._margin:
            if self._code_follows and not _MARKS.match(line) and not line.lstrip().startswith("[Previous"):
                self._frames[-1]["context_line"] = line.strip()
            self._code_follows = False
        else:
            self._words.append(line[self._margin :])


def _frame(match: re.Match[str]) -> dict[str, Any]:
    path = match["file"]
    frame: dict[str, Any] = {
        "platform": "python",
        "filename": path,
        "abs_path": path,
        "function": match["function"] or "<module>",
        "lineno": int(match["line"]),
        "in_app": not _NOT_THE_APP.search(path),
    }
    known = _MODULE.search(path)
    if known:
        frame["filename"] = known["path"] + ".py"
    relative = known["path"] if known else path.removesuffix(".py") if path.endswith(".py") else ""
    if relative and not re.match(r"[/\\]|[A-Za-z]:", relative):
        frame["module"] = re.sub(r"[/\\]", ".", relative).removesuffix(".__init__").strip(".")
    return frame
