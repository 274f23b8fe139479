"""What web analytics can be split by, each as an expression on events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from posthog_mcp.sandbox.compiler.trees import call
from posthog_mcp.sandbox.experiments.trees import constant, expr
from posthog_mcp.sandbox.http.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthog_mcp.hogql import ast

Breakdown = Literal[
    "Page", "InitialPage", "ExitPage", "ExitClick", "PreviousPage", "ScreenName", "InitialChannelType",
    "InitialReferringDomain", "InitialReferringURL", "InitialUTMSource", "InitialUTMCampaign",
    "InitialUTMMedium", "InitialUTMTerm", "InitialUTMContent", "InitialUTMSourceMediumCampaign",
    "FirstPageviewChannelType", "FirstPageviewReferringDomain", "FirstPageviewUTMSource",
    "FirstPageviewUTMCampaign", "FirstPageviewUTMMedium", "FirstPageviewUTMTerm", "FirstPageviewUTMContent",
    "FirstPageviewUTMSourceMediumCampaign", "Browser", "OS", "Viewport", "DeviceType", "Country", "Region",
    "City", "Timezone", "Language", "FrustrationMetrics",
]  # fmt: skip
_UTM = {
    name: f"session.$entry_utm_{name.lower()}" for name in ("Source", "Campaign", "Medium", "Term", "Content")
}
_OF_EVENTS: dict[str, str] = {
    "ExitClick": "session.$last_external_click_url",
    "ScreenName": "properties.$screen_name",
    "InitialChannelType": "session.$channel_type",
    "InitialReferringDomain": "session.$entry_referring_domain",
    "InitialReferringURL": "session.$entry_referrer",
    **{f"InitialUTM{name}": column for name, column in _UTM.items()},
    "InitialUTMSourceMediumCampaign": "concat(ifNull(session.$entry_utm_source, '(none)'), ' / ', "
    "ifNull(session.$entry_utm_medium, '(none)'), ' / ', ifNull(session.$entry_utm_campaign, '(none)'))",
    "Browser": "properties.$browser",
    "OS": "properties.$os",
    "Viewport": "concat(toString(properties.$viewport_width), 'x', toString(properties.$viewport_height))",
    "DeviceType": "properties.$device_type",
    "Country": "properties.$geoip_country_code",
    "Region": "tuple(properties.$geoip_country_code, properties.$geoip_subdivision_1_code, "
    "properties.$geoip_subdivision_1_name)",
    "City": "tuple(properties.$geoip_country_code, properties.$geoip_city_name)",
    "Timezone": "properties.$timezone",
    "Language": "properties.$browser_language",
}
_PATHS = {
    "Page": ("properties.$pathname", "properties.$host"),
    "InitialPage": ("session.$entry_pathname", "session.$entry_hostname"),
    "ExitPage": ("session.$end_pathname", "session.$end_hostname"),
}
# Visits without these are a line of their own; visits without the others are left out.
CAN_BE_MISSING = frozenset(name for name in _OF_EVENTS if name.startswith("InitialUTM"))


def value_of(breakdown: Breakdown, *, hosts: bool, cleaning: Sequence[dict[str, Any]]) -> ast.Expr:
    """The value of an event that its visit counts under.

    Args:
        breakdown: PostHog's name of it.
        hosts: Write the host before a path.
        cleaning: The project's rules that make paths alike, `{regex, alias}`, in order.

    Raises:
        ApiError: 400 for what the sandbox does not compute.
    """
    if breakdown not in _PATHS:
        if breakdown not in _OF_EVENTS:
            detail = f"breakdownBy: the sandbox cannot break web analytics down by {breakdown} yet."
            raise invalid(detail, "breakdownBy")
        return expr(_OF_EVENTS[breakdown])
    path, host = _PATHS[breakdown]
    return path_value(path, host if hosts else None, cleaning)


def path_value(path: str, host: str | None, cleaning: Sequence[dict[str, Any]]) -> ast.Expr:
    """A path after the project's rules, behind its host if that is named; both are HogQL."""
    value = expr(path)
    for rule in cleaning:
        value = call("replaceRegexpAll", value, constant(str(rule["regex"])), constant(str(rule["alias"])))
    return expr(f"concat(ifNull({host}, ''), {{path}})", path=value) if host else value
