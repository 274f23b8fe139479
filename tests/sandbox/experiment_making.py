"""Experiments with known people, for the tests of experiments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from posthog_mcp.sandbox.ingest import RawEvent

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

EXPERIMENTS = "/api/projects/1/experiments/"
QUERY = "/api/projects/1/query/"
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
START = datetime(2026, 3, 1, 9, tzinfo=UTC)
M: dict[str, Any] = {"kind": "ExperimentMetric"}
_people = count()


def events_node(event: str, **more: Any) -> dict[str, Any]:
    return {"kind": "EventsNode", "event": event, **more}


def funnel(*events: str, **more: Any) -> dict[str, Any]:
    return {**M, "metric_type": "funnel", "series": [events_node(name) for name in events], **more}


def mean(event: str, **more: Any) -> dict[str, Any]:
    source = {name: more.pop(name) for name in list(more) if name.startswith(("math", "properties"))}
    return {**M, "metric_type": "mean", "source": events_node(event, **source), **more}


async def make(api: AsyncClient, name: str = "Cart", status: int = 201, **fields: Any) -> dict[str, Any]:
    body = {
        "name": name,
        "feature_flag_key": name.lower().replace(" ", "-"),
        "metrics": [funnel("bought")],
        "allow_unknown_events": True,
        **fields,
    }
    reply = await api.post(EXPERIMENTS, json=body)
    assert reply.status_code == status, reply.text
    return reply.json()


async def act(
    api: AsyncClient, experiment: dict[str, Any], action: str, status: int = 200, **body: Any
) -> dict[str, Any]:
    reply = await api.post(f"{EXPERIMENTS}{experiment['id']}/{action}/", json=body)
    assert reply.status_code == status, reply.text
    return reply.json()


async def change(
    api: AsyncClient, experiment: dict[str, Any], status: int = 200, **fields: Any
) -> dict[str, Any]:
    reply = await api.patch(f"{EXPERIMENTS}{experiment['id']}/", json=fields)
    assert reply.status_code == status, reply.text
    return reply.json()


async def ask(api: AsyncClient, query: dict[str, Any], status: int = 200) -> dict[str, Any]:
    reply = await api.post(QUERY, json={"query": query})
    assert reply.status_code == status, reply.text
    return reply.json()


async def results(api: AsyncClient, experiment: dict[str, Any], metric: dict[str, Any]) -> dict[str, Any]:
    """The sums and statistics of each variant, by key."""
    query = {"kind": "ExperimentQuery", "experiment_id": experiment["id"], "metric": metric}
    answer = await ask(api, query)
    return {one["key"]: one for one in [answer["baseline"], *answer["variant_results"]]}


async def sums(
    api: AsyncClient, experiment: dict[str, Any], metric: dict[str, Any]
) -> dict[str, tuple[int, float]]:
    """How many people and the sum of their values, by variant."""
    found = await results(api, experiment, metric)
    return {key: (one["number_of_samples"], one["sum"]) for key, one in found.items()}


async def exposures(api: AsyncClient, experiment: dict[str, Any], **more: Any) -> dict[str, Any]:
    query = {
        "kind": "ExperimentExposureQuery",
        "experiment_id": experiment["id"],
        "experiment_name": experiment["name"],
        "feature_flag": experiment["feature_flag"],
        "start_date": experiment["start_date"],
        "end_date": experiment["end_date"],
        "exposure_criteria": experiment["exposure_criteria"],
    }
    return await ask(api, query | more)


class People:
    """Collects what people do, and sends it: `at` counts from the experiment's start."""

    def __init__(self, sandbox: Sandbox, flag: str) -> None:
        self._sandbox, self._flag = sandbox, flag
        self._events: list[RawEvent] = []

    def new(self, variant: str | bool | None = None, at: timedelta = HOUR) -> str:
        """Somebody, exposed to a variant when one is given."""
        who = f"p{next(_people)}"
        if variant is not None:
            self.see(who, variant, at)
        return who

    def see(self, who: str, variant: str | bool, at: timedelta = HOUR, **more: Any) -> None:
        seen = {"$feature_flag": self._flag, "$feature_flag_response": variant, **more}
        self.do(who, "$feature_flag_called", at, **seen)

    def do(self, who: str, event: str, at: timedelta = 2 * HOUR, **properties: Any) -> None:
        self._events.append(
            RawEvent(
                event=event,
                distinct_id=who,
                properties=properties,
                uuid=str(uuid4()),
                timestamp=START + at,
            )
        )

    async def send(self) -> None:
        events, self._events = self._events, []
        await self._sandbox.ingest.accept(events)
