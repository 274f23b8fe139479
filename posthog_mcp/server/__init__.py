"""How MCP is spoken: what is listed, how a call runs, and what carries it."""
