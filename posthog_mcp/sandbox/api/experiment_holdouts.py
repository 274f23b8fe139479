"""Holdouts: a share of people who are left out of every experiment that names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from posthog_mcp.sandbox.experiments.documents import HOLDOUT, KIND
from posthog_mcp.sandbox.experiments.writing import change, hold_out
from posthog_mcp.sandbox.http.errors import not_found, required
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from posthog_mcp.sandbox.experiments.documents import Experiment
    from posthog_mcp.sandbox.http.routing import Call

_LIST = "/api/projects/{project_id}/experiment_holdouts/"
_ONE = _LIST + "{id}/"
_READ, _WRITE = "experiment_holdout:read", "experiment_holdout:write"
Holdout = dict[str, Any]


class Exclusion(BaseModel):
    """Who is left out; the share is `rollout_percentage`."""

    properties: list[dict[str, Any]] = []
    rollout_percentage: Annotated[float, Field(ge=0, le=100)] = 100


class HoldoutFields(BaseModel):
    """What can be written; what is absent keeps its value."""

    name: Annotated[str, Field(min_length=1, max_length=400)] = ""
    description: Annotated[str, Field(max_length=400)] | None = None
    filters: Annotated[list[Exclusion], Field(min_length=1)] = [Exclusion()]


@route("GET", _LIST, scope=_READ)
async def list_holdouts(call: Call) -> Reply:
    """Newest first."""
    return Reply(counted(call, call.sandbox.store.all(HOLDOUT)[::-1]))


@route("POST", _LIST, scope=_WRITE)
async def create_holdout(call: Call) -> Reply:
    """Make one."""
    fields = checked(HoldoutFields, await call.json())
    for name in ("name", "filters"):
        if name not in fields.model_fields_set:
            raise required(name)
    now, store = iso(call.sandbox.clock()), call.sandbox.store
    times = {"created_at": now, "updated_at": now, "created_by": call.sandbox.project.user.basic()}
    with store.transaction():
        holdout = _named(store.create(HOLDOUT, fields.model_dump() | times))
        store.put(HOLDOUT, holdout["id"], holdout)
    return Reply(holdout, 201)


@route("GET", _ONE, scope=_READ)
async def get_holdout(call: Call) -> Reply:
    """One."""
    return Reply(_find(call))


@route("PATCH", _ONE, scope=_WRITE)
@route("PUT", _ONE, scope=_WRITE)
async def update_holdout(call: Call) -> Reply:
    """Change what is given; a new share reaches the flags of all its experiments."""
    before, fields = _find(call), checked(HoldoutFields, await call.json())
    given = fields.model_dump(exclude_unset=True)
    holdout = _named({**before, **given, "updated_at": iso(call.sandbox.clock())})
    with call.sandbox.store.transaction():
        call.sandbox.store.put(HOLDOUT, holdout["id"], holdout)
        for experiment in _users(call, holdout):
            hold_out(call.sandbox, experiment)
    return Reply(holdout)


@route("DELETE", _ONE, scope=_WRITE)
async def delete_holdout(call: Call) -> Reply:
    """Really delete it, and take it off its experiments and their flags."""
    holdout = _find(call)
    with call.sandbox.store.transaction():
        for experiment in _users(call, holdout):
            change(call.sandbox, experiment, {"holdout_id": None})
        call.sandbox.store.remove(HOLDOUT, holdout["id"])
    return Reply(None, 204)


def _find(call: Call) -> Holdout:
    number = call.params["id"]
    found = call.sandbox.store.get(HOLDOUT, int(number)) if number.isascii() and number.isdigit() else None
    if found is None:
        raise not_found()
    return found


def _named(holdout: Holdout) -> Holdout:
    """Its filters with the variant that flags answer for people left out."""
    variant = f"holdout-{holdout['id']}"
    return holdout | {"filters": [{**one, "variant": variant} for one in holdout["filters"]]}


def _users(call: Call, holdout: Holdout) -> list[Experiment]:
    return [
        one
        for one in call.sandbox.store.all(KIND)
        if one["holdout_id"] == holdout["id"] and not one["deleted"]
    ]
