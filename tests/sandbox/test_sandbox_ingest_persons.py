"""Persons: made by events, merged, changed and linked by PostHog's rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import pytest
from recording_engine import RecordingEngine

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.ingest import Ingest, RawEvent
from posthog_mcp.sandbox.project import Project
from posthog_mcp.sandbox.sandbox import Options
from posthog_mcp.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from posthog_mcp.sandbox.ingest import Person
    from posthog_mcp.sandbox.sandbox import Sandbox

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
NAMESPACE = UUID("932979b4-65c3-4424-8467-0b66ec27bc22")


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: NOW)


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncIterator[Any]:
    """As much of a sandbox as persons need, without ClickHouse."""
    store, engine = Store(tmp_path / "sandbox.sqlite"), RecordingEngine()
    ingest = Ingest(store, engine, Project(), lambda: NOW)  # pyright: ignore[reportArgumentType]
    yield SimpleNamespace(ingest=ingest, engine=engine)
    await ingest.close()
    store.close()


def event(name: str, distinct_id: str, **properties: Any) -> RawEvent:
    return RawEvent(name, distinct_id, properties)


def identify(into: str, anonymous: str | None = None, **values: Any) -> RawEvent:
    named = {} if anonymous is None else {"$anon_distinct_id": anonymous}
    return event("$identify", into, **named, **{"$set": values})


def alias(into: str, other: str, name: str = "$create_alias") -> RawEvent:
    return event(name, into, alias=other)


async def take(sandbox: Sandbox, *events: RawEvent) -> None:
    await sandbox.ingest.accept(list(events))


def person(sandbox: Sandbox, distinct_id: str) -> Person:
    found = sandbox.ingest.people.person_of(distinct_id)
    assert found is not None
    return found


def ids(sandbox: Sandbox, distinct_id: str) -> list[str]:
    return sandbox.ingest.people.distinct_ids(person(sandbox, distinct_id).uuid)


def own(sandbox: Sandbox, distinct_id: str) -> dict[str, Any]:
    """The person's properties without the one every person has."""
    return {k: v for k, v in person(sandbox, distinct_id).properties.items() if k != "$creator_event_uuid"}


def warnings(sandbox: Sandbox) -> list[str]:
    return [warning.type for warning in sandbox.ingest.warnings]


def uuid_of(distinct_id: str) -> str:
    return str(uuid5(NAMESPACE, f"1:{distinct_id}"))


async def rows(sandbox: Sandbox, sql: str) -> list[list[Any]]:
    await sandbox.ingest.settled()
    return (await sandbox.engine.query(sql)).rows


async def attributed(sandbox: Sandbox, event_name: str = "seen") -> dict[str, str]:
    """The person each distinct id's events belong to in queries: as ingested, or as overridden since."""
    found = await rows(
        sandbox,
        "SELECT e.distinct_id, toString(if(o.version > 0, o.person_id, e.person_id)) "
        "FROM ph.events AS e FINAL "
        "LEFT JOIN (SELECT * FROM ph.person_distinct_id_overrides FINAL) AS o USING (distinct_id) "
        f"WHERE e.event = '{event_name}'",
    )
    return {row[0]: row[1] for row in found}


# -- creation


async def test_a_person_is_made_by_any_event_under_a_uuid_that_its_first_id_decides(quick: Sandbox):
    await take(quick, event("seen", "user-17", **{"$set": {"b": 2}, "$set_once": {"b": 1, "a": 1}}))
    one = person(quick, "user-17")
    assert one.uuid == "98ea52bc-1445-529f-b651-cfd7a107f995"
    assert own(quick, "user-17") == {"b": 2, "a": 1}
    assert (one.is_identified, one.version, one.created_at) == (False, 0, NOW)
    assert one.last_seen_at == NOW.replace(minute=0)


