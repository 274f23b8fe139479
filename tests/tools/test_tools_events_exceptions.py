"""Exceptions and LLM use, as PostHog's own SDKs report them."""

import json
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_mcp.tool.tracebacks import Raised, exception_list, given_frames, read_traceback

NODE = """/srv/shop/cart.js:2
  throw new TypeError("outer", { cause });
  ^

TypeError: outer
second line
    at inner (/srv/shop/cart.js:2:57)
    at async Promise.all (index 0)
    at new Cart (file:///srv/shop/cart.mjs:10:5)
    at Array.map (<anonymous>)
    at Object.<anonymous> (/srv/shop/node_modules/x/index.js:3:1)
    at node:internal/main/run_main_module:28:49 {
  code: 'E_CART',
  [cause]: Error: db down
      at connect (/srv/shop/db.js:1:9)
      at inner (/srv/shop/cart.js:1:2)
}

Node.js v20.20.2
"""
AGGREGATE = """AggregateError: all
    at f (file:///tmp/y.mjs:1:39) {
  [errors]: [
    Error: a
        at f (file:///tmp/y.mjs:1:59),
    RangeError: b
        at f (file:///tmp/y.mjs:1:74)
  ]
}
"""


def raised(text: str) -> list[dict]:
    return exception_list(read_traceback(text), handled=True)


def functions(exception: dict) -> list[str]:
    return [frame["function"] for frame in exception["stacktrace"]["frames"]]


def fail() -> None:
    try:
        {}["price"]
    except KeyError as error:
        raise ValueError("bad total\nsecond line") from error


def fail_with(error: Exception) -> None:
    raise error


def test_a_chain_of_python_exceptions_begins_with_the_one_that_was_caught():
    try:
        try:
            fail()
        except ValueError:
            json.loads("{")
    except ValueError:
        text = traceback.format_exc()
    outer, middle, inner = raised(f"2026-03-01 ERROR while paying\n{text}")
    assert (outer["type"], outer["module"]) == ("JSONDecodeError", "json.decoder")
    assert (middle["type"], middle["value"]) == ("ValueError", "bad total\nsecond line")
    assert (inner["type"], inner["value"]) == ("KeyError", "'price'")
    assert [one["mechanism"].get("source") for one in (outer, middle, inner)] == [
        None, "__context__", "__cause__",
    ]  # fmt: skip
    assert [one["mechanism"].get("parent_id") for one in (outer, middle, inner)] == [None, 0, 1]
    frames = outer["stacktrace"]["frames"]
    assert frames[0]["context_line"] == "fail()" or frames[0]["in_app"]
    assert [frame["in_app"] for frame in frames] == [True, False, False, False]
    assert (frames[-1]["filename"], frames[-1]["module"]) == ("json/decoder.py", "json.decoder")
    assert functions(middle)[-1] == "fail"


def test_the_frames_say_what_python_said():
    try:
        fail()
    except ValueError as error:
        expected = [
            (frame.name, frame.lineno, frame.line) for frame in traceback.extract_tb(error.__traceback__)
        ]
        (outer, _) = raised(traceback.format_exc())
    found = [
        (frame["function"], frame["lineno"], frame["context_line"]) for frame in outer["stacktrace"]["frames"]
    ]
    assert found == expected


def test_a_group_of_exceptions_is_the_parent_of_its_members():
    group = ExceptionGroup("many", [ValueError(1), ExceptionGroup("inner", [TypeError("x")])])
    try:
        fail_with(group)
    except ExceptionGroup:
        found = raised(traceback.format_exc())
    assert [one["type"] for one in found] == ["ExceptionGroup", "ValueError", "ExceptionGroup", "TypeError"]
    assert {one["mechanism"]["parent_id"] for one in found[1:]} == {0}


def test_a_syntax_error_points_at_the_line():
    try:
        compile("a b", "shop/x.py", "exec")
    except SyntaxError:
        (found,) = raised(traceback.format_exc())
    assert found["stacktrace"]["frames"][-1] | {"abs_path": ""} == {
        "platform": "python", "filename": "shop/x.py", "abs_path": "", "function": "<module>", "lineno": 1,
        "in_app": True, "context_line": "a b", "module": "shop.x",
    }  # fmt: skip
    assert found["value"] == "invalid syntax"


