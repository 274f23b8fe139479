"""A trace as PostHog shows it, computed from its events."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

JSON = dict[str, Any]

_PRICED = ("$ai_generation", "$ai_embedding")
_REMARKS = ("$ai_metric", "$ai_feedback")
_LARGEST = 10**15  # what is larger was no count of anything
_CENT_PARTS = 4  # decimals of a cost


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a trace; `timestamp` is ISO."""

    uuid: str
    event: str
    timestamp: str
    distinct_id: str
    properties: JSON

    def number(self, name: str) -> float:
        """A property as a number; 0 for what is none."""
        value = self.properties.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _LARGEST:
            return 0.0
        return float(value)

    @property
    def failed(self) -> bool:
        """Whether it is marked as an error."""
        return self.properties.get("$ai_is_error") in (True, "true")


def trace_of(trace_id: str, events: Sequence[Event], *, whole: bool) -> JSON:
    """An `LLMTrace` without its person.

    Args:
        trace_id: Its id.
        events: At least one, in the order of their times.
        whole: With all events; else with metrics and feedback alone, as lists have it.
    """
    first = events[0]
    own = next((event for event in events if event.event == "$ai_trace"), None)
    state = own.properties if own else {}
    shown = [event for event in events if event.event != "$ai_trace" and (whole or event.event in _REMARKS)]
    costs = {name: _cost(events, f"$ai_{name}_cost_usd") for name in ("input", "output", "total")}
    return {
        "id": trace_id,
        "aiSessionId": next(_texts(events, "$ai_session_id"), None),
        "createdAt": first.timestamp,
        "distinctId": first.distinct_id,
        "totalLatency": round(_latency(trace_id, events), 2),
        "inputTokens": _tokens(events, "$ai_input_tokens"),
        "outputTokens": _tokens(events, "$ai_output_tokens"),
        **{f"{name}Cost": value for name, value in costs.items()},
        "requestCost": _cost(events, "$ai_request_cost_usd"),
        "webSearchCost": _cost(events, "$ai_web_search_cost_usd"),
        "inputState": _decoded(state.get("$ai_input_state")),
        "outputState": _decoded(state.get("$ai_output_state")),
        "traceName": _name(own) or _name(first) or None,
        "errorCount": sum(event.failed for event in events),
        "events": [_shown(event) for event in shown],
        "isSupportTrace": False,
        "tools": [],
    }


def _latency(trace_id: str, events: Sequence[Event]) -> float:
    timed = [event for event in events if event.number("$ai_latency") > 0]
    if not all(event.event == "$ai_generation" for event in timed):
        timed = [event for event in timed if event.properties.get("$ai_parent_id") in (None, "", trace_id)]
    return sum(event.number("$ai_latency") for event in timed)


def _tokens(events: Iterable[Event], name: str) -> int:
    return int(sum(event.number(name) for event in events if event.event in _PRICED))


def _cost(events: Iterable[Event], name: str) -> float:
    return round(sum(event.number(name) for event in events if event.event in _PRICED), _CENT_PARTS)


def _texts(events: Iterable[Event], name: str) -> Any:
    return (value for event in events if isinstance(value := event.properties.get(name), str) and value)


def _name(event: Event | None) -> str:
    if event is None:
        return ""
    return str(event.properties.get("$ai_span_name") or event.properties.get("$ai_trace_name") or "")


def _decoded(state: Any) -> Any:
    if not isinstance(state, str):
        return state
    try:
        return json.loads(state)
    except (ValueError, RecursionError):
        return state


def _shown(event: Event) -> JSON:
    return {
        "id": event.uuid,
        "event": event.event,
        "createdAt": event.timestamp,
        "properties": event.properties,
    }
