"""`posthog-mcp call`: run one tool from a terminal or a script, down the same road as a client's call."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from posthog_mcp.cli._start import LateSandbox, add_options, load, refuse
from posthog_mcp.server import log
from posthog_mcp.server.app import App
from posthog_mcp.settings import SettingsError

if TYPE_CHECKING:
    import argparse

    from posthog_mcp.cli import Subparsers
    from posthog_mcp.server.dispatch import Answer
    from posthog_mcp.tool import Question

_EXAMPLE = """Write one in quotes, such as '{"limit": 5}', or - to read it from standard input."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "call",
        help="run one tool",
        description="Run one tool and print its answer. Exit code 1 when the answer is an error.",
        allow_abbrev=False,
    )
    parser.add_argument("tool", metavar="TOOL", help="its name; `posthog-mcp tools --areas all` lists them")
    parser.add_argument(
        "arguments",
        metavar="JSON",
        nargs="?",
        default="{}",
        help="a JSON object; - reads it from standard input",
    )
    parser.add_argument("--yes", action="store_true", help="agree to what cannot be taken back")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.add_argument("--picture", metavar="FILE", type=Path, help="where a chart goes, as PNG")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the tool; 1 when it fails, 2 when the options or the JSON do not fit."""
    try:
        settings = load(args)
        if not settings.areas:
            # Which tools are worth a client's tokens is no question here: the caller knows the name.
            settings = settings.model_copy(update={"areas": ("all",)})
        arguments = _arguments(sys.stdin.read() if args.arguments == "-" else args.arguments)
        log.configure(settings)
        app = App(settings, late=LateSandbox(settings, args.data) if args.sandbox else None)
    except SettingsError as error:
        return refuse(error)
    answer = anyio.run(_call, app, args, arguments)
    if answer.is_error:
        print(answer.text, file=sys.stderr)
        return 1
    print(
        json.dumps(answer.structured, ensure_ascii=False, indent=2) if _as_json(args, answer) else answer.text
    )
    return 0 if answer.picture is None else _keep(answer.picture, args.picture)


def _keep(picture: bytes, file: Path | None) -> int:
    if file is None:
        print("The chart is left out: give --picture FILE to keep it.", file=sys.stderr)
        return 0
    try:
        file.write_bytes(picture)
    except OSError as error:
        why = f"{error.strerror}. Give a file that can be written."
        print(f"The chart was not written to {file}: {why}", file=sys.stderr)
        return 1
    return 0


def _as_json(args: argparse.Namespace, answer: Answer) -> bool:
    return bool(args.json) and answer.structured is not None


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise SettingsError([f"The arguments are not JSON: {error}. {_EXAMPLE}"]) from None
    if not isinstance(value, dict):
        raise SettingsError([f"The arguments must be a JSON object. {_EXAMPLE}"])
    return value  # pyright: ignore[reportUnknownVariableType] - JSON; the tool checks it


async def _call(app: App, args: argparse.Namespace, arguments: dict[str, Any]) -> Answer:
    ask = _agree if args.yes else _ask if sys.stdin.isatty() else None
    try:
        return await app.dispatcher.call(
            args.tool, arguments, caller="command line", ask=ask, as_json=bool(args.json)
        )
    finally:
        await app.close()


async def _agree(question: Question) -> str:
    return question.name


async def _ask(question: Question) -> str | None:
    print(question, file=sys.stderr)
    try:
        return await anyio.to_thread.run_sync(input, "> ", abandon_on_cancel=True)
    except EOFError:
        return None
