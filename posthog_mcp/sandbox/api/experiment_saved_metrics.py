"""Metrics saved for several experiments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from posthog_mcp.sandbox.experiments.documents import KIND, SAVED_METRIC
from posthog_mcp.sandbox.experiments.settings import Metric
from posthog_mcp.sandbox.http.errors import invalid, not_found, required
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call

_LIST = "/api/projects/{project_id}/experiment_saved_metrics/"
_ONE = _LIST + "{id}/"
_READ, _WRITE = "experiment_saved_metric:read", "experiment_saved_metric:write"
SavedMetric = dict[str, Any]


class SavedMetricFields(BaseModel):
    """What can be written; what is absent keeps its value."""

    name: Annotated[str, Field(min_length=1, max_length=400)] = ""
    description: Annotated[str, Field(max_length=400)] | None = None
    query: Metric | None = None
    tags: list[str] = []


@route("GET", _LIST, scope=_READ)
async def list_saved_metrics(call: Call) -> Reply:
    """By name; `search` and `event` narrow."""
    words, event = call.query.get("search", "").lower(), call.query.get("event")
    found = [
        one
        for one in call.sandbox.store.all(SAVED_METRIC)
        if words in one["name"].lower() and (not event or f'"event": {json.dumps(event)}' in _text(one))
    ]
    return Reply(counted(call, sorted(found, key=lambda one: one["name"].lower())))


@route("POST", _LIST, scope=_WRITE)
async def create_saved_metric(call: Call) -> Reply:
    """Make one."""
    fields = checked(SavedMetricFields, await call.json())
    for name in ("name", "query"):
        if not getattr(fields, name):
            raise required(name)
    _check_name(call, fields.name)
    now = iso(call.sandbox.clock())
    times = {"created_at": now, "updated_at": now, "created_by": call.sandbox.project.user.basic()}
    return Reply(call.sandbox.store.create(SAVED_METRIC, _values(fields) | times), 201)


@route("GET", _ONE, scope=_READ)
async def get_saved_metric(call: Call) -> Reply:
    """One."""
    return Reply(_find(call))


@route("PATCH", _ONE, scope=_WRITE)
@route("PUT", _ONE, scope=_WRITE)
async def update_saved_metric(call: Call) -> Reply:
    """Change what is given, in every experiment that uses it."""
    before, fields = _find(call), checked(SavedMetricFields, await call.json())
    if fields.name:
        _check_name(call, fields.name, before["id"])
    values = _values(fields)
    given = {name: values[name] for name in fields.model_fields_set}
    after: SavedMetric = {**before, **given, "updated_at": iso(call.sandbox.clock())}
    call.sandbox.store.put(SAVED_METRIC, after["id"], after)
    return Reply(after)


@route("DELETE", _ONE, scope=_WRITE)
async def delete_saved_metric(call: Call) -> Reply:
    """Really delete it, and take it out of its experiments."""
    number, store = _find(call)["id"], call.sandbox.store
    with store.transaction():
        for one in store.all(KIND):
            links = [link for link in one["saved_metrics_ids"] if link["id"] != number]
            if len(links) < len(one["saved_metrics_ids"]):
                store.put(KIND, one["id"], {**one, "saved_metrics_ids": links})
        store.remove(SAVED_METRIC, number)
    return Reply(None, 204)


def _find(call: Call) -> SavedMetric:
    number = call.params["id"]
    found = (
        call.sandbox.store.get(SAVED_METRIC, int(number)) if number.isascii() and number.isdigit() else None
    )
    if found is None:
        raise not_found()
    return found


def _values(fields: SavedMetricFields) -> SavedMetric:
    query = fields.query.model_dump(exclude_unset=True) if fields.query else None
    return fields.model_dump() | {"query": query and {**query, "kind": "ExperimentMetric"}}


def _check_name(call: Call, name: str, own: int | None = None) -> None:
    for one in call.sandbox.store.all(SAVED_METRIC):
        if one["name"].lower() == name.lower() and one["id"] != own:
            raise invalid("A saved metric with this name already exists.", "name", "unique")


def _text(metric: SavedMetric) -> str:
    return json.dumps(metric["query"])
