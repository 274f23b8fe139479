"""Verdicts on every field of the other queries: HogQL, events and people, errors, traces, web, replay."""

from __future__ import annotations

from field_tables_insights import (
    DATES,
    FUNNEL,
    LIFECYCLE,
    MODE,
    PRO,
    RETENTION,
    STICKINESS,
    TRENDS,
    A,
    B,
    within,
)
from field_verdicts import (
    COMMON,
    DRAWN,
    HOW,
    LABEL,
    LEFT_ASIDE,
    OBJECT,
    SAMPLE,
    Json,
    Table,
    Verdict,
    no,
    same,
    to,
)

SELECT = {"kind": "HogQLQuery", "query": "select count() from events"}
X = {"variableId": "w", "code_name": "x", "value": 1}
METADATA: Json = {"kind": "HogQLMetadata", "language": "hogQL"}
FILTERED = "select count() from events where {filters}"
MODES = same("nothing was merged", "modifiers", value=MODE)
COMMON_ROWS = {**COMMON, **MODES, "limit": to(1), "offset": to(1)}
PERSON = [{"key": "team", "value": "red", "operator": "exact", "type": "person"}]
ACTORS: Json = {"kind": "ActorsQuery", "select": ["id"]}
BEHIND = {"kind": "InsightActorsQuery", "source": TRENDS, "day": "2026-03-09"}
STUCK = {"kind": "StickinessActorsQuery", "source": STICKINESS, "day": 1}
AT_STEP = {"kind": "FunnelsActorsQuery", "source": FUNNEL, "funnelStep": 1}
OVER_TIME = FUNNEL | {"funnelsFilter": {"funnelVizType": "trends"}}
ON_DAY = {"source": OVER_TIME, "funnelStep": None, "funnelTrendsEntrancePeriodStart": "2026-03-09"}
BY_PLAN = {"breakdownFilter": {"breakdown": "plan"}}
COMPARED = {
    "compareFilter": {"compare": True},
    "dateRange": {"date_from": "2026-03-09", "date_to": "2026-03-09"},
}
EVENTS: Json = {
    "kind": "EventsQuery",
    "select": ["event", "distinct_id", "timestamp"],
    "after": "all",
    "orderBy": ["uuid"],
}
CLICKS = within(EVENTS | {"actionSteps": [{}]}, "actionSteps", 0)
CLICK = {"event": "$autocapture"}
RECORDINGS: Json = {"kind": "RecordingsQuery", "date_from": "-30d"}
ERRORS: Json = {
    "kind": "ErrorTrackingQuery", "dateRange": {"date_from": "-30d"}, "orderBy": "occurrences",
    "volumeResolution": 2,
}  # fmt: skip
TRACES: Json = {"kind": "TracesQuery", "dateRange": {"date_from": "-30d"}}
OF_PRO = {"type": "AND", "values": PRO}
OVERVIEW: Json = {"kind": "WebOverviewQuery", "properties": [], **DATES}
STATS: Json = {"kind": "WebStatsTableQuery", "properties": [], "breakdownBy": "Page", **DATES}
GROUP: dict[str, Verdict] = {
    "personId": to("@ann"),
    "groupKey": to("acme", "beta", groupTypeIndex=0),
    "groupTypeIndex": to(0, 1, groupKey="acme"),
}
WEB = {
    **COMMON,
    **MODES,
    "dateRange": to({"date_from": "-0d"}),
    "properties": to([{"key": "$browser", "value": "Safari", "operator": "exact", "type": "event"}]),
    "conversionGoal": to({"customEventName": "B"}),
    "compareFilter": to({"compare": True}),
    "filterTestAccounts": to(True),
    "aggregation_group_type_index": no(0),
    **same(SAMPLE, "sampling", value={"enabled": True}),
    **same(SAMPLE, "samplingFactor", value=0.5),
    **same(LEFT_ASIDE, "includeRevenue", "useSessionsTable", value=True),
    **same(HOW, "useWebAnalyticsPrecompute", value=True),
    **same(DRAWN, "dataColorTheme", value=1),
    "interval": to("hour", around={"dateRange": {"date_from": "-26h"}}),
}


