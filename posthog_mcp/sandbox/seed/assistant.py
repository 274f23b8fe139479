"""The product's assistant, which answers some searches with a language model: a trace for each."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID, uuid5
from zlib import crc32

from posthog_mcp.sandbox.ingest import RawEvent

_EVENTS: Final = UUID("5c0c6a0e-93c1-5a0b-8a36-1f6d2f8e7b44")
_ONE_IN: Final = 4  # searches
_SINCE: Final = timedelta(days=30)
_FAILS_ONE_IN, _RATED_ONE_IN = 11, 5
_QUESTIONS: Final = (
    "Which tasks are late this week?",
    "Who is working on the launch plan?",
    "Summarise what changed since Monday.",
    "What is blocking the design review?",
)
_MODELS: Final = (("openai", "gpt-5-mini", 0.25e-6, 2e-6), ("anthropic", "claude-haiku-4-5", 1e-6, 5e-6))


def assisted(events: Iterable[RawEvent], now: datetime) -> Iterator[RawEvent]:
    """The events, and behind some of the members' searches the trace of an answer.

    Args:
        events: In order of time.
        now: The assistant is younger than the product: it answers since a month before.
    """
    for event in events:
        yield event
        if event.event != "feature_used" or event.properties.get("feature") != "search":
            continue
        drawn = crc32(str(event.uuid).encode())
        if drawn % _ONE_IN == 0 and now - cast("datetime", event.timestamp) < _SINCE:
            yield from _Answer(event, drawn // _ONE_IN).made()


class _Answer:
    """One answer of the assistant, as the server's SDK reports it."""

    def __init__(self, search: RawEvent, drawn: int) -> None:
        self._search = search
        self._drawn = drawn
        self._trace = str(uuid5(_EVENTS, str(search.uuid)))
        self._number = 0

    def made(self) -> Iterator[RawEvent]:
        """Its events in order of time."""
        question = _QUESTIONS[self._drawn % len(_QUESTIONS)]
        failed = self._drawn % _FAILS_ONE_IN == 0
        found, written = 120 + self._drawn % 900, 40 + self._drawn % 160
        answer = None if failed else f"There are {self._drawn % 7} of them."
        looked = {"input_state": {"query": question}, "output_state": {"tasks": found // 60}}
        yield self._event(
            0.3, "span", span_name="find tasks", span_id="find", parent_id=self._trace, latency=0.2, **looked
        )
        yield self._event(2.1, "generation", **self._generation(question, answer, found, written))
        said = {"input_state": question, "output_state": answer, "is_error": failed}
        yield self._event(2.2, "trace", span_name="Answer a search", **said)
        if not failed and self._drawn % _RATED_ONE_IN == 0:
            yield self._event(20.0, "feedback", feedback_text="helpful" if self._drawn % 2 else "wrong week")

    def _generation(self, question: str, answer: str | None, found: int, written: int) -> dict[str, Any]:
        provider, model, price_in, price_out = _MODELS[self._drawn % len(_MODELS)]
        said: dict[str, Any] = {
            "span_name": "write answer",
            "span_id": "write",
            "parent_id": self._trace,
            "provider": provider,
            "model": model,
            "latency": 1.7,
            "input": [
                {"role": "system", "content": "Answer from the tasks given, in one sentence."},
                {"role": "user", "content": question},
            ],
        }
        if answer is None:
            return said | {"is_error": True, "error": "the model is overloaded", "http_status": 529}
        return said | {
            "output_choices": [{"role": "assistant", "content": answer}],
            "input_tokens": found,
            "output_tokens": written,
            "input_cost_usd": found * price_in,
            "output_cost_usd": written * price_out,
        }

    def _event(self, seconds: float, kind: str, **properties: Any) -> RawEvent:
        self._number += 1
        named = {f"$ai_{name}": value for name, value in properties.items() if value is not None}
        return RawEvent(
            f"$ai_{kind}",
            self._search.distinct_id,
            {"$lib": "posthog-node", "$lib_version": "5.8.0", "$ai_trace_id": self._trace, **named},
            uuid=str(uuid5(_EVENTS, f"{self._search.uuid} {self._number}")),
            timestamp=cast("datetime", self._search.timestamp) + timedelta(seconds=seconds),
        )
