"""Reading a key out of JSON text, typed as the project has defined it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from posthog_mcp.sandbox.compiler.quoting import scalar, string
from posthog_mcp.sandbox.compiler.types import Document, Kind, Sql

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.world import World


def to_number(text: str) -> str:
    """SQL of a text as a Float64, NULL where it is none."""
    return f"accurateCastOrNull({text}, 'Float64')"


def to_moment(text: str, timezone: str) -> str:
    """SQL of a text as a moment, read in the project's time zone, NULL where it is none."""
    return f"parseDateTime64BestEffortOrNull({text}, 6, {string(timezone)})"


def _to_boolean(text: str) -> str:
    return f"toBool(transform({text}, ['true', 'false'], [1, 0], NULL))"


def read_property(document: Document, keys: tuple[str | int, ...], world: World) -> Sql:
    """The value at `keys` below `document`: unquoted text, NULL when missing or null.

    A key on the first level that the project has typed comes as that type, as PostHog does; values that do
    not fit it are NULL.
    """
    path = replace(document, keys=document.keys + keys)
    arguments = ", ".join(scalar(key) for key in path.keys)
    text = f"JSONExtract({path.base}, {arguments}, 'Nullable(String)')"
    kind: Kind = "String"
    first = path.keys[0]
    if path.owner and len(path.keys) == 1 and isinstance(first, str):
        match world.property_type(path.owner, first):
            case "Numeric":
                text, kind = to_number(text), "Number"
            case "Boolean":
                text, kind = _to_boolean(text), "Boolean"
            case "DateTime":
                text, kind = to_moment(text, world.timezone), "DateTime"
            case _:
                pass
    return Sql(path.export(text), kind, nullable=True, document=path)
