"""JSON with comments, changed in place: what a person wrote around a value stays as it is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]+")
_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR = re.compile(r"[-+.0-9A-Za-z]+")
_DEEPEST = 100


@dataclass(slots=True)
class Node:
    """A value and where it stands.

    Attributes:
        value: The value.
        start: Of its text.
        end: Behind its text.
        members: Of an object, by name; of a list, by number.
    """

    value: Any
    start: int
    end: int
    members: dict[str | int, Node] = field(default_factory=dict[str | int, "Node"])


def read(text: str, *, comments: bool) -> Node:
    """The value of a text.

    Args:
        text: JSON.
        comments: Whether comments and a comma behind the last member are taken too.

    Raises:
        ValueError: It is none; the words name the line.
    """
    reader = _Reader(text, comments=comments)
    node = reader.value(0)
    reader.skip()
    if reader.at < len(text):
        raise reader.wrong("there is more behind the value")
    return node


def put(text: str, path: list[str], value: Any, *, comments: bool) -> str:
    """The same text with one member of an object set; objects on the way are made where there are none.

    Raises:
        ValueError: The text cannot be read, or something on the way is no object.
    """
    node = read(text, comments=comments)
    for depth, name in enumerate(path):
        if not isinstance(node.value, dict):
            raise ValueError(f"`{'.'.join(path[:depth]) or 'the whole'}` is no object")  # noqa: TRY004 - of the text, not of the call
        if name not in node.members:
            for outer in reversed(path[depth + 1 :]):
                value = {outer: value}
            return _with_last(text, node, value, name=name, comments=comments)
        node = node.members[name]
    return text[: node.start] + _indented(value, _indent(text, node.start)) + text[node.end :]


def append(text: str, name: str, value: Any, *, comments: bool) -> str:
    """The same text with one more value in a list of the outermost object; made where there is none.

    Raises:
        ValueError: As `put`.
    """
    node = read(text, comments=comments).members.get(name)
    if node is None:
        return put(text, [name], [value], comments=comments)
    if not isinstance(node.value, list):
        raise ValueError(f"`{name}` is no list")  # noqa: TRY004 - of the text, not of the call
    return _with_last(text, node, value, comments=comments)


def _with_last(text: str, node: Node, value: Any, *, name: str | None = None, comments: bool) -> str:
    """The text with a new last member in the object or list; comments stay where they are."""
    line, inner = _indent(text, node.start), _inner(text, node)
    body, last = text[: node.end - 1].rstrip(), max((one.end for one in node.members.values()), default=0)
    if last:
        reader = _Reader(text, comments=comments)
        reader.at = last
        reader.skip()
        if text[reader.at] != ",":
            body = f"{body[:last]},{body[last:]}"
    label = "" if name is None else f"{json.dumps(name)}: "
    return f"{body}\n{inner}{label}{_indented(value, inner)}\n{line}{text[node.end - 1 :]}"


def _inner(text: str, node: Node) -> str:
    """How far members of the object stand in."""
    first = min((one.start for one in node.members.values()), default=node.start)
    apart = "\n" in text[node.start : first]
    return _indent(text, first) if apart else _indent(text, node.start) + "  "


def _indented(value: Any, indent: str) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False).replace("\n", f"\n{indent}")


def _indent(text: str, place: int) -> str:
    """The white space in front of the line that holds a place."""
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line[: len(line) - len(line.lstrip(" \t"))]


class _Reader:
    def __init__(self, text: str, *, comments: bool) -> None:
        self.text = text
        self.at = 0
        self._comments = comments

    def wrong(self, why: str) -> ValueError:
        line = self.text.count("\n", 0, self.at) + 1
        return ValueError(f"line {line}: {why}")

    def skip(self) -> None:
        while (found := _SPACE.match(self.text, self.at)) or (
            self._comments and (found := _COMMENT.match(self.text, self.at))
        ):
            self.at = found.end()

    def value(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.wrong("it is nested too deeply")
        self.skip()
        start = self.at
        opening = self.text[start : start + 1]
        if opening == "{":
            return self._object(depth)
        if opening == "[":
            return self._array(depth)
        found = (_STRING if opening == '"' else _SCALAR).match(self.text, start)
        if found is None:
            raise self.wrong("a value is missing")
        try:
            value = json.loads(found[0])
        except ValueError:
            raise self.wrong(f"{found[0][:20]!r} is no value") from None
        self.at = found.end()
        return Node(value, start, self.at)

    def _object(self, depth: int) -> Node:
        node = Node({}, self.at, 0)
        while self._another("}", first=not node.members):
            found = _STRING.match(self.text, self.at)
            if found is None:
                raise self.wrong("a name in quotes is missing")
            self.at = found.end()
            self.skip()
            self._take(":")
            name = json.loads(found[0])
            if name in node.members:
                raise self.wrong(f"{name!r} is there twice")
            member = self.value(depth + 1)
            node.members[name], node.value[name] = member, member.value
        node.end = self.at
        return node

    def _array(self, depth: int) -> Node:
        node = Node([], self.at, 0)
        while self._another("]", first=not node.members):
            member = node.members[len(node.members)] = self.value(depth + 1)
            node.value.append(member.value)
        node.end = self.at
        return node

    def _another(self, closing: str, *, first: bool) -> bool:
        """Go to the next member; False, behind the end, when there is none."""
        if first:
            self.at += 1
        self.skip()
        if not first and not self.text.startswith(closing, self.at):
            self._take(",")
            self.skip()
            if self.text.startswith(closing, self.at) and not self._comments:
                raise self.wrong("a comma stands behind the last member")
        if self.text.startswith(closing, self.at):
            self.at += 1
            return False
        return True

    def _take(self, character: str) -> None:
        if not self.text.startswith(character, self.at):
            raise self.wrong(f"{character!r} is missing")
        self.at += 1