def test_endless_recursion_is_cut_in_the_middle():
    lines = [f'  File "a.py", line {n}, in f\n    f()' for n in range(3_000)]
    (found,) = raised("Traceback (most recent call last):\n" + "\n".join(lines) + "\nRecursionError: deep")
    numbers = [frame["lineno"] for frame in found["stacktrace"]["frames"]]
    assert len(numbers) == 200
    assert (numbers[0], numbers[-1]) == (0, 2_999)


def test_a_node_stack_with_its_cause():
    outer, inner = raised(NODE)
    assert (outer["type"], outer["value"]) == ("TypeError", "outer\nsecond line")
    assert (inner["type"], inner["value"], inner["mechanism"]["source"]) == ("Error", "db down", "cause")
    frames = outer["stacktrace"]["frames"]
    assert functions(outer) == [
        "<anonymous>", "Object.<anonymous>", "Array.map", "new Cart", "Promise.all", "inner",
    ]  # fmt: skip
    assert [frame["in_app"] for frame in frames] == [False, False, False, True, False, True]
    assert frames[-1] == {
        "platform": "node:javascript", "filename": "/srv/shop/cart.js", "function": "inner", "in_app": True,
        "lineno": 2, "colno": 57,
    }  # fmt: skip
    assert frames[3]["filename"] == "/srv/shop/cart.mjs"


def test_an_aggregate_error_is_the_parent_of_its_errors():
    found = raised(AGGREGATE)
    assert [one["type"] for one in found] == ["AggregateError", "Error", "RangeError"]
    assert [one["mechanism"].get("source") for one in found] == [None, "errors[0]", "errors[1]"]


def test_a_stack_of_firefox_or_safari():
    frames = "pay@https://shop.example/app.js:88:13\n@https://shop.example/a.js:1:1"
    (found,) = raised(f"Uncaught TypeError: x is undefined\n{frames}")
    assert (found["type"], found["value"]) == ("TypeError", "x is undefined")
    assert found["stacktrace"]["frames"][-1]["platform"] == "web:javascript"
    assert functions(found) == ["<anonymous>", "pay"]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [("shop.CartError: empty", "CartError", "empty"), ("it broke", "Error", "it broke")],
)
def test_text_without_frames_is_an_exception_all_the_same(text, kind, words):
    (found,) = raised(text)
    assert (found["type"], found["value"]) == (kind, words)
    assert "stacktrace" not in found


@settings(deadline=None)
@given(
    st.text(max_size=300)
    | st.lists(
        st.sampled_from(
            [
                "Traceback (most recent call last):",
                '  File "a.py", line 1, in f',
                "    code()",
                "ValueError: x",
                "The above exception was the direct cause of the following exception:",
                "  + Exception Group Traceback (most recent call last):",
                "  +-+---------------- 1 ----------------",
                "    at f (/a.js:1:2)",
                "  [cause]: Error: y",
                "  [errors]: [",
                "f@https://a/b.js:1:2",
                "",
                "}",
            ]
        ),
        max_size=25,
    ).map("\n".join)
)
def test_any_text_is_read_to_something_posthog_can_take(text):
    if not text.strip():
        with pytest.raises(ValueError, match="blank"):
            read_traceback(text)
        return
    found = raised(text)
    assert found
    for place, one in enumerate(found):
        assert one["type"]
        assert one["mechanism"]["exception_id"] == place
        assert one["mechanism"].get("parent_id", -1) < place
        for frame in one.get("stacktrace", {}).get("frames", []):
            assert frame["platform"]
            assert isinstance(frame["in_app"], bool)


