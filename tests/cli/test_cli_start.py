"""What stops a start."""

import argparse
import sys

import pytest

from posthog_mcp.cli._start import add_options, load
from posthog_mcp.settings import SettingsError


def started(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    load(parser.parse_args(arguments))


def test_a_redis_without_its_library_stops_the_start_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POSTHOG_MCP_REDIS_URL", "redis://:CANARY@redis.example.com")
    started()
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SettingsError, match=r"pip install 'posthog-mcp\[redis\]'") as stopped:
        started()
    assert "CANARY" not in str(stopped.value)


def test_without_a_redis_nothing_is_asked_of_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTHOG_MCP_REDIS_URL", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    started()
