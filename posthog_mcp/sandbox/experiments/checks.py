"""What an experiment must fulfil beyond its fields' types, in PostHog's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.api.event_definitions import definitions
from posthog_mcp.sandbox.experiments.documents import HOLDOUT, SAVED_METRIC, Experiment, variants_of
from posthog_mcp.sandbox.experiments.settings import (
    ActionsNode,
    EventExposure,
    EventsNode,
    FunnelMetric,
    MeanMetric,
    Metric,
    RatioMetric,
    StatsConfig,
)
from posthog_mcp.sandbox.http.errors import ApiError, invalid
from posthog_mcp.sandbox.http.times import read_iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthog_mcp.sandbox.experiments.schema import ExperimentFields
    from posthog_mcp.sandbox.flags.documents import Flag
    from posthog_mcp.sandbox.sandbox import Sandbox

_FEWEST, _MOST = 2, 20


def check(sandbox: Sandbox, after: Experiment, fields: ExperimentFields) -> None:
    """Refuse an experiment as it would become.

    Raises:
        ApiError: 400 for the first problem.
    """
    start, end = after["start_date"], after["end_date"]
    if end and not start:
        raise invalid("An experiment without a start date cannot have an end date.", "end_date")
    if start and end and read_iso(end) < read_iso(start):
        raise invalid("End date must be after start date.", "end_date")
    if fields.holdout_id is not None and sandbox.store.get(HOLDOUT, fields.holdout_id) is None:
        raise invalid(f"Holdout with id {fields.holdout_id} does not exist", "holdout_id", "does_not_exist")
    for link in fields.saved_metrics_ids or []:
        if sandbox.store.get(SAVED_METRIC, link.id) is None:
            raise invalid(f"Saved metric with id {link.id} does not exist", "saved_metrics_ids")
    if not fields.allow_unknown_events:
        _check_events(sandbox, fields)


def check_variants(flag: Flag, stats_config: object) -> None:
    """Refuse a flag that no experiment can run on.

    Raises:
        ApiError: 400.
    """
    keys = list(variants_of(flag))
    if not _FEWEST <= len(keys) <= _MOST:
        raise invalid(
            f"Feature flag must have between {_FEWEST} and {_MOST} variants, and has {len(keys)}.",
            "feature_flag_key",
        )
    baseline = StatsConfig.of(stats_config).baseline_variant_key
    if baseline not in keys:
        raise invalid(f"Feature flag variants must contain a {baseline} variant", "feature_flag_key")


def can_carry(flag: Flag) -> bool:
    """Whether an experiment with the usual baseline can run on a flag."""
    try:
        check_variants(flag, None)
    except ApiError:
        return False
    return True


def _check_events(sandbox: Sandbox, fields: ExperimentFields) -> None:
    wanted = {
        source.event
        for source in _sources(fields)
        if isinstance(source, EventsNode | EventExposure) and source.event
    }
    # PostHog's own events come with its SDKs.
    unseen = {name for name in wanted if not name.startswith("$")}
    if unseen:
        unseen -= {one["name"] for one in definitions(sandbox)}
    if unseen:
        names = ", ".join(sorted(unseen))
        raise invalid(
            f"Events that this project has never seen: {names}. Check the names, or set "
            "allow_unknown_events to true.",
            "metrics",
        )
    for source in _sources(fields):
        if isinstance(source, ActionsNode):
            action: Any = sandbox.store.get("action", source.id)
            if action is None or action["deleted"]:
                raise invalid(f"Action with id {source.id} does not exist", "metrics", "does_not_exist")


def _sources(fields: ExperimentFields) -> Iterator[object]:
    for metric in [*(fields.metrics or []), *(fields.metrics_secondary or [])]:
        yield from sources_of(metric)
    if fields.exposure_criteria is not None and fields.exposure_criteria.exposure_config is not None:
        yield fields.exposure_criteria.exposure_config


def sources_of(metric: Metric) -> list[object]:
    """The events and actions of a metric."""
    match metric:
        case MeanMetric():
            return [metric.source]
        case FunnelMetric():
            return [*metric.series]
        case RatioMetric():
            return [metric.numerator, metric.denominator]
        case _:
            return [metric.start_event, metric.completion_event]