async def test_a_person_is_as_old_as_the_event_that_made_it_and_knows_it(quick: Sandbox):
    uuid = "0197f000-0000-7000-8000-0000000000aa"
    await take(quick, RawEvent("seen", "ann", {}, uuid, "2026-02-01T00:00:00Z"))
    assert person(quick, "ann").created_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert person(quick, "ann").properties == {"$creator_event_uuid": uuid}


async def test_the_mirror_of_a_person_says_the_same(sandbox: Sandbox):
    await take(
        sandbox,
        event("seen", "ann", **{"$set": {"name": "Änn \U0001f600", "n": 1.5}}),
        identify("ann", "a-1"),
    )
    one = person(sandbox, "ann")
    found = await rows(
        sandbox, "SELECT id, is_identified, version, is_deleted, properties FROM ph.persons FINAL"
    )
    assert found == [[one.uuid, True, one.version, 0, one.text()]]
    assert await rows(
        sandbox, "SELECT distinct_id, person_id, is_deleted FROM ph.person_distinct_ids FINAL ORDER BY 1"
    ) == [["a-1", one.uuid, 0], ["ann", one.uuid, 0]]


async def test_last_seen_moves_forward_by_the_hour_and_can_be_left_alone(quick: Sandbox):
    await take(quick, RawEvent("seen", "ann", timestamp="2026-03-01T08:10:00Z"))
    await take(quick, RawEvent("seen", "ann", timestamp="2026-03-01T10:59:00Z"))
    assert person(quick, "ann").last_seen_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    await take(quick, RawEvent("seen", "ann", timestamp="2026-03-01T07:00:00Z"))
    await take(quick, event("seen", "ann", **{"$update_person_last_seen_at": False}))
    assert person(quick, "ann").last_seen_at == datetime(2026, 3, 1, 10, tzinfo=UTC)


# -- merging: the worked example, step by step


async def test_identifying_adds_merges_and_refuses_as_in_posthogs_own_example(quick: Sandbox):
    await take(quick, event("page seen", "anon-1"))
    first = person(quick, "anon-1").uuid
    assert not person(quick, "anon-1").is_identified

    await take(quick, identify("ann", "anon-1", email="ann@example.com"))
    assert person(quick, "ann").uuid == first == uuid_of("anon-1")
    assert person(quick, "ann").is_identified
    assert own(quick, "ann") == {"email": "ann@example.com"}

    await take(quick, event("page seen", "anon-2"), identify("ann", "anon-2"))
    assert ids(quick, "ann") == ["anon-1", "ann", "anon-2"]
    assert quick.ingest.people.get(uuid_of("anon-2")) is None

    await take(quick, identify("bob", "ann"))
    assert person(quick, "bob").uuid == first

    await take(quick, event("page seen", "cat"), identify("cat", "ann", city="Rome"))
    assert person(quick, "cat").uuid == uuid_of("cat") != first
    assert person(quick, "cat").is_identified
    assert own(quick, "cat") == {"city": "Rome"}
    assert warnings(quick) == ["cannot_merge_already_identified"]

    await take(quick, alias("cat", "ann", "$merge_dangerously"))
    assert person(quick, "ann").uuid == uuid_of("cat")
    assert ids(quick, "cat") == ["anon-1", "ann", "anon-2", "bob", "cat"]
    assert own(quick, "cat") == {"city": "Rome", "email": "ann@example.com"}


@pytest.mark.parametrize("merging", ["$identify", "$create_alias", "$merge_dangerously"])
@pytest.mark.parametrize("known", [(), ("into",), ("origin",)])
async def test_two_ids_of_which_one_is_new_become_one_identified_person(quick: Sandbox, merging, known):
    for distinct_id in known:
        await take(quick, event("seen", distinct_id))
    key = "$anon_distinct_id" if merging == "$identify" else "alias"
    await take(quick, event(merging, "into", **{key: "origin", "$set": {"a": 1}}))
    assert person(quick, "into") == person(quick, "origin")
    assert person(quick, "into").uuid == uuid_of(known[0] if known else "into")
    assert person(quick, "into").is_identified
    assert own(quick, "into") == {"a": 1}


