"""How many people an experiment needs, and for how long: PostHog's plan, from what the project does today."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.api.errors import NotFound
from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.experiments import QUERY, RUNNING_TIME
from posthog_mcp.tool.filters import posthog_filter

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project
    from posthog_mcp.tool.experiment_metrics import EventFilter, Metric, MetricEvent

_DAYS = 30
_HOUR, _DAY, _WEEK = 3_600, 86_400, 604_800
_HOLDERS = {"event": "properties", "person": "person.properties"}
# With `{t}` the property as text and `{v}` the list of values, both of which the query has as values.
_CONDITIONS = {
    "exact": "ifNull(has({v}, {t}), false)",
    "is_not": "NOT ifNull(has({v}, {t}), false)",
    "icontains": "arrayExists(one -> positionCaseInsensitive(ifNull({t}, ''), one) > 0, {v})",
    "not_icontains": "NOT arrayExists(one -> positionCaseInsensitive(ifNull({t}, ''), one) > 0, {v})",
    "regex": "arrayExists(one -> match(ifNull({t}, ''), one), {v})",
    "not_regex": "NOT arrayExists(one -> match(ifNull({t}, ''), one), {v})",
    "gt": "ifNull(toFloat({t}) > {v}, false)",
    "gte": "ifNull(toFloat({t}) >= {v}, false)",
    "lt": "ifNull(toFloat({t}) < {v}, false)",
    "lte": "ifNull(toFloat({t}) <= {v}, false)",
    "is_set": "isNotNull({t})",
    "is_not_set": "isNull({t})",
}
_NUMERIC = ("gt", "gte", "lt", "lte")
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


@dataclass(slots=True)
class _Asked:
    """A query being written: words of ours, and the values that its placeholders stand for."""

    values: Json = field(default_factory=dict[str, Any])

    def value(self, value: Any) -> str:
        """The placeholder of a value."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"{{{name}}}"

    def when(self, event: MetricEvent) -> str:
        """The condition that an event is the metric's."""
        rows = [self._row(row) for row in event.rows()]
        return " AND ".join([f"event = {self.value(event.event)}", *rows])

    def fold(self, event: MetricEvent, when: str) -> str:
        """One person's number."""
        of = f"toFloat(toString(properties[{self.value(event.property)}]))" if event.property else ""
        return _FOLDS[event.math].replace("{of}", of).replace("{when}", f"({when})")

    def _row(self, row: EventFilter) -> str:
        if row.on == "cohort" and row.operator in ("in", "exact", "not_in", "is_not"):
            negated = "NOT " if row.operator in ("not_in", "is_not") else ""
            return f"person_id {negated}IN COHORT {int(row.property)}"
        name = f"$feature/{row.property}" if row.on == "flag" else row.property
        holder = _HOLDERS.get("event" if row.on == "flag" else row.on)
        operator = "exact" if row.on == "flag" else row.operator
        if holder is None or operator not in _CONDITIONS:
            raise ToolFailure(
                "No sample was planned.",
                f"What `{row.property}` {row.operator} is today cannot be measured from here.",
                "Leave out minimum_detectable_effect, or that filter while planning.",
            )
        text = f"toString({holder}[{self.value(name)}])"
        condition = _CONDITIONS[operator].replace("{t}", text)
        if "{v}" not in condition:
            return condition
        return condition.replace("{v}", self.value(_operand(row, operator)))


def _operand(row: EventFilter, operator: str) -> Any:
    value = row.value if row.on == "flag" else posthog_filter(row)["value"]
    several = cast("list[Any]", value) if isinstance(value, list) else [value]
    texts = [one if isinstance(one, str) else json.dumps(one) for one in several]
    if operator not in _NUMERIC:
        return texts
    try:
        return float(texts[0])
    except ValueError:
        raise ToolFailure(
            "No sample was planned.",
            f"`{row.property}` {operator} compares numbers, and `{texts[0]}` is none.",
            "Give a number.",
        ) from None


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
    asked = _Asked()
    text = _ratio(metric, asked) if metric.type == "ratio" else _retention(metric, asked)
    query = {"kind": "HogQLQuery", "query": text, "values": asked.values}
    answer = await ctx.api.post(QUERY, {"query": query, "name": "posthog-mcp"}, project_id=project.id)
    people, *sums = answer["results"][0]
    names = ("sum", "sum_squares", "denominator_sum", "denominator_sum_squares")
    stats: Json = {
        name: float(value or 0)
        for name, value in zip((*names, "numerator_denominator_sum_product"), sums, strict=True)
    }
    return {"number_of_samples": int(people), **stats}


def _ratio(metric: Metric, asked: _Asked) -> str:
    above, below = metric.events
    numerator, denominator = asked.when(above), asked.when(below)
    seconds = metric.window_seconds() or _DAYS * _DAY
    return (
        "SELECT count(), sum(m), sum(m * m), sum(d), sum(d * d), sum(m * d) FROM ("  # noqa: S608 - words of ours
        f"SELECT person_id, {asked.fold(above, numerator)} AS m, {asked.fold(below, denominator)} AS d "
        f"FROM events WHERE timestamp > now() - INTERVAL {seconds} SECOND "
        f"AND (({numerator}) OR ({denominator})) GROUP BY person_id) LIMIT 1"
    )


def _retention(metric: Metric, asked: _Asked) -> str:
    start, completion = (asked.when(event) for event in metric.events)
    first, last, unit = metric.return_period()
    step = _HOUR if unit == "hour" else _WEEK if unit == "week" else _DAY
    # PostHog counts whole hours or days, so the last of them may reach up to one further.
    whole, further = ("toStartOfHour", _HOUR) if unit == "hour" else ("toStartOfDay", _DAY)
    ripe = last * step + further
    began = f"({start}) AND timestamp < now() - INTERVAL {ripe} SECOND"
    came = (
        f"x.2 != first.2 AND {whole}(x.1) >= {whole}(first.1) + toIntervalSecond({first * step}) "
        f"AND {whole}(x.1) <= {whole}(first.1) + toIntervalSecond({last * step})"
    )
    return (
        "SELECT count(), countIf(back), countIf(back), count(), count(), countIf(back) FROM ("  # noqa: S608 - words of ours
        f"SELECT person_id, argMinIf(tuple(timestamp, uuid), timestamp, {began}) AS first, "
        f"arrayExists(x -> {came}, groupArrayIf(tuple(timestamp, uuid), {completion})) AS back "
        f"FROM events WHERE timestamp > now() - INTERVAL {_DAYS * _DAY + ripe} SECOND "
        f"AND (({start}) OR ({completion})) GROUP BY person_id HAVING countIf({began}) > 0) LIMIT 1"
    )
