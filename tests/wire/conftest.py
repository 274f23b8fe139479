"""The installed program, from outside."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wire_program import Program, Silence


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts programs, with state in a directory of their own, and ends what is left of them."""
    programs: list[Program] = []

    def make(*arguments: str, **environment: str) -> Program:
        programs.append(Program(*arguments, POSTHOG_MCP_DATA_DIR=str(tmp_path), **environment))
        return programs[-1]

    yield make
    for program in programs:
        program.end()


@pytest.fixture
def silence() -> Iterator[Silence]:
    """A host that takes connections and never answers."""
    with Silence() as silence:
        yield silence
