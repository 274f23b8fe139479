"""Metrics of experiments in the words of tools, and as PostHog keeps them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from posthog_mcp.tool.arguments import Input, JsonArray
from posthog_mcp.tool.filter_rows import AS_TEXT, listed_as
from posthog_mcp.tool.filters import Filter, posthog_filter

Json = dict[str, Any]
MetricType = Literal["funnel", "mean", "ratio", "retention"]

_SPAN = re.compile(r"(\d{1,4})([mhdw])")
_RETURNS = re.compile(r"(\d{1,4})-(\d{1,4})([hdw])")
_UNITS = {"m": "minute", "h": "hour", "d": "day", "w": "week"}
_SECONDS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
# How many events each type is made of; a funnel has any number.
_EVENTS = {"mean": 1, "ratio": 2, "retention": 2}
_LISTS = ("metrics", "metrics_secondary", "saved_metrics")
_OF_PROPERTY = ("sum", "avg", "min", "max")


class EventFilter(Filter):
    """One row about an event or whoever sent it."""

    on: Literal["event", "person", "session", "group", "cohort", "flag"] = Field(
        "event", description="What has the property."
    )

    @model_validator(mode="after")
    def _of_events(self) -> EventFilter:
        if self.on == "group":
            raise ValueError(
                f"`{self.property}` is on a group, which metrics cannot look at: take the event's or person's"
            )
        return self


class MetricEvent(Input):
    """One event of a metric, and what of it."""

    event: str = Field(min_length=1, description="Its name.")
    math: Literal["total", "sum", "avg", "min", "max", "unique_session"] = Field(
        "total", description="How often, or of property."
    )
    property: str = Field("", description="For sum, avg, min, max.")
    filters: JsonArray = Field(
        default_factory=list,
        description='Only where: [{"property":"plan","operator":"exact","value":"pro","on":"person"}].',
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        # The name alone is an event without anything more to say.
        return {"event": data} if isinstance(data, str) and not data.startswith("{") else data

    @model_validator(mode="after")
    def _fits(self) -> MetricEvent:
        if (self.math in _OF_PROPERTY) != bool(self.property):
            needs = "takes no `property`: use sum, avg, min or max" if self.property else "needs a `property`"
            raise ValueError(f"math `{self.math}` of `{self.event}` {needs}")
        self.rows()
        return self

    def rows(self) -> list[EventFilter]:
        """The filters, each checked.

        Raises:
            ValueError: One does not fit.
        """
        return [EventFilter.model_validate(row) for row in self.filters]


class Metric(Input):
    """What an experiment is judged by."""

    type: MetricType = Field(
        description="funnel: people who do all events in order; mean: a number a person; ratio: first by "
        "second event; retention: of who does the first, who does the second later."
    )
    events: list[MetricEvent] = Field(
        min_length=1, max_length=20, description="mean 1, ratio and retention 2."
    )
    name: str = Field("", max_length=400, description="Title.")
    goal: Literal["increase", "decrease"] = Field("increase", description="The better way.")
    secondary: bool = Field(default=False, description="Watched, not decided by.")
    window: str = Field("", description="Counts so long after exposure: 12h, 7d.")
    returns: str = Field("", description="For retention: 1-7d after the first.")

    @model_validator(mode="after")
    def _fits(self) -> Metric:
        wanted = _EVENTS.get(self.type, len(self.events))
        if len(self.events) != wanted:
            raise ValueError(f"a {self.type} metric has {wanted} `events`, not {len(self.events)}")
        if self.window and not _SPAN.fullmatch(self.window):
            raise ValueError(f"`window` {self.window} is no span: write 12h, 7d or 2w")
        if (self.type == "retention") != bool(self.returns):
            raise ValueError("`returns` is for retention, which needs it: 1-7d is from day 1 to day 7")
        if self.returns:
            first, last, _ = self.return_period()
            if first > last:
                raise ValueError(f"`returns` {self.returns} ends before it begins")
        return self

    def window_seconds(self) -> int | None:
        """How long after the exposure events count; None for as long as the experiment runs."""
        span = _SPAN.fullmatch(self.window)
        return int(span[1]) * _SECONDS[span[2]] if span else None

    def return_period(self) -> tuple[int, int, str]:
        """When those who come back do: from, to, and of which unit.

        Raises:
            ValueError: `returns` is no period.
        """
        period = _RETURNS.fullmatch(self.returns)
        if period is None:
            raise ValueError(f"`returns` {self.returns} is no period: write 1-7d, 2-4w or 1-24h")
        return int(period[1]), int(period[2]), _UNITS[period[3]]


_EXAMPLE = '[{"type":"funnel","events":[{"event":"order placed"}]}]'
METRICS = (
    f"{_EXAMPLE}. type: funnel (did all in order), mean (one event), ratio (first by second), retention "
    '(did first, then second within returns, "1-7d"). Also name, goal increase|decrease, secondary, window '
    '"7d". Of an event also math total|sum|avg|min|max|unique_session, property, filters as '
    '[{"property":"plan","value":"pro","on":"person"}].'
)
Metrics = Annotated[list[Metric], listed_as(_EXAMPLE), AS_TEXT]
"""An argument of metrics: in the schema JSON text, described by `METRICS`; a real list is taken as well."""


def posthog_metric(metric: Metric) -> Json:
    """The metric as PostHog's `ExperimentMetric`."""
    made: Json = {"kind": "ExperimentMetric", "metric_type": metric.type, "goal": metric.goal}
    if metric.name:
        made["name"] = metric.name
    if span := _SPAN.fullmatch(metric.window):
        made |= {"conversion_window": int(span[1]), "conversion_window_unit": _UNITS[span[2]]}
    sources = [_source(event, counted=metric.type in ("mean", "ratio")) for event in metric.events]
    match metric.type:
        case "funnel":
            return made | {"series": sources, "funnel_order_type": "ordered"}
        case "mean":
            return made | {"source": sources[0]}
        case "ratio":
            return made | {"numerator": sources[0], "denominator": sources[1]}
        case "retention":
            first, last, unit = metric.return_period()
            return made | {
                "start_event": sources[0],
                "completion_event": sources[1],
                "retention_window_start": first,
                "retention_window_end": last,
                "retention_window_unit": unit,
                "start_handling": "first_seen",
            }


