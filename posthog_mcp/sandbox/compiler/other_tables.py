"""Tables of products that the sandbox records nothing for: they exist, typed, and are empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.sandbox.compiler.tables import Column, Table

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.types import Kind

_TYPES: dict[str, tuple[str, Kind]] = {
    "S": ("String", "String"),
    "J": ("String", "JSON"),
    "A": ("Array(String)", "Array"),
    "I": ("Int64", "Number"),
    "F": ("Float64", "Number"),
    "B": ("Bool", "Boolean"),
    "U": ("UUID", "UUID"),
    "D": ("DateTime64(6, 'UTC')", "DateTime"),
}

_REPLAY = """
    click_count:I keypress_count:I mouse_activity_count:I active_milliseconds:I console_log_count:I
    console_warn_count:I console_error_count:I size:I event_count:I message_count:I snapshot_source:S
"""
_LOG_ENTRIES = "log_source:S log_source_id:S instance_id:S timestamp:D level:S message:S"
_EMPTY = {
    "session_replay_events": f"""
        session_id:S distinct_id:S person_id:U start_time:D end_time:D first_url:S all_urls:A {_REPLAY}
    """,
    "raw_session_replay_events": f"""
        session_id:S distinct_id:S min_first_timestamp:D max_last_timestamp:D {_REPLAY}
    """,
    "logs": """
        uuid:S trace_id:S span_id:S body:S attributes:J timestamp:D observed_timestamp:D severity_text:S
        severity_number:I level:S resource_attributes:J instrumentation_scope:S event_name:S service_name:S
    """,
    "log_entries": _LOG_ENTRIES,
    "console_logs_log_entries": _LOG_ENTRIES,
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
