"""Going through a tree, and making another out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, TypeVar

from posthog_mcp.hogql import ast

_Node = TypeVar("_Node", bound=ast.Node)

_FIELDS: dict[type, tuple[str, ...]] = {}


def _names(kind: type[ast.Node]) -> tuple[str, ...]:
    names = _FIELDS.get(kind)
    if names is None:
        names = _FIELDS[kind] = tuple(
            field.name for field in fields(kind) if field.name not in ("start", "end")
        )
    return names


def children(node: ast.Node) -> Iterator[ast.Node]:
    """The nodes right under a node, in the order of its fields."""
    for name in _names(type(node)):
        yield from _nodes(getattr(node, name))


def _nodes(value: object) -> Iterator[ast.Node]:
    if isinstance(value, ast.Node):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:  # pyright: ignore[reportUnknownVariableType] - what is in it is found out here
            yield from _nodes(item)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, dict):
        for item in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from _nodes(item)  # pyright: ignore[reportUnknownArgumentType]


def walk(node: ast.Node) -> Iterator[ast.Node]:
    """A node and all nodes under it, parents before children; any depth."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack += reversed(list(children(current)))


def depth(node: ast.Node) -> int:
    """How many nodes are inside each other; any depth."""
    deepest, level = 0, [node]
    while level:
        deepest += 1
        level = [child for parent in level for child in children(parent)]
    return deepest


def transform(node: _Node, change: Callable[[ast.Node], ast.Node]) -> _Node:
    """Another tree with every node replaced by what `change` makes of it, children first.

    Nodes under which nothing changes are shared with the first tree, which stays as it was.

    Args:
        node: The root.
        change: Gets each node with its children already replaced; gives it back, or another that may
            stand in its place.
    """
    return _rebuilt(node, change)


def _rebuilt(value: Any, change: Callable[[ast.Node], ast.Node]) -> Any:
    if isinstance(value, ast.Node):
        before = {name: getattr(value, name) for name in _names(type(value))}
        after = {name: _rebuilt(item, change) for name, item in before.items()}
        if any(after[name] is not before[name] for name in after):
            value = type(value)(**after, start=value.start, end=value.end)
        return change(value)
    if isinstance(value, list | tuple):
        items: list[Any] = [_rebuilt(item, change) for item in value]  # pyright: ignore[reportUnknownVariableType]
        same = all(new is old for new, old in zip(items, value, strict=True))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return value if same else (items if isinstance(value, list) else tuple(items))  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        pairs: dict[Any, Any] = {key: _rebuilt(item, change) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        return value if all(pairs[key] is value[key] for key in pairs) else pairs  # pyright: ignore[reportUnknownVariableType]
    return value
