"""Guides are found by name."""

from posthog_mcp.tool import guides


async def test_every_guide_is_listed_and_can_be_read(agent):
    listed = await agent.ask("get_guide")
    for name in guides.names():
        assert f"{name}: " in listed
        assert (await agent.ask("get_guide", guide=name)).startswith("# ")


async def test_a_guide_that_is_not_there_is_answered_with_those_that_are(agent):
    assert "feature-flags" in await agent.refusal("get_guide", guide="../settings")


async def test_a_project_that_the_key_does_not_see_is_said_with_where_they_are(agent):
    words = await agent.refusal("list_annotations", project_id=4711)
    assert words == (
        "There is no project 4711. It was deleted, or the personal key cannot see it. "
        "list_projects shows those it sees."
    )


async def test_a_guide_is_found_however_its_name_is_written(agent):
    assert (await agent.ask("get_guide", guide="Feature flags")).startswith("# Feature flags")
    assert "`guide` is no guide; there are" in await agent.refusal("get_guide", guide="../x")
