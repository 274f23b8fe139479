"""What does not fit in arguments, in words: named by its path, with what was given and what is allowed."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any, get_args, get_origin

from posthog_mcp.tool.arguments import without_null

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from posthog_mcp.tool.arguments import Input

_MOST_OF_A_VALUE = 80
_MOST_NAMES = 20
"""Enough to correct a call; the schema in the catalogue has the rest."""
_LIKE, _RATHER_LIKE = 0.65, 0.4


def misfits(
    model: type[Input], error: ValidationError, without: Collection[str] = (), at: str = ""
) -> list[str]:
    """A sentence or two for each problem.

    Args:
        model: What was to be read.
        error: Why it could not be.
        without: Fields of the model that may not be given.
        at: Where what was read stands, such as `events[3]`.
    """
    problems = error.errors(include_url=False)
    return [_words(model, problem, problems, without, at) for problem in problems]


def nearest(name: str, names: Collection[str], likeness: float = _LIKE) -> str:
    """Words that name what is most like `name`, or nothing."""
    near = difflib.get_close_matches(name, names, n=1, cutoff=likeness)
    return f"did you mean `{near[0]}`?" if near else ""


def _words(
    model: type[Input], problem: ErrorDetails, problems: list[ErrorDetails], without: Collection[str], at: str
) -> str:
    where = _path(problem["loc"], at)
    context = problem.get("ctx", {})
    match problem["type"]:
        case "extra_forbidden":
            names = [name for name in _names_at(model, problem["loc"][:-1]) if name not in without]
            listed = ", ".join(f"`{name}`" for name in names[:_MOST_NAMES]) or "none"
            near = _meant(problem, problems, names)
            return f"`{where}` is not an argument; {near or f'the arguments are: {listed}.'}"
        case "missing":
            return f"`{where}` is required."
        case "literal_error":
            allowed = str(context["expected"]).replace("'", "`")
            return f"`{where}` is {_given(problem)}; allowed: {allowed}."
        case "string_too_long" | "too_long":
            return f"`{where}` is too long: at most {context['max_length']}."
        case "string_too_short" | "too_short":
            return f"`{where}` is too short: at least {context['min_length']}."
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than":
            return f"`{where}` is {_given(problem)}; {_bound(problem['type'], context)}."
        case "string_pattern_mismatch":
            return f"`{where}` is {_given(problem)}; it must match {context['pattern']}."
        case "value_error":
            return _refused(problem, str(context["error"]), where)
        case kind:
            expected = _EXPECTED.get(kind.split("_")[0], "of another type")
            return f"`{where}` is {_given(problem)}; it must be {expected}."


_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "dict": "a JSON object",
    "model": "an object",
}


def _refused(problem: ErrorDetails, words: str, where: str) -> str:
    """What a check of ours said: of one argument, or of several together."""
    if not problem["loc"] or isinstance(problem["loc"][-1], int):
        return f"`{where}`: {words}." if where else f"{words[0].upper()}{words[1:]}."
    given = "" if str(problem["input"]) in words else f"; it is {_given(problem)}"
    return f"`{where}` {words}{given}."


def _meant(problem: ErrorDetails, problems: list[ErrorDetails], names: list[str]) -> str:
    """Which argument an unknown one may stand for: rather one that is missing than one that is alike."""
    unknown = str(problem["loc"][-1])
    near_by = [other for other in problems if other["loc"][:-1] == problem["loc"][:-1]]
    missing = [str(other["loc"][-1]) for other in near_by if other["type"] == "missing"]
    if len(missing) == 1 and sum(other["type"] == "extra_forbidden" for other in near_by) == 1:
        return f"did you mean `{missing[0]}`?"
    return nearest(unknown, missing, _RATHER_LIKE) or nearest(unknown, names)


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    words = {
        "greater_than_equal": ("at least", "ge"),
        "greater_than": ("it must be above", "gt"),
        "less_than_equal": ("at most", "le"),
        "less_than": ("it must be below", "lt"),
    }[kind]
    return f"{words[0]} {context[words[1]]:g}"


def _path(location: tuple[int | str, ...], at: str) -> str:
    """`filters[0].value` for ("filters", 0, "value")."""
    path = at
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path[:_MOST_OF_A_VALUE]


def _given(problem: ErrorDetails) -> str:
    text = json.dumps(problem["input"], ensure_ascii=False, default=str)
    return text if len(text) <= _MOST_OF_A_VALUE else f"{text[:_MOST_OF_A_VALUE]}…"


def _names_at(model: type[Input], location: tuple[int | str, ...]) -> list[str]:
    """The names that are allowed in the object at `location`."""
    for part in location:
        if isinstance(part, str):
            model = _held(model.model_fields[part].annotation)
    return list(model.model_fields)


def _held(annotation: Any) -> Any:
    """The model that a field is, or is a list of."""
    annotation = without_null(annotation)
    return _held(get_args(annotation)[0]) if get_origin(annotation) is not None else annotation