def test_given_frames_are_completed_and_checked():
    frames = given_frames([{"filename": "shop/cart.py", "function": "pay", "lineno": 88}])
    assert frames == [
        {"platform": "python", "in_app": True, "filename": "shop/cart.py", "function": "pay", "lineno": 88}
    ]
    for wrong, words in [
        ([1], "object"), ([{}], "needs"), ([{"filename": "a", "line": 1}], "unknown field line"),
        ([{"filename": "a", "lineno": "1"}], "of type int"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=words):
            given_frames(wrong)


def test_a_message_is_cut_before_it_is_too_long_for_posthog():
    (found,) = exception_list([Raised("Error", "x" * 50_000)], handled=False)
    assert len(found["value"]) == 10_000
    assert found["mechanism"]["handled"] is False


async def _properties(agent, event: str, who: str) -> dict:
    query = "SELECT properties FROM events WHERE event = {event} AND distinct_id = {who} LIMIT 1"
    answer = await agent.record(
        "query_hogql", query=query, values={"event": event, "who": who}, format="json"
    )
    return json.loads(answer["rows"][0][0])


async def test_an_exception_reaches_posthog_with_its_list(agent, name):
    await agent.record(
        "capture_exception", wait=True, distinct_id=name, traceback=NODE, level="fatal", handled=False,
        fingerprint="cart", properties={"release": "1.2"},
    )  # fmt: skip
    stored = await _properties(agent, "$exception", name)
    assert [one["type"] for one in stored["$exception_list"]] == ["TypeError", "Error"]
    assert stored["$exception_list"][0]["mechanism"]["handled"] is False
    assert (stored["$exception_level"], stored["$exception_fingerprint"]) == ("fatal", "cart")
    assert stored["release"] == "1.2"


async def test_an_exception_of_nobody_makes_no_person(agent, name):
    shown = await agent.record("capture_exception", dry_run=True, type="ValueError", message=name)
    (event,) = shown["would_send"]
    assert event["properties"]["$process_person_profile"] is False
    assert event["properties"]["$exception_list"][0]["value"] == name


@pytest.mark.parametrize(
    "arguments", [{}, {"traceback": " "}, {"traceback": "x", "type": "y"}, {"type": "x", "frames": [1]}]
)
async def test_an_exception_needs_a_traceback_or_its_parts(agent, arguments):
    assert "traceback" in await agent.refusal("capture_exception", **arguments) or "frames" in arguments


async def test_a_generation_reaches_posthog_as_its_sdks_send_it(agent, name):
    await agent.record(
        "capture_llm_generation", wait=True, distinct_id=name, trace_id="t1", model="m1", provider="openai",
        input="Hi", output={"role": "assistant", "content": "Hello"}, input_tokens=3, output_tokens=2,
        latency=0.5, cost=0.01, error="slow",
    )  # fmt: skip
    stored = await _properties(agent, "$ai_generation", name)
    expected = {
        "$ai_trace_id": "t1", "$ai_model": "m1", "$ai_provider": "openai", "$ai_latency": 0.5,
        "$ai_input": [{"role": "user", "content": "Hi"}],
        "$ai_output_choices": [{"role": "assistant", "content": "Hello"}],
        "$ai_input_tokens": 3, "$ai_output_tokens": 2, "$ai_total_tokens": 5, "$ai_total_cost_usd": 0.01,
        "$ai_is_error": True, "$ai_error": "slow",
    }  # fmt: skip
    assert {key: stored.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("kind", "arguments", "expected"),
    [
        ("span", {"name": "find", "input": {"q": 1}, "output": "x", "parent_id": "p"},
         {"$ai_span_name": "find", "$ai_input_state": {"q": 1}, "$ai_output_state": "x"}),
        ("trace", {"name": "chat"}, {"$ai_span_name": "chat"}),
        ("embedding", {"model": "e5", "input": "text", "input_tokens": 1}, {"$ai_model": "e5"}),
        ("metric", {"name": "accuracy", "output": 0.9, "trace_id": "t"},
         {"$ai_metric_name": "accuracy", "$ai_metric_value": "0.9"}),
        ("feedback", {"output": "great", "trace_id": "t"}, {"$ai_feedback_text": "great"}),
    ],
)  # fmt: skip
async def test_the_other_events_of_a_trace(agent, kind, arguments, expected):
    shown = await agent.record("capture_llm_generation", dry_run=True, kind=kind, **arguments)
    (event,) = shown["would_send"]
    assert event["event"] == f"$ai_{kind}"
    assert event["properties"]["$ai_trace_id"]
    assert {key: event["properties"].get(key) for key in expected} == expected


async def test_a_generation_without_a_model_is_refused(agent):
    assert "needs model" in await agent.refusal("capture_llm_generation", input="Hi")
