"""Results of experiments over time: day by day, and computed anew for all metrics in the background."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from posthog_mcp.sandbox.experiments.documents import SAVED_METRIC, Experiment
from posthog_mcp.sandbox.experiments.results import result_of
from posthog_mcp.sandbox.http.errors import ApiError
from posthog_mcp.sandbox.http.times import iso, read_iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthog_mcp.sandbox.queries.jobs import Job
    from posthog_mcp.sandbox.sandbox import Sandbox

RUN = "experiment_recalculation"
_OPEN = ("pending", "in_progress")
# The last days of a longer experiment; each takes a query.
_MOST_DAYS = 90
Json = dict[str, Any]


def metrics_of(sandbox: Sandbox, experiment: Experiment) -> dict[str, Json]:
    """Every metric by its uuid: the experiment's own, then the shared ones."""
    own: list[Json] = [*experiment["metrics"], *experiment["metrics_secondary"]]
    found = {str(metric["uuid"]): metric for metric in own}
    for link in experiment["saved_metrics_ids"]:
        saved = sandbox.store.get(SAVED_METRIC, link["id"])
        if saved is not None:
            found[str(saved["query"].get("uuid") or link["id"])] = saved["query"]
    return found


async def by_day(sandbox: Sandbox, experiment: Experiment, metric: Json) -> Json:
    """The results of one metric as they stood at the end of each day, by date.

    A day that cannot be computed has its error instead; `status` is `partial` then, or `failed` for all.
    """
    timeseries: Json = {}
    errors: Json = {}
    for day, until in _days(sandbox, experiment):
        try:
            timeseries[day] = await result_of(sandbox, experiment, metric, until)
        except ApiError as error:
            errors[day] = error.detail
    status = "completed" if not errors else "partial" if timeseries else "failed"
    now = iso(sandbox.clock())
    return {"status": status, "timeseries": timeseries, "errors": errors or None, "computed_at": now}


def _days(sandbox: Sandbox, experiment: Experiment) -> Iterator[tuple[str, datetime]]:
    """Each day of the experiment in the project's time, with the moment it ends."""
    zone = ZoneInfo(sandbox.project.timezone)
    now = sandbox.clock()
    last = min(read_iso(experiment["end_date"]), now) if experiment["end_date"] else now
    day = read_iso(experiment["start_date"]).astimezone(zone).date()
    day = max(day, last.astimezone(zone).date() - timedelta(days=_MOST_DAYS - 1))
    while day <= last.astimezone(zone).date():
        midnight = datetime.combine(day + timedelta(days=1), time(), zone)
        yield str(day), min(midnight - timedelta(microseconds=1), last)
        day += timedelta(days=1)


def runs_of(sandbox: Sandbox, experiment: Experiment) -> list[Json]:
    """The computations of all metrics, the first one first."""
    runs = [one for one in sandbox.store.all(RUN) if one["experiment"] == experiment["id"]]
    return [_settled(sandbox, one) for one in runs]


def start(sandbox: Sandbox, experiment: Experiment) -> tuple[Json, bool]:
    """Compute every metric in the background; a computation that goes on is joined instead.

    Returns:
        It, and whether it went on already.
    """
    open_ = next((one for one in runs_of(sandbox, experiment) if one["status"] in _OPEN), None)
    if open_ is not None:
        return open_, True
    metrics = metrics_of(sandbox, experiment)
    run = sandbox.store.create(
        RUN,
        {
            "uuid": str(uuid4()),
            "experiment": experiment["id"],
            "status": "pending",
            "total_metrics": len(metrics),
            "completed_metrics": 0,
            "failed_metrics": 0,
            # What is read is not counted while it goes on.
            "rows_read": None,
            "estimated_rows_total": None,
            "results": {},
            "metric_errors": {},
            "created_at": iso(sandbox.clock()),
            "completed_at": None,
        },
    )

    async def work(job: Job) -> Json:
        job.picked_up = sandbox.clock()
        return await _compute(sandbox, experiment, run, metrics)

    sandbox.queries.jobs.start(run["uuid"], work)
    return run, False


def shown(run: Json, *, existing: bool | None = None) -> Json:
    """A computation as the API answers it."""
    fields = {name: value for name, value in run.items() if name not in ("id", "uuid", "experiment")}
    told = {} if existing is None else {"is_existing": existing}
    return {"id": run["uuid"], "experiment_id": run["experiment"], **fields, **told}


async def _compute(sandbox: Sandbox, experiment: Experiment, run: Json, metrics: dict[str, Json]) -> Json:
    sandbox.store.put(RUN, run["id"], {**run, "status": "in_progress"})
    results: Json = {}
    errors: Json = {}
    for uuid, metric in metrics.items():
        try:
            results[uuid] = await result_of(sandbox, experiment, metric)
        except ApiError as error:
            errors[uuid] = error.detail
    done = {
        **run,
        "status": "failed" if errors and not results else "completed",
        "completed_metrics": len(results),
        "failed_metrics": len(errors),
        "results": results,
        "metric_errors": errors,
        "completed_at": iso(sandbox.clock()),
    }
    sandbox.store.put(RUN, run["id"], done)
    return done


def _settled(sandbox: Sandbox, run: Json) -> Json:
    """One that ended with an earlier process, or broke, is not going on."""
    job = sandbox.queries.jobs.get(run["uuid"])
    goes_on = job is not None and job.ended is None
    return run if goes_on or run["status"] not in _OPEN else {**run, "status": "failed"}


def find_run(sandbox: Sandbox, experiment: Experiment, uuid: str) -> Json | None:
    """The computation of that id, or the newest for `latest`; None when there is none."""
    runs = runs_of(sandbox, experiment)
    if uuid == "latest":
        return runs[-1] if runs else None
    return next((one for one in runs if one["uuid"] == uuid), None)
