"""Finds the command that was asked for and runs it, importing nothing of the others."""

from __future__ import annotations

import argparse
import difflib
import gc
import importlib
import os
import pkgutil
import re
import sys
from typing import TYPE_CHECKING, NoReturn

from posthog_mcp import __version__, cli

if TYPE_CHECKING:
    from collections.abc import Mapping

_GONE = 141  # what a shell says of a program that a closed pipe ended
_DEFAULT = "serve"


def run(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Those of the process by default.

    Returns:
        The exit code; 2 for arguments or settings that do not fit.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help", "--version")):
        given = [_DEFAULT, *given]  # hosts are told to start the program, often with options alone
    chosen = given[0] if given[0] in _commands() else None
    parser, commands = _parser([chosen] if chosen else _commands())
    parsed, unknown = parser.parse_known_args(given)
    if unknown:
        _refuse(commands[given[0]], unknown)
    gc.freeze()  # what was imported stays; looking through it again would only cost
    gc.enable()
    try:
        code = int(parsed.run(parsed))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _GONE
    return code


def _commands() -> list[str]:
    names = [module.name for module in pkgutil.iter_modules(cli.__path__)]
    return [name.rstrip("_") for name in names if name != "main" and not name.startswith("_")]


class _Parser(argparse.ArgumentParser):
    """Says with each error where help is; the parsers of the commands are of the same kind."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {message.rstrip('.')}. `{self.prog} --help` says more.\n")


def _refuse(command: argparse.ArgumentParser, unknown: list[str]) -> NoReturn:
    known = re.findall(r"--[a-z-]+", command.format_help())
    near = difflib.get_close_matches(unknown[0], known, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    command.error(f"there is no argument {' '.join(unknown)}{hint}")


def _parser(commands: list[str]) -> tuple[_Parser, Mapping[str, argparse.ArgumentParser]]:
    """A parser of these commands, and those of the commands by name."""
    parser = _Parser(
        prog="posthog-mcp",
        description="MCP server for PostHog. Without a command it serves over standard input and output.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"posthog-mcp {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in commands:
        file = "import_" if name == "import" else name  # `import` is a word of Python
        importlib.import_module(f"{cli.__name__}.{file}").add_parser(subparsers)
    return parser, subparsers.choices
