"""Groups are listed by type and shown with what happened in them."""

import pytest

pytestmark = pytest.mark.parametrize("agent", ["auto"], indirect=True)


@pytest.fixture
def described(agent, name):
    """Describes a group whose key begins with the test's own name."""

    async def describe(key: str, kind: str = "company", **properties) -> str:
        whole = f"{name}-{key}"
        await agent.record(
            "identify_group", wait=True, group_type=kind, group_key=whole, properties=properties
        )
        return whole

    return describe


async def test_groups_of_a_type_are_found_by_key_and_name(agent, described, name):
    acme = await described("acme", name="Acme Corp", seats=5)
    await described("bolt", name=f"Bolt {name}x")
    [row] = await agent.rows("list_groups", group_type="company", search=acme.upper())
    assert row[0] == acme
    assert row[2] == '{"name":"Acme Corp","seats":5}'
    text = await agent.ask("list_groups", group_type="company", search=f"{name}X")
    assert "Written by outsiders: key, properties." in text
    assert f"\n{name}-bolt\t" in text


async def test_pages_of_groups_go_on_where_the_last_ended(agent, described, name):
    for number in range(5):
        await described(str(number))
    seen, cursor = [], ""
    for _ in range(3):
        asked = {"group_type": "company", "search": f"{name}-", "limit": 2, "cursor": cursor}
        text = await agent.ask("list_groups", **asked)
        seen += [row[0] for row in await agent.rows("list_groups", **asked)]
        cursor = text.partition("cursor=")[2].partition("\n")[0]
    assert sorted(seen) == [f"{name}-{number}" for number in range(5)]
    assert cursor == ""


async def test_without_a_type_the_types_are_named(agent, described):
    await described("a")
    await described("b", kind="team")
    text = await agent.ask("list_groups")
    assert "company\t$group_0" in text
    assert "team\t$group_1" in text
    refusal = await agent.refusal("get_group", key="a")
    assert "There are company, team" in refusal
    assert "company" in await agent.refusal("list_groups", group_type="planet")


async def test_a_group_is_shown_with_its_events_and_people(agent, described, sent, name):
    key = await described("acme", plan="pro")
    for who in ("ann", "bob", "ann"):
        await sent({"event": "order placed", "distinct_id": f"{name}-{who}", "groups": {"company": key}})
    shown = await agent.record("get_group", key=key, group_type="company")
    assert shown["properties"] == {"plan": "pro"}
    assert shown["events_of_30_days"] == 3
    assert shown["people"] == 2
    assert shown["frequent_events"] == ["order placed"]
    assert shown["url"].endswith(f"/groups/0/{key}")


@pytest.mark.parametrize("key", ["../../x", "a/b?c=d#e", "' OR 1=1", "{key}", "é\u202e"])
async def test_a_group_of_any_key_is_found_by_it_alone(agent, described, sent, name, key):
    whole = await described(key)
    await sent({"event": "seen", "distinct_id": name, "groups": {"company": whole}})
    shown = await agent.record("get_group", key=whole, group_type="company")
    assert shown["events_of_30_days"] == 1
    assert "?" not in shown["url"]
    refusal = await agent.refusal("get_group", key=f"{whole}x", group_type="company")
    assert "There is no group" in refusal


async def test_a_cursor_beyond_every_group_finds_none(agent, described):
    await described("acme")
    assert "No rows." in await agent.ask("list_groups", group_type="company", cursor="9" * 20)
