"""JSON with comments: what is read is what json reads, and what is changed is nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies

from posthog_mcp.cli import _jsonc as jsonc

VALUES = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers(-(2**40), 2**40)
    | strategies.floats(allow_nan=False, allow_infinity=False)
    | strategies.text(max_size=12),
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.dictionaries(strategies.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
OBJECTS = strategies.dictionaries(strategies.text(max_size=6), VALUES, max_size=5)


@settings(max_examples=150, deadline=None)
@given(value=VALUES, indent=strategies.sampled_from([None, 0, 2, "\t"]))
def test_every_json_reads_as_json_reads_it(value: Any, indent: Any) -> None:
    assert jsonc.read(json.dumps(value, indent=indent), comments=False).value == value


@settings(max_examples=150, deadline=None)
@given(
    value=OBJECTS,
    put=VALUES,
    path=strategies.lists(strategies.text(max_size=4), min_size=1, max_size=3),
    indent=strategies.sampled_from([None, 2, "\t"]),
)
def test_a_member_is_set_and_the_others_stay(value: dict[str, Any], put: Any, path: list[str], indent: Any):
    wanted: dict[str, Any] = json.loads(json.dumps(value))
    inner: Any = wanted
    for name in path[:-1]:
        if not isinstance(inner, dict):
            break
        inner = inner.setdefault(name, {})
    text = json.dumps(value, indent=indent)
    if not isinstance(inner, dict):
        with pytest.raises(ValueError, match="is no object"):
            jsonc.put(text, path, put, comments=False)
        return
    inner[path[-1]] = put
    assert json.loads(jsonc.put(text, path, put, comments=False)) == wanted


@settings(max_examples=150, deadline=None)
@given(
    text=strategies.text(alphabet='{}[]",:/*\\ \n-1eEnulltrue', max_size=40), comments=strategies.booleans()
)
def test_what_is_no_json_is_refused_with_its_line(text: str, comments: bool) -> None:
    try:
        expected = json.loads(text, parse_constant=_refuse)
    except ValueError:
        if comments:
            return
        with pytest.raises(ValueError, match=r"^line \d+: "):
            jsonc.read(text, comments=False)
    else:
        try:
            assert jsonc.read(text, comments=comments).value == expected
        except ValueError as error:
            assert "there twice" in str(error)  # noqa: PT017 - json takes the last one


def _refuse(name: str) -> Any:
    raise ValueError(name)


def test_comments_and_the_commas_before_them_stay() -> None:
    text = """{
    // who reads this
    "servers": {
        "other": {"command": "x"}, // the other one
        /* nothing here */
    },
    "inputs": [
        {"id": "a"} // asked
    ]
}
"""
    changed = jsonc.put(text, ["servers", "posthog"], {"command": "y"}, comments=True)
    changed = jsonc.append(changed, "inputs", {"id": "b"}, comments=True)
    read = jsonc.read(changed, comments=True).value
    assert read == {
        "servers": {"other": {"command": "x"}, "posthog": {"command": "y"}},
        "inputs": [{"id": "a"}, {"id": "b"}],
    }
    for comment in ("// who reads this", "// the other one", "/* nothing here */", "// asked"):
        assert comment in changed
    assert '\n        "posthog": {\n' in changed


@pytest.mark.parametrize("text", ['{"a": 1} // x', '{"a": 1,}', "/* x */ {}"])
def test_comments_are_refused_where_the_client_has_none(text: str) -> None:
    assert isinstance(jsonc.read(text, comments=True).value, dict)
    with pytest.raises(ValueError, match="line 1"):
        jsonc.read(text, comments=False)


def test_what_is_nested_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="too deeply"):
        jsonc.read("[" * 100_000, comments=True)
