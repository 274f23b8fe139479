"""Feature flags: made, listed, changed, switched."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from posthog_mcp.flags.values import as_list
from posthog_mcp.sandbox.api.activity_log import entries, numbered
from posthog_mcp.sandbox.flags.documents import (
    Flag,
    dependents_of,
    experiments_of,
    find,
    flags_of,
    last_calls,
    properties_of,
    rollout,
    shown,
    status,
    variants_of,
)
from posthog_mcp.sandbox.flags.writing import change, create, switch
from posthog_mcp.sandbox.http.errors import hard_delete_refused, invalid
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call

LIST = "/api/projects/{project_id}/feature_flags/"
ONE = LIST + "{id}/"
_READ, _WRITE = "feature_flag:read", "feature_flag:write"
_LONGEST_SEARCH = 200
_ORDERS = ("created_at", "updated_at", "key", "name", "active", "version", "last_called_at", "created_by")
# Made by PostHog itself for surveys and product tours, and never listed.
_INTERNAL = ("surveys", "product_tours")

Wanted = Callable[[Flag], bool]


@route("GET", LIST, scope=_READ)
async def list_flags(call: Call) -> Reply:
    """Newest first; archived ones only where `archived` asks for them."""
    calls = await last_calls(call.sandbox)
    found = matching(call, calls)
    return Reply(counted(call, found, lambda flag: shown(call.sandbox, flag, calls)))


@route("POST", LIST, scope=_WRITE)
async def create_flag(call: Call) -> Reply:
    """Make one; without filters it is on for nobody."""
    flag = create(call.sandbox, await call.json())
    return Reply(shown(call.sandbox, flag, {}), 201)


@route("GET", ONE, scope=_READ)
async def get_flag(call: Call) -> Reply:
    """One; deleted ones are not found."""
    return await _shown(call, find(call.sandbox, call.params["id"]))


@route("PATCH", ONE, scope=_WRITE)
@route("PUT", ONE, scope=_WRITE)
async def update_flag(call: Call) -> Reply:
    """Change what is given; `deleted` hides it and brings it back."""
    body = await call.json()
    flag = find(call.sandbox, call.params["id"], deleted=body.get("deleted") is False)
    return await _shown(call, change(call.sandbox, flag, body))


@route("DELETE", ONE, scope=_WRITE)
async def delete_flag(call: Call) -> Reply:
    """Refused, as in PostHog."""
    find(call.sandbox, call.params["id"])
    raise hard_delete_refused()


@route("POST", ONE + "enable/", scope=_WRITE)
async def enable_flag(call: Call) -> Reply:
    """Switch on."""
    return await _switch(call, active=True)


@route("POST", ONE + "disable/", scope=_WRITE)
async def disable_flag(call: Call) -> Reply:
    """Switch off."""
    return await _switch(call, active=False)


@route("POST", ONE + "archive/", scope=_WRITE)
async def archive_flag(call: Call) -> Reply:
    """Put away, which also switches off."""
    return await _switch(call, active=False, archived=True)


@route("POST", ONE + "unarchive/", scope=_WRITE)
async def unarchive_flag(call: Call) -> Reply:
    """Bring back; it stays off."""
    return await _switch(call, archived=False)


@route("GET", ONE + "status/", scope=_READ)
async def get_flag_status(call: Call) -> Reply:
    """Whether the flag is in use, and how far it is rolled out."""
    flag = find(call.sandbox, call.params["id"], deleted=True)
    state, reason = status(call.sandbox, flag, await last_calls(call.sandbox))
    return Reply(
        {"status": state, "reason": reason, "reason_states_rollout": False, "rollout": rollout(flag)}
    )


@route("GET", ONE + "dependent_flags/", scope=_READ)
async def list_dependents(call: Call) -> Reply:
    """The active flags that ask for this one."""
    flag = find(call.sandbox, call.params["id"])
    return Reply(
        [{name: one[name] for name in ("id", "key", "name")} for one in dependents_of(call.sandbox, flag)]
    )


@route("GET", ONE + "activity/", scope="activity_log:read")
async def list_activity_of_flag(call: Call) -> Reply:
    """Who changed this flag."""
    flag = find(call.sandbox, call.params["id"], deleted=True)
    return Reply(numbered(call, entries(call.sandbox, ["FeatureFlag"], str(flag["id"]))))


@route("GET", LIST + "activity/", scope="activity_log:read")
async def list_activity_of_flags(call: Call) -> Reply:
    """Who changed flags."""
    return Reply(numbered(call, entries(call.sandbox, ["FeatureFlag"])))


def matching(call: Call, calls: dict[str, str]) -> list[Flag]:
    """The flags the query string asks for, in its order.

    Raises:
        ApiError: 400 for a filter that makes no sense.
    """
    tests = _tests(call, calls)
    found = [flag for flag in flags_of(call.sandbox) if all(test(flag) for test in tests)]
    order = call.query.get("order") or "-created_at"
    name = order.removeprefix("-")
    if name not in _ORDERS:
        name, order = "created_at", "-created_at"
    found.sort(key=lambda flag: (_rank(flag, name, calls), flag["id"]), reverse=order.startswith("-"))
    return found


def _rank(flag: Flag, name: str, calls: dict[str, str]) -> Any:
    if name == "last_called_at":
        return calls.get(flag["key"], "")
    return flag["created_by"]["email"] if name == "created_by" else flag[name]


def _tests(call: Call, calls: dict[str, str]) -> list[Wanted]:
    query, sandbox = call.query, call.sandbox
    tests: list[Wanted] = [lambda flag: flag["creation_context"] not in _INTERNAL]
    archived = query.get("archived") == "true"
    tests.append(lambda flag: flag["archived"] is archived)
    active = query.get("active")
    if active == "STALE":
        tests.append(lambda flag: status(sandbox, flag, calls)[0] == "stale")
    elif active in ("true", "false"):
        tests.append(lambda flag: flag["active"] is (active == "true"))
    if search := query.get("search"):
        if len(search) > _LONGEST_SEARCH:
            raise invalid(f"Search may have at most {_LONGEST_SEARCH} characters.", "search", "max_length")
        tests.append(lambda flag: _found(call, flag, search.lower()))
    if key := query.get("key"):
        tests.append(lambda flag: flag["key"].lower() == key.lower())
    if kind := query.get("type"):
        tests.append(lambda flag: _is_kind(call, flag, kind))
    if runtime := query.get("evaluation_runtime"):
        tests.append(lambda flag: flag["evaluation_runtime"] == ("all" if runtime == "both" else runtime))
    if creators := _listed(query.get("created_by_id")):
        tests.append(lambda flag: str(flag["created_by"]["id"]) in creators)
    if tags := _listed(query.get("tags")):
        tests.append(lambda flag: not tags.isdisjoint(flag["tags"]))
    if excluded := _listed(query.get("excluded_tags")):
        tests.append(lambda flag: excluded.isdisjoint(flag["tags"]))
    if properties := _listed(query.get("excluded_properties")):
        tests.append(lambda flag: properties.isdisjoint(str(each["key"]) for each in properties_of(flag)))
    contexts = query.get("has_evaluation_contexts", query.get("has_evaluation_tags"))
    if contexts is not None:
        tests.append(lambda flag: bool(flag["evaluation_contexts"]) is (contexts == "true"))
    if query.get("eligible_for_experiment") == "true":
        tests.append(_fits_an_experiment)
    return tests


def _found(call: Call, flag: Flag, text: str) -> bool:
    names = [flag["key"], flag["name"], *(str(one.get("name")) for one in experiments_of(call.sandbox, flag))]
    return any(text in name.lower() for name in names)


def _is_kind(call: Call, flag: Flag, kind: str) -> bool:
    match kind:
        case "boolean":
            return not variants_of(flag) and not flag["is_remote_configuration"]
        case "multivariant":
            return bool(variants_of(flag))
        case "experiment":
            return bool(experiments_of(call.sandbox, flag))
        case "remote_config":
            return bool(flag["is_remote_configuration"])
        case _:
            return False


def _fits_an_experiment(flag: Flag) -> bool:
    """PostHog runs experiments on flags with at least two variants, the first called control."""
    variants = variants_of(flag)
    return len(variants) > 1 and variants[0]["key"] == "control"


def _listed(text: str | None) -> frozenset[str]:
    """A query value that holds several: a JSON list, or text with commas."""
    if not text:
        return frozenset()
    if text.startswith("["):
        try:
            return frozenset(str(item) for item in as_list(json.loads(text)))
        except ValueError as error:
            raise invalid(f"Cannot read the list {text!r}: {error}") from error
    return frozenset(part.strip() for part in text.split(","))


async def _switch(call: Call, **state: bool) -> Reply:
    flag = find(call.sandbox, call.params["id"], deleted=True)
    return await _shown(call, switch(call.sandbox, flag, **state))


async def _shown(call: Call, flag: Flag) -> Reply:
    return Reply(shown(call.sandbox, flag, await last_calls(call.sandbox)))
