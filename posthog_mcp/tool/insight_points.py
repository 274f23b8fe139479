"""A point of a typed query as PostHog names it, to ask who is behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.insight_answers import NULL

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]
_NONE = "(none)"
_EDGE = 2
_STEP = re.compile(r"\d+_")


@dataclass(frozen=True, slots=True)
class Point:
    """Where in an answer a number stands; which fields matter depends on the tool.

    Attributes:
        date: The row of trends, lifecycle or retention.
        row: Of retention, from 0.
        series: From 0.
        value: Of the breakdown, `(none)` for none.
        step: Of a funnel, negative for who dropped out before it.
        status: Of a lifecycle.
        days: Of stickiness.
        edge: Of paths, from and to.
    """

    date: str
    row: int
    series: int
    value: str
    step: int
    status: str
    days: int
    edge: Sequence[str]

    def in_words(self, tool: str) -> str:
        """The point as the answer shows it."""
        told = {
            "query_trends": f"series {self.series + 1}, {self.date or 'the whole period'}",
            "query_funnel": f"step {self.step}" if self.step > 0 else f"dropped out before step {-self.step}",
            "query_retention": f"began {self.date}",
            "query_paths": " to ".join(self.edge) or "every path",
            "query_lifecycle": f"{self.status}, {self.date}",
            "query_stickiness": f"active in {self.days} intervals",
        }[tool]
        return f"{told}, {self.value}" if self.value else told


def source_of(tool: str, args: Any, query: Json, point: Point) -> Json:
    """The source of an ActorsQuery.

    Args:
        tool: The tool that gave the number.
        args: Its arguments.
        query: The same as PostHog takes them.
        point: The number.

    Raises:
        ToolFailure: The point does not name a number of such an answer.
    """
    source: Json = {"kind": "InsightActorsQuery", "source": query}
    match tool:
        case "query_funnel":
            return _funnel(query, point)
        case "query_trends":
            _need_date(point, needed=not args.total)
            if point.date:
                source["day"] = point.date
            source["series"] = point.series
            return source | (
                {"breakdown": NULL if point.value == _NONE else point.value} if point.value else {}
            )
        case "query_lifecycle":
            _need_date(point)
            status = {} if point.status == "any" else {"status": point.status}
            return source | {"day": point.date} | status
        case "query_stickiness":
            return source | {"kind": "StickinessActorsQuery", "day": point.days, "series": point.series}
        case "query_retention":
            return source | {"interval": point.row}
        case _:
            return _path(query, point)


def _need_date(point: Point, *, needed: bool = True) -> None:
    if needed and not point.date:
        raise ToolFailure(
            "No date was given.", "Each row of the answer has people of its own.", "Give the row's date."
        )


def _funnel(query: Json, point: Point) -> Json:
    if point.step in (0, -1):
        raise ToolFailure(
            "No step was given.",
            "People are listed by the step they reached, 1 and up, or dropped out before, -2 and down.",
            "Give step.",
        )
    steps: Json = {**query, "funnelsFilter": {**query["funnelsFilter"], "funnelVizType": "steps"}}
    found: Json = {"kind": "FunnelsActorsQuery", "source": steps, "funnelStep": point.step}
    return found | (
        {"funnelStepBreakdown": ["" if point.value == _NONE else point.value]} if point.value else {}
    )


def _path(query: Json, point: Point) -> Json:
    if len(point.edge) != _EDGE:
        raise ToolFailure(
            "No edge was given.", "People are listed by the way they went.", "Give edge: from and to."
        )
    if not all(map(_STEP.match, point.edge)):
        raise ToolFailure(
            "The edge names no steps.", "A way can be gone at several steps.", "Write it as 1_/a and 2_/b."
        )
    keys = {"pathStartKey": point.edge[0], "pathEndKey": point.edge[1]}
    narrowed: Json = {**query, "pathsFilter": {**query["pathsFilter"], **keys}}
    return {"kind": "InsightActorsQuery", "source": narrowed}
