"""What our tools changed at PostHog: each object's fields before and after, kept so that it can be undone."""

from posthog_mcp.journal.change import Change
from posthog_mcp.journal.journal import Journal
from posthog_mcp.journal.store import JournalUnusable, Noted

__all__ = ["Change", "Journal", "JournalUnusable", "Noted"]
