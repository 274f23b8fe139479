"""HogQL without a server: text to a typed tree and back."""

from posthog_mcp.hogql.errors import HogQLSyntaxError
from posthog_mcp.hogql.parser import parse, parse_expr
from posthog_mcp.hogql.walk import children, transform, walk

__all__ = ["HogQLSyntaxError", "children", "parse", "parse_expr", "transform", "walk"]
