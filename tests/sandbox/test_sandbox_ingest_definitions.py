"""Definitions: which names the project has seen, on what, and of which type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from recording_engine import RecordingEngine

from posthog_mcp.sandbox.ingest import Ingest, RawEvent
from posthog_mcp.sandbox.ingest.property_types import detect
from posthog_mcp.sandbox.project import Project
from posthog_mcp.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
RECENT = int((NOW - timedelta(days=100)).timestamp())


@pytest.fixture
async def ingest(tmp_path: Path) -> AsyncIterator[Ingest]:
    store = Store(tmp_path / "sandbox.sqlite")
    one = Ingest(store, RecordingEngine(), Project(), lambda: NOW)  # pyright: ignore[reportArgumentType]
    yield one
    await one.close()
    store.close()


async def take(ingest: Ingest, name: str, **properties: Any) -> None:
    await ingest.accept([RawEvent(name, "ann", properties)])


def types(ingest: Ingest, kind: Any = "event", **filters: Any) -> dict[str, str | None]:
    found, total = ingest.definitions.properties(kind, **filters)
    assert total == len(found)
    return {each.name: each.property_type for each in found}


async def test_the_types_of_the_worked_example(ingest: Ingest):
    await take(ingest, "buy", total=42.5, plan="pro", paid=True, ordered_at="2026-03-01", tags=["a"])
    assert types(ingest) == {
        "total": "Numeric",
        "plan": "String",
        "paid": "Boolean",
        "ordered_at": "DateTime",
        "tags": None,
    }
    assert ingest.definitions.property_type("event", "total") == "Numeric"
    assert ingest.definitions.property_type("event", "unheard") is None


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("utm_source", 5, "String"),
        ("$initial_utm_source", 5, "String"),
        ("$feature/new-cart", True, "String"),
        ("$survey_response", 5, "String"),
        ("$survey_response_1", 5, "String"),
        ("$feature_flag_response", True, "String"),
        ("created_at", RECENT, "DateTime"),
        ("updatedAt", RECENT, "DateTime"),
        ("birth-date", RECENT, "DateTime"),
        ("created_at", 5, "Numeric"),
        ("created_at", float(RECENT), "Numeric"),
        ("total", RECENT, "Numeric"),
        ("created_at", "soon", "String"),
        ("x", "true", "Boolean"),
        ("x", " FALSE ", "Boolean"),
        ("x", "True", "String"),
        ("x", "2026-03-01", "DateTime"),
        ("x", "2026/03/01", "DateTime"),
        ("x", "01-03-2026", "DateTime"),
        ("x", "29/03/2026", "DateTime"),
        ("x", "31/03/2026", "String"),
        ("x", "2026-03-01 10:00:00", "DateTime"),
        ("x", "2026-03-01 10:00:00.123+00", "DateTime"),
        ("x", "2026-03-01T10:00:00Z", "DateTime"),
        ("x", "2026-03-01T10:00:00.123456+02:00", "DateTime"),
        ("x", "Sun, 01 Mar 2026 10:00:00 GMT", "DateTime"),
        ("x", "1 Mar 2026 10:00 +0100", "DateTime"),
        ("x", "2026-03-01 or so", "String"),
        ("x", "12", "String"),
        ("x", "", "String"),
        ("x", 0, "Numeric"),
        ("x", None, None),
        ("x", [], None),
        ("x", {}, None),
    ],
)
def test_the_first_rule_that_fits_gives_the_type(key, value, expected):
    assert detect(key, value, NOW.timestamp()) == expected


async def test_the_first_type_stays_and_none_can_become_one(ingest: Ingest):
    await take(ingest, "buy", a=5, b=None)
    await take(ingest, "buy", a="text", b="text")
    assert types(ingest) == {"a": "Numeric", "b": "String"}


async def test_events_are_defined_with_the_hour_they_were_last_seen(ingest: Ingest):
    await take(ingest, "buy")
    await take(ingest, "Sell")
    found, total = ingest.definitions.events()
    assert [each.name for each in found] == ["Sell", "buy"]
    assert total == 2
    assert (found[0].created_at, found[0].last_seen_at) == (NOW, NOW.replace(minute=0))
    assert [each.name for each in ingest.definitions.events("SEL")[0]] == ["Sell"]
    assert ingest.definitions.events(limit=1, offset=1)[0][0].name == "buy"


async def test_person_and_group_properties_are_kinds_of_their_own(ingest: Ingest):
    await take(ingest, "seen", **{"$set": {"plan": "pro"}, "$set_once": {"seats": 3}, "$browser": "Firefox"})
    await take(
        ingest, "$groupidentify", **{"$group_type": "company", "$group_key": "a", "$group_set": {"n": 1}}
    )
    assert types(ingest) == {"$browser": "String"}
    assert types(ingest, "person") == {
        "plan": "String",
        "seats": "Numeric",
        "$browser": "String",
        "$initial_browser": "String",
    }
    (group,), _ = ingest.definitions.properties("group", group_index=0)
    assert (group.name, group.property_type, group.group_index) == ("n", "Numeric", 0)
    assert ingest.definitions.properties("group", group_index=1) == ([], 0)
    assert ("group", 0, "n") in ingest.definitions.property_types()


async def test_bookkeeping_of_persons_and_groups_is_not_defined(ingest: Ingest):
    await take(ingest, "seen", **{"$set": {}, "$set_once": {}, "$unset": [], "$groups": {"company": "acme"}})
    assert types(ingest) == {}


async def test_names_over_200_bytes_are_stored_without_a_definition(ingest: Ingest):
    await take(ingest, "é" * 101, **{"x" * 201: 1, "x" * 200: 1, "é" * 100: 1, "\ud800": 1})
    assert sorted(types(ingest), key=len) == ["é" * 100, "x" * 200]
    assert ingest.definitions.events() == ([], 0)


async def test_properties_are_found_by_name_event_and_type(ingest: Ingest):
    await take(ingest, "buy", total=1, plan="pro", **{"$feature/x": True})
    await take(ingest, "look", plan="pro", page="a")
    assert set(types(ingest, events=["buy"])) == {"total", "plan"}
    assert set(types(ingest, events=["buy", "look"])) == {"total", "plan", "page"}
    assert set(types(ingest, events=["unheard"])) == set()
    assert set(types(ingest, search="PLA")) == {"plan"}
    assert set(types(ingest, names=["total", "x"])) == {"total"}
    assert set(types(ingest, numerical=True)) == {"total"}
    assert set(types(ingest, numerical=False)) == {"plan", "page", "$feature/x"}
    some, total = ingest.definitions.properties(limit=1, offset=1)
    assert ([each.name for each in some], total) == (["page"], 4)


async def test_a_type_can_be_corrected(ingest: Ingest):
    await take(ingest, "buy", zip="01234")
    ingest.definitions.set_type("event", "zip", "Numeric")
    await take(ingest, "buy", zip="01234")
    assert ingest.definitions.property_type("event", "zip") == "Numeric"
