"""Traces as agents read them, whatever an application sent."""

from typing import Any

from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from posthog_mcp.tool.llm_traces import Spans

span_ids = st.sampled_from(["a", "b", "c", "d", "t", ""])


@bounded(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(span_ids, span_ids), max_size=8),
    st.recursive(st.none() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2)
                 | st.dictionaries(st.sampled_from(["role", "content", "text"]), inner), max_leaves=5),
)  # fmt: skip
def test_every_event_is_told_once_whatever_parents_and_content_it_names(links, content):
    events: list[dict[str, Any]] = [
        {
            "id": str(number),
            "event": "$ai_span",
            "createdAt": "2026-03-10T11:00:00Z",
            "properties": {"$ai_span_id": own, "$ai_parent_id": parent, "$ai_input": content, "n": number},
        }
        for number, (own, parent) in enumerate(links)
    ]
    rows = Spans("t", "2026-03-10T11:00:00Z", events).rows(50)
    assert len(rows) == len(events)
    assert all(0 <= row["depth"] < max(len(events), 1) for row in rows)
    assert all(len(row.get("input", "")) <= 50 + len("(1,000 characters) …") for row in rows)
