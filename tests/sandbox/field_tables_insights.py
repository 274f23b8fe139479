"""Verdicts on every field of the insights."""

from __future__ import annotations

from typing import Any

from field_verdicts import COMMON, DRAWN, LABEL, OBJECT, SAMPLE, SERVES, Json, Table, no, same, to

A, B, C = ({"kind": "EventsNode", "event": name} for name in "ABC")
PRO = [{"key": "plan", "value": "pro", "operator": "exact", "type": "event"}]
MODE = {"personsOnEventsMode": "person_id_no_override_properties_on_events"}
BY_PLAN = {"breakdownFilter": {"breakdown": "plan"}}
DATES = {"dateRange": {"date_from": "-9d"}}
TRENDS: Json = {"kind": "TrendsQuery", "series": [A], **DATES}
FUNNEL: Json = {"kind": "FunnelsQuery", "series": [A, B], **DATES}
RETENTION: Json = {
    "kind": "RetentionQuery",
    "retentionFilter": {"targetEntity": {"id": "A"}, "returningEntity": {"id": "A"}},
    **DATES,
}
PATHS: Json = {"kind": "PathsQuery", "pathsFilter": {}, **DATES}
STICKINESS: Json = {"kind": "StickinessQuery", "series": [A], **DATES}
LIFECYCLE: Json = {"kind": "LifecycleQuery", "series": [A], **DATES}


def within(query: Json, *path: str | int) -> Any:
    """Puts an object into a query, at a place."""

    def put(made: Json) -> Json:
        return _put(query, path, made)

    return put


def _put(into: Any, path: tuple[str | int, ...], made: Any) -> Any:
    if not path:
        return made
    if isinstance(into, list):
        return [_put(one, path[1:], made) if at == path[0] else one for at, one in enumerate(into)]
    fields: Json = into or {}
    return {**fields, path[0]: _put(fields.get(path[0]), path[1:], made)}


INSIGHT = {
    **COMMON,
    **same(DRAWN, "dataColorTheme", value=1.0),
    **same(SAMPLE, "samplingFactor", value=0.5),
    **same("nothing was merged", "modifiers", value=MODE),
    "dateRange": to({"date_from": "-1d"}),
    "filterTestAccounts": to(True),
    "properties": to(PRO),
}
TREND_RATE = {"funnelVizType": "trends"}
NODE = {
    **OBJECT,
    **same(LABEL, "name", value="n"),
    "custom_name": to("mine"),
    "math": to("dau"),
    "math_multiplier": to(2, math="sum", math_property="price"),
    "math_property": to("size", "price", math="sum"),
    "math_property_type": to("person_properties", "event_properties", math="sum", math_property="score"),
    "math_property_revenue_currency": no({"static": "EUR"}, math="sum", math_property="price"),
    "math_hogql": to("count() * 2", "count()", math="hogql"),
    "math_group_type_index": to(1, 0, math="unique_group"),
    "properties": to(PRO),
    "fixedProperties": to(PRO),
    "optionalInFunnel": no(True),
}
EXCLUSION = {
    **OBJECT,
    **same(LABEL, "name", "custom_name", value="n"),
    **same(SERVES, "math_multiplier", value=2),
    **same(SERVES, "math_property", value="price"),
    **same(SERVES, "math_property_type", value="event_properties"),
    **same(SERVES, "math_hogql", value="count()"),
    **same(SERVES, "math_group_type_index", value=0),
    "math": no("dau"),
    "math_property_revenue_currency": no({"static": "EUR"}),
    "properties": to(PRO),
    "fixedProperties": to(PRO),
    "optionalInFunnel": no(True),
    "funnelFromStep": to(1, 0, funnelToStep=2),
    "funnelToStep": to(2, 1),
}
ORDERED = {"limit": no(1), "orderBy": no(["timestamp"])}
_excluding = within(FUNNEL | {"series": [A, C, B], "funnelsFilter": {"exclusions": [{}]}}, "funnelsFilter", "exclusions", 0)  # fmt: skip  # noqa: E501 - one place

