"""Tables of products that the sandbox records nothing for: they exist, typed, and are empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.sandbox.compiler.tables import Column, Table

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.types import Kind

_TYPES: dict[str, tuple[str, Kind]] = {
    "S": ("String", "String"),
    "J": ("String", "JSON"),
    "I": ("Int64", "Number"),
    "B": ("Bool", "Boolean"),
    "D": ("DateTime64(6, 'UTC')", "DateTime"),
}

_EMPTY = {
    "logs": """
        uuid:S trace_id:S span_id:S body:S attributes:J timestamp:D observed_timestamp:D severity_text:S
        severity_number:I level:S resource_attributes:J instrumentation_scope:S event_name:S service_name:S
    """,
    "heatmaps": """
        session_id:S distinct_id:S x:I y:I scale_factor:I viewport_width:I viewport_height:I
        pointer_target_fixed:B current_url:S timestamp:D type:S
    """,
}


def _empty(columns: str) -> Table:
    found: dict[str, Column] = {}
    for entry in columns.split():
        name, _, letter = entry.partition(":")
        engine_type, kind = _TYPES[letter]
        quoted = engine_type.replace("'", "\\'")
        found[name] = Column(f"defaultValueOfTypeName('{quoted}')", kind)
    return Table("(SELECT 1 AS one WHERE 0) AS {t}", found)


EMPTY_TABLES: dict[str, Table] = {name: _empty(columns) for name, columns in _EMPTY.items()}
EMPTY_TABLES["posthog.logs"] = EMPTY_TABLES["logs"]
