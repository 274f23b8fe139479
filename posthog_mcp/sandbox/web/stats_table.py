"""The query kind `WebStatsTableQuery`: visitors and views by page, source, device or place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from posthog_mcp.sandbox.experiments.trees import query
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.web.breakdowns import CAN_BE_MISSING, Breakdown, value_of
from posthog_mcp.sandbox.web.models import Direction, OrderField, WebQuery
from posthog_mcp.sandbox.web.reading import pages_left
from posthog_mcp.sandbox.web.visits import Asked, periods_of, visits

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthog_mcp.sandbox.insights.asking import Asking
    from posthog_mcp.sandbox.queries.asked import Answer

_LIMIT = 100
_BY_VALUE = (
    "SELECT value, uniqExact(who) AS visitors, sum(views) AS views, avg(bounced) AS bouncing,"
    " sum(conversions) AS converted, uniqExactIf(who, conversions > 0) AS converting"
    " FROM {visits} GROUP BY value"
)
Json = dict[str, Any]


class WebStatsTableQuery(WebQuery):
    """The query object."""

    kind: Literal["WebStatsTableQuery"]
    breakdownBy: Breakdown  # noqa: N815 - PostHog's names, here and below
    orderBy: tuple[OrderField, Direction] | None = None  # noqa: N815
    includeBounceRate: bool | None = None  # noqa: N815
    includeScrollDepth: bool | None = None  # noqa: N815
    includeAvgTimeOnPage: bool | None = None  # noqa: N815
    includeHost: bool | None = None  # noqa: N815
    limit: Annotated[int, Field(ge=1)] | None = None
    offset: Annotated[int, Field(ge=0)] | None = None


@dataclass(slots=True)
class Line:
    """The numbers of one value in one period."""

    visitors: int = 0
    views: int = 0
    bouncing: float | None = None
    converted: int = 0
    converting: int = 0
    scrolled: float | None = None
    far: float | None = None
    seconds: float | None = None

    @property
    def converts(self) -> float | None:
        """The share of its visitors that converted."""
        return self.converting / self.visitors if self.visitors else None


@dataclass(frozen=True, slots=True)
class Measure:
    """A column: PostHog's name of it, the word it is ordered by, and what it shows."""

    column: str
    order: str
    value: Callable[[Line], float | None]


_VISITORS = Measure("visitors", "Visitors", lambda line: line.visitors)
_VIEWS = Measure("views", "Views", lambda line: line.views)
_BOUNCES = Measure("bounce_rate", "BounceRate", lambda line: line.bouncing)
_TIME = Measure("avg_time_on_page", "AvgTimeOnPage", lambda line: line.seconds or 0)
_SCROLLED = (
    Measure("average_scroll_percentage", "AverageScrollPercentage", lambda line: line.scrolled),
    Measure("scroll_gt80_percentage", "ScrollGt80Percentage", lambda line: line.far),
)
_CONVERSIONS = (
    _VISITORS,
    Measure("total_conversions", "TotalConversions", lambda line: line.converted),
    Measure("unique_conversions", "UniqueConversions", lambda line: line.converting),
    Measure("conversion_rate", "ConversionRate", lambda line: line.converts),
)


async def web_stats_table(asking: Asking) -> Answer:
    """Rows `[value, [now, before], ...]`; `before` is null where nothing is compared.

    Raises:
        ApiError: 400 for columns that the sandbox does not compute.
    """
    model = WebStatsTableQuery.read(asking.asked.query)
    measures = _measures(model)
    periods = await periods_of(asking, model)
    # Only where two periods must be told apart does it matter when a session began.
    begun = periods.now if periods.before else None
    now = await _lines(asking, model, Asked(model, asking.world, periods.holds(), begun))
    before = None
    if periods.before:
        before = await _lines(asking, model, Asked(model, asking.world, periods.holds(), periods.before))
    rows = [
        [
            value,
            *(
                [
                    one.value(now.get(value, Line())),
                    None if before is None else one.value(before.get(value, Line())),
                ]
                for one in measures
            ),
        ]
        for value in {**now, **(before or {})}
    ]
    rows = _ordered(rows, measures, model)
    limit, offset = model.limit or _LIMIT, model.offset or 0
    names = ["breakdown_value", *(one.column for one in measures)]
    return asking.answer(
        [[_shown(row[0]), *row[1:]] for row in rows[offset : offset + limit]],
        periods.now,
        columns=[f"context.columns.{name}" for name in names],
        types=[],
        samplingRate={"numerator": 1.0, "denominator": None},
        hasMore=offset + limit < len(rows),
        limit=limit,
        offset=offset,
        preComputeStrategy="live",
    )


