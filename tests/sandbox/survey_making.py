"""Surveys with known answers, for the tests of surveys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from posthog_mcp.sandbox.ingest import RawEvent

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

SURVEYS = "/api/projects/1/surveys/"
START = datetime(2026, 3, 1, 9, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
OPEN = {"id": "why", "type": "open", "question": "Why?"}
NPS = {"id": "nps", "type": "rating", "question": "Recommend?", "display": "number", "scale": 10}
ONE_OF = {"id": "role", "type": "single_choice", "question": "Role?", "choices": ["Dev", "Design"]}
SOME_OF = {"id": "uses", "type": "multiple_choice", "question": "Uses?", "choices": ["Web", "App", "API"]}
_minutes = count()


async def make(api: AsyncClient, name: str = "Feedback", status: int = 201, **fields: Any) -> dict[str, Any]:
    body = {"name": name, "type": "popover", "questions": [OPEN], "start_date": START.isoformat(), **fields}
    reply = await api.post(SURVEYS, json=body)
    assert reply.status_code == status, reply.text
    return reply.json()


async def change(
    api: AsyncClient, survey: dict[str, Any], status: int = 200, **fields: Any
) -> dict[str, Any]:
    reply = await api.patch(f"{SURVEYS}{survey['id']}/", json=fields)
    assert reply.status_code == status, reply.text
    return reply.json()


async def get(api: AsyncClient, path: str, expected: int = 200, /, **query: Any) -> dict[str, Any]:
    reply = await api.get(f"{SURVEYS}{path}", params=query)
    assert reply.status_code == expected, reply.text
    return reply.json()


async def names(api: AsyncClient, **query: Any) -> list[str]:
    return [one["name"] for one in (await get(api, "", **query))["results"]]


class Visitors:
    """Sends what people do with one survey, a minute apart."""

    def __init__(self, sandbox: Sandbox, survey: dict[str, Any]) -> None:
        self._sandbox, self._survey = sandbox, survey

    async def do(self, who: str, event: str, **properties: Any) -> str:
        """At the next minute, or `at`."""
        uuid, when = str(uuid4()), properties.pop("at", None) or START + next(_minutes) * MINUTE
        about = {"$survey_id": self._survey["id"], **properties}
        await self._sandbox.ingest.accept(
            [RawEvent(event=event, distinct_id=who, properties=about, uuid=uuid, timestamp=when)]
        )
        return uuid

    async def answer(self, who: str, answers: dict[str, Any], **properties: Any) -> str:
        """Answers by the id of the question."""
        by_id = {f"$survey_response_{question}": answer for question, answer in answers.items()}
        return await self.do(who, "survey sent", **by_id, **properties)
