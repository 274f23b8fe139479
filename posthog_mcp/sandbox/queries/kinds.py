"""The kinds of queries the sandbox runs, and what it says about the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.sandbox.ai.queries import trace_query, traces_query
from posthog_mcp.sandbox.errors.queries import error_tracking_query
from posthog_mcp.sandbox.experiments.counting import experiment_exposure_query
from posthog_mcp.sandbox.experiments.results import experiment_query
from posthog_mcp.sandbox.http.errors import ApiError, invalid
from posthog_mcp.sandbox.insights.asking import insight
from posthog_mcp.sandbox.insights.funnels import funnels
from posthog_mcp.sandbox.insights.lifecycle import lifecycle
from posthog_mcp.sandbox.insights.paths import paths
from posthog_mcp.sandbox.insights.retention import retention
from posthog_mcp.sandbox.insights.stickiness import stickiness
from posthog_mcp.sandbox.insights.trends import trends
from posthog_mcp.sandbox.queries.actors import actors_query
from posthog_mcp.sandbox.queries.events import events_query
from posthog_mcp.sandbox.queries.hogql import hogql_query
from posthog_mcp.sandbox.queries.schema import database_schema, hogql_metadata
from posthog_mcp.sandbox.replay.queries import recordings_query
from posthog_mcp.sandbox.web.overview import web_overview
from posthog_mcp.sandbox.web.stats_table import web_stats_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthog_mcp.sandbox.queries.asked import Runner

RUNNERS: Mapping[str, Runner] = {
    "ActorsQuery": actors_query,
    "DatabaseSchemaQuery": database_schema,
    "ErrorTrackingQuery": error_tracking_query,
    "EventsQuery": events_query,
    "ExperimentExposureQuery": experiment_exposure_query,
    "ExperimentQuery": experiment_query,
    "FunnelsQuery": insight(funnels),
    "HogQLMetadata": hogql_metadata,
    "HogQLQuery": hogql_query,
    "LifecycleQuery": insight(lifecycle),
    "PathsQuery": insight(paths),
    "RecordingsQuery": recordings_query,
    "RetentionQuery": insight(retention),
    "StickinessQuery": insight(stickiness),
    "TraceQuery": trace_query,
    "TracesQuery": traces_query,
    "TrendsQuery": insight(trends),
    "WebOverviewQuery": insight(web_overview),
    "WebStatsTableQuery": insight(web_stats_table),
}

WRAPPERS = frozenset({"DataTableNode", "DataVisualizationNode", "InsightVizNode"})

# posthog-schema: the kinds PostHog itself knows. What is here and not in RUNNERS is said to be missing.
KNOWN = frozenset({
    "ActorsQuery", "DatabaseSchemaQuery", "ErrorTrackingBreakdownsQuery",
    "ErrorTrackingIssueCorrelationQuery", "ErrorTrackingQuery", "ErrorTrackingSimilarIssuesQuery",
    "EventsQuery", "ExperimentActorsQuery", "ExperimentExposureQuery", "ExperimentQuery",
    "FunnelCorrelationActorsQuery", "FunnelCorrelationQuery", "FunnelsActorsQuery", "FunnelsQuery",
    "GroupsQuery", "HogQLMetadata", "HogQLQuery", "InsightActorsQuery", "InsightActorsQueryOptions",
    "LifecycleQuery", "LogsQuery", "PathsQuery", "RecordingsQuery", "RetentionQuery", "SessionsQuery",
    "StickinessActorsQuery", "StickinessQuery", "TraceNeighborsQuery", "TraceQuery", "TracesQuery",
    "TrendsQuery", "WebGoalsQuery", "WebOverviewQuery", "WebStatsTableQuery",
    "WebVitalsPathBreakdownQuery", "WebVitalsQuery",
})  # fmt: skip


def runner_of(query: object) -> tuple[Runner, dict[str, Any]]:
    """What runs a query object, and the object itself, taken out of its wrapper.

    Raises `ApiError` 400 for what is no query, in pydantic's words, and for kinds not built.
    """
    found = _object(query, "query")
    kind = found.get("kind")
    if kind in WRAPPERS:
        found = _object(found.get("source"), f"query.{kind}.source")
        kind = found.get("kind")
    if not isinstance(kind, str):
        raise _malformed("query", "Unable to extract tag using discriminator 'kind'", "union_tag_not_found")
    runner = RUNNERS.get(kind)
    if runner is not None:
        return runner, found
    if kind in KNOWN:
        raise invalid(f"The sandbox cannot run a {kind} yet. Ask the same with a HogQLQuery.", "query")
    names = ", ".join(f"'{name}'" for name in sorted({*KNOWN, *WRAPPERS}))
    message = f"Input tag '{kind}' found using 'kind' does not match any of the expected tags: {names}"
    raise _malformed("query", message, "union_tag_invalid")


def _object(value: object, place: str) -> dict[str, Any]:
    if value is None:
        raise _malformed(place, "Field required", "missing")
    if not isinstance(value, dict):
        raise _malformed(place, "Input should be a valid dictionary or object", "model_type")
    return cast("dict[str, Any]", value)


def _malformed(place: str, message: str, kind: str) -> ApiError:
    return invalid(f"1 validation error for QueryRequest\n{place}\n  {message} [type={kind}]")
