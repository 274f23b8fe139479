"""Bodies checked by pydantic, refused in the words of Django REST Framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from posthog_mcp.sandbox.http.errors import ApiError, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)

_DATETIME = (
    "Datetime has wrong format. Use one of these formats instead: "
    "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
)
_WORDS = {
    "missing": ("required", "This field is required."),
    "string_type": ("invalid_input", "Not a valid string."),
    "int_type": ("invalid_input", "A valid integer is required."),
    "int_parsing": ("invalid_input", "A valid integer is required."),
    "int_from_float": ("invalid_input", "A valid integer is required."),
    "bool_type": ("invalid_input", "Must be a valid boolean."),
    "bool_parsing": ("invalid_input", "Must be a valid boolean."),
    "list_type": ("not_a_list", "Expected a list of items."),
    "dict_type": ("not_a_dict", "Expected a dictionary of items."),
    "datetime_type": ("invalid_input", _DATETIME),
    "datetime_parsing": ("invalid_input", _DATETIME),
    "datetime_from_date_parsing": ("invalid_input", _DATETIME),
}


def checked(model: type[M], body: Mapping[str, Any]) -> M:
    """The body as the model reads it; fields the model does not have are ignored, as Django does.

    Raises `ApiError` 400 for the first problem, with the field's name in `attr`.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise _refusal(error.errors()[0]) from error


def _refusal(problem: ErrorDetails) -> ApiError:
    attr = "__".join(str(part) for part in problem["loc"]) or None
    kind, value, context = problem["type"], problem["input"], problem.get("ctx", {})
    if value is None and kind != "missing":
        return invalid("This field may not be null.", attr, "null")
    if kind == "literal_error":
        return invalid(f'"{value}" is not a valid choice.', attr, "invalid_choice")
    if kind == "string_too_long":
        limit = context["max_length"]
        return invalid(f"Ensure this field has no more than {limit} characters.", attr, "max_length")
    if kind == "string_too_short":
        return invalid("This field may not be blank.", attr, "blank")
    code, detail = _WORDS.get(kind, ("invalid_input", problem["msg"].removeprefix("Value error, ")))
    return invalid(detail, attr, code)
