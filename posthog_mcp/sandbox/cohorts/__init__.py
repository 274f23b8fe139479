"""Cohorts: what their filters mean, and who is in them."""

from posthog_mcp.sandbox.cohorts.members import Cohorts

__all__ = ["Cohorts"]
