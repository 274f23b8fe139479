import json
import math
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_mcp.api import PostHogClient, Transport, endpoint
from posthog_mcp.api.errors import NotSendable
from posthog_mcp.api.requests import body_of, path_of, query_of

ONE = "/api/projects/{project_id}/feature_flags/{id}/"
HOSTILE = [
    "../x",
    "..",
    ".",
    "a/b",
    "a\\b",
    "?",
    "1?x=1",
    "1#x",
    "%2e%2e",
    "%2F",
    "1;x",
    "1 2",
    "1\n",
    "\n1",
    "1\r\nX-Evil: 1",
    "\x00",
    "\uff11\uff12",
    "é",
    "@current",
    "1&x=1",
    "",
    " ",
    "a" * 201,
    None,
    True,
    1.5,
    [1],
    {"id": 1},
    b"1",
]


def client(seen: list[httpx2.Request]) -> PostHogClient:
    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={})

    return PostHogClient(personal_api_key="phx_a", transport=Transport(wire=httpx2.MockTransport(handler)))


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_a_hostile_id_never_leaves(hostile: Any):
    seen: list[httpx2.Request] = []
    posthog = client(seen)
    with pytest.raises(NotSendable):
        await posthog.get(ONE, project_id=1, id=hostile)
    with pytest.raises(NotSendable):
        await posthog.get(ONE, project_id=hostile, id=1)
    assert seen == []


@given(st.one_of(st.text(), st.integers(), st.text("./%?#\\@:;&=~ \n\r\t\x00é-_0a", max_size=12)))
def test_no_id_changes_which_endpoint_is_called(value: Any):
    try:
        path = path_of(endpoint("GET", ONE), {"project_id": 1, "id": value})
    except NotSendable:
        return
    head, tail = "/api/projects/1/feature_flags/", "/"
    segment = path.removeprefix(head).removesuffix(tail)
    assert path == head + segment + tail
    url = httpx2.URL("https://us.posthog.com" + path)
    assert url.raw_path.decode() == path
    assert url.path.split("/") == ["", "api", "projects", "1", "feature_flags", str(value), ""]


@pytest.mark.parametrize("fine", [7, "7", "new-cart", "0195a1b2-c3d4-7000-8000-000000000000", "a:b.c", "_x"])
async def test_an_ordinary_id_arrives_as_it_is(fine: Any):
    seen: list[httpx2.Request] = []
    await client(seen).get(ONE, project_id="12", id=fine)
    assert seen[0].url.path == f"/api/projects/12/feature_flags/{fine}/"


@pytest.mark.parametrize("params", [{}, {"project_id": 1}, {"project_id": 1, "id": 2, "x": 3}])
def test_missing_and_extra_parameters_are_mistakes_of_the_program(params: dict[str, object]):
    with pytest.raises(TypeError, match="takes"):
        path_of(endpoint("GET", ONE), params)


def test_query_values_are_written_as_posthog_reads_them():
    query = query_of(
        {
            "search": "a&b=c d/é",
            "active": True,
            "none": None,
            "empty": [],
            "tags": ["x", "y"],
            "filter": {"k": 1},
            "n": 0,
            "blank": "",
        }
    )
    assert parse_qs(query, keep_blank_values=True) == {
        "search": ["a&b=c d/é"],
        "active": ["true"],
        "tags": ['["x","y"]'],
        "filter": ['{"k":1}'],
        "n": ["0"],
        "blank": [""],
    }


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), max_size=4))
def test_no_query_value_escapes_its_place(values: dict[str, object]):
    query = query_of(values)
    assert parse_qs(query, keep_blank_values=True) == {name: [value] for name, value in values.items()}
    parts = urlsplit("https://us.posthog.com/api/?" + query)
    assert (parts.path, parts.query, parts.fragment) == ("/api/", query, "")


@pytest.mark.parametrize(
    "body", [{"x": math.nan}, {"x": math.inf}, {"x": "\ud800"}, {"x": object()}, {"x": {1}}]
)
def test_a_body_without_a_json_form_is_refused(body: object):
    with pytest.raises(NotSendable):
        body_of(body)


def test_a_body_in_a_circle_is_refused():
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(NotSendable):
        body_of(circle)


def test_a_query_value_with_half_a_character_is_refused():
    with pytest.raises(NotSendable):
        query_of({"search": "\ud800"})


def test_bodies_are_compact_utf8():
    assert body_of({"a": [1, "é"]}) == '{"a":[1,"é"]}'.encode()
    assert json.loads(body_of({"a": None})) == {"a": None}
