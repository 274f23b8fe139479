"""An instance's description of its API: what is taken from it, and what becomes of each call."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies

from posthog_mcp.api import Effect, LimitClass
from posthog_mcp.api.described import endpoint_of
from posthog_mcp.api.openapi import Operation, operations_of

NAMES = strategies.sampled_from(
    ["paths", "/api/projects/{project_id}/things/", "get", "post", "parameters", "requestBody", "content",
     "application/json", "schema", "$ref", "properties", "type", "items", "enum", "anyOf", "security",
     "PersonalAPIKeyAuth", "name", "in"],
)  # fmt: skip
PARTS = strategies.recursive(
    strategies.none() | strategies.integers() | NAMES | strategies.just("#/paths"),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(NAMES, inner, max_size=4),
    max_leaves=25,
)
THINGS: dict[str, Any] = {
    "parameters": [{"in": "path", "name": "project_id"}],
    "get": {
        "operationId": "things_list",
        "description": "List\n  the things.",
        "parameters": [
            {"in": "query", "name": "limit", "schema": {"type": "integer"}},
            {"in": "query", "name": "order", "required": True, "schema": {"enum": ["up", "down", None]}},
            {"in": "query", "name": "format", "schema": {"enum": ["json"]}},
        ],
        "security": [{"PersonalAPIKeyAuth": ["thing:read"]}],
    },
    "post": {
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}
    },
    "put": {},
    "patch": {},
}
THING = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "name": {"type": ["string", "null"]},
        "at": {"type": "string", "format": "date-time"},
        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
        "kind": {"allOf": [{"$ref": "#/components/schemas/Kind"}]},
        "loop": {"$ref": "#/components/schemas/Loop"},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
    },
}
DOCUMENT = {
    "paths": {
        "/api/projects/{project_id}/things": THINGS,
        "/api/environments/{project_id}/things/": THINGS,
        "/api/environments/{project_id}/only/": {"get": {}},
        "/elsewhere/": {"get": {}},
        "/api/../secrets/": {"get": {"x": 1}},
        "/api/odd": 5,
    },
    "components": {
        "schemas": {
            "Thing": THING,
            "Kind": {"enum": ["a", "b"]},
            "Loop": {"$ref": "#/components/schemas/Loop"},
        }
    },
}


def operation(method: str, path: str) -> Operation:
    return Operation(method, path, "", "", ("x:write",), (), ())


def test_one_way_to_each_thing_is_taken_and_what_is_no_api_is_not():
    found = [str(one) for one in operations_of(DOCUMENT)]
    assert (
        found
        == [
            "GET /api/projects/{project_id}/things/",
            "POST /api/projects/{project_id}/things/",
            "PATCH /api/projects/{project_id}/things/",
            "GET /api/environments/{project_id}/only/",
            "GET /api/../secrets/",
        ][: len(found)]
    )
    assert len(found) == 4


def test_parameters_fields_and_scopes_come_in_a_word_each():
    listing, making, *_ = operations_of(DOCUMENT)
    assert listing.summary == "List the things."
    assert listing.scopes == ("thing:read",)
    assert [str(one) for one in listing.query] == ["limit:integer", "order*:up|down"]
    assert [str(one) for one in making.body] == [
        "name*:string",
        "at:time",
        "parts:[object]",
        "kind:a|b",
        "loop:any",
        "either:integer|string",
    ]


@settings(max_examples=200, deadline=None)
@given(document=PARTS)
def test_a_document_of_any_form_gives_what_can_be_called_or_nothing(document: Any):
    for whole in (document, {"paths": {"/api/projects/{project_id}/things/": document}}):
        for one in operations_of(whole):
            assert one.path.startswith("/api/")
            assert endpoint_of(one).limit in LimitClass


@pytest.mark.parametrize(
    ("method", "path", "effect", "limit"),
    [
        ("GET", "/api/projects/{project_id}/unheard_of/{id}/", Effect.READ, LimitClass.CRUD),
        ("GET", "/api/projects/{project_id}/persons/{uuid}/lookup/", Effect.READ, LimitClass.ANALYTICS),
        ("GET", "/api/projects/{project_id}/unheard_of/values/", Effect.READ, LimitClass.VALUES),
        ("POST", "/api/projects/{project_id}/logs/query/", Effect.READ, LimitClass.CRUD),
        ("POST", "/api/environments/{project_id}/query/", Effect.READ, LimitClass.QUERY),
        ("POST", "/api/projects/{project_id}/query/check_auth_for_async/", Effect.DESTROY, LimitClass.QUERY),
        ("DELETE", "/api/projects/{project_id}/query/{uuid}/", Effect.READ, LimitClass.QUERY),
        ("PATCH", "/api/projects/{project_id}/actions/{uuid}/", Effect.CHANGE, LimitClass.CRUD),
        ("PATCH", "/api/projects/{project_id}/unheard_of/{id}/", Effect.DESTROY, LimitClass.CRUD),
        ("DELETE", "/api/projects/{project_id}/actions/{id}/", Effect.DESTROY, LimitClass.CRUD),
        ("GET", "/api/projects/{project_id}/cohorts/{id}/duplicate_as_static_cohort/", Effect.CHANGE, None),
        ("GET", "/api/users/{uuid}/start_2fa_setup/", Effect.CHANGE, None),
    ],
)
def test_a_call_has_the_effect_of_the_table_or_the_worst_it_may_have(
    method: str, path: str, effect: Effect, limit: LimitClass | None
):
    made = endpoint_of(operation(method, path))
    assert made.effect is effect
    if limit:
        assert made.limit is limit


def test_a_query_counts_among_those_that_run_at_once_by_whatever_path():
    assert endpoint_of(operation("POST", "/api/environments/{project_id}/query/")).runs_query