async def test_the_person_merged_into_wins_and_is_as_old_as_the_older(sandbox: Sandbox):
    await take(
        sandbox,
        RawEvent("seen", "old", {"$set": {"a": "old", "b": "old"}}, timestamp="2026-01-01T00:00:00Z"),
        RawEvent("seen", "new", {"$set": {"a": "new", "c": "new"}}, timestamp="2026-02-01T00:00:00Z"),
        event(
            "$create_alias", "new", alias="old", **{"$set": {"c": "event"}, "$set_once": {"b": "x", "d": 1}}
        ),
    )
    one = person(sandbox, "old")
    assert one.uuid == uuid_of("new")
    assert own(sandbox, "new") == {"a": "new", "b": "old", "c": "event", "d": 1}
    assert one.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    deleted = await rows(sandbox, "SELECT id FROM ph.persons FINAL WHERE is_deleted")
    assert deleted == [[uuid_of("old")]]


async def test_merging_twice_changes_nothing(quick: Sandbox):
    await take(quick, event("seen", "a"), event("seen", "b"), alias("a", "b"))
    before = (person(quick, "a").version, ids(quick, "a"))
    await take(quick, alias("a", "b"), alias("b", "a"))
    assert (person(quick, "a").version, ids(quick, "a")) == before


async def test_an_id_merged_with_itself_is_not_identified_but_its_properties_are_set(quick: Sandbox):
    await take(quick, identify("ann", "ann", plan="pro"))
    assert not person(quick, "ann").is_identified
    assert own(quick, "ann") == {"plan": "pro"}


@pytest.mark.parametrize("named", [None, ""])
async def test_an_identify_that_names_no_other_id_is_only_an_update(quick: Sandbox, named):
    await take(quick, event("$identify", "ann", **{"$anon_distinct_id": named, "$set": {"plan": "pro"}}))
    assert not person(quick, "ann").is_identified
    assert own(quick, "ann") == {"plan": "pro"}


@pytest.mark.parametrize(
    "illegal",
    ["anonymous", "Guest", "distinctId", "distinct_id", "ID", "not_authenticated", "Email", "undefined",
     "TRUE", "false", "[object Object]", "NaN", "None", "none", "null", "0", "  ", '"guest"', "'null'"],
)  # fmt: skip
async def test_nobody_is_merged_with_a_known_mistake(quick: Sandbox, illegal):
    await take(quick, event("seen", "ann"), identify("ann", illegal, plan="pro"), alias(illegal, "ann"))
    assert warnings(quick) == ["cannot_merge_with_illegal_distinct_id"] * 2
    assert not person(quick, "ann").is_identified
    assert ids(quick, "ann") == ["ann"]
    assert own(quick, "ann") == {"plan": "pro"}
    assert person(quick, illegal).uuid == uuid_of(illegal)


@pytest.mark.parametrize("name", ["user", "system", "backend", "anonymous-user", "NONE", "Nan"])
async def test_other_odd_ids_are_merged_by_the_older_protocol(quick: Sandbox, name):
    await take(quick, identify("ann", name))
    assert person(quick, "ann") == person(quick, name)


@pytest.mark.parametrize("name", [5, ["a"], {"a": 1}, "x" * 401])
async def test_a_merge_that_names_no_possible_id_is_dropped(sandbox: Sandbox, name):
    await take(sandbox, identify("ann", name), alias("ann", name))
    assert sandbox.ingest.people.person_of("ann") is None
    assert await rows(sandbox, "SELECT * FROM ph.events") == []
    assert warnings(sandbox) == ["invalid_merge_distinct_id"] * 2


async def test_who_keeps_things_by_person_is_told_of_merges(quick: Sandbox):
    told: list[tuple[str, str]] = []
    quick.ingest.merging.on_merge.append(lambda gone, stays: told.append((gone, stays)))
    await take(quick, event("seen", "a"), event("seen", "b"), alias("a", "b"), alias("a", "new"))
    assert told == [(uuid_of("b"), uuid_of("a"))]


