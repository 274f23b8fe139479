"""Exposure frozen: nobody new enters an experiment, and who is in it keeps their variant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from posthog_mcp.flags.values import as_list
from posthog_mcp.sandbox.api.activity_log import record
from posthog_mcp.sandbox.cohorts.documents import new
from posthog_mcp.sandbox.experiments.documents import Experiment, flag_of, is_frozen
from posthog_mcp.sandbox.experiments.lifecycle import check_running
from posthog_mcp.sandbox.experiments.results import exposed_of
from posthog_mcp.sandbox.experiments.trees import query
from posthog_mcp.sandbox.experiments.writing import save
from posthog_mcp.sandbox.flags import writing as flags
from posthog_mcp.sandbox.flags.documents import conditions_of
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.queries.asked import Asked, run
from posthog_mcp.sandbox.queries.world import world_of

if TYPE_CHECKING:
    from posthog_mcp.sandbox.sandbox import Sandbox

_EVERYONE = 1_000_000_000
Json = dict[str, Any]


async def freeze(sandbox: Sandbox, experiment: Experiment) -> Experiment:
    """Let the flag reach only those exposed so far, through a static cohort of them.

    Raises:
        ApiError: 400 unless it runs on persons, without a holdout, and is not frozen.
    """
    check_running(experiment)
    flag = flag_of(sandbox, experiment)
    if is_frozen(flag):
        raise invalid("Experiment exposure is already frozen.")
    if flag["filters"].get("aggregation_group_type_index") is not None:
        raise invalid("Exposure cannot be frozen for group-aggregated experiments.")
    if experiment["holdout_id"]:
        raise invalid("Exposure cannot be frozen for experiments in a holdout.")
    cohort = await exposure_cohort(sandbox, experiment, "Frozen exposure of")
    member: Json = {"key": "id", "type": "cohort", "value": cohort["id"], "operator": "in"}
    marks: Json = {"exposure_frozen": True, "exposure_frozen_cohort": cohort["id"]}
    groups = [
        {**group, "properties": [*as_list(group.get("properties")), member], **marks}
        for group in conditions_of(flag)
    ]
    flags.change(sandbox, flag, {"filters": {"groups": groups}})
    return experiment


def unfreeze(sandbox: Sandbox, experiment: Experiment) -> Experiment:
    """Take the cohort out of the flag again. Raises `ApiError` 400 unless it is frozen."""
    check_running(experiment)
    flag = flag_of(sandbox, experiment)
    if not is_frozen(flag):
        raise invalid("Experiment exposure is not frozen.")
    flags.change(sandbox, flag, {"filters": {"groups": [_thawed(group) for group in conditions_of(flag)]}})
    return experiment


def _thawed(group: Json) -> Json:
    cohort = group.get("exposure_frozen_cohort")
    rows = as_list(group.get("properties"))
    kept = [row for row in rows if (row.get("type"), row.get("value")) != ("cohort", cohort)]
    rest = {name: value for name, value in group.items() if not name.startswith("exposure_frozen")}
    return {**rest, "properties": kept}


async def create_exposure_cohort(sandbox: Sandbox, experiment: Experiment) -> Json:
    """A static cohort of those exposed so far, which the experiment keeps.

    Raises:
        ApiError: 400 for a draft, one that has a cohort, or one on groups.
    """
    if experiment["start_date"] is None:
        raise invalid("Experiment does not have a start date")
    if experiment.get("exposure_cohort"):
        raise invalid("Experiment already has an exposure cohort")
    if flag_of(sandbox, experiment)["filters"].get("aggregation_group_type_index") is not None:
        raise invalid("Groups cannot be in a cohort.")
    cohort = await exposure_cohort(sandbox, experiment, "Users exposed to")
    save(sandbox, experiment, {**experiment, "exposure_cohort": cohort["id"]})
    return cohort


async def exposure_cohort(sandbox: Sandbox, experiment: Experiment, named: str) -> Json:
    """A new static cohort of those exposed so far, those who saw several variants included."""
    world = replace(world_of(sandbox), max_rows=_EVERYONE)
    exposed = exposed_of(experiment, flag_of(sandbox, experiment), world)
    tree = query(
        f"SELECT toString(who) FROM {{people}} LIMIT {_EVERYONE}",  # noqa: S608 - a number of ours
        people=exposed.people(world, several=True),
    )
    asked = Asked(sandbox, {}, world, uuid4().hex, sandbox.options.query_seconds)
    ran = await run(asked, tree)
    name = f"{named} {experiment['name']}"
    cohort = sandbox.store.create("cohort", new(sandbox, name=name, is_static=True))
    sandbox.cohorts.add(cohort["id"], [row[0] for row in ran.rows])
    cohort = await sandbox.cohorts.calculate(cohort)
    record(sandbox, "created", "Cohort", cohort["id"], name=name)
    return cohort
