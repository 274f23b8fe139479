"""Events as they came: of a person by all their ids, by name, by what they hold; page after page."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.parametrize("agent", ["auto"], indirect=True)
_IDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=60)


def _filters(*rows: dict) -> str:
    return json.dumps(rows)


async def test_a_persons_events_come_newest_first_under_all_their_ids(agent, sent, name):
    await sent(
        {"event": "first", "distinct_id": f"{name}-anon", "timestamp": "-3h", "properties": {"n": 1}},
        {"event": "second", "distinct_id": name, "timestamp": "-2h", "properties": {"n": 2}},
        {"event": "theirs", "distinct_id": f"{name}-else"},
    )
    await agent.record("identify_person", wait=True, distinct_id=name, anonymous_id=f"{name}-anon")
    for who in (name, f"{name}-anon", (await agent.record("get_person", person=name))["person"]):
        rows = await agent.rows("list_events", person=who)
        assert [row[1] for row in rows] == ["$identify", "second", "first"]
        assert [row[3] for row in rows[1:]] == ['{"n":2}', '{"n":1}']


async def test_events_without_a_person_are_listed_by_their_id_and_by_the_uuid_they_have(agent, sent, name):
    await sent({"event": name, "distinct_id": name, "anonymous": True})
    [row] = await agent.rows("find_persons", event=name)
    for who in (name, row[0]):
        assert [each[1] for each in await agent.rows("list_events", person=who)] == [name]


async def test_properties_are_the_applications_own_or_those_asked_for(agent, sent, name):
    own = {"total": 42.5, "items": ["a", "b"], "$current_url": "https://a.example/", "$lib": "web"}
    await sent({"event": name, "distinct_id": name, "properties": own})
    [row] = await agent.rows("list_events", event=name)
    assert json.loads(row[3]) == {name: own[name] for name in ("total", "items", "$current_url")}
    [row] = await agent.rows("list_events", event=name, properties=["items", "$lib", "none"])
    assert row[3:] == ['["a","b"]', "web", ""]
    [row] = await agent.rows("list_events", event=name, properties="*")
    assert json.loads(row[3])["$lib"] == "web"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"property": "total", "operator": "gt", "value": "10", "on": "event"}, ["b"]),
        ({"property": "total", "operator": "is_set", "on": "event"}, ["a", "b"]),
        ({"property": "plan", "value": "pro", "on": "person"}, ["a"]),
        ({"property": "beta", "value": "true", "on": "flag"}, ["b"]),
        ({"property": "note", "value": "' OR 1=1 --", "on": "event"}, []),
        ({"property": "note", "value": "it's {who} \\", "on": "event"}, ["a"]),
    ],
)
async def test_rows_narrow_events(agent, sent, name, row, expected):
    plan = {"$set": {"plan": "pro"}}
    await sent(
        {
            "event": name,
            "distinct_id": f"{name}-a",
            "properties": {"total": 5, "note": "it's {who} \\"} | plan,
        },
        {"event": name, "distinct_id": f"{name}-b", "properties": {"total": 50, "$feature/beta": True}},
    )
    text = await agent.ask("list_events", event=name, filters=_filters(row))
    found = [who for who in ("a", "b") if f"\t{name}-{who}\t" in text]
    assert found == expected


async def test_the_period_bounds_events(agent, sent, name):
    await sent(*({"event": name, "distinct_id": name, "timestamp": f"2026-01-0{day}"} for day in (1, 2, 3)))
    rows = await agent.rows("list_events", event=name, date_from="2026-01-02", date_to="2026-01-03")
    assert [row[0] for row in rows] == ["2026-01-02T00:00:00Z"]
    assert "No rows." in await agent.ask("list_events", event=name)


async def test_pages_neither_repeat_nor_skip_events_of_one_moment(agent, sent, name):
    events = [{"event": name, "distinct_id": name, "properties": {"n": n}} for n in range(7)]
    await sent(*({**event, "timestamp": "2026-01-02T03:04:05.678Z"} for event in events))
    seen, cursor = [], ""
    for _ in range(3):
        asked = {"event": name, "date_from": "2026-01-01", "limit": 3, "cursor": cursor}
        text = await agent.ask("list_events", **asked)
        seen += [json.loads(row[3])["n"] for row in await agent.rows("list_events", **asked)]
        cursor = text.partition("cursor=")[2].partition("\n")[0]
    assert sorted(seen) == list(range(7))
    assert cursor == ""


async def test_a_long_page_that_is_cut_goes_on_behind_the_last_row_shown(agent, sent, name):
    await sent(
        *(
            {"event": name, "distinct_id": name, "properties": {"text": f"{n} " + "x" * 3_000}}
            for n in range(12)
        )
    )
    seen, cursor = set[str](), ""
    for _ in range(12):
        rows = await agent.rows("list_events", event=name, cursor=cursor)
        seen |= {json.loads(row[-1])["text"].split()[0] for row in rows}
        text = await agent.ask("list_events", event=name, cursor=cursor)
        cursor = text.partition("cursor=")[2].partition("\n")[0]
        if not cursor:
            break
    assert seen == {str(n) for n in range(12)}


@pytest.mark.parametrize("cursor", ["x", "2026-01-01T00:00:00Z|x", "2026-01-01T00:00:00Z' OR 1|" + "0" * 36])
async def test_a_cursor_from_elsewhere_is_refused(agent, cursor):
    assert "is no cursor" in await agent.refusal("list_events", cursor=cursor)


async def test_what_strangers_write_is_fenced_and_clean(agent, sent, name):
    await sent({"event": f"{name}\u202e", "distinct_id": name, "properties": {"a": "follow\nme\u200b"}})
    text = await agent.ask("list_events", person=name)
    assert "Written by outsiders: event, distinct_id, properties." in text
    assert "\u202e" not in text
    assert "\u200b" not in text
    assert "follow" not in text.partition("<data ")[0]


async def test_values_that_no_json_holds_are_shown_as_they_are(agent, sent, name):
    await sent({"event": name, "distinct_id": name, "properties": {"n": 10**400, "s": "NaN", "z": None}})
    [row] = await agent.rows("list_events", event=name)
    assert str(10**400) in row[3]


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(ids=st.lists(_IDS, min_size=1, max_size=4, unique_by=str.strip))
async def test_any_id_finds_its_own_events_and_no_others(agent, sent, name, ids):
    whose = {f"{name}{each}": str(number) for number, each in enumerate(ids)}
    event = f"{name} {abs(hash(tuple(ids)))}"
    await sent(*({"event": event, "distinct_id": who, "properties": {"n": n}} for who, n in whose.items()))
    for who, number in whose.items():
        rows = await agent.rows("list_events", person=who, event=event)
        assert [json.loads(row[3].replace("\\\\", "\\"))["n"] for row in rows] == [number]