# -- past events after a merge


async def test_past_events_follow_a_merge_and_keep_the_properties_they_had(sandbox: Sandbox):
    await take(sandbox, event("seen", "anon-1"), event("seen", "ann", **{"$set": {"plan": "pro"}}))
    await take(sandbox, identify("ann", "anon-1", email="ann@example.com"), event("late", "anon-1"))
    assert await attributed(sandbox) == {"anon-1": uuid_of("ann"), "ann": uuid_of("ann")}
    seen = await rows(
        sandbox,
        "SELECT JSONExtractString(person_properties, 'email') FROM ph.events FINAL "
        "WHERE distinct_id = 'anon-1' ORDER BY event",
    )
    assert seen == [["ann@example.com"], [""]]


async def test_an_id_moved_several_times_ends_with_its_last_person(sandbox: Sandbox):
    await take(sandbox, *(event("seen", each) for each in "abc"))
    await take(sandbox, alias("b", "a", "$merge_dangerously"), alias("c", "b", "$merge_dangerously"))
    assert set((await attributed(sandbox)).values()) == {uuid_of("c")}


# -- property updates


@pytest.mark.parametrize(
    ("stored", "properties", "after"),
    [
        ({}, {"$set_once": {"a": 1}}, {"a": 1}),
        ({"a": 1}, {"$set_once": {"a": 2}}, {"a": 1}),
        ({"a": 1}, {"$set": {"a": 2}}, {"a": 2}),
        ({}, {"$set_once": {"a": 1}, "$set": {"a": 2}}, {"a": 2}),
        ({"a": 1, "b": 1}, {"$unset": ["a", "x"]}, {"b": 1}),
        ({"a": 1, "b": 1}, {"$unset": {"a": ""}}, {"b": 1}),
        ({"a": 1}, {"$unset": "a"}, {"a": 1}),
        ({"a": 1}, {"$set": {"a": 2}, "$unset": ["a"]}, {}),
        ({}, {"$set": {"a": 2}, "$unset": ["a"]}, {"a": 2}),
        ({"a": 1}, {"$set": {"a": None}}, {"a": None}),
        ({"a": 1}, {"$set": {"a": True}}, {"a": True}),
        ({"a": 1}, {"$set": 5, "$set_once": [1], "$unset": 7}, {"a": 1}),
    ],
)
async def test_set_once_set_and_unset_change_the_stored_person(quick: Sandbox, stored, properties, after):
    await take(quick, event("$set", "ann", **{"$set": stored}), event("seen", "ann", **properties))
    assert own(quick, "ann") == after
    assert type(own(quick, "ann").get("a")) is type(after.get("a"))


async def test_set_and_set_once_beside_the_properties_count_over_those_inside(sandbox: Sandbox):
    await take(
        sandbox,
        RawEvent(
            "$set",
            "ann",
            {"$set": {"a": "inside", "b": 1}, "$set_once": {"c": "inside"}},
            set={"a": "beside"},
            set_once={"c": "beside", "d": 1},
        ),
    )
    assert own(sandbox, "ann") == {"a": "beside", "b": 1, "c": "beside", "d": 1}
    (text,) = (await rows(sandbox, "SELECT JSONExtractRaw(properties, '$set') FROM ph.events"))[0]
    assert text == '{"a":"beside","b":1}'


async def test_the_later_arrival_wins_whatever_its_timestamp(quick: Sandbox):
    await take(quick, RawEvent("seen", "ann", {"$set": {"plan": "pro"}}, timestamp="2026-03-01T10:00:00Z"))
    await take(quick, RawEvent("seen", "ann", {"$set": {"plan": "free"}}, timestamp="2026-01-01T10:00:00Z"))
    assert own(quick, "ann") == {"plan": "free"}


async def test_a_write_that_changes_nothing_leaves_the_version(quick: Sandbox):
    await take(quick, event("$set", "ann", **{"$set": {"plan": "pro"}}))
    await take(quick, event("$set", "ann", **{"$set": {"plan": "pro"}, "$unset": ["x"]}))
    assert person(quick, "ann").version == 0
    await take(quick, event("$set", "ann", **{"$set": {"plan": "free"}}))
    assert person(quick, "ann").version == 1


