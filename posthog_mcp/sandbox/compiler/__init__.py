"""HogQL to ClickHouse SQL, by allow-lists of tables, columns and functions."""

from posthog_mcp.sandbox.compiler.compile import Compiled, compile_query
from posthog_mcp.sandbox.compiler.errors import CompileError
from posthog_mcp.sandbox.compiler.filters import property_filters
from posthog_mcp.sandbox.compiler.world import Action, Cohort, World

__all__ = ["Action", "Cohort", "CompileError", "Compiled", "World", "compile_query", "property_filters"]
