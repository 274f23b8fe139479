"""What ingestion does to events of LLM analytics: ids as text, parameters lifted, costs added up.

Source: PostHog's `nodejs/src/ingestion/ai`. A cost is the client's own, or comes from the client's prices of
tokens, or from the model's name.
"""

from __future__ import annotations

from typing import Any, Final

from posthog_mcp.sandbox.ingest.ai_prices import Price, price_of
from posthog_mcp.sandbox.ingest.properties import JSON, as_object

_IDS: Final = ("$ai_trace_id", "$ai_parent_id", "$ai_span_id", "$ai_generation_id", "$ai_session_id")
_LIFTED: Final = {"temperature": "$ai_temperature", "stream": "$ai_stream", "max_tokens": "$ai_max_tokens"}
_PRICED: Final = frozenset({"$ai_generation", "$ai_embedding"})
_PARTS: Final = (
    "$ai_input_cost_usd",
    "$ai_output_cost_usd",
    "$ai_request_cost_usd",
    "$ai_web_search_cost_usd",
)
# Of the price of an input token, where nothing else is said: reading from a cache, writing to it.
_CACHE_READ, _ANTHROPIC_READ, _ANTHROPIC_WRITE = 0.5, 0.1, 1.25

_CUSTOM: Final = "custom"


def describe_ai(event: str, properties: JSON) -> None:
    """Change the properties of an `$ai_…` event as PostHog does; those of other events stay as they are."""
    if not event.startswith("$ai_"):
        return
    for name in _IDS:
        value = properties.get(name)
        if isinstance(value, bool | int | float):
            properties[name] = str(value)
        elif not isinstance(value, str):
            properties.pop(name, None)
    properties.pop("$ai_usage", None)
    if event not in _PRICED:
        return
    parameters = as_object(properties.get("$ai_model_parameters"))
    for name, lifted in _LIFTED.items():
        if name in parameters:
            properties.setdefault(lifted, parameters[name])
    _add_costs(properties)


def _add_costs(properties: JSON) -> None:
    given = all(_is_number(properties.get(name)) for name in _PARTS[:2])
    price = None if given else _price(properties)
    if price is not None:
        written = _number(properties.get("$ai_output_tokens"))
        if _counts_reasoning_apart(properties):
            written += _number(properties.get("$ai_reasoning_tokens"))
        computed = {
            "$ai_input_cost_usd": _input_cost(properties, price.input),
            "$ai_output_cost_usd": price.output * written,
            "$ai_model_cost_used": price.model,
            "$ai_cost_model_source": "custom" if price.model == _CUSTOM else "manual",
        }
        for name, value in computed.items():  # what the client says stays
            properties.setdefault(name, value)
    if (given or price is not None) and not _is_number(properties.get("$ai_total_cost_usd")):
        properties["$ai_total_cost_usd"] = sum(_number(properties.get(name)) for name in _PARTS)


def _price(properties: JSON) -> Price | None:
    prices = [properties.get(f"$ai_{side}_token_price") for side in ("input", "output")]
    if all(map(_is_number, prices)):
        return Price(_CUSTOM, *map(_number, prices))
    return price_of(str(properties.get("$ai_model") or ""))


def _counts_reasoning_apart(properties: JSON) -> bool:
    model = str(properties.get("$ai_model") or "").lower()
    return "gemini-2.5" in model or "gemini-3" in model


def _input_cost(properties: JSON, price: float) -> float:
    tokens = _number(properties.get("$ai_input_tokens"))
    read = _number(properties.get("$ai_cache_read_input_tokens"))
    written = _number(properties.get("$ai_cache_creation_input_tokens"))
    if _is_anthropic(properties):  # whose count of tokens leaves out those of the cache
        return price * (tokens + _ANTHROPIC_WRITE * written + _ANTHROPIC_READ * read)
    return price * (tokens - read + _CACHE_READ * read)


def _is_anthropic(properties: JSON) -> bool:
    provider, model = (str(properties.get(name) or "").lower() for name in ("$ai_provider", "$ai_model"))
    return "anthropic" in provider or "anthropic" in model or model.startswith("claude")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float:
    return float(value) if _is_number(value) else 0.0
