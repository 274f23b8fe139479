"""Groups: types register themselves, `$groupidentify` writes the group."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.ingest import RawEvent
from posthog_mcp.sandbox.sandbox import Options

if TYPE_CHECKING:
    from posthog_mcp.sandbox.sandbox import Sandbox

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: NOW)


def seen(**groups: Any) -> RawEvent:
    return RawEvent("seen", "ann", {"$groups": groups})


def identify(kind: Any, key: Any, values: Any = None, at: datetime | None = None) -> RawEvent:
    properties = {"$group_type": kind, "$group_key": key, "$group_set": values}
    return RawEvent("$groupidentify", "company_acme", properties, timestamp=at)


async def take(sandbox: Sandbox, *events: RawEvent) -> None:
    await sandbox.ingest.accept(list(events))


async def columns(sandbox: Sandbox) -> list[list[str]]:
    names = ", ".join(f"`$group_{index}`" for index in range(5))
    await sandbox.ingest.settled()
    return (await sandbox.engine.query(f"SELECT {names} FROM ph.events FINAL ORDER BY 1")).rows


def types(sandbox: Sandbox) -> dict[str, int]:
    return {each.type: each.index for each in sandbox.ingest.groups.types()}


async def test_naming_a_group_registers_its_type_and_makes_no_group(sandbox: Sandbox):
    await take(sandbox, seen(company="acme", project=7), seen(team="blue", company="beta"))
    assert types(sandbox) == {"company": 0, "project": 1, "team": 2}
    assert await columns(sandbox) == [["acme", "7", "", "", ""], ["beta", "", "blue", "", ""]]
    assert sandbox.ingest.groups.search(0) == ([], 0)


async def test_a_sixth_type_is_ignored_silently(sandbox: Sandbox):
    await take(sandbox, seen(**{f"type{index}": "x" for index in range(6)}), identify("type5", "x"))
    assert types(sandbox) == {f"type{index}": index for index in range(5)}
    assert ["x"] * 5 in await columns(sandbox)
    assert not sandbox.ingest.warnings


@pytest.mark.parametrize("groups", ["acme", ["acme"], None, 5])
async def test_groups_that_are_no_object_are_ignored(sandbox: Sandbox, groups):
    await take(sandbox, RawEvent("seen", "ann", {"$groups": groups}))
    assert types(sandbox) == {}
    assert await columns(sandbox) == [[""] * 5]


async def test_a_group_is_merged_key_by_key_in_order_of_arrival(sandbox: Sandbox):
    first = datetime(2026, 2, 1, tzinfo=UTC)
    await take(sandbox, identify("company", "acme", {"plan": "free", "seats": 3}, first))
    await take(sandbox, identify("company", "acme", {"plan": "pro"}, datetime(2026, 1, 1, tzinfo=UTC)))
    await take(sandbox, identify("company", "acme"), identify("company", "acme", {"plan": "pro"}))
    group = sandbox.ingest.groups.get(0, "acme")
    assert group is not None
    assert group.properties == {"plan": "pro", "seats": 3}
    assert (group.created_at, group.version) == (first, 1)
    await sandbox.ingest.settled()
    mirrored = await sandbox.engine.query(
        "SELECT index, key, properties, created_at, version FROM ph.groups FINAL"
    )
    assert mirrored.rows == [[0, "acme", '{"plan":"pro","seats":3}', "2026-02-01T00:00:00.000000Z", 1]]


async def test_identifying_a_group_is_an_event_of_a_person_that_it_does_not_change(sandbox: Sandbox):
    event = identify("company", "acme", {"plan": "pro"})
    event.properties |= {"$set": {"a": 1}, "$set_once": {"b": 1}, "$unset": ["c"], "$browser": "Firefox"}
    await take(sandbox, event)
    person = sandbox.ingest.people.person_of("company_acme")
    assert person is not None
    assert list(person.properties) == ["$creator_event_uuid"]
    await sandbox.ingest.settled()
    rows = await sandbox.engine.query("SELECT event, JSONHas(properties, '$set') FROM ph.events")
    assert rows.rows == [["$groupidentify", 0]]


async def test_a_key_that_is_no_text_becomes_text(sandbox: Sandbox):
    await take(sandbox, identify("company", 17, {"a": 1}))
    assert sandbox.ingest.groups.get(0, "17") is not None


@pytest.mark.parametrize(("kind", "key"), [("", "acme"), (None, "acme"), ("company", ""), ("company", 0)])
async def test_without_type_and_key_only_the_event_is_stored(sandbox: Sandbox, kind, key):
    await take(sandbox, identify(kind, key, {"a": 1}))
    assert types(sandbox) == {}
    assert len(await columns(sandbox)) == 1


async def test_a_key_that_is_too_long_drops_the_event(sandbox: Sandbox):
    await take(sandbox, identify("company", "x" * 401), identify("company", "x" * 400))
    assert [warning.type for warning in sandbox.ingest.warnings] == ["group_key_too_long"]
    assert len(await columns(sandbox)) == 1


async def test_properties_that_are_no_object_write_nothing(sandbox: Sandbox):
    await take(sandbox, identify("company", "acme", "pro"))
    assert [warning.type for warning in sandbox.ingest.warnings] == ["invalid_group_set"]
    assert sandbox.ingest.groups.get(0, "acme") is None
    assert len(await columns(sandbox)) == 1


async def test_a_personless_event_touches_no_group(sandbox: Sandbox):
    event = identify("company", "acme", {"a": 1})
    event.properties["$process_person_profile"] = False
    await take(sandbox, event)
    assert types(sandbox) == {}


async def test_groups_are_found_by_key_and_name_newest_first(sandbox: Sandbox):
    for day, name in enumerate(["Acme", "Beta", "Cube"], start=1):
        at = datetime(2026, 2, day, tzinfo=UTC)
        await take(sandbox, identify("company", f"key-{name[0]}", {"name": name}, at))

    def found(*args: Any, **kwargs: Any) -> tuple[list[str], int]:
        some, total = sandbox.ingest.groups.search(*args, **kwargs)
        return [one.key for one in some], total

    assert found(0) == (["key-C", "key-B", "key-A"], 3)
    assert found(0, limit=1, offset=2) == (["key-A"], 3)
    assert found(0, "KEY-b") == (["key-B"], 1)
    assert found(0, "acm") == (["key-A"], 1)
    assert found(1) == ([], 0)


async def test_a_group_is_changed_by_hand(sandbox: Sandbox):
    await take(sandbox, identify("company", "acme", {"a": 1, "b": 1}))
    group = await sandbox.ingest.set_group_properties(0, "acme", {"c": 2}, ["a"])
    assert group.properties == {"b": 1, "c": 2}
    sandbox.ingest.groups.rename(0, "company", "companies")
    (kind,) = sandbox.ingest.groups.types()
    assert (kind.name_singular, kind.name_plural) == ("company", "companies")
