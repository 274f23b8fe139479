"""Guides are found by name."""

from posthog_mcp.tool import guides


async def test_every_guide_is_listed_and_can_be_read(agent):
    listed = await agent.ask("get_guide")
    for name in guides.names():
        assert f"{name}: " in listed
        assert (await agent.ask("get_guide", guide=name)).startswith("# ")


async def test_a_guide_that_is_not_there_is_answered_with_those_that_are(agent):
    assert "feature-flags" in await agent.refusal("get_guide", guide="../settings")
