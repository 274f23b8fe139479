"""The command line. A command is a file here with `add_parser`, imported when it is asked for."""

import argparse
from typing import Protocol

_LARGEST_PORT = 65_535


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


def port(text: str) -> int:
    """The value of an option for a port; 0 is any free one.

    Raises:
        ArgumentTypeError: It is none. The system would take the rest of a division for it.
    """
    if not text.isdecimal() or int(text) > _LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port; valid are 0 to {_LARGEST_PORT}")
    return int(text)
