"""The typed queries by the tool that asks them, for tools that take a query as `tool` and `arguments`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from posthog_mcp.tool.charts import with_chart
from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.insight_answers import Asked
from posthog_mcp.tool.insight_funnels import QueryFunnel, funnel_chart, funnel_query, funnel_table
from posthog_mcp.tool.insight_more import (
    QueryLifecycle,
    QueryPaths,
    QueryStickiness,
    lifecycle_chart,
    lifecycle_query,
    lifecycle_table,
    paths_query,
    paths_table,
    stickiness_chart,
    stickiness_query,
    stickiness_table,
)
from posthog_mcp.tool.insight_retention import (
    QueryRetention,
    retention_chart,
    retention_query,
    retention_table,
)
from posthog_mcp.tool.insight_trends import QueryTrends, trends_chart, trends_query, trends_table
from posthog_mcp.tool.misfits import misfits

if TYPE_CHECKING:
    from posthog_mcp.render import Chart, Table
    from posthog_mcp.tool.context import Context, Project
    from posthog_mcp.tool.insight_arguments import InsightInput

Json = dict[str, Any]
QueryTool = Literal[
    "query_trends", "query_funnel", "query_retention", "query_paths", "query_lifecycle", "query_stickiness"
]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of typed query: its arguments, how PostHog is asked, and how the answer is shown and drawn."""

    input: type[InsightInput]
    query: Callable[[Context, Project, Any], Awaitable[Json]]
    table: Callable[[Asked[Any], Json], Table]
    chart: Callable[[Asked[Any], Json], Chart] | None = None

    def shown(self, asked: Asked[Any], answer: Json, *, draw: bool, title: str = "") -> Table:
        """The answer as a table; to be drawn, with its chart as well, under another title if one is given."""
        table = self.table(asked, answer)
        if not draw:
            return table
        chart = self.chart(asked, answer) if self.chart else None
        return with_chart(table, replace(chart, title=title) if chart and title else chart)


KINDS: dict[str, Kind] = {
    "query_trends": Kind(QueryTrends, trends_query, trends_table, trends_chart),
    "query_funnel": Kind(QueryFunnel, funnel_query, funnel_table, funnel_chart),
    "query_retention": Kind(QueryRetention, retention_query, retention_table, retention_chart),
    "query_paths": Kind(QueryPaths, paths_query, paths_table),
    "query_lifecycle": Kind(QueryLifecycle, lifecycle_query, lifecycle_table, lifecycle_chart),
    "query_stickiness": Kind(QueryStickiness, stickiness_query, stickiness_table, stickiness_chart),
}


def arguments_of(tool: str, arguments: Json) -> Any:
    """The arguments of a query that is named to another tool.

    Raises:
        ToolFailure: They do not fit the tool.
    """
    model = KINDS[tool].input
    names = ", ".join(name for name in model.model_fields if name not in ("project_id", "format", "chart"))
    try:
        return model.model_validate({key: value for key, value in arguments.items() if key != "project_id"})
    except ValidationError as error:
        words = misfits(model, error, ("project_id", "format"), "arguments")[0]
        raise ToolFailure(f"`arguments` do not fit {tool}.", words, f"It takes {names}.") from None
