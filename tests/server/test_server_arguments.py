import dataclasses
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server_tools import echo

from posthog_mcp.server.arguments import check
from posthog_mcp.tool import ToolFailure
from posthog_mcp.tools.events import capture_event
from posthog_mcp.tools.flags import create_flag
from posthog_mcp.tools.insight_queries import query_trends


def understood(**arguments: Any) -> dict[str, Any]:
    return check(echo, {"name": "n", **arguments}).model_dump()


def refusal(**arguments: Any) -> str:
    with pytest.raises(ToolFailure) as caught:
        check(echo, {"name": "n", **arguments})
    return str(caught.value)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ({"limit": "42"}, {"limit": 42}),
        ({"limit": 42.0}, {"limit": 42}),
        ({"name": 42}, {"name": "42"}),
        ({"name": True}, {"name": "true"}),
        ({"active": "true"}, {"active": True}),
        ({"active": "False"}, {"active": False}),
        ({"share": "0.5"}, {"share": 0.5}),
        ({"tags": "one"}, {"tags": ["one"]}),
        ({"tags": '["one", "two"]'}, {"tags": ["one", "two"]}),
        ({"tags": "[one"}, {"tags": ["[one"]}),
        ({"tags": ""}, {"tags": []}),
        ({"properties": '{"plan": null}'}, {"properties": {"plan": None}}),
        ({"properties": {"plan": "pro"}}, {"properties": {"plan": "pro"}}),
        ({"properties": ""}, {"properties": {}}),
        ({"payload": "plain"}, {"payload": "plain"}),
        ({"payload": '{"a": [1]}'}, {"payload": {"a": [1]}}),
        (
            {"limit": "", "kind": "", "active": "", "share": "", "project_id": ""},
            {"limit": 50, "kind": "flag", "active": False, "share": None, "project_id": None},
        ),
        ({"filters": {"property": "p"}}, {"filters": [{"property": "p", "value": ""}]}),
        ({"filters": '{"property": "p"}'}, {"filters": [{"property": "p", "value": ""}]}),
        (
            {"filters": '[{"property": "p", "value": [1, "b"]}]'},
            {"filters": [{"property": "p", "value": '[1, "b"]'}]},
        ),
        ({"filters": [{"property": "p", "value": None}]}, {"filters": [{"property": "p", "value": ""}]}),
    ],
)
def test_harmless_types_are_forgiven(sent: dict[str, Any], meant: dict[str, Any]) -> None:
    whole = understood(**sent)
    assert {name: whole[name] for name in meant} == meant


def test_null_means_not_given() -> None:
    args = check(echo, {"name": "n", "limit": None, "tags": None, "kind": None, "project_id": None})
    assert args.model_dump(exclude_unset=True) == {"name": "n"}
    assert not args.given("limit")
    assert args.given("name")


def test_an_empty_text_is_no_way_to_leave_an_argument_out_of_a_change() -> None:
    changes = dataclasses.replace(echo, read_only=False)
    with pytest.raises(ToolFailure, match='`limit` is ""; it must be a whole number'):
        check(changes, {"name": "n", "limit": ""})


def test_an_unknown_argument_is_refused_with_the_nearest_name() -> None:
    assert "`limt` is not an argument; did you mean `limit`?" in refusal(limt=3)


def test_an_unknown_argument_that_is_like_no_other_is_refused_with_the_names() -> None:
    words = refusal(zzzzzz=3)
    assert "`zzzzzz` is not an argument; the arguments are: `project_id`, `name`" in words


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"user_id": "u"}, "`user_id` is not an argument; did you mean `distinct_id`?"),
        ({"user_id": "u", "name": "paid"}, "`user_id` is not an argument; did you mean `distinct_id`?"),
        ({"distinct_id": "u", "name": "paid"}, "`name` is not an argument; did you mean `event`?"),
    ],
)
def test_an_unknown_argument_rather_stands_for_one_that_is_missing(sent: dict[str, Any], words: str) -> None:
    with pytest.raises(ToolFailure, match=re.escape(words)):
        check(capture_event, sent)


def test_a_row_in_json_text_is_named_by_its_path_and_its_problems_are_told_like_any_other() -> None:
    rows = [{"event": "paid", "math": "unique"}, {"evnt": "paid"}, 7]
    with pytest.raises(ToolFailure) as caught:
        check(query_trends, {"series": json.dumps(rows)})
    said = str(caught.value)
    assert '`series[0].math` is "unique"; allowed: `total`, `dau`' in said
    assert "`series[1].evnt` is not an argument; did you mean `event`?" in said
    assert "`series[2]` is 7; it must be an object." in said


def test_a_name_where_an_object_is_wanted_is_no_broken_json() -> None:
    with pytest.raises(ToolFailure, match=re.escape('`variants[0]` is "control"; it must be an object.')):
        check(create_flag, {"key": "k", "variants": ["control", "test"]})


def test_an_unknown_argument_inside_a_nested_object_is_named_by_its_path() -> None:
    assert "`filters[0].proprety` is not an argument; did you mean `property`?" in refusal(
        filters=[{"property": "p", "proprety": "q"}]
    )


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"limit": 500}, "`limit` is 500; at most 200."),
        ({"limit": 0}, "`limit` is 0; at least 1."),
        ({"limit": "many"}, '`limit` is "many"; it must be a whole number.'),
        ({"share": float("nan")}, "`share` is NaN; it must be a finite number."),
        ({"kind": "flags"}, '`kind` is "flags"; allowed: `flag` or `survey`.'),
        ({"name": "x" * 11}, "`name` is too long: at most 10."),
        ({"name": {"a": 1}}, '`name` is {"a": 1}; it must be text.'),
        ({"name": None}, "`name` is required."),
        ({"active": "maybe"}, '`active` is "maybe"; it must be true or false.'),
        ({"limit": 10**20}, "`limit` is 100000000000000000000; at most 200."),
        ({"project_id": 10**20}, "`project_id` is too large: at most 9007199254740991."),
        ({"tags": [{}]}, "`tags[0]` is {}; it must be text."),
        ({"properties": "{"}, "`properties` must be JSON text;"),
        ({"properties": "[1]"}, '`properties` must be a JSON object, such as {"plan": "pro"}; it is "[1]".'),
        ({"properties": '{"a": NaN}'}, "`properties` NaN is not JSON"),
    ],
)
def test_what_does_not_fit_is_said_with_the_value_and_what_is_allowed(
    sent: dict[str, Any], words: str
) -> None:
    text = refusal(**sent)
    assert words in text
    assert "pydantic" not in text
    assert text.startswith("echo did not run: its arguments do not fit.")
    assert text.endswith("Correct them and call it again.")


def test_a_long_value_is_cut_and_many_problems_are_counted() -> None:
    text = refusal(limit="x" * 9_000, **{f"unknown_{number}": 1 for number in range(9)})
    assert "And 5 more." in text
    assert len(text) < 2_000


def test_a_pinned_server_does_not_let_a_call_choose_the_project() -> None:
    with pytest.raises(ToolFailure, match="bound to one project"):
        check(echo, {"name": "n", "project_id": 2}, {"project_id": "this server is bound to one project"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*echo.input.model_fields, "nme", ""]), json_values, max_size=6))
def test_any_arguments_are_understood_or_refused_in_words(arguments: dict[str, Any]) -> None:
    try:
        check(echo, arguments)
    except ToolFailure as failure:
        assert str(failure).startswith("echo did not run")  # noqa: PT017 - both ways are right