TABLES: dict[str, Table] = {
    "TrendsQuery": Table(lambda made: made, TRENDS, {
        **INSIGHT,
        "series": to([B]),
        "interval": to("week"),
        "trendsFilter": to({"display": "BoldNumber"}),
        "calendarHeatmapFilter": no({"bucketBySessionStart": True}),
        "breakdownFilter": to({"breakdown": "plan"}),
        "compareFilter": to({"compare": True}),
        "conversionGoal": no({"customEventName": "B"}),
        "aggregation_group_type_index": no(0),
    }),
    "CalendarHeatmapFilter": Table(within(TRENDS, "calendarHeatmapFilter"), {}, {
        "bucketBySessionStart": no(True),
    }),
    "TrendsFilter": Table(within(TRENDS, "trendsFilter"), {}, {
        "smoothingIntervals": to(3),
        "formula": to("A * 2"),
        "formulas": to(["A * 2"]),
        "formulaNodes": to([{"formula": "A * 2"}]),
        "display": to("BoldNumber"),
        "breakdown_histogram_bin_count": no(3),
        "hideWeekends": no(True),
        **same(DRAWN, "showLegend", "legendPosition", "showAlertThresholdLines", "aggregationAxisFormat",
               "aggregationAxisPrefix", "aggregationAxisPostfix", "decimalPlaces", "minDecimalPlaces",
               "xAxisLabel", "yAxisLabel", "showValuesOnSeries", "showLabelsOnSeries", "showPercentStackView",
               "stackBreakdownValues", "yAxisScaleType", "showMultipleYAxes", "hiddenLegendIndexes",
               "resultCustomizationBy", "resultCustomizations", "goalLines", "showConfidenceIntervals",
               "confidenceLevel", "showTrendLines", "showMovingAverage", "movingAverageIntervals",
               "detailedResultsAggregationType", "excludeBoxPlotOutliers", "showAnnotations",
               "metricShowChange", "metricChangeIncreaseColor", "metricChangeDecreaseColor",
               "metricColorByDirection", "metricLineIncreaseColor", "metricLineDecreaseColor",
               "metricSummary", value="x"),
    }),
    "TrendsFormulaNode": Table(within(TRENDS | {"trendsFilter": {"formulaNodes": [{}]}}, "trendsFilter",
                                      "formulaNodes", 0), {"formula": "A * 2"}, {
        "formula": to("A * 3"),
        "custom_name": to("Twice"),
    }),
    "EventsNode": Table(within(TRENDS, "series", 0), A, {**NODE, **ORDERED, "event": to("B")}),
    "ActionsNode": Table(within(TRENDS, "series", 0), {"kind": "ActionsNode", "id": 1}, {
        **NODE, "id": to(2),
    }),
    "DateRange": Table(within(TRENDS, "dateRange"), {}, {
        "date_from": to("-1d"),
        "date_to": to("-1d"),
        "explicitDate": to(True, date_from="-1d"),
        "excludeIncompletePeriods": to(True),
        "daysOfWeek": to([1]),
    }),
    "CompareFilter": Table(within(TRENDS, "compareFilter"), {}, {
        "compare": to(True),
        "compare_to": to("-4d", compare=True),
    }),
    "BreakdownFilter": Table(within(TRENDS, "breakdownFilter"), {}, {
        "breakdowns": to([{"property": "plan"}]),
        "breakdown": to("plan"),
        "breakdown_type": to("person", "event", breakdown="team"),
        "breakdown_limit": to(1, breakdown="plan"),
        "breakdown_path_cleaning": no(True, breakdown="$current_url"),
        "breakdown_hide_other_aggregation": to(True, breakdown="plan", breakdown_limit=1),
        "breakdown_normalize_url": to(True, breakdown="url"),
        "breakdown_group_type_index": to(1, 0, breakdown="seats", breakdown_type="group"),
        "breakdown_histogram_bin_count": to(2, breakdown="price"),
    }),
    "Breakdown": Table(within(TRENDS | {"breakdownFilter": {"breakdowns": [{}]}}, "breakdownFilter",
                              "breakdowns", 0), {"property": "plan"}, {
        "property": to("price"),
        "type": to("person", "event", property="team"),
        "normalize_url": to(True, property="url"),
        "group_type_index": to(1, 0, property="seats", type="group"),
        "histogram_bin_count": to(2, property="price"),
    }),
    "FunnelsQuery": Table(lambda made: made, FUNNEL, {
        **INSIGHT,
        "series": to([A, C]),
        "interval": to("week", funnelsFilter=TREND_RATE),
        "funnelsFilter": to(TREND_RATE),
        "breakdownFilter": to({"breakdown": "plan"}),
        "compareFilter": to({"compare": True}),
        "aggregation_group_type_index": to(1),
    }),
    "FunnelsFilter": Table(within(FUNNEL, "funnelsFilter"), {}, {
        "exclusions": to([{**C, "funnelFromStep": 0, "funnelToStep": 1}]),
        "binCount": to(7, 2, funnelVizType="time_to_convert"),
        "breakdownAttributionType": to("last_touch", "first_touch", around=BY_PLAN),
        "breakdownAttributionValue": to(1, 0, around=BY_PLAN, breakdownAttributionType="step"),
        "funnelAggregateByHogQL": to("properties.plan"),
        "customAggregationTarget": no(True),
        "funnelFromStep": to(1, 0, around={"series": [A, C, B]}, **TREND_RATE),
        "funnelToStep": to(1, 2, around={"series": [A, C, B]}, **TREND_RATE),
        "funnelOrderType": to("unordered"),
        "funnelVizType": to("trends"),
        "funnelWindowInterval": to(1, funnelWindowIntervalUnit="minute"),
        "funnelWindowIntervalUnit": to("second"),
        "hideIncompleteConversionWindowPeriods": to(True, **TREND_RATE),
        **same(DRAWN, "layout", "hiddenLegendBreakdowns", "funnelStepReference", "resultCustomizations",
               "goalLines", "showTrendLines", "showLegend", "legendPosition", "showValuesOnSeries",
               "breakdownSorting", "showAnnotations", value="x"),
        **same("PostHog has only one way left", "useUdf", value=True),
    }),
    "FunnelExclusionEventsNode": Table(_excluding, {"kind": "EventsNode", "event": "E", "funnelFromStep": 0, "funnelToStep": 1}, {  # noqa: E501 - one object
        **EXCLUSION, **ORDERED, "event": to("F"),
    }),
    "FunnelExclusionActionsNode": Table(_excluding, {"kind": "ActionsNode", "id": 4, "funnelFromStep": 0, "funnelToStep": 1}, {  # noqa: E501 - one object
        **EXCLUSION, "id": to(3),
    }),
    "RetentionQuery": Table(lambda made: made, RETENTION, {
        **INSIGHT,
        "retentionFilter": to({"period": "Week"}),
        "breakdownFilter": to({"breakdown": "plan"}),
        "aggregation_group_type_index": to(1),
    }),
    "RetentionFilter": Table(within(RETENTION, "retentionFilter"), RETENTION["retentionFilter"], {
        "retentionType": to("retention_first_time"),
        "totalIntervals": to(3),
        "minimumOccurrences": to(3),
        "returningEntity": to({"id": "B"}),
        "targetEntity": to({"id": "B"}),
        "period": to("Week"),
        "cumulative": to(True),
        "timeWindowMode": to("24_hour_windows"),
        "retentionCustomBrackets": to([1, 2]),
        "aggregationType": no("sum"),
        "aggregationProperty": no("price"),
        "customAggregationTarget": no(True),
        **same(SERVES, "aggregationPropertyType", value="event"),
        **same(DRAWN, "retentionReference", "meanRetentionCalculation", "display", "dashboardDisplay",
               "showTrendLines", "selectedInterval", "goalLines", "cohortLabelStartIndex", value="x"),
    }),
    "RetentionEntity": Table(within(RETENTION, "retentionFilter", "targetEntity"), {"id": "A"}, {
        "id": to("B"),
        "kind": to("ActionsNode", "EventsNode", id=1),
        "type": to("actions", "events", id=1),
        "properties": to(PRO),
        **same(LABEL, "name", "custom_name", "uuid", value="x"),
        **same(LABEL, "order", value=1),
    }),
    "PathsQuery": Table(lambda made: made, PATHS, {
        **INSIGHT,
        "pathsFilter": to({"edgeLimit": 1}),
        "funnelPathsFilter": no({"funnelPathType": "funnel_path_before_step", "funnelSource": FUNNEL}),
        "aggregation_group_type_index": to(0),
    }),
    "PathsFilter": Table(within(PATHS, "pathsFilter"), {}, {
        "edgeLimit": to(1),
        "pathsHogQLExpression": to("distinct_id", includeEventTypes=["hogql"]),
        "includeEventTypes": to(["$pageview"]),
        "startPoint": to("A"),
        "endPoint": to("B"),
        "pathGroupings": to(["https://*"]),
        "excludeEvents": to(["B"], includeEventTypes=["custom_event"]),
        "stepLimit": to(2),
        "pathReplacements": to(True),
        "localPathCleaningFilters": to([{"alias": "p", "regex": "/p/.*"}]),
        "minEdgeWeight": to(2),
        "maxEdgeWeight": to(1),
        **same(DRAWN, "showFullUrls", value=True),
        # Held to the people of an edge by the worked examples.
        **same("for lists of people", "pathStartKey", "pathEndKey", "pathDropoffKey", value="1_A"),
    }),
    "PathCleaningFilter": Table(
        within(PATHS | {"pathsFilter": {"localPathCleaningFilters": [
            {"alias": "page", "regex": "https.*", "order": 1}, {},
        ]}}, "pathsFilter", "localPathCleaningFilters", 1), {"alias": "shop", "regex": "https.*", "order": 0},
        {"alias": to("store"), "regex": to("x"), "order": to(2)},
    ),
    "StickinessQuery": Table(lambda made: made, STICKINESS, {
        **INSIGHT,
        "series": to([C]),
        "interval": to("week"),
        "intervalCount": to(2),
        "stickinessFilter": to({"computedAs": "cumulative"}),
        "compareFilter": to({"compare": True}),
    }),
    "StickinessFilter": Table(within(STICKINESS, "stickinessFilter"), {}, {
        "stickinessCriteria": to({"operator": "gte", "value": 2}),
        "computedAs": to("cumulative"),
        **same(DRAWN, "display", "showLegend", "legendPosition", "showValuesOnSeries", "showMultipleYAxes",
               "hiddenLegendIndexes", "resultCustomizationBy", "resultCustomizations", value="x"),
    }),
    "StickinessCriteria": Table(within(STICKINESS, "stickinessFilter", "stickinessCriteria"),
                                {"operator": "gte", "value": 2}, {
        "operator": to("lte"),
        "value": to(1),
    }),
    "LifecycleQuery": Table(lambda made: made, LIFECYCLE, {
        **INSIGHT,
        "series": to([B]),
        "interval": to("week"),
        **same(DRAWN, "lifecycleFilter", value={"toggledLifecycles": ["new"]}),
        "customAggregationTarget": no(True),
        "aggregation_group_type_index": to(1),
    }),
    "LifecycleFilter": Table(within(LIFECYCLE, "lifecycleFilter"), {}, same(
        DRAWN, "showValuesOnSeries", "showPercentagesOnSeries", "toggledLifecycles", "showLegend",
        "legendPosition", "stacked", value="x",
    )),
}  # fmt: skip
