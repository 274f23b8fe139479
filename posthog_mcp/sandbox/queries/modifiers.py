"""What a query may say about how it is computed: `HogQLQueryModifiers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# They say how to get at the numbers, and change none of them here.
_HOW = frozenset({
    "debug", "forceClickhouseDataSkippingIndexes", "formatCsvAllowDoubleQuotes", "inCohortVia",
    "inlineCohortCalculation", "materializedColumnsOptimizationMode", "optimizeJoinedFilters",
    "optimizeProjections", "parserMode", "personsArgMaxVersion", "propertyGroupsMode", "pushDownPredicates",
    "s3TableUseInvalidColumns", "sessionIdPushdown", "sessionPropertyPreAggregation", "sessionTableVersion",
    "sessionsV2JoinMode", "timings", "useMaterializedViews", "usePreaggregatedIntermediateResults",
    "usePreaggregatedTableTransforms", "usePresortedEventsTable", "useWebAnalyticsPreAggregatedTables",
})  # fmt: skip
# They change numbers: only what the sandbox does anyway can be asked for.
_ONLY: Mapping[str, tuple[Any, ...]] = {
    "bounceRateDurationSeconds": (10,),
    "bounceRatePageViewMode": ("uniq_page_screen_autocaptures",),
    "convertToProjectTimezone": (True,),
    "customChannelTypeRules": ([],),
    "dataWarehouseEventsModifiers": ([],),
    "materializationMode": ("auto", "disabled", "legacy_null_as_null"),
    "personsJoinMode": ("left",),
}
_COMPUTED = "personsOnEventsMode"


def checked(modifiers: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The modifiers as given.

    Raises:
        ValueError: PostHog has no such modifier, or it would change numbers and the sandbox has no such mode.
    """
    for name, value in (modifiers or {}).items():
        if value is None or name in _HOW or name == _COMPUTED:
            continue
        if name not in _ONLY:
            raise ValueError(f"{name}: Extra inputs are not permitted")
        if value not in _ONLY[name]:
            raise ValueError(f"{name}: the sandbox does not compute this; leave it out")
    return modifiers