@pytest.mark.parametrize("name", ["$exception", "$$heatmap"])
async def test_exceptions_and_heatmaps_never_update_a_person(quick: Sandbox, name):
    await take(quick, event("seen", "ann"), event(name, "ann", **{"$set": {"a": 1}, "$browser": "Firefox"}))
    assert own(quick, "ann") == {}


async def test_a_change_of_noise_alone_shows_on_the_event_and_not_on_the_person(sandbox: Sandbox):
    await take(sandbox, event("seen", "ann", **{"$current_url": "/a"}))
    await take(sandbox, event("noise", "ann", **{"$current_url": "/b"}))
    assert own(sandbox, "ann")["$current_url"] == "/a"
    shown = "JSONExtractString(person_properties, '$current_url')"
    assert await rows(sandbox, f"SELECT {shown} FROM ph.events WHERE event = 'noise'") == [["/b"]]
    await take(sandbox, event("seen", "ann", **{"$current_url": "/c", "$set": {"plan": "pro"}}))
    assert own(sandbox, "ann")["$current_url"] == "/c"
    await take(sandbox, identify("ann", **{"$current_url": "/d"}))
    assert own(sandbox, "ann")["$current_url"] == "/d"


async def test_properties_beyond_the_limit_are_refused_with_a_warning(quick: Sandbox):
    await take(quick, event("$set", "ann", **{"$set": {"a": 1}}))
    await take(quick, event("$set", "ann", **{"$set": {"a": 2, "big": "x" * 700_000}}))
    assert own(quick, "ann") == {"a": 1}
    assert warnings(quick) == ["person_properties_size_violation"]


async def test_a_survey_shown_leaves_its_date_on_the_person(quick: Sandbox):
    await take(quick, RawEvent("survey shown", "ann", timestamp="2026-03-01T08:00:00Z"))
    assert own(quick, "ann") == {"$survey_last_seen_date": "2026-03-01T08:00:00.000000Z"}


# -- automatic properties


async def test_device_and_campaign_are_lifted_with_their_first_values(quick: Sandbox):
    first = {"$current_url": "https://shop.test/a", "utm_source": "mail"}
    await take(quick, event("seen", "ann", **first))
    assert own(quick, "ann") == {
        "$current_url": "https://shop.test/a",
        "utm_source": "mail",
        "$initial_current_url": "https://shop.test/a",
        "$initial_utm_source": "mail",
    }
    await take(quick, event("seen", "ann", utm_source="ads"))
    assert own(quick, "ann")["utm_source"] == "ads"
    assert own(quick, "ann")["$initial_utm_source"] == "mail"


async def test_what_the_event_sets_itself_beats_what_is_lifted(quick: Sandbox):
    await take(
        quick,
        event(
            "seen",
            "ann",
            **{"$browser": "Firefox", "$set": {"$browser": "x"}, "$set_once": {"$initial_browser": "y"}},
        ),
    )
    assert own(quick, "ann") == {"$browser": "x", "$initial_browser": "y"}


async def test_os_name_counts_as_os_and_servers_have_none(quick: Sandbox):
    await take(quick, event("seen", "ann", **{"$os_name": "iOS"}))
    assert own(quick, "ann") == {"$os": "iOS", "$initial_os": "iOS"}
    await take(
        quick,
        event("seen", "srv", **{"$os": "Linux", "$os_version": "6", "$is_server": True, "gclid": "g"}),
    )
    assert own(quick, "srv") == {"gclid": "g", "$initial_gclid": "g"}


# -- events without a person


def personless(distinct_id: str, name: str = "seen", **properties: Any) -> RawEvent:
    return event(name, distinct_id, **{"$process_person_profile": False}, **properties)


