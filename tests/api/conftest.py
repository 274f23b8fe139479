"""A PostHog made of one function, for faults no real one can be talked into."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from posthog_mcp.api import PostHogClient, Transport, calls

Handler = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BACKOFF_SECONDS", 0.001)


class FakePostHog:
    """Answers with what it is given, one after the other, the last for ever, and remembers what it saw."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.seen: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx2.Response):
            return answer
        return httpx2.Response(200, json=answer)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.seen]

    def client(self, host: str = "", **options: Any) -> PostHogClient:
        defaults = {
            "personal_api_key": "phx_CANARY0000000000000000000",
            "project_token": "phc_public",
            "transport": Transport(wire=httpx2.MockTransport(self)),
        }
        return PostHogClient(host, **{**defaults, **options})


@pytest.fixture
def fake() -> type[FakePostHog]:
    return FakePostHog
