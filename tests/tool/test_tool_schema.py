from typing import Any

import pytest
from pydantic import Field

from posthog_mcp.tool import Input, JsonArray, JsonObject
from posthog_mcp.tool.schema import input_schema


class Inner(Input):
    """A nested object."""

    key: str = Field(description="The key.")


class Every(Input):
    """Every form a schema can take."""

    text: str = Field(description="A text.")
    short: str = Field("x", max_length=9, description="A short text.")
    number: int = Field(5, gt=0, lt=10, description="A number.")
    share: float | None = Field(None, ge=0, le=1, description="A share.")
    inner: Inner | None = Field(None, description="An object.")
    several: list[Inner] = Field(default_factory=list[Inner], max_length=3, description="Objects.")
    free: JsonObject | None = Field(None, description="Free.")
    listed: JsonArray = Field(default_factory=list[Any], max_length=4, description="Listed.")


def test_only_what_has_no_default_is_required() -> None:
    assert input_schema(Every)["required"] == ["text"]


def test_a_field_that_may_be_null_has_one_type_and_no_default() -> None:
    assert input_schema(Every)["properties"]["share"] == {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "A share. 0 to 1.",
    }


def test_exclusive_bounds_of_whole_numbers_become_inclusive_and_are_said_in_words() -> None:
    assert input_schema(Every)["properties"]["number"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 9,
        "description": "A number. 1 to 9.",
        "default": 5,
    }


def test_lengths_are_said_in_words() -> None:
    properties = input_schema(Every)["properties"]
    assert properties["short"]["description"] == "A short text. At most 9 characters."
    assert properties["several"]["description"] == "Objects. At most 3 items."
    assert properties["listed"] == {"type": "string", "description": "Listed. At most 4 items."}


def test_nested_objects_stand_where_they_are_used() -> None:
    inner = {
        "type": "object",
        "properties": {"key": {"type": "string", "description": "The key."}},
        "required": ["key"],
        "additionalProperties": False,
    }
    properties = input_schema(Every)["properties"]
    assert properties["several"]["items"] == inner
    assert properties["inner"] == {**inner, "description": "An object."}


@pytest.mark.parametrize("name", ["free", "listed"])
def test_free_form_arguments_are_declared_as_text(name: str) -> None:
    assert input_schema(Every)["properties"][name]["type"] == "string"


def test_a_tool_without_arguments_still_has_properties() -> None:
    class Nothing(Input):
        """None."""

    assert input_schema(Nothing) == {"type": "object", "properties": {}, "additionalProperties": False}


def test_a_type_without_a_portable_form_is_refused_when_the_schema_is_made() -> None:
    class Bad(Input):
        """A union."""

        value: int | str = Field(1, description="Either.")

    with pytest.raises(TypeError, match="value"):
        input_schema(Bad)