def filters(kind: str, **more: object) -> Json:
    return {"type": kind, "operator": "exact", **more}


TABLES: dict[str, Table] = {
    "HogQLQuery": Table(lambda made: made, SELECT, {
        **COMMON,
        **MODES,
        "query": to("select 1"),
        "values": to({"x": 2}, {"x": 1}, query="select {x}"),
        "variables": to({"v": X | {"value": 2}}, {"v": X}, query="select {variables.x}"),
        "filters": to({"properties": PRO}, query=FILTERED),
        "explain": no(True),
        "connectionId": no("x"),
        "sendRawQuery": no(True),
        **same(LABEL, "name", value="n"),
    }),
    "HogQLFilters": Table(within(SELECT | {"query": FILTERED}, "filters"), {}, {
        "properties": to(PRO),
        "dateRange": to({"date_from": "-1d"}),
        "filterTestAccounts": to(True),
    }),
    "HogQLVariable": Table(
        within(SELECT | {"query": "select {variables.x}", "variables": {"w": X}}, "variables", "v"),
        {"variableId": "v", "code_name": "y", "value": 2}, {
            **same(LABEL, "variableId", value="other"),
            "code_name": to("x"),
            "value": to(3, 2, code_name="x"),
            "isNull": to(True, code_name="x"),
        },
    ),
    "HogQLMetadata": Table(lambda made: made, METADATA | {"query": FILTERED}, {
        **COMMON,
        **MODES,
        "language": to("hogQLExpr"),
        "query": to("selec"),
        "connectionId": no("x"),
        "sourceQuery": no(SELECT),
        "filters": to({"properties": [{"type": "nonsense", "key": "x"}]}),
        "variables": to({"v": X}, query="select {variables.x}"),
        **same("for programs in Hog", "globals", value={"x": 1}),
        **same("adds detail", "debug", value=True),
    }),
    "DatabaseSchemaQuery": Table(lambda made: made, {"kind": "DatabaseSchemaQuery"}, {
        **COMMON, **MODES, "connectionId": no("x"),
    }),
    "QueryLogTags": Table(within(SELECT, "tags"), {}, same(
        "for PostHog's logs", "scene", "productKey", "name", value="x",
    )),
    "HogQLQueryModifiers": Table(within(SELECT | {
        "query": "select count(distinct person_id) from events where event = 'merged'"}, "modifiers"), {}, {
        "personsOnEventsMode": to("person_id_no_override_properties_on_events"),
        "personsJoinMode": no("inner"),
        "materializationMode": no("legacy_null_as_string"),
        "dataWarehouseEventsModifiers": no([{"table_name": "t"}]),
        "bounceRatePageViewMode": no("count_pageviews"),
        "bounceRateDurationSeconds": no(30),
        "customChannelTypeRules": no([{"channel_type": "x"}]),
        "convertToProjectTimezone": no(False),
        **same(HOW, "personsArgMaxVersion", "inCohortVia", "optimizeJoinedFilters", "sessionIdPushdown",
               "sessionPropertyPreAggregation", "debug", "timings", "s3TableUseInvalidColumns",
               "sessionTableVersion", "sessionsV2JoinMode", "materializedColumnsOptimizationMode",
               "propertyGroupsMode", "useMaterializedViews", "useWebAnalyticsPreAggregatedTables",
               "formatCsvAllowDoubleQuotes", "usePreaggregatedTableTransforms",
               "usePreaggregatedIntermediateResults", "optimizeProjections", "pushDownPredicates",
               "forceClickhouseDataSkippingIndexes", "inlineCohortCalculation", "parserMode", value="auto"),
    }),
    "ActorsQuery": Table(lambda made: made, ACTORS, {
        **COMMON_ROWS,
        "source": to({"kind": "HogQLQuery", "query": "select person_id from events where event = 'C'"}),
        "select": to(["created_at"]),
        "search": to("ann"),
        "properties": to(PERSON),
        "fixedProperties": to(PERSON),
        "orderBy": to(["id ASC"], ["id DESC"]),
    }),
    "InsightActorsQuery": Table(within(ACTORS, "source"), BEHIND, {
        **COMMON,
        **MODES,
        "includeRecordings": no(True),
        "source": to({**TRENDS, "series": [B]}),
        "day": to("2026-03-08"),
        "status": to("new", "dormant", source=LIFECYCLE),
        "interval": to(8, 0, source=RETENTION),
        "series": to(1, 0, source={**TRENDS, "series": [A, B]}),
        "breakdown": to("pro", source={**TRENDS, **BY_PLAN}),
        # one week has days of both periods
        "compare": to("previous", "current", day="2026-03-08",
                      source={**TRENDS, **COMPARED, "interval": "week"}),
    }),
    "StickinessActorsQuery": Table(within(ACTORS, "source"), STUCK, {
        **COMMON,
        **MODES,
        "includeRecordings": no(True),
        "source": to({**STICKINESS, "series": [B]}),
        "operator": to("gte", "exact"),
        "day": to(2),
        "series": to(1, 0, source={**STICKINESS, "series": [A, B]}),
        "compare": to("previous", "current", source={**STICKINESS, **COMPARED}),
    }),
    "FunnelsActorsQuery": Table(within(ACTORS, "source"), AT_STEP, {
        **COMMON,
        **MODES,
        "includeRecordings": no(True),
        "source": to({**FUNNEL, "series": [B, A]}),
        "funnelStep": to(2),
        "funnelStepBreakdown": to("pro", source={**FUNNEL, **BY_PLAN}),
        "funnelTrendsDropOff": to(True, False, **ON_DAY),
        "funnelTrendsEntrancePeriodStart": to("2026-03-08", "2026-03-09",
                                              **{**ON_DAY, "funnelTrendsDropOff": False}),
        "compare": to("previous", "current", source={**FUNNEL, **COMPARED}),
    }),
    "EventsQuery": Table(lambda made: made, EVENTS, {
        **COMMON_ROWS,
        "select": to(["event"]),
        "where": to(["event = 'A'"]),
        "event": to("A"),
        "events": to(["A", "B"]),
        "actionId": to(1),
        "actionSteps": to([{"event": "A"}]),
        "personId": to("@ann"),
        "properties": to(PRO),
        "fixedProperties": to(PRO),
        "filterTestAccounts": to(True),
        "after": to("-1d"),
        "before": to("-1d"),
        "orderBy": to(["event"]),
        "source": to(BEHIND),
    }),
    "EventsQueryActionStep": Table(CLICKS, CLICK, {
        "event": to("A"),
        "properties": to(PRO),
        "selector": to("button"),
        "tag_name": to("button"),
        "text": to("Buy"),
        "text_matching": to("contains", "exact", text="Bu"),
        "href": to("/buy"),
        "href_matching": to("contains", "exact", href="bu"),
        "url": to("https://shop.test/p/1"),
        "url_matching": to("exact", "contains", url="shop.test/p/1"),
    }),
    "RecordingsQuery": Table(lambda made: made, RECORDINGS, {
        **COMMON_ROWS,
        "date_from": to("-1h"),
        "date_to": to("-10d"),
        "events": to([{"id": "in long", "type": "events"}]),
        "actions": to([{"id": 3, "type": "actions"}]),
        "properties": to(PERSON),
        "console_log_filters": to([filters("log_entry", key="level", value=["error"])]),
        "having_predicates": to([filters("recording", key="click_count", value=1) | {"operator": "gt"}]),
        "comment_text": no(filters("recording", key="comment_text", value="x")),
        "filter_test_accounts": to(True),
        "operand": to("OR", "AND", events=[{"id": "in long"}, {"id": "in short"}]),
        "session_ids": to(["@long"]),
        "session_recording_id": to("@long"),
        "hide_viewed_recordings": to("any-user"),
        "person_uuid": to("@ann"),
        "distinct_ids": to(["ann"]),
        "order": to("click_count"),
        "order_direction": to("ASC"),
        "after": to("@cursor"),
        **same("for PostHog's own page", "user_modified_filters", value={"x": 1}),
    }),
    "ErrorTrackingQuery": Table(lambda made: made, ERRORS, {
        **COMMON_ROWS,
        **GROUP,
        "dateRange": to({"date_from": "-1h"}),
        "orderBy": to("first_seen"),
        "volumeResolution": to(3),
        "issueId": to("@issue"),
        "orderDirection": to("ASC"),
        "status": to("resolved"),
        "assignee": to({"type": "user", "id": 1}),
        "filterGroup": to(OF_PRO),
        "filterTestAccounts": to(True),
        "searchQuery": to("ValueError"),
        "withAggregations": to(False),
        "withFirstEvent": to(True),
        "withLastEvent": to(True),
        "pendingFingerprintIssueStateUpdates": no([{"x": 1}]),
        **same(LEFT_ASIDE, "useQueryV2", "useQueryV3", value=True),
    }),
    "ErrorTrackingIssueAssignee": Table(within(ERRORS, "assignee"), {"type": "user", "id": 1}, {
        "type": to("role"),
        "id": to(2),
    }),
    "TracesQuery": Table(lambda made: made, TRACES, {
        **COMMON_ROWS,
        **GROUP,
        "dateRange": to({"date_from": "-1h"}),
        "filterTestAccounts": to(True),
        "properties": to([filters("event", key="$ai_model", value="m2")]),
        "includeSentiment": no(True),
        "randomOrder": to(True),
        **same("nobody impersonates users here", "filterSupportTraces", value=True),
        **same(DRAWN, "showColumnConfigurator", value=True),
    }),
    "TraceQuery": Table(lambda made: made, {**TRACES, "kind": "TraceQuery", "traceId": "t1"}, {
        **COMMON,
        **MODES,
        "traceId": to("t2"),
        "dateRange": to({"date_from": "-1h"}),
        "includeSentiment": no(True),
        "properties": to([filters("event", key="$ai_model", value="m2")]),
    }),
    "WebOverviewQuery": Table(lambda made: made, OVERVIEW, {
        **WEB,
        **same("paths are not shown", "doPathCleaning", value=True),
        "orderBy": no(["Views", "ASC"]),
    }),
    "WebStatsTableQuery": Table(lambda made: made, STATS, {
        **WEB,
        "doPathCleaning": to(True),
        "breakdownBy": to("Browser"),
        "orderBy": to(["Views", "ASC"]),
        "includeScrollDepth": to(True),
        "includeBounceRate": to(True),
        "includeAvgTimeOnPage": to(True),
        "includeHost": to(True),
        "limit": to(1),
        "offset": to(1),
    }),
    "WebAnalyticsSampling": Table(within(OVERVIEW, "sampling"), {}, {
        **same(SAMPLE, "enabled", value=True),
        **same(SAMPLE, "forceSamplingRate", value={"numerator": 1}),
    }),
    "ActionConversionGoal": Table(within(OVERVIEW, "conversionGoal"), {"actionId": 1}, {"actionId": to(2)}),
    "CustomEventConversionGoal": Table(within(OVERVIEW, "conversionGoal"), {"customEventName": "A"}, {
        "customEventName": to("B"),
    }),
    "InsightVizNode": Table(lambda made: made, {"kind": "InsightVizNode", "source": TRENDS}, {
        **OBJECT,
        "source": to({**TRENDS, "series": [B]}),
        **same(DRAWN, "full", "showHeader", "showTable", "showCorrelationTable", "showLastComputation",
               "showLastComputationRefresh", "showFilters", "showResults", "embedded",
               "suppressSessionAnalysisWarning", "hidePersonsModal", "hideTooltipOnScroll",
               "vizSpecificOptions", value=True),
    }),
    "DataVisualizationNode": Table(lambda made: made, {"kind": "DataVisualizationNode", "source": SELECT}, {
        **OBJECT,
        "source": to({"kind": "HogQLQuery", "query": "select 1"}),
        **same(DRAWN, "display", "chartSettings", "tableSettings", value={}),
    }),
    "DataTableNode": Table(lambda made: made, {"kind": "DataTableNode", "source": EVENTS}, {
        **COMMON,
        "source": to({**EVENTS, "event": "A"}),
        **same(DRAWN, "columns", "hiddenColumns", "pinnedColumns", value=["event"]),
    }),
}  # fmt: skip
