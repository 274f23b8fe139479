"""How many people an experiment needs, and for how long: PostHog's plan, from what the project does today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from posthog_mcp.api.errors import NotFound
from posthog_mcp.tool.asking import rows_of
from posthog_mcp.tool.experiments import RUNNING_TIME
from posthog_mcp.tool.row_conditions import event_conditions

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project
    from posthog_mcp.tool.experiment_metrics import Metric

_DAYS = 30
_HOUR, _DAY, _WEEK = 3_600, 86_400, 604_800
_FOLDS = {
    "total": "countIf({when})",
    "sum": "ifNull(sumIf({of}, {when}), 0)",
    "avg": "if(countIf({when}) = 0, 0, ifNull(avgIf({of}, {when}), 0))",
    "min": "ifNull(minIf({of}, {when}), 0)",
    "max": "ifNull(maxIf({of}, {when}), 0)",
    "unique_session": "uniqExactIf(properties.$session_id, {when} AND isNotNull(properties.$session_id))",
}
_COUNTS = ("total", "unique_session")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sample is planned for.

    Attributes:
        metric: The metric that decides.
        effect: The smallest change worth knowing, in per cent.
        baseline: The metric today; 0 to measure it, which only ratio and retention allow.
        variants: How many there are, the baseline among them.
        per_day: People exposed a day; 0 when that is not known.
    """

    metric: Metric
    effect: float
    baseline: float
    variants: int
    per_day: float


async def plan_sample(ctx: Context, project: Project, plan: Plan) -> Json:
    """PostHog's `recommended_sample_size` and `recommended_running_time_days`, and `planned_from` in words.

    Raises:
        ToolFailure: What the metric is today cannot be measured.
        PostHogError: PostHog did not answer.
    """
    known, source = await _known(ctx, project, plan)
    if known is None:
        return {"planned_from": f"{source}: too little, so there is no sample size"}
    asked: Json = {
        "minimum_detectable_effect": plan.effect,
        "number_of_variants": plan.variants,
        "exposure_rate_per_day": plan.per_day or None,
        **known,
    }
    try:
        planned = await ctx.api.post(RUNNING_TIME, asked, project_id=project.id)
    except NotFound:
        return {"planned_from": "nothing: this PostHog plans in its own pages alone"}
    baseline, variance = (f"{planned[name]:.4g}" for name in ("baseline_value", "variance"))
    return {**planned, "planned_from": f"{source}: {baseline}, variance {variance}"}


async def _known(ctx: Context, project: Project, plan: Plan) -> tuple[Json | None, str]:
    """What PostHog is told of the metric today, None when too little is known; and where that comes from."""
    metric, value = plan.metric, plan.baseline
    given: Json = {"metric_type": metric.type} | ({"baseline_value": value} if value else {})
    match metric.type:
        case "funnel":
            return given, "the baseline given"
        case "mean":
            kind = "mean_count" if metric.events[0].math in _COUNTS else "mean_sum_or_avg"
            return given | {"metric_type": kind}, "the baseline given"
        case "retention" if value:
            return given | {"variance": value * (1 - value)}, "the baseline given"
        case _:
            stats = await _stats(ctx, project, metric)
    period = metric.window if metric.type == "ratio" and metric.window else f"{_DAYS} days"
    source = f"{stats['number_of_samples']} people of the last {period}"
    enough = stats["sum"] and stats["denominator_sum"]
    return (given | {"baseline_stats": stats} if enough else None), source


@dataclass(frozen=True, slots=True)
class _Part:
    """One event of a metric in a query: when it is that event, and what of it a person comes to."""

    when: str
    fold: str


async def _parts(ctx: Context, project: Project, metric: Metric) -> tuple[list[_Part], Json]:
    """The events of a metric as HogQL, and the values in it."""
    parts: list[_Part] = []
    values: Json = {}
    for prefix, event in zip("ab", metric.events, strict=True):
        rows, named = await event_conditions(ctx, project, event.rows(), prefix)
        when = " AND ".join([f"event = {{{prefix}_event}}", *rows])
        of = f"toFloat(toString(properties[{{{prefix}_of}}]))"
        values |= {**named, f"{prefix}_event": event.event}
        if event.property:
            values[f"{prefix}_of"] = event.property
        parts.append(
            _Part(f"({when})", _FOLDS[event.math].replace("{of}", of).replace("{when}", f"({when})"))
        )
    return parts, values


async def _stats(ctx: Context, project: Project, metric: Metric) -> Json:
    """The sums of a ratio or retention metric over those who did its events lately.

    They are counted as an experiment would: for a ratio over its window, or over `_DAYS`; for retention over
    those who began within `_DAYS`, long enough ago to have come back.

    Returns:
        `baseline_stats` as PostHog's planning takes them; `number_of_samples` is 0 when nobody did.

    Raises:
        ToolFailure: A filter of the metric cannot be measured.
        PostHogError: PostHog did not answer.
    """
    parts, values = await _parts(ctx, project, metric)
    text = (_ratio if metric.type == "ratio" else _retention)(metric, *parts)
    [[people, *sums]] = await rows_of(ctx, project, text, **values)
    names = ("sum", "sum_squares", "denominator_sum", "denominator_sum_squares")
    stats: Json = {
        name: float(value or 0)
        for name, value in zip((*names, "numerator_denominator_sum_product"), sums, strict=True)
    }
    return {"number_of_samples": int(people), **stats}


def _ratio(metric: Metric, above: _Part, below: _Part) -> str:
    seconds = metric.window_seconds() or _DAYS * _DAY
    return (
        "SELECT count(), sum(m), sum(m * m), sum(d), sum(d * d), sum(m * d) FROM ("  # noqa: S608 - words of ours
        f"SELECT person_id, {above.fold} AS m, {below.fold} AS d "
        f"FROM events WHERE timestamp > now() - INTERVAL {seconds} SECOND "
        f"AND ({above.when} OR {below.when}) GROUP BY person_id) LIMIT 1"
    )


def _retention(metric: Metric, start: _Part, completion: _Part) -> str:
    first, last, unit = metric.return_period()
    step = _HOUR if unit == "hour" else _WEEK if unit == "week" else _DAY
    # PostHog counts whole hours or days, so the last of them may reach up to one further.
    whole, further = ("toStartOfHour", _HOUR) if unit == "hour" else ("toStartOfDay", _DAY)
    ripe = last * step + further
    began = f"{start.when} AND timestamp < now() - INTERVAL {ripe} SECOND"
    came = (
        f"x.2 != first.2 AND {whole}(x.1) >= {whole}(first.1) + toIntervalSecond({first * step}) "
        f"AND {whole}(x.1) <= {whole}(first.1) + toIntervalSecond({last * step})"
    )
    return (
        "SELECT count(), countIf(back), countIf(back), count(), count(), countIf(back) FROM ("  # noqa: S608 - words of ours
        f"SELECT person_id, argMinIf(tuple(timestamp, uuid), timestamp, {began}) AS first, "
        f"arrayExists(x -> {came}, groupArrayIf(tuple(timestamp, uuid), {completion.when})) AS back "
        f"FROM events WHERE timestamp > now() - INTERVAL {_DAYS * _DAY + ripe} SECOND "
        f"AND ({start.when} OR {completion.when}) GROUP BY person_id HAVING countIf({began}) > 0) LIMIT 1"
    )
