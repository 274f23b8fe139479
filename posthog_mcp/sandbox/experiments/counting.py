"""The query kind `ExperimentExposureQuery`: how many were exposed to each variant, by day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from posthog_mcp.flags.values import as_dict
from posthog_mcp.hogql import print_hogql
from posthog_mcp.sandbox.compiler import CompileError
from posthog_mcp.sandbox.experiments.documents import variants_of
from posthog_mcp.sandbox.experiments.exposures import Exposed
from posthog_mcp.sandbox.experiments.inference import sample_ratio_mismatch
from posthog_mcp.sandbox.experiments.results import answer, window
from posthog_mcp.sandbox.experiments.settings import MULTIPLE, ExposureCriteria
from posthog_mcp.sandbox.experiments.trees import query
from posthog_mcp.sandbox.queries.asked import Answer, Asked, Ran, refused, run
from posthog_mcp.sandbox.queries.models import QueryModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.compiler.world import World

# More people than this share in several variants may come from an uneven split.
_BIASED_PERCENT = 0.1
_NOTHING_RAN = Ran(columns=[], types=[], rows=[], limit=None, offset=0, more=None, read_bytes=0)
Json = dict[str, Any]


class ExperimentExposureQuery(QueryModel):
    """The query object; flag, dates and criteria are the query's own, whatever the experiment says."""

    kind: Literal["ExperimentExposureQuery"]
    experiment_id: int | None = None
    experiment_name: str
    feature_flag: dict[str, Any]
    start_date: str | None
    end_date: str | None
    exposure_criteria: ExposureCriteria | None = None
    holdout: dict[str, Any] | None = None


async def experiment_exposure_query(asked: Asked) -> Answer:
    """People of each variant, cumulated by the day of their first exposure; nothing for a draft.

    Raises:
        ApiError: 400 for criteria that cannot be run.
    """
    model = ExperimentExposureQuery.read(asked.query)
    body: Json = {
        "kind": "ExperimentExposureQuery",
        "timeseries": [],
        "total_exposures": {},
        "date_range": {"date_from": model.start_date, "date_to": model.end_date, "explicitDate": True},
        "sample_ratio_mismatch": None,
        "bias_risk": None,
    }
    if model.start_date is None:
        return answer(asked, _NOTHING_RAN, "", body)
    exposed = _exposed(model, model.start_date, asked.world)
    tree = _by_day(exposed, asked.world)
    ran = await run(asked, tree)
    shares = variants_of(model.feature_flag)
    held = [_held_out(model.holdout)] if model.holdout else []
    counts: dict[tuple[str, str], int] = {(str(day), variant): count for day, variant, count in ran.rows}
    totals = {name: _total(counts, name) for name in (*shares, *held, MULTIPLE)}
    if not totals[MULTIPLE]:
        del totals[MULTIPLE]
    days = _days(exposed.start, exposed.end, asked.world.timezone)
    running = exposed.end == asked.world.now
    body |= {
        "timeseries": [
            {"variant": name, "days": days, "exposure_counts": _cumulated(counts, name, days)}
            for name in totals
        ],
        "total_exposures": totals,
        "sample_ratio_mismatch": sample_ratio_mismatch(totals, shares),
        "bias_risk": _bias(totals, shares) if running and exposed.handling == "exclude" else None,
    }
    return answer(asked, ran, print_hogql(tree), body)


def _exposed(model: ExperimentExposureQuery, begun: str, world: World) -> Exposed:
    flag = model.feature_flag
    start, end = window(begun, model.end_date, world)
    return Exposed(
        str(flag.get("key")),
        [*variants_of(flag), *([_held_out(model.holdout)] if model.holdout else [])],
        start,
        end,
        model.exposure_criteria or ExposureCriteria(),
        as_dict(flag.get("filters")).get("aggregation_group_type_index"),
    )


def _held_out(holdout: Json) -> str:
    """What the flag answers to the people of a holdout."""
    return f"holdout-{holdout.get('id')}"


def _by_day(exposed: Exposed, world: World) -> ast.SelectQuery:
    try:
        people = exposed.people(world, several=True)
    except CompileError as error:
        raise refused(error) from error
    return query(
        "SELECT toDate(exposed_at) AS day, variant, count() FROM {people} GROUP BY day, variant LIMIT 50000",
        people=people,
    )


def _total(counts: Mapping[tuple[str, str], int], variant: str) -> int:
    return sum(count for (_, name), count in counts.items() if name == variant)


def _days(start: datetime, end: datetime, timezone: str) -> list[str]:
    zone = ZoneInfo(timezone)
    first, last = start.astimezone(zone).date(), end.astimezone(zone).date()
    return [str(first + timedelta(days=number)) for number in range((last - first).days + 1)]


def _cumulated(counts: Mapping[tuple[str, str], int], variant: str, days: list[str]) -> list[int]:
    found: list[int] = []
    for day in days:
        found.append((found[-1] if found else 0) + counts.get((day, variant), 0))
    return found


def _bias(totals: Mapping[str, int], shares: Mapping[str, float]) -> Json | None:
    """Leaving out people with several variants skews an uneven split."""
    everybody = sum(totals.values())
    if not everybody or len(set(shares.values())) == 1:
        return None
    percentage = 100 * totals.get(MULTIPLE, 0) / everybody
    return {"multiple_variant_percentage": percentage} if percentage > _BIASED_PERCENT else None
