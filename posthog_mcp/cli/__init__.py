"""The command line. A command is a file here with `add_parser`, imported when it is asked for."""

import argparse
from typing import Protocol


class Subparsers(Protocol):
    """What `ArgumentParser.add_subparsers` returns, as far as commands use it."""

    def add_parser(
        self,
        name: str,
        /,
        *,
        help: str | None,  # noqa: A002 - argparse's name
        description: str | None,
        allow_abbrev: bool,
    ) -> argparse.ArgumentParser:
        """Add a command."""
        ...
