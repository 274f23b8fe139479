"""The query kind `ExperimentQuery`: the results of one metric."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from posthog_mcp.hogql import print_hogql
from posthog_mcp.sandbox.compiler import CompileError
from posthog_mcp.sandbox.experiments.documents import flag_of, variants_of
from posthog_mcp.sandbox.experiments.exposures import Exposed
from posthog_mcp.sandbox.experiments.judging import Judge, sums_of
from posthog_mcp.sandbox.experiments.rows import Asking
from posthog_mcp.sandbox.experiments.settings import ExposureCriteria, Metric, StatsConfig
from posthog_mcp.sandbox.experiments.values import sums_query
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.http.times import read_iso
from posthog_mcp.sandbox.queries.asked import Answer, Asked, Ran, common, refused, run
from posthog_mcp.sandbox.queries.models import QueryModel
from posthog_mcp.sandbox.queries.world import world_of

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.world import World
    from posthog_mcp.sandbox.experiments.documents import Experiment
    from posthog_mcp.sandbox.flags.documents import Flag
    from posthog_mcp.sandbox.sandbox import Sandbox

# Fields of metrics of the older kinds, which stay empty.
_LEGACY = (
    "variants", "probability", "credible_intervals", "p_value", "expected_loss", "significance_code",
    "significant", "stats_version", "insight",
)  # fmt: skip
Json = dict[str, Any]
_OF_ROWS = ("columns", "types", "results", "hasMore", "limit", "offset")


class ExperimentQuery(QueryModel):
    """The query object."""

    kind: Literal["ExperimentQuery"]
    metric: Metric
    experiment_id: int | None = None
    name: str | None = None
    precomputation_mode: Literal["precomputed", "direct"] | None = None


async def experiment_query(asked: Asked) -> Answer:
    """Sums and statistics of each variant.

    Raises:
        ApiError: 400 for a metric or an experiment that cannot be computed.
    """
    model = ExperimentQuery.read(asked.query)
    if model.experiment_id is None:
        raise invalid("experiment_id is required", "experiment_id")
    experiment, flag = _experiment(asked, model.experiment_id)
    ran, hogql, body = await _measured(asked, experiment, flag, model.metric)
    return answer(asked, ran, hogql, body)


async def result_of(
    sandbox: Sandbox, experiment: Experiment, metric: Json, until: datetime | None = None
) -> Json:
    """The results of one metric, as they stood at `until` or stand now.

    Raises:
        ApiError: 400 for a metric that cannot be computed.
    """
    asked = Asked(sandbox, {}, world_of(sandbox), uuid4().hex, sandbox.options.query_seconds)
    model = ExperimentQuery.read(
        {"kind": "ExperimentQuery", "metric": metric, "experiment_id": experiment["id"]}
    )
    _, _, body = await _measured(asked, experiment, flag_of(sandbox, experiment), model.metric, until)
    return body


async def _measured(
    asked: Asked, experiment: Experiment, flag: Flag, metric: Metric, until: datetime | None = None
) -> tuple[Ran, str, Json]:
    exposed = exposed_of(experiment, flag, asked.world)
    if until is not None:
        exposed = replace(exposed, end=min(exposed.end, until))
    config = StatsConfig.of(experiment["stats_config"])
    if config.baseline_variant_key not in exposed.variants:
        raise invalid("No control variant found")
    split_by = metric.breakdownFilter
    breakdowns = (split_by.breakdowns if split_by else None) or []
    try:
        people = exposed.people(asked.world, several=False, breakdowns=breakdowns)
        tree = sums_query(metric, Asking(exposed, asked.world, people, len(breakdowns), until))
    except CompileError as error:
        raise refused(error) from error
    ran = await run(asked, tree)
    judge = Judge(exposed.variants, config, metric)
    rows = [sums_of(row, len(breakdowns)) for row in ran.rows]
    body: Json = dict.fromkeys(_LEGACY) | judge.result(sums for _, sums in rows)
    body |= {
        "kind": "ExperimentQuery",
        "metric": None,
        "breakdown_results": judge.by_split(rows) if breakdowns else None,
        "clickhouse_sql": None,
        "is_precomputed": False,
    }
    return ran, print_hogql(tree), body


def answer(asked: Asked, ran: Ran, hogql: str, body: dict[str, Any]) -> Answer:
    """What every kind answers, without rows, and `body`."""
    shared = {name: value for name, value in common(asked, ran, hogql).items() if name not in _OF_ROWS}
    return Answer(shared | body, ran.read_bytes)


def window(start: str, end: str | None, world: World) -> tuple[datetime, datetime]:
    """From the start to the end, or to now when that is earlier."""
    return read_iso(start), min(read_iso(end), world.now) if end else world.now


def _experiment(asked: Asked, number: int) -> tuple[Experiment, Flag]:
    experiment = asked.sandbox.store.get("experiment", number)
    if experiment is None or experiment["deleted"]:
        raise invalid(f"Experiment with id {number} not found", "experiment_id")
    if experiment["start_date"] is None:
        raise invalid("Experiment has not been launched yet.")
    return experiment, flag_of(asked.sandbox, experiment)


def exposed_of(experiment: Experiment, flag: Flag, world: World) -> Exposed:
    """Who belongs to an experiment that was launched."""
    start, end = window(experiment["start_date"], experiment["end_date"], world)
    return Exposed(
        # A deleted flag's key is free for another; its events still carry the old one.
        flag["key"].partition(":deleted:")[0],
        list(variants_of(flag, experiment["excluded_variants"])),
        start,
        end,
        ExposureCriteria.model_validate(experiment["exposure_criteria"] or {}),
        flag["filters"].get("aggregation_group_type_index"),
    )
