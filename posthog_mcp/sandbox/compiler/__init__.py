"""HogQL to ClickHouse SQL, by allow-lists of tables, columns and functions."""

from posthog_mcp.sandbox.compiler.compile import Compiled, compile_query
from posthog_mcp.sandbox.compiler.dates import date_range, parse_date
from posthog_mcp.sandbox.compiler.errors import CompileError
from posthog_mcp.sandbox.compiler.filters import property_filters
from posthog_mcp.sandbox.compiler.placeholders import fill_filters
from posthog_mcp.sandbox.compiler.query_kinds import EVENT_FIELDS, actors_query, events_query
from posthog_mcp.sandbox.compiler.results import api_rows
from posthog_mcp.sandbox.compiler.world import Action, Cohort, World

__all__ = [
    "EVENT_FIELDS",
    "Action",
    "Cohort",
    "CompileError",
    "Compiled",
    "World",
    "actors_query",
    "api_rows",
    "compile_query",
    "date_range",
    "events_query",
    "fill_filters",
    "parse_date",
    "property_filters",
]
