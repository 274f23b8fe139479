"""Traces of LLM analytics, as agents read them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

Json = dict[str, Any]

_MEASURES = {
    "seconds": "$ai_latency",
    "model": "$ai_model",
    "provider": "$ai_provider",
    "input_tokens": "$ai_input_tokens",
    "output_tokens": "$ai_output_tokens",
    "cost": "$ai_total_cost_usd",
    "stop_reason": "$ai_stop_reason",
    "status": "$ai_http_status",
}
_INPUTS = ("$ai_input", "$ai_input_state")
_OUTPUTS = ("$ai_output_choices", "$ai_output", "$ai_output_state", "$ai_feedback_text", "$ai_metric_value")
_ERROR = 500  # characters of an error


@dataclass(frozen=True, slots=True)
class Spans:
    """The events of a trace as a tree.

    Attributes:
        trace_id: The trace's id, which events at the top name as their parent.
        began: When the trace began, an ISO time.
        events: PostHog's: `{id, event, createdAt, properties}`, in the order of their times.
    """

    trace_id: str
    began: str
    events: list[Json]

    def rows(self, room: int) -> list[Json]:
        """Each event with its depth, parents before their children, otherwise in the order of time.

        Args:
            room: The most characters of each input and output; 0 leaves both out.
        """
        return [{"depth": depth, **self._row(event, room)} for depth, event in self._walk()]

    def _walk(self) -> list[tuple[int, Json]]:
        own = {name: event["id"] for event in self.events if (name := _own_id(event))}
        below: dict[str, list[Json]] = {}
        for event in self.events:
            parent = own.get(str(_properties(event).get("$ai_parent_id") or ""), "")
            below.setdefault("" if parent == event["id"] else parent, []).append(event)
        walked: list[tuple[int, Json]] = []
        seen: set[str] = set()
        waiting = [(0, event) for event in reversed(below.get("", []))]
        # Events that only name each other as parents hang below nothing: they come last.
        others = [(0, event) for event in reversed(self.events)]
        while waiting or others:
            depth, event = waiting.pop() if waiting else others.pop()
            if event["id"] in seen:
                continue
            seen.add(event["id"])
            walked.append((depth, event))
            waiting += [(depth + 1, child) for child in reversed(below.get(event["id"], []))]
        return walked

    def _row(self, event: Json, room: int) -> Json:
        properties = _properties(event)
        row: Json = {"kind": str(event.get("event")).removeprefix("$ai_"), "at": self._second(event)}
        row["name"] = properties.get("$ai_span_name") or properties.get("$ai_metric_name")
        row |= {name: properties.get(key) for name, key in _MEASURES.items()}
        if properties.get("$ai_is_error") in (True, "true") or properties.get("$ai_error"):
            row["error"] = _cut(_text(properties.get("$ai_error")) or "failed", _ERROR)
        if room:
            row["input"] = _cut_start(_first(properties, _INPUTS), room)
            row["output"] = _cut(_first(properties, _OUTPUTS), room)
        return {name: value for name, value in row.items() if value not in (None, "")}

    def _second(self, event: Json) -> float | None:
        """Seconds since the trace began."""
        try:
            began, at = (datetime.fromisoformat(text) for text in (self.began, str(event.get("createdAt"))))
            return round((at - began).total_seconds(), 1)
        except (TypeError, ValueError):
            return None


def remarks(events: list[Json]) -> str:
    """What people and evaluations said of a trace: `feedback: good; metric score: 0.4`."""
    said: list[str] = []
    for event in events:
        properties = _properties(event)
        if event.get("event") == "$ai_feedback":
            said.append(f"feedback: {_text(properties.get('$ai_feedback_text'))}")
        if event.get("event") == "$ai_metric":
            name, value = (_text(properties.get(f"$ai_metric_{part}")) for part in ("name", "value"))
            said.append(f"metric {name}: {value}")
    return "; ".join(said)


def state_text(state: Any, room: int) -> str | None:
    """A trace's own input or output, cut; None where there is none, or no room for it."""
    return _cut(_text(state), room) if state not in (None, "") and room else None


def _properties(event: Json) -> Json:
    given: Any = event.get("properties")
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return {}
    return cast("Json", given) if isinstance(given, dict) else {}


def _own_id(event: Json) -> str:
    properties = _properties(event)
    return str(properties.get("$ai_span_id") or properties.get("$ai_generation_id") or "")


def _first(properties: Json, names: tuple[str, ...]) -> str:
    return next((_text(properties[name]) for name in names if properties.get(name) not in (None, "")), "")


def _text(value: Any) -> str:
    """Messages as `role: words`, one a line; anything else as text or JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        items = cast("list[Any]", value)
        if items and all(isinstance(item, dict) and ("content" in item or "role" in item) for item in items):
            return "\n".join(map(_message, items))
    return _json(value)


def _message(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        content = " ".join(
            str(cast("Json", part)["text"]) if isinstance(part, dict) and "text" in part else _json(part)
            for part in parts
        )
    said = content if isinstance(content, str) else _json(content) if content is not None else ""
    called = f" {_json(message['tool_calls'])}" if message.get("tool_calls") else ""
    return f"{message.get('role') or 'message'}: {said}{called}"


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return "…"


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[:room]}… ({len(text):,} characters)"


def _cut_start(text: str, room: int) -> str:
    """The end of a conversation: what was asked last says most."""
    return text if len(text) <= room else f"({len(text):,} characters) …{text[-room:]}"
