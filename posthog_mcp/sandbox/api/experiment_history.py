"""Results of experiments day by day, and all of them computed anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.sandbox.api.experiments import ONE
from posthog_mcp.sandbox.experiments import history
from posthog_mcp.sandbox.experiments.documents import Experiment, find
from posthog_mcp.sandbox.http.errors import invalid, not_found, required
from posthog_mcp.sandbox.http.routing import Reply, route

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call

_RUNS = ONE + "metrics_recalculation/"
_READ = "experiment:read"


@route("GET", ONE + "timeseries_results/", scope=_READ)
async def get_timeseries_results(call: Call) -> Reply:
    """One metric's results as they stood at the end of each day, computed now whatever the fingerprint."""
    experiment = _launched(call)
    for name in ("metric_uuid", "fingerprint"):
        if not call.query.get(name):
            raise required(name)
    uuid = call.query["metric_uuid"]
    metric = history.metrics_of(call.sandbox, experiment).get(uuid)
    if metric is None:
        raise not_found("No timeseries results found for this experiment-metric combination.")
    found = await history.by_day(call.sandbox, experiment, metric)
    asked = {"experiment_id": experiment["id"], "metric_uuid": uuid}
    return Reply({**asked, **found, "recalculation_status": None})


@route("POST", _RUNS, scope="experiment:write")
async def recalculate_metrics(call: Call) -> Reply:
    """Compute all metrics in the background; 200 and `is_existing` while that goes on already."""
    run, existing = history.start(call.sandbox, _launched(call))
    return Reply(history.shown(run, existing=existing), 200 if existing else 201)


@route("GET", _RUNS + "{run_id}/", scope=_READ)
async def get_recalculation(call: Call) -> Reply:
    """How far a computation is, and what it found; `latest` is the newest."""
    experiment = find(call.sandbox, call.params["id"])
    run = history.find_run(call.sandbox, experiment, call.params["run_id"])
    if run is None:
        raise not_found()
    return Reply(history.shown(run))


def _launched(call: Call) -> Experiment:
    experiment = find(call.sandbox, call.params["id"])
    if experiment["start_date"] is None:
        raise invalid("Experiment has not been launched yet.")
    return experiment
