"""From what an instance says of its API to endpoints with an effect and limits, for calls of no tool of ours.

Those of the table keep what the table says; of the others the worst is assumed.
"""

from __future__ import annotations

import re
from typing import cast

from posthog_mcp.api.endpoints import ENDPOINTS, PERSONAL, PROJECT, Effect, Endpoint, LimitClass, Method
from posthog_mcp.api.openapi import Operation

_NAME = re.compile(r"\{\w+\}")
_ANALYTICS = ("insights", "persons", "events", "session_recordings")
_READING_LOGS = (
    "query",
    "count",
    "count-ranges",
    "sparkline",
    "services",
    "patterns",
    "patterns_diff",
    "facet_values",
    "anomalies/scan",
    "anomalies/series_bands",
)
# PostHog has GETs that do something, such as cohorts/{id}/duplicate_as_static_cohort/.
_DOES_SOMETHING = re.compile(
    r"(activate|authorize|cancel|create|delete|disable|duplicate|enable|generate|log(in|out)|move|pause"
    r"|redirect|refresh|reset|resume|rotate|run|send|setup|start|stop|sync|trigger|unsubscribe|verify)(_|$)"
)


def _alike(path: str) -> str:
    """A path without the names of its parameters: they differ between the table and the document."""
    return _NAME.sub("{}", path.replace("/api/environments/", "/api/projects/", 1))


_TABLE = {(one.method, _alike(one.path)): one for one in ENDPOINTS if one.path.startswith("/api/")}
_READING_POSTS = {
    _alike(f"{PROJECT}experiments/{{id}}/session_event_deltas/"),
    *(_alike(f"{PROJECT}logs/{what}/") for what in _READING_LOGS),
}


def endpoint_of(operation: Operation) -> Endpoint:
    """How an operation is called; its path template is the operation's own."""
    known = _TABLE.get((cast("Method", operation.method), _alike(operation.path)))
    if known is not None:
        path = known.path if known.runs_query else operation.path
        return Endpoint(known.method, path, known.keys, known.scopes, known.effect, known.limit, known.public)
    return Endpoint(
        cast("Method", operation.method),
        operation.path,
        PERSONAL,
        operation.scopes,
        _effect(operation),
        _limit(operation.path),
    )


def _effect(operation: Operation) -> Effect:
    if operation.method == "GET":
        last = [part for part in operation.path.split("/") if part and not part.startswith("{")][-1]
        return Effect.CHANGE if _DOES_SOMETHING.match(last) else Effect.READ
    if operation.method == "POST" and _alike(operation.path) in _READING_POSTS:
        return Effect.READ
    # Nothing says that it can be taken back.
    return Effect.DESTROY


def _limit(path: str) -> LimitClass:
    parts = path.strip("/").split("/")
    if parts[-1] == "values":
        return LimitClass.VALUES
    if parts[-1] in ("local_evaluation", "remote_config"):
        return LimitClass.DEFINITIONS
    own = parts[3:]  # behind api, projects and the project's id
    if own[:1] == ["query"]:
        return LimitClass.QUERY
    return LimitClass.ANALYTICS if own and own[0] in _ANALYTICS else LimitClass.CRUD
