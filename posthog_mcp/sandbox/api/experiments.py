"""Experiments: made, listed, changed, and led from draft to archive."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from posthog_mcp.flags.values import as_list, is_dict, is_list
from posthog_mcp.sandbox.api.activity_log import entries, numbered
from posthog_mcp.sandbox.api.tags import TagChange
from posthog_mcp.sandbox.experiments import lifecycle
from posthog_mcp.sandbox.experiments.checks import can_carry
from posthog_mcp.sandbox.experiments.documents import KIND, Experiment, find, shown, status
from posthog_mcp.sandbox.experiments.writing import SCOPE, change, create, save
from posthog_mcp.sandbox.flags.documents import flags_of, last_calls
from posthog_mcp.sandbox.flags.documents import shown as flag_shown
from posthog_mcp.sandbox.http.errors import hard_delete_refused, invalid
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import read_iso
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call

LIST = "/api/projects/{project_id}/experiments/"
ONE = LIST + "{id}/"
_READ, _WRITE = "experiment:read", "experiment:write"
_ORDERS = ("created_at", "updated_at", "name", "start_date", "end_date")
_STATUSES = ("draft", "running", "paused", "exposure_frozen", "stopped", "complete", "all")
_MONTH = timedelta(days=30)
# A copy begins as a draft.
_COPIED = (
    "description", "type", "parameters", "running_time_calculation", "metrics", "metrics_secondary",
    "saved_metrics_ids", "exposure_criteria", "stats_config", "excluded_variants", "filters", "tags",
)  # fmt: skip

Wanted = Callable[[Experiment], bool]


@route("GET", LIST, scope=_READ)
async def list_experiments(call: Call) -> Reply:
    """Newest first; archived ones only where `archived` asks for them."""
    tests = _tests(call)
    found = [one for one in call.sandbox.store.all(KIND) if all(test(one) for test in tests)]
    order = call.query.get("order") or "-created_at"
    name = order.removeprefix("-")
    if name not in _ORDERS:
        raise invalid(f"Cannot order by {name}. The orders are: {', '.join(_ORDERS)}.", "order")
    found.sort(key=lambda one: (one[name] or "", one["id"]), reverse=order.startswith("-"))
    return Reply(counted(call, found, lambda one: shown(call.sandbox, one)))


@route("POST", LIST, scope=_WRITE)
async def create_experiment(call: Call) -> Reply:
    """Make one, and its flag where there is none of that key."""
    return Reply(shown(call.sandbox, create(call.sandbox, await call.json())), 201)


@route("GET", ONE, scope=_READ)
async def get_experiment(call: Call) -> Reply:
    """One; deleted ones are not found."""
    return Reply(shown(call.sandbox, find(call.sandbox, call.params["id"])))


@route("PATCH", ONE, scope=_WRITE)
@route("PUT", ONE, scope=_WRITE)
async def update_experiment(call: Call) -> Reply:
    """Change what is given; `deleted` hides it and brings it back."""
    body = await call.json()
    before = find(call.sandbox, call.params["id"], deleted=body.get("deleted") is False)
    return Reply(shown(call.sandbox, change(call.sandbox, before, body)))


@route("DELETE", ONE, scope=_WRITE)
async def delete_experiment(call: Call) -> Reply:
    """Refused, as in PostHog."""
    find(call.sandbox, call.params["id"])
    raise hard_delete_refused()


@route("GET", ONE + "activity/", scope="activity_log:read")
async def list_experiment_activity(call: Call) -> Reply:
    """What was changed about it."""
    return Reply(numbered(call, entries(call.sandbox, [SCOPE], call.params["id"])))


@route("POST", ONE + "launch/", scope=_WRITE)
async def launch_experiment(call: Call) -> Reply:
    """Start now."""
    return _shown(call, lifecycle.launch(call.sandbox, find(call.sandbox, call.params["id"])))


@route("POST", ONE + "pause/", scope=_WRITE)
async def pause_experiment(call: Call) -> Reply:
    """Put the flag off for a while."""
    return _shown(call, lifecycle.pause(call.sandbox, find(call.sandbox, call.params["id"])))


@route("POST", ONE + "resume/", scope=_WRITE)
async def resume_experiment(call: Call) -> Reply:
    """Put the flag on again."""
    return _shown(call, lifecycle.resume(call.sandbox, find(call.sandbox, call.params["id"])))


@route("POST", ONE + "end/", scope=_WRITE)
async def end_experiment(call: Call) -> Reply:
    """End now, with a conclusion or without."""
    experiment = find(call.sandbox, call.params["id"])
    return _shown(call, lifecycle.end(call.sandbox, experiment, await call.json()))


@route("POST", ONE + "ship_variant/", scope=_WRITE)
async def ship_variant(call: Call) -> Reply:
    """Give one variant to all, and end."""
    experiment = find(call.sandbox, call.params["id"])
    return _shown(call, lifecycle.ship_variant(call.sandbox, experiment, await call.json()))


@route("POST", ONE + "archive/", scope=_WRITE)
async def archive_experiment(call: Call) -> Reply:
    """Put away."""
    experiment = find(call.sandbox, call.params["id"])
    return _shown(call, lifecycle.archive(call.sandbox, experiment, await call.json()))


@route("POST", ONE + "unarchive/", scope=_WRITE)
async def unarchive_experiment(call: Call) -> Reply:
    """Bring back."""
    return _shown(call, lifecycle.unarchive(call.sandbox, find(call.sandbox, call.params["id"])))


@route("POST", ONE + "reset/", scope=_WRITE)
async def reset_experiment(call: Call) -> Reply:
    """Back to a draft."""
    return _shown(call, lifecycle.reset(call.sandbox, find(call.sandbox, call.params["id"])))


@route("POST", ONE + "duplicate/", scope=_WRITE)
async def duplicate_experiment(call: Call) -> Reply:
    """A draft with the same metrics; on the same flag unless another key is given."""
    experiment, body = find(call.sandbox, call.params["id"]), await call.json()
    key = body.get("feature_flag_key") or shown(call.sandbox, experiment)["feature_flag_key"]
    copied = {name: experiment[name] for name in _COPIED}
    asked = {"name": body.get("name") or f"{experiment['name']} (Copy)", "feature_flag_key": key}
    copy = create(call.sandbox, {**copied, **asked, "allow_unknown_events": True})
    return Reply(shown(call.sandbox, copy), 201)


@route("POST", LIST + "bulk_update_tags/", scope=_WRITE)
async def update_tags(call: Call) -> Reply:
    """Add tags, take them away, or set them."""
    wanted = checked(TagChange, await call.json())
    updated: list[dict[str, Any]] = []
    for one in call.sandbox.store.all(KIND):
        if one["id"] in wanted.ids and not one["deleted"]:
            tags = wanted.applied(one["tags"])
            save(call.sandbox, one, {**one, "tags": tags})
            updated.append({"id": one["id"], "tags": tags})
    done = {one["id"] for one in updated}
    skipped = [{"id": item, "reason": "Not found"} for item in wanted.ids if item not in done]
    return Reply({"updated": updated, "skipped": skipped})


@route("GET", LIST + "eligible_feature_flags/", scope="feature_flag:read")
async def list_eligible_flags(call: Call) -> Reply:
    """The flags an experiment can run on, newest first; `search`, `limit` (at most 100) and `offset`."""
    words = call.query.get("search", "").lower()
    flags = [
        flag
        for flag in reversed(flags_of(call.sandbox))
        if can_carry(flag) and words in f"{flag['key']} {flag['name']}".lower()
    ]
    limit, offset = (_number(call, name, default) for name, default in (("limit", 20), ("offset", 0)))
    calls = await last_calls(call.sandbox)
    page = flags[offset : offset + min(limit, 100)]
    results = [flag_shown(call.sandbox, flag, calls) for flag in page]
    return Reply({"results": results, "count": len(flags)})


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else default


@route("GET", LIST + "stats/", scope=_READ)
async def get_stats(call: Call) -> Reply:
    """How many were launched and completed lately."""
    kept = [one for one in call.sandbox.store.all(KIND) if not one["deleted"]]
    now = call.sandbox.clock()

    def within(name: str, months: int) -> int:
        ages = [now - read_iso(one[name]) for one in kept if one[name]]
        return sum((months - 1) * _MONTH <= age < months * _MONTH for age in ages)

    last, before = within("start_date", 1), within("start_date", 2)
    change_ = round(100 * (last - before) / before, 1) if before else (100.0 if last else 0.0)
    return Reply(
        {
            "launched_last_30d": last,
            "launched_previous_30d": before,
            "percent_change": change_,
            "active_experiments": sum(bool(one["start_date"]) and not one["end_date"] for one in kept),
            "completed_last_30d": within("end_date", 1),
        }
    )


def _shown(call: Call, experiment: Experiment) -> Reply:
    return Reply(shown(call.sandbox, experiment))


def _tests(call: Call) -> list[Wanted]:
    query, sandbox = call.query, call.sandbox
    archived = query.get("archived") == "true"
    tests: list[Wanted] = [lambda one: not one["deleted"] and one["archived"] is archived]
    if wanted := query.get("status"):
        if wanted not in _STATUSES:
            raise invalid(f'"{wanted}" is not a valid choice.', "status", "invalid_choice")
        name = "stopped" if wanted == "complete" else wanted
        if name != "all":
            tests.append(lambda one: status(sandbox, one) == name)
    if words := query.get("search"):
        tests.append(lambda one: words.lower() in f"{one['name']} {one['description'] or ''}".lower())
    if flag := query.get("feature_flag_id"):
        tests.append(lambda one: str(one["feature_flag_id"]) == flag)
    if author := query.get("created_by_id"):
        tests.append(lambda one: str(one["created_by"]["id"]) == author)
    if event := query.get("event"):
        tests.append(lambda one: event in _events(one))
    if tags := _listed(query.get("tags"), "tags"):
        tests.append(lambda one: not tags.isdisjoint(one["tags"]))
    if excluded := _listed(query.get("excluded_tags"), "excluded_tags"):
        tests.append(lambda one: excluded.isdisjoint(one["tags"]))
    return tests


def _events(experiment: Experiment) -> set[str]:
    """The names of all events its metrics are about."""
    found: set[str] = set()
    waiting: list[object] = [experiment["metrics"], experiment["metrics_secondary"]]
    while waiting:
        one = waiting.pop()
        if is_list(one):
            waiting += one
        if is_dict(one):
            waiting += one.values()
            if one.get("kind") == "EventsNode":
                found.add(str(one.get("event")))
    return found


def _listed(text: str | None, attr: str) -> frozenset[str]:
    if not text:
        return frozenset()
    try:
        return frozenset(str(item) for item in as_list(json.loads(text)))
    except ValueError as error:
        raise invalid(f"{attr} must be a JSON list of names.", attr) from error
