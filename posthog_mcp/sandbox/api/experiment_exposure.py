"""Who is in an experiment: its exposure frozen, and as a cohort."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.sandbox.api.experiments import ONE
from posthog_mcp.sandbox.cohorts.documents import shown as cohort_shown
from posthog_mcp.sandbox.experiments import freezing
from posthog_mcp.sandbox.experiments.documents import find, shown
from posthog_mcp.sandbox.http.routing import Reply, route

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call

_WRITE = "experiment:write"


@route("POST", ONE + "freeze_exposure/", scope=_WRITE)
async def freeze_exposure(call: Call) -> Reply:
    """Nobody new enters; metrics go on."""
    experiment = await freezing.freeze(call.sandbox, find(call.sandbox, call.params["id"]))
    return Reply(shown(call.sandbox, experiment))


@route("POST", ONE + "unfreeze_exposure/", scope=_WRITE)
async def unfreeze_exposure(call: Call) -> Reply:
    """People enter again."""
    experiment = freezing.unfreeze(call.sandbox, find(call.sandbox, call.params["id"]))
    return Reply(shown(call.sandbox, experiment))


@route("POST", ONE + "create_exposure_cohort_for_experiment/", scope=_WRITE)
async def create_exposure_cohort(call: Call) -> Reply:
    """A static cohort of those exposed so far."""
    experiment = find(call.sandbox, call.params["id"])
    cohort = await freezing.create_exposure_cohort(call.sandbox, experiment)
    return Reply({"cohort": cohort_shown(cohort)}, 201)
