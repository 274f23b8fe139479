"""The worked examples: read, put into a sandbox, compared."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from posthog_mcp.sandbox.http.times import read_iso
from posthog_mcp.sandbox.ingest import RawEvent

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

Json = dict[str, Any]
QUERY = "/api/projects/1/query/"
EXAMPLES: dict[str, Json] = {
    one["name"]: one
    for one in json.loads((Path(__file__).parents[2] / "data" / "insight-examples.json").read_text())[
        "examples"
    ]
}


def now_of(example: Json) -> datetime:
    return read_iso(example["now"])


async def seed(sandbox: Sandbox, example: Json) -> None:
    """The project's settings, its people and their events, oldest first."""
    sandbox.project.settings.update(
        {
            "timezone": example["timezone"],
            "week_start_day": example.get("week_start_day", 0),
            **example.get("project", {}),
        }
    )
    listed = sorted(example.get("events") or [], key=lambda one: read_iso(one["timestamp"]))
    sessions: dict[str, str] = {}
    events: list[RawEvent] = []
    for one in listed:
        at, properties = read_iso(one["timestamp"]), dict(one.get("properties") or {})
        if "$session_id" in properties:
            name = properties["$session_id"]
            properties["$session_id"] = sessions.setdefault(name, session_id(at, len(sessions)))
        if "$pathname" in properties:
            # SDKs send both; sessions know their pages by the address.
            properties.setdefault("$current_url", f"https://shop.test{properties['$pathname']}")
        events.append(event(one["event"], one["distinct_id"], at, properties))
    for person in example.get("persons") or []:
        # People come about by their first event, so one of another name makes them.
        who = person["distinct_ids"][0]
        first = min(_time(one) for one in events if one.distinct_id == who)
        made = read_iso(person["created_at"]) if "created_at" in person else first - timedelta(minutes=1)
        properties = {"$set": person["properties"]} if person.get("properties") else {}
        events.append(event("made", who, made, properties))
    await sandbox.ingest.accept(sorted(events, key=_time))


def session_id(at: datetime, number: int) -> str:
    """The id of a session that began then: its first bits are the time."""
    milliseconds = f"{int(at.timestamp() * 1000):012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-{number:012x}"


def _time(one: RawEvent) -> datetime:
    assert isinstance(one.timestamp, datetime)
    return one.timestamp


def event(name: str, who: str, at: datetime, properties: Json) -> RawEvent:
    given = dict(properties)
    if "$group_0" in given:
        given["$groups"] = {"company": given.pop("$group_0")}
    return RawEvent(event=name, distinct_id=who, properties=given, uuid=str(uuid4()), timestamp=at)


async def ask(api: AsyncClient, query: Json, status: int = 200) -> Json:
    reply = await api.post(QUERY, json={"query": query})
    assert reply.status_code == status, reply.text
    return reply.json()


def agrees(found: Any, expected: Any) -> bool:
    """Whether an answer says all that is expected: more keys may be there, numbers are numbers."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            key in found and agrees(found[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(agrees(one, other) for one, other in zip(found, expected, strict=True))
        )
    if isinstance(expected, int | float) and not isinstance(expected, bool):
        return isinstance(found, int | float) and math.isclose(found, expected, abs_tol=1e-9)
    if isinstance(expected, str) and isinstance(found, str) and "T" in expected and found != expected:
        return _instant(found) == _instant(expected) is not None
    return found == expected


def _instant(text: str) -> datetime | None:
    try:
        return read_iso(text)
    except ValueError:
        return None
