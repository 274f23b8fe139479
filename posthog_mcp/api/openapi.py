"""What an instance says of its own API: the operations of an OpenAPI document, as far as a caller needs them.

The document comes from the network: whatever in it has another form than it should is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

_METHODS = ("get", "post", "put", "patch", "delete")
# A leading dot could climb up the path.
_PATH = re.compile(r"/api/(?:(?:[A-Za-z0-9_@-][A-Za-z0-9_.-]*|\{\w+\})/)+")
_LONGEST_TYPE, _LONGEST_SUMMARY, _MOST_REFERENCES = 120, 160, 8
_FORMATS = {"date-time": "time", "date": "date", "uuid": "uuid"}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter of a query, or a field of a body.

    Attributes:
        name: Its name.
        type: In words: `integer`, `[string]`, `USR|GIT`.
        required: Whether a call must have it.
    """

    name: str
    type: str
    required: bool

    def __str__(self) -> str:
        return f"{self.name}{'*' if self.required else ''}:{self.type}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        method: In capitals.
        path: Template; each `{name}` is one segment.
        summary: What it does, in the document's words.
        name: The document's name for it.
        scopes: Scopes a personal key needs.
        query: What its query takes.
        body: What its body takes; nothing where the document does not say.
    """

    method: str
    path: str
    summary: str
    name: str
    scopes: tuple[str, ...]
    query: tuple[Field, ...]
    body: tuple[Field, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations_of(document: Any) -> list[Operation]:
    """Every operation under `/api/` that JSON is spoken with.

    The second of two ways to the same is left out: `/api/environments/` beside `/api/projects/`, PUT beside
    PATCH.
    """
    whole = _object(document)
    found: dict[tuple[str, str], Operation] = {}
    for path, methods in _object(whole.get("paths")).items():
        slashed = f"{path.rstrip('/')}/"
        if not _PATH.fullmatch(slashed):
            continue
        shared = _list(_object(methods).get("parameters"))
        for method in _METHODS:
            described = _object(methods).get(method)
            if isinstance(described, dict):
                operation = _operation(whole, method.upper(), slashed, cast("Json", described), shared)
                found[operation.method, operation.path] = operation
    return [one for key, one in found.items() if not _is_second(key, found)]


def _is_second(key: tuple[str, str], found: Iterable[tuple[str, str]]) -> bool:
    method, path = key
    first = path.replace("/api/environments/", "/api/projects/", 1)
    return (first != path and (method, first) in found) or (method == "PUT" and ("PATCH", path) in found)


def _operation(whole: Json, method: str, path: str, described: Json, shared: list[Any]) -> Operation:
    parameters = [_resolved(whole, one) for one in [*shared, *_list(described.get("parameters"))]]
    words = str(described.get("summary") or described.get("description") or "")
    return Operation(
        method,
        path,
        " ".join(words.split())[:_LONGEST_SUMMARY],
        str(described.get("operationId") or ""),
        tuple(_scopes(described)),
        tuple(
            Field(str(one["name"]), _type(whole, one.get("schema")), required=bool(one.get("required")))
            for one in parameters
            if one.get("in") == "query" and one.get("name") and one["name"] != "format"
        ),
        tuple(_body(whole, described)),
    )


def _scopes(described: Json) -> list[str]:
    needed = (_object(one).get("PersonalAPIKeyAuth") for one in _list(described.get("security")))
    return [str(scope) for scopes in needed for scope in _list(scopes)]


def _body(whole: Json, described: Json) -> list[Field]:
    request = _resolved(whole, described.get("requestBody"))
    content = _object(request.get("content"))
    schema = _resolved(whole, _object(content.get("application/json")).get("schema"))
    required = set(map(str, _list(schema.get("required"))))
    fields = _object(schema.get("properties")).items()
    return [
        Field(name, _type(whole, field), required=name in required)
        for name, field in fields
        if not _object(field).get("readOnly")
    ]


def _type(whole: Json, schema: Any, depth: int = 0) -> str:
    """A schema in a word or two."""
    if depth > _MOST_REFERENCES:
        return "any"
    fields = _resolved(whole, schema)
    for together in ("allOf", "oneOf", "anyOf"):
        if parts := _list(fields.get(together)):
            kinds = dict.fromkeys(_type(whole, part, depth + 1) for part in parts)
            return "|".join(kind for kind in kinds if kind not in ("null", "")) or "any"
    if choices := [str(one) for one in _list(fields.get("enum")) if one not in (None, "")]:
        shown = "|".join(choices)
        return shown if len(shown) <= _LONGEST_TYPE else f"{shown[:_LONGEST_TYPE]}…"
    kind: Any = fields.get("type")
    if isinstance(kind, list):
        kind = next((one for one in cast("list[Any]", kind) if one != "null"), None)
    if kind == "array":
        return f"[{_type(whole, fields.get('items'), depth + 1)}]"
    if kind == "string":
        return _FORMATS.get(str(fields.get("format")), "string")
    return kind if isinstance(kind, str) else "any"


def _resolved(whole: Json, schema: Any) -> Json:
    """The object that a reference within the document leads to."""
    found = _object(schema)
    for _ in range(_MOST_REFERENCES):
        link = found.get("$ref")
        if not isinstance(link, str) or not link.startswith("#/"):
            break
        found = whole
        for part in link[2:].split("/"):
            found = _object(found.get(part.replace("~1", "/").replace("~0", "~")))
    return found


def _object(value: Any) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
