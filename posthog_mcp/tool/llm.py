"""PostHog's events of LLM analytics, made from what an agent gives."""

from typing import Any, Literal, cast
from uuid import uuid4

from pydantic import Field, field_validator, model_validator

from posthog_mcp.tool.arguments import JsonObject, JsonValue
from posthog_mcp.tool.events import Subject, check_distinct_id

_NEEDED: dict[str, tuple[str, ...]] = {
    "generation": ("model",),
    "embedding": ("model",),
    "metric": ("name", "output", "trace_id"),
    "feedback": ("output", "trace_id"),
}
Kind = Literal["generation", "span", "trace", "embedding", "metric", "feedback"]


class LlmEvent(Subject):
    """One event of LLM analytics."""

    distinct_id: str = Field("", max_length=200, description="Person who used it. Default none.")
    kind: Kind = Field(
        "generation", description="What happened: one call of a model, or another part of a trace."
    )
    trace_id: str = Field(
        "", max_length=200, description="Groups events of one conversation. Default a new one."
    )
    span_id: str = Field("", max_length=200, description="Id of this event within the trace.")
    parent_id: str = Field("", max_length=200, description="span_id or trace_id it belongs to.")
    name: str = Field("", max_length=200, description="Of the span, trace or metric; metric needs it.")
    model: str = Field("", max_length=200, description="Model; generation and embedding need it.")
    provider: str = Field("", max_length=200, description="openai, anthropic ...")
    input: JsonValue = Field(None, description='Messages or state: [{"role": "user", "content": "Hi"}].')
    output: JsonValue = Field(
        None, description="Choices or state, as input. metric: its value. feedback: the text."
    )
    input_tokens: int | None = Field(None, ge=0, description="Tokens sent.")
    output_tokens: int | None = Field(None, ge=0, description="Tokens received.")
    cache_read_tokens: int | None = Field(None, ge=0, description="Of input_tokens, read from a cache.")
    latency: float | None = Field(None, ge=0, description="Seconds it took.")
    cost: float | None = Field(None, ge=0, description="US dollars; PostHog prices common models itself.")
    error: str = Field("", max_length=10_000, description="What went wrong, if anything did.")
    properties: JsonObject = Field(
        default_factory=dict, description='More: {"$ai_session_id": "s1", "$ai_temperature": 0.2}.'
    )

    @field_validator("distinct_id")
    @classmethod
    def _person(cls, value: str) -> str:
        return check_distinct_id(value) if value else value

    @model_validator(mode="after")
    def _complete(self) -> "LlmEvent":
        missing = [name for name in _NEEDED.get(self.kind, ()) if getattr(self, name) in ("", None)]
        if missing:
            raise ValueError(f"a {self.kind} needs {' and '.join(missing)}")
        return self

    def posthog_name(self) -> str:
        """The event's name at PostHog."""
        return f"$ai_{self.kind}"

    def posthog_properties(self) -> dict[str, Any]:
        """The event's properties as PostHog's own SDKs name them; those given in `properties` win."""
        self.trace_id = self.trace_id or str(uuid4())
        named: dict[str, Any] = {
            "$ai_trace_id": self.trace_id,
            "$ai_span_id": self.span_id,
            "$ai_parent_id": self.parent_id,
            "$ai_model": self.model,
            "$ai_provider": self.provider,
            "$ai_input_tokens": self.input_tokens,
            "$ai_output_tokens": self.output_tokens,
            "$ai_cache_read_input_tokens": self.cache_read_tokens,
            "$ai_latency": self.latency,
            "$ai_total_cost_usd": self.cost,
            "$ai_error": self.error,
            **self._content(),
        }
        if self.input_tokens is not None and self.output_tokens is not None:
            named["$ai_total_tokens"] = self.input_tokens + self.output_tokens
        if self.error:
            named["$ai_is_error"] = True
        return {name: value for name, value in named.items() if value not in ("", None)} | self.properties

    def _content(self) -> dict[str, Any]:
        if self.kind == "metric":
            value = self.output if isinstance(self.output, str) else str(self.output)
            return {"$ai_metric_name": self.name, "$ai_metric_value": value}
        if self.kind == "feedback":
            return {"$ai_feedback_text": str(self.output)}
        if self.kind in ("span", "trace"):
            return {
                "$ai_span_name": self.name,
                "$ai_input_state": self.input,
                "$ai_output_state": self.output,
            }
        given = {"$ai_input": _messages(self.input, "user"), "$ai_span_name": self.name}
        if self.kind == "generation":
            given["$ai_output_choices"] = _messages(self.output, "assistant")
        return given


def _messages(content: Any, role: str) -> Any:
    """A list of messages: plain text as the message it stands for."""
    if content in ("", None):
        return None
    items = cast("list[Any]", content) if isinstance(content, list) else [content]
    return [{"role": role, "content": item} if isinstance(item, str) else item for item in items]
