"""One person whole: profile, ids, groups; and those whom PostHog knows by their events alone."""

import json

import pytest

pytestmark = pytest.mark.parametrize("agent", ["auto"], indirect=True)


async def test_a_person_is_shown_by_any_of_their_ids_and_by_uuid(agent, sent, name):
    await sent({"event": "seen", "distinct_id": f"{name}-anon", "properties": {"$browser": "Safari"}})
    given = {"email": f"{name}@x.example", "plan": "pro"}
    await agent.record(
        "identify_person", wait=True, distinct_id=name, anonymous_id=f"{name}-anon", properties=given
    )
    shown = await agent.record("get_person", person=name)
    assert shown["name"] == given["email"]
    assert shown["identified"] is True
    assert sorted(shown["distinct_ids"]) == [name, f"{name}-anon"]
    assert shown["properties"] == given
    assert shown["events_of_90_days"] == 2
    assert sorted(shown["frequent_events"]) == ["$identify", "seen"]
    assert shown["url"].endswith(f"/project/1/persons/{shown['person']}")
    assert shown["posthog_properties_left_out"] > 0
    assert {"name", "distinct_ids", "properties"} <= set(shown["written_by_outsiders"])
    for other in (f"{name}-anon", shown["person"], shown["person"].upper()):
        again = await agent.record("get_person", person=other)
        assert (again["person"], again["distinct_ids"]) == (shown["person"], shown["distinct_ids"])
        assert (again["properties"], again["events_of_90_days"]) == (given, 2)


async def test_in_full_what_posthog_set_itself_is_shown_too(agent, sent, name):
    await sent({"event": "seen", "distinct_id": name, "properties": {"$browser": "Safari", "$set": {"a": 1}}})
    shown = await agent.record("get_person", person=name, detail="full")
    assert shown["posthog_properties"]["$initial_browser"] == "Safari"
    assert shown["properties"] == {"a": 1}


async def test_the_groups_a_person_was_seen_with_are_named_by_their_types(agent, sent, name):
    await agent.record("identify_group", wait=True, group_type="company", group_key=name)
    await sent({"event": "seen", "distinct_id": name, "groups": {"company": name}})
    assert (await agent.record("get_person", person=name))["groups"] == {"company": [name]}


async def test_an_anonymous_person_is_explained(agent, sent, name):
    await sent({"event": "seen", "distinct_id": name, "anonymous": True})
    shown = await agent.record("get_person", person=name)
    assert shown["person"] is None
    assert shown["events_of_90_days"] == 1
    assert "identified_only" in shown["note"]
    assert "identify_person" in shown["note"]


async def test_an_anonymous_person_who_is_identified_later_brings_their_events_along(agent, sent, name):
    await sent({"event": "seen", "distinct_id": f"{name}-anon", "anonymous": True})
    await agent.record("identify_person", wait=True, distinct_id=name, anonymous_id=f"{name}-anon")
    shown = await agent.record("get_person", person=f"{name}-anon")
    assert sorted(shown["distinct_ids"]) == [name, f"{name}-anon"]
    assert shown["events_of_90_days"] == 2


async def test_who_did_nothing_lately_is_still_shown(agent, sent, name):
    await sent({"event": "seen", "distinct_id": name, "timestamp": "2020-01-01"})
    shown = await agent.record("get_person", person=name)
    assert shown["first_seen"].startswith("2020-01-01")
    assert shown["events_of_90_days"] == 0


async def test_a_distinct_id_that_is_another_persons_uuid_means_the_distinct_id(agent, sent, name):
    await sent({"event": "seen", "distinct_id": name})
    uuid = (await agent.record("get_person", person=name))["person"]
    await sent({"event": "seen", "distinct_id": uuid, "properties": {"$set": {"other": True}}})
    assert (await agent.record("get_person", person=uuid))["properties"] == {"other": True}


async def test_many_ids_are_counted_and_not_all_shown(agent, sent, name):
    await sent({"event": "seen", "distinct_id": name})
    for number in range(52):
        await agent.record("alias_person", distinct_id=name, alias=f"{name}-{number}")
    await agent.record("alias_person", wait=True, distinct_id=name, alias=f"{name}-last")
    ids = (await agent.record("get_person", person=name))["distinct_ids"]
    assert len(ids) == 51
    assert ids[-1] == "… 4 more"


@pytest.mark.parametrize(
    "who",
    ["nobody", "' OR 1=1 --", "{who}", "../../../flags", "%", "\\", "0197f000-0000-7000-8000-00000000ffff"],
)
async def test_an_id_of_nobody_finds_nobody_whatever_it_holds(agent, who):
    refusal = await agent.refusal("get_person", person=who)
    assert f"There is no person `{who}`" in refusal
    assert "find_persons" in refusal


@pytest.mark.parametrize("depth", [40, 400])
async def test_properties_deeper_than_anybody_reads_are_cut(agent, sent, name, depth):
    deep: object = 1
    for _ in range(depth):
        deep = {"in": [deep]}
    properties = json.dumps({"$set": {"deep": deep}, "deep": deep})
    await sent({"event": "seen", "distinct_id": name, "properties": properties})
    shown = (await agent.record("get_person", person=name))["properties"]["deep"]
    assert shown == {"in": [{"in": [{"in": ["…"]}]}]}
    [row] = await agent.rows("list_events", person=name)
    assert '"deep"' in row[3]
