"""LLM analytics: traces, put together from the events of each."""
