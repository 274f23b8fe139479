"""Product data to fill an empty sandbox with: believable, the same every time, its right answers known."""

from posthog_mcp.sandbox.seed.answers import Answers
from posthog_mcp.sandbox.seed.fill import HalfSeededError, fill
from posthog_mcp.sandbox.seed.objects import SeedError
from posthog_mcp.sandbox.seed.plan import Plan, Size, plan

__all__ = ["Answers", "HalfSeededError", "Plan", "SeedError", "Size", "fill", "plan"]