def _source(event: MetricEvent, *, counted: bool) -> Json:
    source: Json = {"kind": "EventsNode", "event": event.event, "name": event.event}
    if counted:
        source["math"] = event.math
    if event.property:
        source["math_property"] = event.property
    if event.filters:
        source["properties"] = [_event_filter(row) for row in event.rows()]
    return source


def _event_filter(row: EventFilter) -> Json:
    """A flag's value is the one that the event was sent with."""
    if row.on != "flag":
        return posthog_filter(row)
    return {"key": f"$feature/{row.property}", "type": "event", "value": row.value, "operator": "exact"}


def metrics_of(experiment: Json) -> list[tuple[Json, bool]]:
    """Every metric of an experiment, and whether it is a primary one: its own, then the shared ones."""
    own, watched, shared_ones = (_objects(experiment, name) for name in _LISTS)
    found = [(metric, True) for metric in own] + [(metric, False) for metric in watched]
    for link in shared_ones:
        metadata: Json = link.get("metadata") or {}
        shared: Json = {"name": link.get("name"), **(link.get("query") or {})}
        found.append((shared, metadata.get("type") != "secondary"))
    return found


def _objects(holder: Json, name: str) -> list[Json]:
    listed: list[Json] = holder.get(name) or []
    return listed


def metric_name(metric: Json) -> str:
    """What to call a metric: its name, or its events."""
    return str(metric.get("name") or metric_events(metric) or metric.get("kind"))


def metric_events(metric: Json) -> str:
    """What a metric is made of, in words: `opened → bought`, `sum of total of bought`."""
    match metric.get("metric_type"):
        case "funnel":
            return " → ".join(_named(source) for source in _objects(metric, "series"))
        case "mean":
            return _named(metric.get("source") or {})
        case "ratio":
            return " / ".join(_named(metric.get(part) or {}) for part in ("numerator", "denominator"))
        case "retention":
            start, end = (_named(metric.get(part) or {}) for part in ("start_event", "completion_event"))
            unit = metric.get("retention_window_unit")
            period = f"{metric.get('retention_window_start')}-{metric.get('retention_window_end')} {unit}s"
            return f"{start}, then {end} within {period}"
        case _:
            return ""


def _named(source: Json) -> str:
    event = (
        source.get("event") or source.get("name") or f"{source.get('kind')} {source.get('id', '')}".strip()
    )
    math = source.get("math") or "total"
    words = (
        f"{math} of {source.get('math_property')} of {event}" if source.get("math_property") else str(event)
    )
    filtered = len(_objects(source, "properties"))
    return f"{words} ({filtered} filter{'s' if filtered > 1 else ''})" if filtered else words


def metric_words(metric: Json, *, primary: bool) -> Json:
    """A metric as tools show it."""
    shown: Json = {
        "name": metric_name(metric),
        "type": metric.get("metric_type") or metric.get("kind"),
        "of": metric_events(metric),
        "goal": metric.get("goal"),
        "primary": primary,
        "uuid": metric.get("uuid"),
    }
    if metric.get("conversion_window"):
        shown["window"] = f"{metric['conversion_window']} {metric.get('conversion_window_unit') or 'day'}s"
    return {name: value for name, value in shown.items() if value not in (None, "")}
