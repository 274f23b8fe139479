"""Checks what a client sent for a tool, and says in words what does not fit."""

from __future__ import annotations

import difflib
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from posthog_mcp.tool import ToolFailure

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic_core import ErrorDetails

    from posthog_mcp.tool import Input, Tool

NOTHING: Mapping[str, str] = MappingProxyType({})
_MOST_PROBLEMS = 5
_MOST_OF_A_VALUE = 80
_MOST_NAMES = 20
"""Enough to correct a call; the schema in the catalogue has the rest."""


def check(tool: Tool, arguments: Mapping[str, Any], without: Mapping[str, str] = NOTHING) -> Input:
    """The arguments as the tool's model.

    Args:
        tool: The tool that is called.
        arguments: As the client sent them.
        without: Fields that this server does not take, with the reason.

    Raises:
        ToolFailure: Something does not fit; the text names each argument, what was given, what is allowed.
    """
    withheld = [name for name in arguments if name in without]
    if withheld:
        raise ToolFailure(
            f"{tool.name} did not run.",
            f"`{withheld[0]}` cannot be chosen here: {without[withheld[0]]}.",
            f"Call again without `{withheld[0]}`.",
        )
    try:
        return tool.input.model_validate(dict(arguments))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        words = [_words(tool, problem, without) for problem in problems[:_MOST_PROBLEMS]]
        if len(problems) > _MOST_PROBLEMS:
            words.append(f"And {len(problems) - _MOST_PROBLEMS} more.")
        raise ToolFailure(
            f"{tool.name} did not run: its arguments do not fit.",
            " ".join(words),
            "Correct them and call it again.",
        ) from None


def pruned(schema: dict[str, Any], without: Collection[str]) -> dict[str, Any]:
    """A tool's schema without the arguments that this server does not take."""
    if not without:
        return schema
    shown = {name: part for name, part in schema["properties"].items() if name not in without}
    required = [name for name in schema.get("required", ()) if name not in without]
    kept = {name: part for name, part in schema.items() if name != "required"} | {"properties": shown}
    return kept | ({"required": required} if required else {})


def nearest(name: str, names: Collection[str]) -> str:
    """Words that name what is most like `name`, or nothing."""
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else ""


def _words(tool: Tool, problem: ErrorDetails, without: Collection[str]) -> str:
    where = _path(problem["loc"])
    context = problem.get("ctx", {})
    match problem["type"]:
        case "extra_forbidden":
            names = _names_at(tool, problem["loc"][:-1], without)
            near = nearest(str(problem["loc"][-1]), names)
            listed = ", ".join(f"`{name}`" for name in names[:_MOST_NAMES]) or "none"
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
        case "value_error" if not problem["loc"]:
            words = str(context["error"])  # of several arguments together
            return f"{words[0].upper()}{words[1:]}."
        case "value_error":
            if isinstance(problem["loc"][-1], int):
                return f"`{where}`: {context['error']}."
            return f"`{where}` {context['error']}; it is {_given(problem)}."
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


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    words = {
        "greater_than_equal": ("at least", "ge"),
        "greater_than": ("it must be above", "gt"),
        "less_than_equal": ("at most", "le"),
        "less_than": ("it must be below", "lt"),
    }[kind]
    return f"{words[0]} {context[words[1]]}"


def _path(location: tuple[int | str, ...]) -> str:
    """`filters[0].value` for ("filters", 0, "value")."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path[:_MOST_OF_A_VALUE] or "arguments"


def _given(problem: ErrorDetails) -> str:
    text = json.dumps(problem["input"], ensure_ascii=False, default=str)
    return text if len(text) <= _MOST_OF_A_VALUE else f"{text[:_MOST_OF_A_VALUE]}…"


def _names_at(tool: Tool, location: tuple[int | str, ...], without: Collection[str]) -> list[str]:
    """The names that are allowed in the object at `location`."""
    schema = pruned(tool.schema, without)
    for part in location:
        schema = schema["items"] if isinstance(part, int) else schema["properties"][part]
    return list(schema["properties"])
