"""PostHog's feature flags, evaluated here: definitions become closures, nothing is asked of the network."""

from posthog_mcp.flags.call import Absence
from posthog_mcp.flags.compiler import compile_flags
from posthog_mcp.flags.decision import Code, Decision, Reason, UnknownFlagError
from posthog_mcp.flags.explain import ConditionReport, Explanation, FilterReport
from posthog_mcp.flags.flagset import FlagSet

__all__ = [
    "Absence",
    "Code",
    "ConditionReport",
    "Decision",
    "Explanation",
    "FilterReport",
    "FlagSet",
    "Reason",
    "UnknownFlagError",
    "compile_flags",
]
