"""A difference names every place where two states differ, and no other."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_mcp.tool.difference import difference

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


def _same(first: Any, second: Any) -> bool:
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


@given(JSON, JSON)
@settings(max_examples=300, deadline=None)
def test_two_states_differ_exactly_where_something_is_named(before: Any, after: Any) -> None:
    changes = difference(before, after)
    assert bool(changes) is not _same(before, after)
    for change in changes:
        assert set(change) <= {"field", "from", "to"}
        assert len(change) > 1
        if "from" in change and "to" in change:
            assert not _same(change["from"], change["to"])


@given(JSON, JSON, JSON)
@settings(max_examples=100, deadline=None)
def test_what_both_have_is_not_named(shared: Any, before: Any, after: Any) -> None:
    changes = difference({"kept": shared, "own": before}, {"kept": shared, "own": after})
    assert all(change["field"].startswith("own") for change in changes)


def test_an_item_put_in_between_is_one_change() -> None:
    before, after = {"groups": [{"n": 1}, {"n": 2}]}, {"groups": [{"n": 1}, {"n": 9}, {"n": 2}]}
    assert difference(before, after) == [{"field": "groups[1]", "to": {"n": 9}}]
    assert difference(after, before) == [{"field": "groups[1]", "from": {"n": 9}}]


def test_a_value_within_is_named_by_its_path() -> None:
    before, after = (
        {"filters": {"groups": [{"a": 1}, {"a": 2}]}},
        {"filters": {"groups": [{"a": 1}, {"a": 3}]}},
    )
    assert difference(before, after) == [{"field": "filters.groups[1].a", "from": 2, "to": 3}]


def test_true_is_not_one_and_one_is_not_one_point_zero() -> None:
    assert difference({"a": True}, {"a": 1})
    assert difference({"a": 1}, {"a": 1.0})
