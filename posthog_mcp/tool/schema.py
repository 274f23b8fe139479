"""Argument models to JSON schemas in the subset that every client and model vendor takes.

Read from the fields of the model rather than from pydantic's own schema: no `anyOf` for what may be left out,
no `$ref`, no titles, one concrete type for each property, and no validator has to be built at the start.
Bounds are said in words as well, since several clients drop the keywords.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import WithJsonSchema

from posthog_mcp.tool.arguments import Input, without_null

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic.fields import FieldInfo

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def input_schema(model: type[Input]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments.

    Raises:
        TypeError: A field has a type that has no portable form.
    """
    fields = model.model_fields
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: _property(name, info) for name, info in fields.items()},
    }
    required = [name for name, info in fields.items() if info.is_required()]
    if required:
        schema["required"] = required
    schema["additionalProperties"] = False
    return schema


def _property(name: str, info: FieldInfo) -> dict[str, Any]:
    schema = _of_type(info.annotation, info.metadata, name)
    words = _bounds_in_words(schema, info)
    schema["description"] = " ".join(filter(None, [(info.description or "").strip(), words]))
    default = info.default
    if isinstance(default, int | float | str) and default not in ("", False):
        schema["default"] = default
    return schema


def _of_type(annotation: Any, metadata: Iterable[Any], name: str) -> dict[str, Any]:
    annotation = without_null(annotation)
    metadata = list(metadata)
    if get_origin(annotation) is Annotated:
        metadata += annotation.__metadata__
        annotation = annotation.__origin__
    for item in metadata:
        if isinstance(item, WithJsonSchema):
            return dict(item.json_schema or {})
    if annotation in _SCALARS:
        return {"type": _SCALARS[annotation], **_number_bounds(annotation, metadata)}
    if get_origin(annotation) is Literal:
        return {"type": "string", "enum": _texts(get_args(annotation), name)}
    if get_origin(annotation) is list:
        return {"type": "array", "items": _of_type(get_args(annotation)[0], (), name)}
    if isinstance(annotation, type) and issubclass(annotation, Input):
        return input_schema(annotation)
    raise TypeError(f"{name}: {annotation!r} has no portable JSON schema")


def _texts(values: tuple[Any, ...], name: str) -> list[str]:
    if not all(isinstance(value, str) and value for value in values):
        raise TypeError(f"{name}: only texts that are not empty can be choices")
    return [cast("str", value) for value in values]


def _number_bounds(annotation: Any, metadata: Iterable[Any]) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    if annotation not in (int, float):
        return bounds
    step = 1 if annotation is int else 0  # for whole numbers "above 0" is "at least 1"
    for item in metadata:
        if isinstance(item, Ge):
            bounds["minimum"] = item.ge
        elif isinstance(item, Gt):
            bounds["minimum" if step else "exclusiveMinimum"] = cast("int", item.gt) + step
        elif isinstance(item, Le):
            bounds["maximum"] = item.le
        elif isinstance(item, Lt):
            bounds["maximum" if step else "exclusiveMaximum"] = cast("int", item.lt) - step
    return bounds


def _bounds_in_words(schema: dict[str, Any], info: FieldInfo) -> str:
    lower = schema.get("minimum", schema.get("exclusiveMinimum"))
    upper = schema.get("maximum", schema.get("exclusiveMaximum"))
    if upper is not None:
        return f"At most {upper}." if lower is None else f"{lower} to {upper}."
    # a list may be written as text, and is counted by what is in it all the same
    listed = get_origin(without_null(info.annotation)) is list
    unit = "items" if listed else "characters"
    for item in info.metadata:
        if isinstance(item, MaxLen):
            return f"At most {item.max_length} {unit}."
        if isinstance(item, MinLen) and item.min_length > 1:
            return f"At least {item.min_length} {unit}."
    return ""
