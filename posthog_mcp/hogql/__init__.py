"""HogQL without a server: text to a typed tree and back."""

from posthog_mcp.hogql.checks import QueryRefusedError, refuse
from posthog_mcp.hogql.errors import HogQLSyntaxError
from posthog_mcp.hogql.notes import Schema, notes
from posthog_mcp.hogql.parser import parse, parse_expr
from posthog_mcp.hogql.placeholders import PlaceholderError, fill_placeholders, placeholder_names
from posthog_mcp.hogql.printer import print_hogql
from posthog_mcp.hogql.quoting import quote_identifier, quote_string, quote_value
from posthog_mcp.hogql.walk import children, transform, walk

__all__ = [
    "HogQLSyntaxError",
    "PlaceholderError",
    "QueryRefusedError",
    "Schema",
    "children",
    "fill_placeholders",
    "notes",
    "parse",
    "parse_expr",
    "placeholder_names",
    "print_hogql",
    "quote_identifier",
    "quote_string",
    "quote_value",
    "refuse",
    "transform",
    "walk",
]
