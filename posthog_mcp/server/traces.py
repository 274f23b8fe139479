"""What we say in the span that the SDK of MCP makes for each message; nothing of it is a caller's word.

The SDK takes the caller's trace from `_meta.traceparent`, and names the span after whatever was asked for.
"""

from opentelemetry.trace import get_current_span

UNKNOWN = "unknown"


def trace(tool: str, outcome: str) -> None:
    """Note how a call of a tool ended.

    Args:
        tool: The tool's name as the catalogue knows it, else `UNKNOWN`.
        outcome: `ok`, `error`, `refused`, `asked` or `cancelled`.
    """
    get_current_span().set_attribute("posthog_mcp.outcome", outcome)
    if tool == UNKNOWN:
        unknown("tools/call", "gen_ai.tool.name")


def unknown(method: str, attribute: str) -> None:
    """Take out of the span the name of something that is not there: it may be any text, of any length."""
    span = get_current_span()
    span.update_name(method)
    span.set_attribute(attribute, UNKNOWN)