def _measures(model: WebStatsTableQuery) -> tuple[Measure, ...]:
    reads = "includeScrollDepth" if model.includeScrollDepth else "includeAvgTimeOnPage"
    if _reads(model) and (model.breakdownBy != "Page" or model.conversionGoal):
        raise invalid(f"{reads} is for the breakdown by Page, without a conversionGoal.", reads)
    bounces = (_BOUNCES,) if model.includeBounceRate or _reads(model) else ()
    if model.conversionGoal:
        return (*_CONVERSIONS, *bounces)
    time = (_TIME,) if model.includeAvgTimeOnPage else ()
    return (_VISITORS, _VIEWS, *time, *bounces, *(_SCROLLED if model.includeScrollDepth else ()))


def _reads(model: WebStatsTableQuery) -> bool:
    """Whether it matters how pages were read."""
    return bool(model.includeScrollDepth or model.includeAvgTimeOnPage)


async def _lines(asking: Asking, model: WebStatsTableQuery, asked: Asked) -> dict[Any, Line]:
    found = await _by_value(asking, model, asked, model.breakdownBy)
    if (model.includeBounceRate or _reads(model)) and model.breakdownBy == "Page":
        # A page's bounces are those of the sessions that entered there.
        entered = await _by_value(asking, model, asked, "InitialPage")
        for value, line in found.items():
            line.bouncing = entered[value].bouncing if value in entered else None
    if _reads(model):
        tree = pages_left(asked, _cleaning(asking, model), hosts=bool(model.includeHost))
        for value, scrolled, far, seconds in await asking.rows(tree):
            if value in found:
                line = found[value]
                line.scrolled, line.far, line.seconds = scrolled, far, seconds
    return found


def _cleaning(asking: Asking, model: WebStatsTableQuery) -> list[Json]:
    rules: list[Json] = asking.asked.sandbox.project.settings["path_cleaning_filters"] or []
    return rules if model.doPathCleaning else []


async def _by_value(
    asking: Asking, model: WebStatsTableQuery, asked: Asked, breakdown: Breakdown
) -> dict[Any, Line]:
    value = value_of(breakdown, hosts=bool(model.includeHost), cleaning=_cleaning(asking, model))
    tree = query(_BY_VALUE, visits=visits(asked, value))
    rows = [(_key(row[0]), Line(*row[1:])) for row in await asking.rows(tree)]
    return {value: line for value, line in rows if breakdown in CAN_BE_MISSING or not _missing(value)}


def _ordered(rows: list[list[Any]], measures: tuple[Measure, ...], model: WebStatsTableQuery) -> list[Any]:
    """By what is asked for, then by all the others, each by the pair of now and before; then by the value."""
    rows.sort(key=lambda row: str(row[0]))
    # A goal's numbers count before visitors.
    places = (3, 2, 1) if model.conversionGoal else (1, 2)
    rows.sort(key=lambda row: tuple(_pair(row[place]) for place in places), reverse=True)
    orders = [one.order for one in measures]
    if model.orderBy:
        if model.orderBy[0] not in orders:
            raise invalid(f"orderBy: the rows have {', '.join(orders)}.", "orderBy")
        place = orders.index(model.orderBy[0]) + 1
        rows.sort(key=lambda row: _pair(row[place]), reverse=model.orderBy[1] == "DESC")
    return rows


def _pair(cell: list[float | None]) -> tuple[float, ...]:
    return tuple(float("-inf") if number is None else number for number in cell)


def _key(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _missing(value: Any) -> bool:
    return value[-1] in (None, "") if isinstance(value, tuple) else value in (None, "")


def _shown(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
