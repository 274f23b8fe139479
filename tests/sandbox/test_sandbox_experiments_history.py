"""Experiments after the launch: results by day and computed anew, exposure frozen, the exposed kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from experiment_making import DAY, EXPERIMENTS, HOUR, START, People, act, change, funnel, make, mean, results
from flag_making import make as make_flag
from flag_making import variants

from posthog_mcp.sandbox.experiments.history import RUN
from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.sandbox import Options, Sandbox

if TYPE_CHECKING:
    from httpx2 import AsyncClient

Experiment = dict[str, Any]


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: START + 3 * DAY)


@pytest.fixture
async def running(api: AsyncClient) -> Experiment:
    return await make(
        api,
        start_date=START.isoformat(),
        exposure_criteria={"filterTestAccounts": False},
        metrics=[funnel("bought"), mean("bought", math="hogql", math_hogql="sum(nowhere)")],
    )


@pytest.fixture
def people(sandbox: Sandbox) -> People:
    return People(sandbox, "cart")


async def get(api: AsyncClient, experiment: Experiment, path: str, status: int = 200, **query: Any) -> Any:
    reply = await api.get(f"{EXPERIMENTS}{experiment['id']}/{path}", params=query)
    assert reply.status_code == status, reply.text
    return reply.json()


async def finished(api: AsyncClient, sandbox: Sandbox, experiment: Experiment, run: str = "latest") -> Any:
    found = await get(api, experiment, f"metrics_recalculation/{run}/")
    job = sandbox.queries.jobs.get(found["id"])
    assert job is not None
    assert job.task is not None
    await asyncio.wait([job.task], timeout=10)
    return await get(api, experiment, f"metrics_recalculation/{run}/")


async def evaluated(api: AsyncClient, who: str) -> Any:
    body = {"token": "phc_sandbox", "distinct_id": who}
    return (await api.post("/flags/?v=2", json=body)).json()["flags"]["cart"]["variant"]


async def test_results_are_told_as_they_stood_at_the_end_of_each_day(api, running, people):
    early, late = people.new("control"), people.new("control", DAY + HOUR)
    people.do(early, "bought", 2 * DAY + HOUR)
    people.do(late, "bought", DAY + 2 * HOUR)
    await people.send()
    uuid = running["metrics"][0]["uuid"]
    found = await get(api, running, "timeseries_results/", metric_uuid=uuid, fingerprint="f")
    assert (found["status"], found["errors"], found["metric_uuid"]) == ("completed", None, uuid)
    baselines = {day: result["baseline"] for day, result in found["timeseries"].items()}
    assert {day: (one["number_of_samples"], one["sum"]) for day, one in baselines.items()} == {
        "2026-03-01": (1, 0),
        "2026-03-02": (2, 1),
        "2026-03-03": (2, 2),
        "2026-03-04": (2, 2),
    }
    # The last day is what the query answers now.
    now = await results(api, running, running["metrics"][0])
    assert found["timeseries"]["2026-03-04"]["baseline"] == now["control"]


async def test_a_window_does_not_show_a_day_what_came_after_it(api, running, people):
    who = people.new("control")
    people.do(who, "bought", DAY + HOUR)
    await people.send()
    windowed = funnel("bought", conversion_window=2, conversion_window_unit="day")
    changed = await change(api, running, metrics=[windowed], allow_unknown_events=True)
    asked = {"metric_uuid": changed["metrics"][0]["uuid"], "fingerprint": "f"}
    found = await get(api, running, "timeseries_results/", **asked)
    assert [one["baseline"]["sum"] for one in found["timeseries"].values()] == [0, 1, 1, 1]


async def test_a_metric_that_cannot_be_computed_fails_for_each_day(api, running):
    asked = {"metric_uuid": running["metrics"][1]["uuid"], "fingerprint": "f"}
    found = await get(api, running, "timeseries_results/", **asked)
    assert (found["status"], found["timeseries"]) == ("failed", {})
    assert found["errors"]["2026-03-01"] == "Unable to resolve field: nowhere"


async def test_a_timeseries_is_of_a_metric_the_launched_experiment_has(api, running):
    asked = {"metric_uuid": str(uuid4()), "fingerprint": "f"}
    assert "No timeseries" in (await get(api, running, "timeseries_results/", 404, **asked))["detail"]
    for name in asked:
        given = {key: value for key, value in asked.items() if key != name}
        assert (await get(api, running, "timeseries_results/", 400, **given))["attr"] == name
    draft = await make(api, name="Draft")
    await get(api, draft, "timeseries_results/", 400, **asked)
    await act(api, draft, "metrics_recalculation", 400)


async def test_all_metrics_are_computed_anew_in_the_background(api, sandbox, running, people):
    people.do(people.new("control"), "bought")
    await people.send()
    await get(api, running, "metrics_recalculation/latest/", 404)
    started = await act(api, running, "metrics_recalculation", 201)
    assert (started["is_existing"], started["total_metrics"]) == (False, 2)
    done = await finished(api, sandbox, running, started["id"])
    assert done["status"] == "completed"
    assert (done["completed_metrics"], done["failed_metrics"]) == (1, 1)
    good, broken = (metric["uuid"] for metric in running["metrics"])
    assert done["results"][good]["baseline"]["sum"] == 1
    assert done["metric_errors"] == {broken: "Unable to resolve field: nowhere"}
    assert await finished(api, sandbox, running) == done
    assert (await act(api, running, "metrics_recalculation", 201))["id"] != started["id"]
    await finished(api, sandbox, running)
    await get(api, running, f"metrics_recalculation/{uuid4()}/", 404)


async def test_a_computation_that_goes_on_is_joined_and_one_left_behind_has_failed(api, running, sandbox):
    first = await act(api, running, "metrics_recalculation", 201)
    second = await act(api, running, "metrics_recalculation")
    assert (second["id"], second["is_existing"]) == (first["id"], True)
    done = await finished(api, sandbox, running)
    # As it would be found after the process ended meanwhile.
    [kept] = sandbox.store.all(RUN)
    sandbox.store.put(RUN, kept["id"], {**kept, "uuid": str(uuid4()), "status": "in_progress"})
    assert (await get(api, running, "metrics_recalculation/latest/"))["status"] == "failed"
    assert done["status"] == "completed"


async def test_a_frozen_experiment_keeps_its_people_and_takes_no_new_ones(api, running, people):
    inside = people.new("test")
    await people.send()
    before = running["feature_flag"]["filters"]["groups"]
    frozen = await act(api, running, "freeze_exposure")
    assert frozen["status"] == "exposure_frozen"
    [group] = frozen["feature_flag"]["filters"]["groups"]
    assert group["exposure_frozen"] is True
    cohort = (await api.get(f"/api/projects/1/cohorts/{group['exposure_frozen_cohort']}/")).json()
    assert (cohort["is_static"], cohort["count"]) == (True, 1)
    assert await evaluated(api, inside) in ("control", "test")
    assert await evaluated(api, "somebody-new") is None
    listed = (await api.get(EXPERIMENTS, params={"status": "exposure_frozen"})).json()["results"]
    assert [one["id"] for one in listed] == [running["id"]]
    again = await act(api, running, "freeze_exposure", 400)
    assert again["detail"] == "Experiment exposure is already frozen."
    thawed = await act(api, running, "unfreeze_exposure")
    assert thawed["status"] == "running"
    assert thawed["feature_flag"]["filters"]["groups"] == before
    assert await evaluated(api, "somebody-new") in ("control", "test")
    assert "is not frozen" in (await act(api, running, "unfreeze_exposure", 400))["detail"]


async def test_what_cannot_be_frozen_is_refused(api):
    draft = await make(api, name="Draft")
    assert "not been launched" in (await act(api, draft, "freeze_exposure", 400))["detail"]
    filters = {
        "groups": [{}],
        "aggregation_group_type_index": 0,
        "multivariate": variants(("control", 50), ("b", 50)),
    }
    await make_flag(api, "companies", filters=filters)
    groups = await make(api, name="companies", start_date=START.isoformat())
    assert "group-aggregated" in (await act(api, groups, "freeze_exposure", 400))["detail"]
    body = {"name": "Out", "filters": [{"properties": [], "rollout_percentage": 10}]}
    holdout = (await api.post("/api/projects/1/experiment_holdouts/", json=body)).json()
    held = await make(api, name="held", start_date=START.isoformat(), holdout_id=holdout["id"])
    assert "holdout" in (await act(api, held, "freeze_exposure", 400))["detail"]


async def test_the_exposed_become_a_cohort_once(api, running, people):
    who = people.new("control")
    people.see(who, "test", 2 * HOUR)
    people.new("test")
    await people.send()
    made = await act(api, running, "create_exposure_cohort_for_experiment", 201)
    assert made["cohort"]["count"] == 2
    shown = (await api.get(f"{EXPERIMENTS}{running['id']}/")).json()
    assert shown["exposure_cohort"] == made["cohort"]["id"]
    again = await act(api, running, "create_exposure_cohort_for_experiment", 400)
    assert "already has" in again["detail"]


async def test_tags_of_many_experiments_are_changed_at_once(api):
    one, two = await make(api, name="One", tags=["old"]), await make(api, name="Two")
    body = {"ids": [one["id"], two["id"], 999], "action": "add", "tags": ["q4"]}
    reply = (await api.post(f"{EXPERIMENTS}bulk_update_tags/", json=body)).json()
    assert reply["updated"] == [{"id": one["id"], "tags": ["old", "q4"]}, {"id": two["id"], "tags": ["q4"]}]
    assert reply["skipped"] == [{"id": 999, "reason": "Not found"}]


async def test_the_flags_an_experiment_can_run_on_are_listed(api):
    await make_flag(api, "plain")
    await make_flag(
        api, "no-control", filters={"groups": [{}], "multivariate": variants(("a", 50), ("b", 50))}
    )
    await make_flag(
        api, "good", filters={"groups": [{}], "multivariate": variants(("control", 50), ("b", 50))}
    )
    path = f"{EXPERIMENTS}eligible_feature_flags/"
    found = (await api.get(path)).json()
    assert ([one["key"] for one in found["results"]], found["count"]) == (["good"], 1)
    assert (await api.get(path, params={"search": "nothing"})).json() == {"results": [], "count": 0}
