"""Surveys: made, listed, changed, launched, stopped, deleted; and what SDKs get."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from posthog_mcp.flags.values import as_list
from posthog_mcp.sandbox.api.activity_log import entries, numbered
from posthog_mcp.sandbox.http.errors import ApiError, invalid
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.surveys.answers import counts
from posthog_mcp.sandbox.surveys.documents import KIND, Survey, find, for_clients, is_live, shown, status
from posthog_mcp.sandbox.surveys.writing import SCOPE, change, create, delete, launch, stop

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call

LIST = "/api/projects/{project_id}/surveys/"
ONE = LIST + "{id}/"
_READ, _WRITE = "survey:read", "survey:write"
_STATUSES = ("draft", "running", "complete")

Wanted = Callable[[Survey], bool]


@route("GET", LIST, scope=_READ)
async def list_surveys(call: Call) -> Reply:
    """Newest first, archived ones among them unless `archived` says otherwise."""
    await settle(call)
    tests = _tests(call)
    found = [one for one in call.sandbox.store.all(KIND) if all(test(one) for test in tests)]
    return Reply(counted(call, found[::-1], lambda one: shown(call.sandbox, one)))


@route("POST", LIST, scope=_WRITE)
async def create_survey(call: Call) -> Reply:
    """Make one; a draft without `start_date`."""
    return Reply(shown(call.sandbox, create(call.sandbox, await call.json())), 201)


@route("GET", ONE, scope=_READ)
async def get_survey(call: Call) -> Reply:
    """One."""
    await settle(call)
    return _shown(call, find(call.sandbox, call.params["id"]))


@route("PATCH", ONE, scope=_WRITE)
@route("PUT", ONE, scope=_WRITE)
async def update_survey(call: Call) -> Reply:
    """Change what is given."""
    before = find(call.sandbox, call.params["id"])
    return _shown(call, change(call.sandbox, before, await call.json()))


@route("DELETE", ONE, scope=_WRITE)
async def delete_survey(call: Call) -> Reply:
    """Really delete it, with the flags of its own."""
    delete(call.sandbox, find(call.sandbox, call.params["id"]))
    return Reply(None, 204)


@route("POST", ONE + "launch/", scope=_WRITE)
async def launch_survey(call: Call) -> Reply:
    """Start now."""
    return _shown(call, launch(call.sandbox, find(call.sandbox, call.params["id"])))


@route("POST", ONE + "stop/", scope=_WRITE)
async def stop_survey(call: Call) -> Reply:
    """End now."""
    return _shown(call, stop(call.sandbox, find(call.sandbox, call.params["id"])))


@route("GET", ONE + "activity/", scope="activity_log:read")
async def list_survey_activity(call: Call) -> Reply:
    """What was changed about it."""
    return Reply(numbered(call, entries(call.sandbox, [SCOPE], call.params["id"])))


@route("GET", LIST + "activity/", scope="activity_log:read")
async def list_surveys_activity(call: Call) -> Reply:
    """What was changed about surveys."""
    return Reply(numbered(call, entries(call.sandbox, [SCOPE])))


@route("GET", "/api/surveys/", keys=(), bucket=None)
async def get_surveys_for_clients(call: Call) -> Reply:
    """The surveys that run, for the SDKs of the project whose token is given; any web page may ask."""
    token = call.query.get("token") or call.query.get("api_key")
    if token != call.sandbox.project.api_token:
        raise _no_token() if not token else _wrong_token()
    await settle(call)
    now = call.sandbox.clock()
    live = [one for one in call.sandbox.store.all(KIND) if is_live(one, now)]
    headers = {"Access-Control-Allow-Origin": call.request.headers.get("origin", "*"), "Vary": "Origin"}
    surveys = [for_clients(call.sandbox, one) for one in live]
    return Reply({"surveys": surveys, "survey_config": None}, headers=headers)


async def settle(call: Call) -> None:
    """End the surveys that have all the responses they want."""
    sandbox = call.sandbox
    limited = [
        one
        for one in sandbox.store.all(KIND)
        if one["responses_limit"] and status(one) == "running" and not one["archived"]
    ]
    found = await counts(sandbox, limited)
    for one in limited:
        if found.get(one["id"], 0) >= one["responses_limit"]:
            change(sandbox, one, {"end_date": iso(sandbox.clock())})


def _shown(call: Call, survey: Survey) -> Reply:
    return Reply(shown(call.sandbox, survey))


def _tests(call: Call) -> list[Wanted]:
    query, tests = call.query, list[Wanted]()
    if (archived := query.get("archived")) is not None:
        tests.append(lambda one: one["archived"] is (archived.lower() == "true"))
    if words := query.get("search"):
        tests.append(lambda one: words.lower() in f"{one['name']} {one['description']}".lower())
    if wanted := query.get("status"):
        if wanted not in _STATUSES:
            raise invalid(f'"{wanted}" is not a valid choice.', "status", "invalid_choice")
        tests.append(lambda one: status(one) == wanted)
    if kind := query.get("type"):
        tests.append(lambda one: one["type"] == kind)
    if author := query.get("created_by"):
        tests.append(lambda one: str(one["created_by"]["id"]) == author)
    if ids := _ids(query.get("ids")):
        tests.append(lambda one: one["id"] in ids)
    return tests


def _ids(text: str | None) -> frozenset[str]:
    if not text:
        return frozenset()
    if not text.startswith("["):
        return frozenset(text.split(","))
    try:
        return frozenset(str(item) for item in as_list(json.loads(text)))
    except ValueError as error:
        raise invalid("ids must be a JSON list, or ids with commas between.", "ids") from error


def _no_token() -> ApiError:
    detail = "API key not provided. You can find your project API key in your PostHog project settings."
    return ApiError(401, "authentication_error", "missing_api_key", detail)


def _wrong_token() -> ApiError:
    detail = "Project API key invalid. You can find your project API key in your PostHog project settings."
    return ApiError(401, "authentication_error", "invalid_api_key", detail)
