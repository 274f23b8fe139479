"""The page on clients shows what `setup --print` prints, to the letter."""

import re
from pathlib import Path

import pytest
from cli_done import Run

from posthog_mcp.cli._clients import CLIENTS

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"


@pytest.mark.parametrize("name", CLIENTS)
def test_the_page_shows_the_entry_that_setup_prints(run: Run, name: str) -> None:
    done = run("setup", name, "--print")
    printed = re.sub(r'(command"?:? =? ?)"[^"]*"', r'\1"/path/to/posthog-mcp"', done.out)
    section = PAGE.read_text().partition(f"\n## {CLIENTS[name].title}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```(?:json|toml)\n(.*?)```", section, re.DOTALL)
    assert blocks == [printed]
