"""Servers that show the tools of this folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from oauth_world import worlds
from server_tools import TOOLS, Wait

from posthog_mcp.server.app import App
from posthog_mcp.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a start with the flags given, in a directory of its own."""
    return lambda **flags: Settings.load({}, data_dir=tmp_path, **flags)


@pytest.fixture
def make_app(settings: Callable[..., Settings]) -> Callable[..., App]:
    """A server with the tools above and more, started with the flags given."""
    return lambda *more, **flags: App(settings(**flags), tools=(*TOOLS, *more))


@pytest.fixture
def wait() -> Wait:
    """A tool that hangs until it is let go."""
    return Wait()


@pytest.fixture
def world(make_app: Callable[..., App]) -> Callable[..., Any]:
    """Starts a service that trusts an issuer, and the issuer."""
    return worlds(make_app)
