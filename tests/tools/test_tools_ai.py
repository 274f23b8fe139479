"""Traces of language models are listed with what they cost, and told span by span."""

import pytest

from posthog_mcp.settings import Settings

# What a tool does is the same in both eras of the protocol.
pytestmark = pytest.mark.parametrize("agent", ["auto"], indirect=True)

ASKED = [{"role": "system", "content": "x" * 900}, {"role": "user", "content": "Where is my order?"}]


@pytest.fixture
async def chat(agent, name):
    """A trace of this test's person: a span with a generation below it, a failed generation, a rating."""
    await agent.record("capture_llm_generation", kind="trace", trace_id=name, name=f"Help {name}",
                       distinct_id=f"ann-{name}", input={"q": "order"})  # fmt: skip
    await agent.record("capture_llm_generation", kind="span", trace_id=name, span_id="s1", parent_id=name,
                       name="look up", latency=2, distinct_id=f"ann-{name}")  # fmt: skip
    await agent.record(
        "capture_llm_generation", trace_id=name, span_id="g1", parent_id="s1", model="m-1", provider="p",
        input=ASKED, output="In the post.", input_tokens=900, output_tokens=4, latency=1.5, cost=0.02,
        distinct_id=f"ann-{name}",
    )  # fmt: skip
    await agent.record(
        "capture_llm_generation", trace_id=name, parent_id=name, model="m-2", error="overloaded",
        distinct_id=f"ann-{name}",
    )  # fmt: skip
    await agent.record("capture_llm_generation", kind="feedback", trace_id=name, output="great", wait=True,
                       distinct_id=f"ann-{name}")  # fmt: skip


@pytest.fixture
def settings(sandbox, tmp_path):
    """A server that lists the tools of all areas."""
    own = {"POSTHOG_MCP_AREAS": "all", "POSTHOG_MCP_DATA_DIR": str(tmp_path)}
    return Settings.load({**sandbox.environment, **own})


@pytest.mark.usefixtures("chat")
async def test_a_trace_is_listed_with_what_it_took_and_cost(agent, name):
    (row,) = await agent.rows("list_llm_traces", person=f"ann-{name}")
    assert row[:2] == [name, f"Help {name}"]
    assert row[3:] == [f"ann-{name}", "2", "900", "4", "0.02", "1", "feedback: great"]
    text = await agent.ask("list_llm_traces", person=f"ann-{name}")
    assert "Written by outsiders: trace_id, name, person, remarks." in text


@pytest.mark.usefixtures("chat")
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"errors_only": True}, True),
        ({"filters": [{"property": "$ai_model", "value": "m-1", "on": "event"}]}, True),
        ({"filters": [{"property": "$ai_model", "value": "m-3", "on": "event"}]}, False),
        ({"date_from": "2020-01-01", "date_to": "2020-02-01"}, False),
        ({"offset": 1}, False),
    ],
)
async def test_traces_are_found_by_errors_events_and_period(agent, name, asked, found):
    text = await agent.ask("list_llm_traces", person=f"ann-{name}", **asked)
    assert ("1 row." in text, "No rows." in text) == (found, not found)


@pytest.mark.usefixtures("chat")
async def test_a_trace_is_told_span_by_span_below_its_parent(agent, name):
    trace = await agent.record("get_llm_trace", trace_id=name)
    told = [(span["depth"], span["kind"], span.get("name") or span.get("model")) for span in trace["spans"]]
    assert told == [
        (0, "span", "look up"),
        (1, "generation", "m-1"),
        (0, "generation", "m-2"),
        (0, "feedback", None),
    ]
    generation = trace["spans"][1]
    assert (generation["input_tokens"], generation["cost"], generation["seconds"]) == (900, 0.02, 1.5)
    assert generation["input"].endswith("user: Where is my order?")
    assert generation["input"].startswith("(933 characters) …")
    assert len(generation["input"]) < 450
    assert generation["output"] == "assistant: In the post."
    assert trace["spans"][2]["error"] == "overloaded"
    assert (trace["name"], trace["input"]) == (f"Help {name}", '{"q":"order"}')
    assert {"spans", "name", "person", "input"} <= set(trace["written_by_outsiders"])


@pytest.mark.usefixtures("chat")
async def test_a_trace_can_be_read_without_content_and_in_parts(agent, name):
    trace = await agent.record("get_llm_trace", trace_id=name, content=0, limit=1, offset=1)
    (generation,) = trace["spans"]
    assert "input" not in generation
    assert trace["more_spans"] == "2 more: offset=2"


async def test_a_trace_that_is_not_there_is_said_so(agent, name):
    refusal = await agent.refusal("get_llm_trace", trace_id=f"../{name}")
    assert f"There is no trace ../{name}" in refusal
    assert "list_llm_traces" in refusal


async def test_traces_that_are_not_found_say_what_was_looked_for_and_where_ids_are(agent, name):
    filters = [{"property": "$ai_model", "value": name}]
    text = await agent.ask("list_llm_traces", person="ann@example.com", errors_only=True, filters=filters)
    assert f"Filtered by $ai_model exact {name} (event); person ann@example.com; with an error." in text
    assert "find_persons has the ids of a person, by email or name." in text
