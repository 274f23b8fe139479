"""The endpoints of PostHog this project calls, in one table: which key, scope, effect and limits each has.

What a call may do is decided by its effect here, never by its verb: `POST /flags/` and `DELETE query/{id}`
change nothing, and `GET cohorts/{id}/duplicate_as_static_cohort/` would. Sources: PostHog's API schema and
backend, `posthog/rate_limit.py` for the limits.
"""

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from posthog_mcp.api.keys import KeyType
from posthog_mcp.settings import Access

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Effect(StrEnum):
    """What a call does at PostHog."""

    READ = "read"
    """Changes nothing."""
    EVENT = "event"
    """Adds events, and through them persons and groups."""
    CHANGE = "change"
    """Changes an object in a way that can be taken back."""
    DESTROY = "destroy"
    """Cannot be taken back, or reaches end users at once."""


class LimitClass(StrEnum):
    """Which budget of requests counts a call (requests a minute, an hour)."""

    CRUD = "crud"
    """480, 4,800: everything not named below."""
    ANALYTICS = "analytics"
    """240, 1,200: insights, persons, events, recordings."""
    QUERY = "query"
    """240, 2,400: the query endpoint, polling and cancelling included."""
    VALUES = "values"
    """60, 300: values of a property."""
    DEFINITIONS = "definitions"
    """600 a minute: flag definitions and remote configuration."""
    NONE = "none"
    """No limit of requests."""


@dataclass(frozen=True)
class Endpoint:
    """One method of one path.

    Attributes:
        method: The HTTP method.
        path: Path template; each `{name}` is one segment that a call must fill.
        keys: Kinds of key it takes, the preferred first; empty when it needs none.
        scopes: Scopes a personal key needs for it, all of them.
        effect: What it does.
        limit: The budget that counts it.
        public: True when the ingestion host serves it.
    """

    method: Method
    path: str
    keys: tuple[KeyType, ...]
    scopes: tuple[str, ...]
    effect: Effect
    limit: LimitClass
    public: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def runs_query(self) -> bool:
        """Whether PostHog runs a query to answer it, of which a project may have three at once."""
        return self.method == "POST" and self.path == f"{PROJECT}query/"


class UnknownEndpoint(LookupError):  # noqa: N818 - a word like those of api.errors
    """A program asked for an endpoint that the table lacks."""


READ, EVENT, CHANGE, DESTROY = Effect
CRUD, ANALYTICS, QUERY, VALUES, DEFINITIONS, NONE = LimitClass
PERSONAL = (KeyType.PERSONAL, KeyType.OAUTH)
# the flag service takes a project secret key first and no OAuth token
FLAG_READERS = (KeyType.SECRET, KeyType.PERSONAL)
PROJECT = "/api/projects/{project_id}/"
ORGANIZATION = "/api/organizations/{organization_id}/"


def _private(method: Method, path: str, scope: str, effect: Effect, limit: LimitClass = CRUD) -> Endpoint:
    return Endpoint(method, path, PERSONAL, tuple(scope.split()), effect, limit)


def _crud(
    path: str, scope: str, *, limit: LimitClass = CRUD, id_name: str = "id", without: str = ""
) -> tuple[Endpoint, ...]:
    """List, read, create and update: what nearly every object of PostHog offers under the same two scopes."""
    one = f"{path}{{{id_name}}}/"
    offered = (
        _private("GET", path, f"{scope}:read", READ, limit),
        _private("GET", one, f"{scope}:read", READ, limit),
        _private("POST", path, f"{scope}:write", CHANGE, limit),
        _private("PATCH", one, f"{scope}:write", CHANGE, limit),
    )
    return tuple(endpoint for endpoint in offered if endpoint.method not in without.split())


def _flags(action: str, effect: Effect, limit: LimitClass = CRUD, method: Method = "GET") -> Endpoint:
    scope = "feature_flag:read" if effect is READ else "feature_flag:write"
    return _private(method, f"{PROJECT}feature_flags/{action}/", scope, effect, limit)


