"""The query kind `WebOverviewQuery`: visitors, views, sessions, how long they last, how many bounce."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from posthog_mcp.sandbox.experiments.trees import query
from posthog_mcp.sandbox.queries.models import NotComputed
from posthog_mcp.sandbox.web.models import WebQuery
from posthog_mcp.sandbox.web.visits import Asked, periods_of, visits

if TYPE_CHECKING:
    from posthog_mcp.sandbox.insights.asking import Asking
    from posthog_mcp.sandbox.queries.asked import Answer

_PERCENT = 100
Kind = Literal["unit", "duration_s", "percentage"]
Json = dict[str, Any]


class WebOverviewQuery(WebQuery):
    """The query object."""

    kind: Literal["WebOverviewQuery"]
    orderBy: NotComputed = None  # noqa: N815 - PostHog's name


async def web_overview(asking: Asking) -> Answer:
    """One item for each number, compared with the period before where that is asked for."""
    model = WebOverviewQuery.read(asking.asked.query)
    periods = await periods_of(asking, model)
    now, before = [
        await _numbers(asking, Asked(model, asking.world, periods.holds(), period)) if period else {}
        for period in (periods.now, periods.before)
    ]
    results = [
        _item(name, now[name], before.get(name), kind)
        for name, kind in (_CONVERSIONS if model.conversionGoal else _VISITS).items()
    ]
    return asking.answer(
        results,
        periods.now,
        samplingRate={"numerator": 1.0, "denominator": None},
        dateFrom=periods.now.start.isoformat(),
        dateTo=periods.now.end.isoformat(),
        preComputeStrategy="live",
    )


_VISITS: dict[str, Kind] = {
    "visitors": "unit",
    "views": "unit",
    "sessions": "unit",
    "session duration": "duration_s",
    "bounce rate": "percentage",
}
_CONVERSIONS: dict[str, Kind] = {
    "visitors": "unit",
    "total conversions": "unit",
    "unique conversions": "unit",
    "conversion rate": "percentage",
}


async def _numbers(asking: Asking, asked: Asked) -> dict[str, float | None]:
    tree = query(
        "SELECT uniqExact(who) AS visitors, sum(views) AS views, count() AS sessions, avg(seconds) AS lasted,"
        " avg(bounced) AS bouncing, sum(conversions) AS converted,"
        " uniqExactIf(who, conversions > 0) AS converting FROM {visits}",
        visits=visits(asked),
    )
    ((visitors, views, sessions, lasted, bouncing, converted, converting),) = await asking.rows(tree)
    return {
        "visitors": visitors,
        "views": views,
        "sessions": sessions,
        "session duration": lasted if sessions else None,
        "bounce rate": bouncing * _PERCENT if bouncing is not None else None,
        "total conversions": converted,
        "unique conversions": converting,
        "conversion rate": converting / visitors * _PERCENT if visitors else None,
    }


def _item(name: str, value: float | None, previous: float | None, kind: Kind) -> Json:
    change = round(_PERCENT * (value - previous) / previous) if value is not None and previous else None
    return {
        "key": name,
        "kind": kind,
        "value": value,
        "previous": previous,
        "changeFromPreviousPct": change,
        "isIncreaseBad": True if name == "bounce rate" else None,
    }
