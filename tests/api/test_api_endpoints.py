import json
import re
from pathlib import Path
from typing import Any

import pytest

from posthog_mcp.api import ENDPOINTS, Effect, KeyType, LimitClass, UnknownEndpoint, effects_of, endpoint
from posthog_mcp.settings import LIMIT_CLASSES, Access

FACTS = json.loads((Path(__file__).parents[1] / "data" / "posthog_endpoints.json").read_text())
# what PostHog's own listing calls something else than it is for us, and why
OWN_EFFECTS = {
    ("DELETE", "/api/projects/{project_id}/query/{id}/"): Effect.READ,  # cancels a query
    ("POST", "/api/projects/{project_id}/surveys/{id}/launch/"): Effect.DESTROY,  # reaches end users at once
}
NOT_LISTED = {
    ("GET", "/_preflight/"),
    ("GET", "/api/schema/"),
    ("POST", "/batch/"),
    ("POST", "/flags/"),
    ("GET", "/flags/definitions"),
    ("GET", "/api/feature_flag/local_evaluation/"),
}
ALLOWED_BY_ACCESS = {
    Effect.READ: {"read"},
    Effect.EVENT: {"write"},
    Effect.CHANGE: {"write", "destructive"},
    Effect.DESTROY: {"destructive"},
}


def test_every_endpoint_stands_once():
    assert len({(each.method, each.path) for each in ENDPOINTS}) == len(ENDPOINTS)


def test_every_endpoint_is_one_that_posthog_lists():
    listed = {(fact["method"], fact["path"]) for fact in FACTS}
    assert {(each.method, each.path) for each in ENDPOINTS} == listed | NOT_LISTED


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: f"{fact['method']} {fact['path']}")
def test_scope_and_effect_agree_with_posthog(fact: dict[str, Any]):
    ours = endpoint(fact["method"], fact["path"])
    if fact["scopes"]:
        assert " ".join(ours.scopes) in fact["scopes"]
    own = OWN_EFFECTS.get((ours.method, ours.path))
    if own:
        assert ours.effect is own
    else:
        assert ALLOWED_BY_ACCESS[ours.effect] & set(fact["access"])


def test_only_reads_ask_for_read_scopes_alone():
    for each in ENDPOINTS:
        writes = any(scope.endswith(":write") for scope in each.scopes)
        assert writes == (each.effect in {Effect.CHANGE, Effect.DESTROY}), each


def test_calls_that_only_ask_are_reads_whatever_their_verb():
    for method, path in (
        ("POST", "/flags/"),
        ("POST", "/api/projects/{project_id}/query/"),
        ("DELETE", "/api/projects/{project_id}/query/{id}/"),
        ("POST", "/api/projects/{project_id}/feature_flags/user_blast_radius/"),
    ):
        assert endpoint(method, path).effect is Effect.READ


def test_a_real_delete_is_never_a_change():
    for each in ENDPOINTS:
        if each.method == "DELETE" and "/query/" not in each.path:
            assert each.effect is Effect.DESTROY, each


def test_queries_values_and_definitions_have_budgets_of_their_own():
    limits = {(each.method, each.path): each.limit for each in ENDPOINTS}
    assert limits["GET", "/api/projects/{project_id}/query/{id}/"] is LimitClass.QUERY
    assert limits["GET", "/api/projects/{project_id}/events/values/"] is LimitClass.VALUES
    assert limits["GET", "/flags/definitions"] is LimitClass.DEFINITIONS
    assert limits["POST", "/batch/"] is LimitClass.NONE
    assert limits["GET", "/api/projects/{project_id}/persons/"] is LimitClass.ANALYTICS
    assert limits["GET", "/api/projects/{project_id}/feature_flags/"] is LimitClass.CRUD


def test_settings_name_the_same_limit_classes():
    assert set(LIMIT_CLASSES) == {limit.value for limit in LimitClass} - {"none"}


def test_only_what_an_application_calls_goes_to_the_public_host():
    public = {each.path for each in ENDPOINTS if each.public}
    assert public == {"/batch/", "/flags/", "/flags/definitions", "/api/feature_flag/local_evaluation/"}


def test_no_private_endpoint_takes_the_project_token():
    for each in ENDPOINTS:
        assert (KeyType.PROJECT in each.keys) == (each.path in {"/batch/", "/flags/"})


def test_no_endpoint_speaks_of_a_current_project():
    assert not [
        each for each in ENDPOINTS if re.search(r"(projects|environments|organizations)/@", each.path)
    ]


def test_access_widens_step_by_step():
    read, write, full = (set(effects_of(access)) for access in Access)
    assert read == {Effect.READ}
    assert write == {Effect.READ, Effect.EVENT, Effect.CHANGE}
    assert full == set(Effect)


def test_an_unknown_path_names_the_nearest():
    with pytest.raises(UnknownEndpoint, match=r"nearest is /api/projects/\{project_id\}/annotations/"):
        endpoint("GET", "/api/projects/{project_id}/annotation/")
