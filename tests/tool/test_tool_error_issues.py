"""Exceptions as agents read them, whatever an application sent."""

import json

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from posthog_mcp.tool.error_issues import event_properties, exceptions, releases

values = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
json_values = st.recursive(
    values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
frames = st.lists(
    st.dictionaries(
        st.sampled_from(["filename", "source", "lineno", "line", "function", "resolved_name", "in_app"]),
        json_values,
    )
    | json_values,
    max_size=20,
)
raised_lists = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "type": json_values,
            "value": json_values | st.just("x" * 2_000),
            "mechanism": json_values,
            "stacktrace": json_values | st.fixed_dictionaries({"frames": frames | json_values}),
        },
    )
    | json_values,
    max_size=4,
)


@bounded(max_examples=200, deadline=None)
@given(raised_lists | json_values, json_values)
def test_whatever_strangers_raise_is_told_in_few_words(raised_list, released):
    event = {"$exception_list": raised_list, "$exception_releases": released, "$app_version": released}
    properties = event_properties({"properties": json.dumps(event)})
    told = exceptions(properties)
    assert len(told) == (
        sum(isinstance(one, dict) for one in raised_list) if isinstance(raised_list, list) else 0
    )
    for exception in told:
        assert isinstance(exception["type"], str)
        assert len(exception["message"]) < 1_100
        assert len(exception.get("frames", [])) <= 15
    assert all(isinstance(release, str) for release in releases(properties))


@pytest.mark.parametrize("properties", [None, "", "no JSON", "[1]", "[" * 5_000, {"a": 1}])
def test_properties_of_any_form_are_an_object(properties):
    assert isinstance(event_properties({"properties": properties}), dict)
