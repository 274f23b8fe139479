"""The arguments of tools: strict about names, forgiving about harmless types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Self, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from posthog_mcp.settings import Access

_LARGEST = 2**53 - 1
"""The largest whole number that JSON carries from everywhere to everywhere unchanged."""


def _load_json(text: str) -> Any:
    """The value of JSON text.

    Raises:
        ValueError: With words for the caller.
    """

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"must be JSON text; {error.msg} at line {error.lineno}, column {error.colno}",
        ) from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _json_object(value: Any) -> Any:
    if isinstance(value, str):
        value = _load_json(value) if value.strip() else {}
    if not isinstance(value, dict):
        raise ValueError('must be a JSON object, such as {"plan": "pro"}')  # noqa: TRY004 - pydantic's contract
    return cast("Any", value)


def _json_array(value: Any) -> Any:
    if isinstance(value, str):
        value = _load_json(value) if value.strip() else []
    return cast("Any", value if isinstance(value, list) else [value])


def _json_value(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return _load_json(value)
    except ValueError:
        return value


def _value_text(value: Any) -> Any:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_AS_TEXT = WithJsonSchema({"type": "string"})
JsonObject = Annotated[dict[str, Any], BeforeValidator(_json_object), _AS_TEXT]
"""A free-form object: in the schema a string that holds a JSON object; a real object is taken as well."""
JsonArray = Annotated[list[Any], BeforeValidator(_json_array), _AS_TEXT]
"""A free-form list: in the schema a string that holds a JSON list; a real list is taken as well."""
JsonValue = Annotated[Any, BeforeValidator(_json_value), _AS_TEXT]
"""Any JSON: text that is JSON becomes its value, other text stays as it is."""
ValueText = Annotated[str, BeforeValidator(_value_text), _AS_TEXT]
"""Text that stays text; a number, boolean, list or object given instead becomes its JSON text."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Marks an argument that exists only from an access level on: `Annotated[bool, Needs(Access.WRITE)]`."""

    access: Access


@dataclass(frozen=True, slots=True)
class NeedsExtra:
    """Marks an argument that exists only with an extra: `Annotated[bool, NeedsExtra("charts")]`."""

    extra: str


_Mark = TypeVar("_Mark", Needs, NeedsExtra)


class Input(BaseModel):
    """Base of every tool's arguments.

    Unknown names are refused. null means not given, at every level. Harmless types are forgiven: "42" for a
    number, 42 for a text, "true" for a boolean, one value for a list, JSON text for an object or a list.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _forgive(cls, data: Any) -> Any:
        if isinstance(data, str) and data.lstrip().startswith("{"):
            data = _load_json(data)
        if not isinstance(data, dict):
            return data
        forms = _forms(cls)
        given = cast("dict[str, Any]", data)
        return {name: _forgiven(forms.get(name), value) for name, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _no_giants(self) -> Self:
        for name in _whole_numbers(type(self)):
            if abs(getattr(self, name) or 0) > _LARGEST:
                raise ValueError(f"`{name}` is too large: at most {_LARGEST}")
        return self

    @classmethod
    def needs(cls) -> dict[str, Access]:
        """The arguments that exist only from an access level on, with that level."""
        return {name: mark.access for name, mark in cls._marked(Needs)}

    @classmethod
    def extras(cls) -> dict[str, str]:
        """The arguments that need an extra, each with its name."""
        return {name: mark.extra for name, mark in cls._marked(NeedsExtra)}

    @classmethod
    def _marked(cls, kind: type[_Mark]) -> Iterator[tuple[str, _Mark]]:
        """The arguments with a mark of that kind, each with it."""
        for name, info in cls.model_fields.items():
            yield from ((name, mark) for mark in info.metadata if isinstance(mark, kind))

    def given(self, name: str) -> bool:
        """Whether the caller gave the argument `name`: in an update, what is absent stays."""
        return name in self.model_fields_set


class ProjectInput(Input):
    """Base of the arguments of a tool that works within one project; see `Context.project`."""

    project_id: int | None = Field(
        None,
        description="Default: the configured or only project.",
    )


@cache
def _whole_numbers(model: type[Input]) -> list[str]:
    """The fields of `model` that are whole numbers."""
    return [name for name, info in model.model_fields.items() if without_null(info.annotation) is int]


@cache
def _forms(model: type[Input]) -> dict[str, Literal["text", "list"] | None]:
    """How each field of `model` is forgiven, where pydantic itself would not."""
    return {name: _form(info.annotation, info.metadata) for name, info in model.model_fields.items()}


def _form(annotation: Any, metadata: list[Any]) -> Literal["text", "list"] | None:
    annotation = without_null(annotation)
    if any(
        isinstance(item, WithJsonSchema) for item in [*metadata, *getattr(annotation, "__metadata__", ())]
    ):
        return None
    if annotation is str:
        return "text"
    return "list" if get_origin(annotation) is list else None


def _forgiven(form: Literal["text", "list"] | None, value: Any) -> Any:
    if form == "text" and isinstance(value, int | float):
        return json.dumps(value)
    if form != "list" or isinstance(value, list):
        return cast("Any", value)
    if not isinstance(value, str):
        return [value]
    if value.lstrip().startswith("["):
        try:
            return _load_json(value)
        except ValueError:
            return [value]  # a name may begin with a bracket
    return [value] if value else []


def without_null(annotation: Any) -> Any:
    """`X` for `X | None`; anything else unchanged."""
    if get_origin(annotation) in (Union, UnionType):
        kept = [item for item in get_args(annotation) if item is not NoneType]
        return kept[0] if len(kept) == 1 else annotation
    return annotation