async def test_a_personless_event_makes_no_person(sandbox: Sandbox):
    properties = {"$set": {"a": 1}, "$set_once": {"b": 1}, "$unset": ["c"], "$groups": {"company": "acme"}}
    await take(sandbox, personless("a9", **properties, **{"$group_0": "acme"}))
    assert sandbox.ingest.people.person_of("a9") is None
    assert sandbox.ingest.groups.types() == []
    (row,) = await rows(
        sandbox,
        "SELECT person_id, person_properties, person_created_at, person_mode, properties, `$group_0` "
        "FROM ph.events",
    )
    assert row == [
        uuid_of("a9"),
        "{}",
        "1970-01-01T00:00:05.000000Z",
        "propertyless",
        '{"$process_person_profile":false,"$groups":{"company":"acme"}}',
        "",
    ]


@pytest.mark.parametrize("name", ["$identify", "$create_alias", "$merge_dangerously"])
async def test_a_merge_without_a_person_is_dropped(sandbox: Sandbox, name):
    await take(sandbox, personless("a9", name, alias="b", **{"$anon_distinct_id": "b"}))
    assert await rows(sandbox, "SELECT * FROM ph.events") == []
    assert warnings(sandbox) == ["invalid_event_when_process_person_profile_is_false"]


@pytest.mark.parametrize("value", ["false", 0, None, "no"])
async def test_only_a_boolean_turns_person_processing_off(sandbox: Sandbox, value):
    await take(sandbox, event("seen", "ann", **{"$process_person_profile": value}))
    assert person(sandbox, "ann").uuid == uuid_of("ann")
    assert warnings(sandbox) == ["invalid_process_person_profile"]
    assert await rows(sandbox, "SELECT person_mode, properties FROM ph.events") == [["full", "{}"]]


@pytest.mark.parametrize(
    ("after", "mode"), [(0, "propertyless"), (60, "propertyless"), (61, "force_upgrade")]
)
async def test_a_personless_event_of_a_known_person_belongs_to_it(sandbox: Sandbox, after, mode):
    born = NOW - timedelta(hours=1)
    await take(sandbox, RawEvent("$set", "ann", {"$set": {"a": 1}}, timestamp=born))
    late = personless("ann")
    late.timestamp = born + timedelta(seconds=after)
    await take(sandbox, late)
    found = await rows(
        sandbox, "SELECT person_id, person_properties, person_mode FROM ph.events WHERE event = 'seen'"
    )
    assert found == [[uuid_of("ann"), "{}", mode]]


async def test_a_later_event_with_a_person_takes_up_the_same_uuid(sandbox: Sandbox):
    await take(sandbox, personless("a9"), event("later", "a9"))
    assert person(sandbox, "a9").uuid == uuid_of("a9")
    assert await attributed(sandbox) == {"a9": uuid_of("a9")}


@pytest.mark.parametrize(
    ("before", "owner"),
    [
        ([personless("a9")], "a9"),
        ([personless("a9"), personless("zoe")], "zoe"),
        ([personless("zoe")], "zoe"),
        ([personless("a9"), event("known", "zoe")], "zoe"),
        ([personless("zoe"), event("known", "a9")], "a9"),
    ],
)
async def test_identifying_links_what_was_seen_without_a_person(sandbox: Sandbox, before, owner):
    await take(sandbox, *before)
    await take(sandbox, identify("zoe", "a9"))
    assert person(sandbox, "zoe").uuid == person(sandbox, "a9").uuid == uuid_of(owner)
    assert set((await attributed(sandbox)).values()) == {uuid_of(owner)}


# -- by hand


async def test_a_deleted_person_leaves_its_events_and_comes_back_with_the_next(sandbox: Sandbox):
    await take(sandbox, event("$set", "ann", **{"$set": {"a": 1}}), event("seen", "ann"))
    await sandbox.ingest.delete_person(person(sandbox, "ann"))
    assert sandbox.ingest.people.person_of("ann") is None
    assert sandbox.ingest.people.search() == ([], 0)
    assert await rows(sandbox, "SELECT is_deleted FROM ph.person_distinct_ids FINAL") == [[1]]
    assert len(await rows(sandbox, "SELECT * FROM ph.events FINAL")) == 2
    await take(sandbox, event("seen", "ann"))
    assert person(sandbox, "ann").uuid == uuid_of("ann")
    assert own(sandbox, "ann") == {}
    assert await rows(sandbox, "SELECT id, is_deleted FROM ph.persons FINAL") == [[uuid_of("ann"), 0]]