def _activity(path: str, limit: LimitClass = CRUD) -> Endpoint:
    return _private("GET", f"{PROJECT}{path}/activity/", "activity_log:read", READ, limit)


def _experiment(action: str, effect: Effect = CHANGE) -> Endpoint:
    return _private("POST", f"{PROJECT}experiments/{{id}}/{action}/", "experiment:write", effect)


ENDPOINTS: tuple[Endpoint, ...] = (
    # the instance, the key and its owner
    Endpoint("GET", "/_preflight/", (), (), READ, NONE),
    Endpoint("GET", "/api/schema/", (), (), READ, NONE),
    _private("GET", "/api/users/@me/", "user:read", READ),
    _private("GET", "/api/personal_api_keys/@current/", "", READ),
    _private("GET", "/api/organizations/", "organization:read", READ),
    _private("GET", ORGANIZATION, "organization:read", READ),
    _private("GET", f"{ORGANIZATION}members/", "organization_member:read", READ),
    _private("GET", f"{ORGANIZATION}projects/", "project:read", READ),
    _private("GET", PROJECT, "project:read", READ),
    _private("PATCH", PROJECT, "project:write", CHANGE),
    # queries: all of these only ask, cancelling included
    _private("POST", f"{PROJECT}query/", "query:read", READ, QUERY),
    _private("GET", f"{PROJECT}query/{{id}}/", "query:read", READ, QUERY),
    _private("DELETE", f"{PROJECT}query/{{id}}/", "query:read", READ, QUERY),
    _private("GET", f"{PROJECT}query/{{id}}/log/", "query:read", READ, QUERY),
    _private("POST", f"{PROJECT}query/upgrade/", "query:read", READ, QUERY),
    # events, flags and definitions as an application uses them
    Endpoint("POST", "/batch/", (KeyType.PROJECT,), (), EVENT, NONE, public=True),
    Endpoint("POST", "/flags/", (KeyType.PROJECT,), (), READ, NONE, public=True),
    Endpoint(
        "GET", "/flags/definitions", FLAG_READERS, ("feature_flag:read",), READ, DEFINITIONS, public=True
    ),
    Endpoint(
        "GET",
        "/api/feature_flag/local_evaluation/",
        FLAG_READERS,
        ("feature_flag:read",),
        READ,
        DEFINITIONS,
        public=True,
    ),
    Endpoint(
        "GET",
        f"{PROJECT}feature_flags/{{id}}/remote_config/",
        (KeyType.PERSONAL, KeyType.SECRET),
        ("feature_flag:read",),
        READ,
        DEFINITIONS,
    ),
    # feature flags
    *_crud(f"{PROJECT}feature_flags/", "feature_flag"),
    _flags("{id}/status", READ),
    _flags("{id}/dependent_flags", READ),
    _flags("my_flags", READ),
    _flags("evaluation_reasons", READ),
    _flags("matching_ids", READ),
    _flags("bulk_keys", READ, method="POST"),
    _flags("user_blast_radius", READ, ANALYTICS, "POST"),
    _flags("{id}/test_evaluation", READ, ANALYTICS, "POST"),
    _flags("{id}/enable", CHANGE, method="POST"),
    _flags("{id}/disable", CHANGE, method="POST"),
    _flags("{id}/archive", CHANGE, method="POST"),
    _flags("{id}/unarchive", CHANGE, method="POST"),
    _activity("feature_flags"),
    _activity("feature_flags/{id}"),
    *_crud(f"{PROJECT}scheduled_changes/", "feature_flag"),
    _private("DELETE", f"{PROJECT}scheduled_changes/{{id}}/", "feature_flag:write", DESTROY),
    # experiments
    *_crud(f"{PROJECT}experiments/", "experiment"),
    _experiment("launch"),
    _experiment("pause"),
    _experiment("resume"),
    _experiment("end"),
    _experiment("archive"),
    _experiment("unarchive"),
    _experiment("reset"),
    _experiment("freeze_exposure"),
    _experiment("unfreeze_exposure"),
    _experiment("duplicate"),
    # rewrites what end users get
    _experiment("ship_variant", DESTROY),
    _experiment("metrics_recalculation"),
    _private("GET", f"{PROJECT}experiments/{{id}}/metrics_recalculation/latest/", "experiment:read", READ),
    _private("GET", f"{PROJECT}experiments/{{id}}/timeseries_results/", "experiment:read", READ),
    _private("GET", f"{PROJECT}experiments/stats/", "experiment:read", READ),
    _private("POST", f"{PROJECT}experiments/calculate_running_time/", "experiment:read", READ),
    _activity("experiments/{id}"),
    *_crud(f"{PROJECT}experiment_holdouts/", "experiment_holdout"),
    *_crud(f"{PROJECT}experiment_saved_metrics/", "experiment_saved_metric"),
    # surveys: launching shows them to end users at once, and DELETE is a real one
    *_crud(f"{PROJECT}surveys/", "survey"),
    _private("POST", f"{PROJECT}surveys/{{id}}/launch/", "survey:write", DESTROY),
    _private("POST", f"{PROJECT}surveys/{{id}}/stop/", "survey:write", CHANGE),
    _private("DELETE", f"{PROJECT}surveys/{{id}}/", "survey:write", DESTROY),
    _private("GET", f"{PROJECT}surveys/{{id}}/responses/", "survey:read query:read", READ),
    _private("GET", f"{PROJECT}surveys/{{id}}/stats/", "survey:read", READ),
    _private("GET", f"{PROJECT}surveys/stats/", "survey:read", READ),
    _private("GET", f"{PROJECT}surveys/responses_count/", "survey:read", READ),
    _activity("surveys/{id}"),
    # annotations
    *_crud(f"{PROJECT}annotations/", "annotation"),
    # insights and dashboards
    *_crud(f"{PROJECT}insights/", "insight", limit=ANALYTICS),
    _activity("insights/{id}", ANALYTICS),
    *_crud(f"{PROJECT}dashboards/", "dashboard"),
    _private("GET", f"{PROJECT}dashboards/{{id}}/run_insights/", "query:read", READ),
    _private("POST", f"{PROJECT}dashboards/{{id}}/create_text_tile/", "dashboard:write", CHANGE),
    _private("POST", f"{PROJECT}dashboards/{{id}}/update_text_tile/", "dashboard:write", CHANGE),
    _private("POST", f"{PROJECT}dashboards/{{id}}/delete_tile/", "dashboard:write", DESTROY),
    _private("POST", f"{PROJECT}dashboards/{{id}}/reorder_tiles/", "dashboard:write", CHANGE),
    # persons: an update is an event of its own at PostHog, but it is asked for as a change
    *_crud(f"{PROJECT}persons/", "person", limit=ANALYTICS, without="POST"),
    _private("POST", f"{PROJECT}persons/{{id}}/update_property/", "person:write", CHANGE, ANALYTICS),
    _private("POST", f"{PROJECT}persons/{{id}}/delete_property/", "person:write", CHANGE, ANALYTICS),
    _private("POST", f"{PROJECT}persons/{{id}}/split/", "person:write", DESTROY, ANALYTICS),
    _private("DELETE", f"{PROJECT}persons/{{id}}/", "person:write", DESTROY, ANALYTICS),
    _private("POST", f"{PROJECT}persons/bulk_delete/", "person:write", DESTROY, ANALYTICS),
    _private("GET", f"{PROJECT}persons/values/", "person:read", READ, VALUES),
    _private("GET", f"{PROJECT}persons/cohorts/", "person:read cohort:read", READ, ANALYTICS),
    _activity("persons/{id}", ANALYTICS),
    # groups and cohorts
    _private("GET", f"{PROJECT}groups_types/", "group:read", READ),
    _private("PATCH", f"{PROJECT}groups_types/update_metadata/", "group:write", CHANGE),
    _private("GET", f"{PROJECT}groups/", "group:read", READ),
    _private("GET", f"{PROJECT}groups/find/", "group:read", READ),
    _private("GET", f"{PROJECT}groups/related/", "group:read", READ),
    _private("GET", f"{PROJECT}groups/property_values/", "group:read", READ),
    _private("GET", f"{PROJECT}groups/property_definitions/", "group:read", READ),
    _private("POST", f"{PROJECT}groups/update_property/", "group:write", CHANGE),
    *_crud(f"{PROJECT}cohorts/", "cohort"),
    _private("GET", f"{PROJECT}cohorts/{{id}}/persons/", "cohort:read person:read", READ),
    _private("PATCH", f"{PROJECT}cohorts/{{id}}/add_persons_to_static_cohort/", "cohort:write", CHANGE),
    _private("PATCH", f"{PROJECT}cohorts/{{id}}/remove_person_from_static_cohort/", "cohort:write", CHANGE),
    # events, their names and properties
    _private("GET", f"{PROJECT}events/", "query:read", READ, ANALYTICS),
    _private("GET", f"{PROJECT}events/{{id}}/", "query:read", READ, ANALYTICS),
    _private("GET", f"{PROJECT}events/values/", "query:read", READ, VALUES),
    _private("GET", f"{PROJECT}sessions/values/", "query:read", READ, VALUES),
    *_crud(f"{PROJECT}event_definitions/", "event_definition"),
    _private("GET", f"{PROJECT}event_definitions/by_name/", "event_definition:read", READ),
    _private("DELETE", f"{PROJECT}event_definitions/{{id}}/", "event_definition:write", DESTROY),
    *_crud(f"{PROJECT}property_definitions/", "property_definition", without="POST"),
    _private("DELETE", f"{PROJECT}property_definitions/{{id}}/", "property_definition:write", DESTROY),
    *_crud(f"{PROJECT}actions/", "action"),
    # recordings
    _private("GET", f"{PROJECT}session_recordings/", "session_recording:read", READ, ANALYTICS),
    _private("GET", f"{PROJECT}session_recordings/{{id}}/", "session_recording:read", READ, ANALYTICS),
    _private("DELETE", f"{PROJECT}session_recordings/{{id}}/", "session_recording:write", DESTROY, ANALYTICS),
    # error tracking
    *_crud(f"{PROJECT}error_tracking/issues/", "error_tracking", without="POST"),
    _private("PATCH", f"{PROJECT}error_tracking/issues/{{id}}/assign/", "error_tracking:write", CHANGE),
    _private("POST", f"{PROJECT}error_tracking/issues/bulk/", "error_tracking:write", CHANGE),
    _private("POST", f"{PROJECT}error_tracking/issues/{{id}}/merge/", "error_tracking:write", DESTROY),
    _private("POST", f"{PROJECT}error_tracking/issues/{{id}}/split/", "error_tracking:write", DESTROY),
    _private("POST", f"{PROJECT}error_tracking/query/issues/", "error_tracking:read", READ),
    _private("POST", f"{PROJECT}error_tracking/query/issue/", "error_tracking:read", READ),
    _private("POST", f"{PROJECT}error_tracking/query/issue_events/", "error_tracking:read", READ),
    _activity("error_tracking/issues/{id}"),
    # who changed what
    _private("GET", f"{PROJECT}activity_log/", "activity_log:read", READ),
    _private("GET", f"{PROJECT}advanced_activity_logs/", "activity_log:read", READ),
)

_BY_NAME = {(endpoint.method, endpoint.path): endpoint for endpoint in ENDPOINTS}


def endpoint(method: str, path: str) -> Endpoint:
    """The endpoint of a method and a path template, exactly as the table writes it.

    Raises:
        UnknownEndpoint: The table has none; the message names the nearest.
    """
    found = _BY_NAME.get((method, path))  # type: ignore[arg-type]
    if found:
        return found
    near = difflib.get_close_matches(path, {path for verb, path in _BY_NAME if verb == method}, n=1, cutoff=0)
    raise UnknownEndpoint(
        f"There is no {method} {path} in the table; the nearest is {''.join(near) or 'none'}."
    )


def effects_of(access: Access) -> Collection[Effect]:
    """The effects a server of that access may have."""
    return {
        Access.READ: frozenset({READ}),
        Access.WRITE: frozenset({READ, EVENT, CHANGE}),
        Access.FULL: frozenset(Effect),
    }[access]
