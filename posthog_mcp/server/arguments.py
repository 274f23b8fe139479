"""Checks what a client sent for a tool, and says in words what does not fit."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from posthog_mcp.tool import ToolFailure
from posthog_mcp.tool.arguments import without_null
from posthog_mcp.tool.misfits import misfits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic.fields import FieldInfo

    from posthog_mcp.tool import Input, Tool

NOTHING: Mapping[str, str] = MappingProxyType({})
_MOST_PROBLEMS = 5


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
        return tool.input.model_validate(_without_blanks(tool, arguments))
    except ValidationError as error:
        problems = misfits(tool.input, error, without)
        words = problems[:_MOST_PROBLEMS]
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


def _without_blanks(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without empty texts that can only mean "not given".

    Models fill in all arguments they know. Where a tool changes something, one may be meant to clear.
    """
    fields = tool.input.model_fields if tool.read_only else {}
    return {
        name: value
        for name, value in arguments.items()
        if value != "" or name not in fields or not _blank_means_nothing(fields[name])
    }


def _blank_means_nothing(field: FieldInfo) -> bool:
    if field.is_required() or field.default_factory is not None:
        return False
    return without_null(field.annotation) is not str or bool(field.default)