async def test_a_persons_events_go_with_it_when_asked(sandbox: Sandbox):
    await take(sandbox, event("seen", "anon"), event("seen", "bob"), identify("ann", "anon"))
    await sandbox.ingest.delete_person(person(sandbox, "ann"), delete_events=True)
    assert await rows(sandbox, "SELECT distinct_id FROM ph.events FINAL") == [["bob"]]


async def test_splitting_gives_each_id_its_own_person(sandbox: Sandbox):
    await take(sandbox, *(event("seen", each) for each in ("anon", "ann", "bob")))
    await take(sandbox, identify("ann", "anon", plan="pro"), identify("ann", "bob"))
    made = await sandbox.ingest.split_person(person(sandbox, "ann"), "ann")
    assert sorted(one.uuid for one in made) == sorted([uuid_of("anon"), uuid_of("bob")])
    assert own(sandbox, "ann") == {"plan": "pro"}
    assert (person(sandbox, "bob").properties, ids(sandbox, "bob")) == ({}, ["bob"])
    assert await attributed(sandbox) == {each: uuid_of(each) for each in ("anon", "ann", "bob")}


async def test_splitting_off_the_id_that_named_the_person_finds_another_uuid(sandbox: Sandbox):
    await take(sandbox, event("seen", "anon"), identify("ann", "anon"))
    await sandbox.ingest.split_person(person(sandbox, "ann"), "ann")
    assert person(sandbox, "ann").uuid == uuid_of("anon")
    assert person(sandbox, "anon").uuid not in (uuid_of("anon"), uuid_of("ann"))
    assert (await attributed(sandbox))["anon"] == person(sandbox, "anon").uuid


async def test_properties_are_set_and_removed_at_once(sandbox: Sandbox):
    await take(sandbox, event("$set", "ann", **{"$set": {"a": 1, "b": 1}}))
    await sandbox.ingest.set_person_properties(person(sandbox, "ann"), {"a": 2, "c": "x"}, ["b"])
    assert own(sandbox, "ann") == {"a": 2, "c": "x"}
    assert sandbox.ingest.definitions.property_type("person", "c") == "String"
    (text,) = (await rows(sandbox, "SELECT properties FROM ph.persons FINAL"))[0]
    assert text == person(sandbox, "ann").text()


async def test_persons_are_found_by_name_email_id_and_page(quick: Sandbox):
    for number, name in enumerate(["Ann", "Bob", "Cat"]):
        values = {"name": name, "email": f"{name}@Example.com"}
        day = f"2026-02-0{number + 1}T00:00:00Z"
        await take(quick, RawEvent("$set", f"user-{name}", {"$set": values}, timestamp=day))

    def found(*args: Any, **kwargs: Any) -> tuple[list[str], int]:
        some, total = quick.ingest.people.search(*args, **kwargs)
        return [one.properties["name"] for one in some], total

    assert found() == (["Cat", "Bob", "Ann"], 3)
    assert found(limit=1, offset=1) == (["Bob"], 3)
    assert found("USER-b") == (["Bob"], 1)
    assert found("cat@ex") == (["Cat"], 1)
    assert found(uuid_of("user-Ann")) == (["Ann"], 1)
    assert found(email="ann@example.COM") == (["Ann"], 1)
    assert found(distinct_id="user-Bob") == (["Bob"], 1)
    assert found(distinct_id="user-bob") == ([], 0)
    assert found(uuids=[uuid_of("user-Bob"), "x"]) == (["Bob"], 1)
    assert found("%") == ([], 0)
