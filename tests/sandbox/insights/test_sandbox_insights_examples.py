"""Worked examples of every kind of insight: events in, PostHog's numbers out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from insight_examples import EXAMPLES, agrees, ask, now_of, seed

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.sandbox import Options, Sandbox

if TYPE_CHECKING:
    from httpx2 import AsyncClient

_QUERIES = ("trends", "funnel", "retention", "paths", "lifecycle", "stickiness", "events", "web")


def named(*prefixes: str) -> list[str]:
    return [name for name in EXAMPLES if name.partition("_")[0] in prefixes]


@pytest.fixture
def example(request: pytest.FixtureRequest) -> dict[str, Any]:
    return EXAMPLES[request.param]


@pytest.fixture
def options(example: dict[str, Any]) -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: now_of(example))


@pytest.mark.parametrize("example", named(*_QUERIES), indirect=True)
async def test_results_are_those_worked_out_by_hand(
    sandbox: Sandbox, api: AsyncClient, example: dict[str, Any]
) -> None:
    await seed(sandbox, example)
    answer = await ask(api, example["query"])
    assert agrees(answer["results"], example["expected_results"]), answer["results"]
    assert agrees(answer, example.get("expected_top_level") or {})
