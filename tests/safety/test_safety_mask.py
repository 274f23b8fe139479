"""Who is behind the numbers is hidden on request."""

from pathlib import Path

import pytest
from mcp import Client

from posthog_mcp.render import Record
from posthog_mcp.safety.mask import mask
from posthog_mcp.server.app import App
from posthog_mcp.settings import Access, Settings
from posthog_mcp.tool import Context, Input, tool


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ada.l+x@acme.co.uk\tpro", "a…@acme.co.uk\tpro"),
        ("from 203.0.113.7", "from 203.0.…"),
        ("2001:db8:0:1::7 and fe80::1", "2001:… and fe80:…"),
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z"),
        ("at 10:00:00, ratio 1:2", "at 10:00:00, ratio 1:2"),
        ("version 1.2.3, not @ all", "version 1.2.3, not @ all"),
    ],
)
def test_mail_and_ip_addresses_are_hidden_and_nothing_else(text: str, masked: str):
    assert mask(text) == masked
    assert mask(masked) == masked


class Nothing(Input):
    """No arguments."""


@tool(area="project", access=Access.READ, title="Who", keys=())
async def who(ctx: Context, args: Nothing) -> Record:
    """Give a person."""
    del ctx, args
    return Record({"email": "ada@acme.com", "seen": [{"ip": "203.0.113.7"}]})


@pytest.mark.parametrize("hidden", [True, False])
async def test_both_halves_of_an_answer_follow_the_setting(tmp_path: Path, hidden: bool):
    settings = Settings.load(
        {"POSTHOG_MCP_MASK_PII": str(hidden).lower(), "POSTHOG_MCP_DATA_DIR": str(tmp_path)}
    )
    async with Client(App(settings, tools=[who]).server()) as client:
        answer = await client.call_tool("who", {})
    assert answer.structured_content is not None
    assert (answer.structured_content["email"] == "ada@acme.com") is not hidden
    assert ("203.0.113.7" in answer.content[0].text) is not hidden
    assert ("203.0.113.7" in str(answer.structured_content)) is not hidden
