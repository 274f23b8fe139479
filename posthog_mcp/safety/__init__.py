"""Rules without input or output: what hides in text, what outsiders wrote, what must never be shown."""

from posthog_mcp.safety.audit import audit
from posthog_mcp.safety.clean import clean, clean_value
from posthog_mcp.safety.fence import fence

__all__ = ["audit", "clean", "clean_value", "fence"]
