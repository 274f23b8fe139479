"""Notes on charts are put there and found again."""

import pytest


async def test_a_note_is_created_and_listed(agent, name):
    created = await agent.record("create_annotation", content=f"Deployed {name}", date="-2h")
    assert created["content"] == f"Deployed {name}"
    rows = await agent.rows("list_annotations", search=name)
    assert rows[0][0] == str(created["id"])
    assert rows[0][2:4] == [f"Deployed {name}", "project"]


async def test_notes_outside_the_period_are_not_listed(agent, name):
    await agent.record("create_annotation", content=name, date="2020-05-01")
    assert "No rows." in await agent.ask("list_annotations", search=name, date_from="-7d")
    assert name in await agent.ask(
        "list_annotations", search=name, date_from="2020-01-01", date_to="2020-12-31"
    )


async def test_a_page_says_how_to_continue(agent, name):
    for number in range(3):
        await agent.record("create_annotation", content=f"{name} {number}")
    assert "2 of 3 rows. For the rest: offset=2" in await agent.ask("list_annotations", search=name, limit=2)


async def test_a_date_that_is_none_is_refused_with_an_example(agent):
    assert "2026-03-01T10:00:00Z" in await agent.refusal(
        "create_annotation", content="x", date="yesterday-ish"
    )


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "0001-01-01"])
async def test_a_date_beyond_what_posthog_keeps_is_refused(agent, date):
    assert f"`date` `{date}` " in await agent.refusal("create_annotation", content="x", date=date)


async def test_a_dry_run_creates_nothing(agent, name):
    shown = await agent.record("create_annotation", content=name, dry_run=True)
    assert shown["would_create"]["content"] == name
    assert "No rows." in await agent.ask("list_annotations", search=name)
