"""posthog-mcp: the MCP server that lets AI agents use PostHog."""

__version__ = "0.1.0"
