"""`posthog-mcp sandbox`: run an embedded PostHog until stopped."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from posthog_mcp.cli import port

if TYPE_CHECKING:
    from posthog_mcp.cli import Subparsers
    from posthog_mcp.sandbox.http.throttles import LimitClass, Rate


def add_parser(subparsers: "Subparsers") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "sandbox",
        help="run an embedded PostHog",
        description="Run an embedded PostHog. Prints the variables that point a client at it, "
        "then serves until it is interrupted.",
        allow_abbrev=False,
    )
    add_options(parser)
    parser.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=port, default=0, help="port; 0 for any free one (default)")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="keep everything here (default: nothing is kept)"
    )
    parser.add_argument(
        "--seed",
        choices=("none", "small", "large"),
        default="none",
        help="product data to fill an empty sandbox with: 8 weeks, some 8,000 or 1,000,000 events",
    )
    parser.add_argument(
        "--throttle",
        choices=("organization", "key", "off"),
        default="organization",
        help="whose requests count together for PostHog's limits (default: %(default)s)",
    )
    parser.add_argument(
        "--limits",
        type=_limits,
        metavar="LIMITS",
        default="",
        help='other limits, such as "crud=480/60s,4800/3600s;query=240/60s"',
    )
    parser.add_argument("--parent-pipe", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Serve.

    Returns:
        0 when stopped, 1 when it cannot start, 3 without the engine, 4 when another has the data directory.
    """
    from posthog_mcp.sandbox.engine.errors import ENGINE_MISSING_EXIT, EngineError, EngineMissing  # noqa: PLC0415
    from posthog_mcp.sandbox.live import IN_USE_EXIT, DirectoryInUseError  # noqa: PLC0415
    from posthog_mcp.sandbox.seed import HalfSeededError, SeedError  # noqa: PLC0415
    from posthog_mcp.sandbox.server import ListenError, ServeOptions, serve  # noqa: PLC0415

    options = ServeOptions(
        host=args.host,
        port=args.port,
        data=args.data,
        seed=args.seed,
        throttle=args.throttle,
        limits=args.limits,
        parent_pipe=args.parent_pipe,
    )
    try:
        asyncio.run(serve(options))
    except KeyboardInterrupt:
        # Before the handlers of serve were there.
        return 0
    except EngineMissing as error:
        return _failed(str(error), ENGINE_MISSING_EXIT)
    except DirectoryInUseError as error:
        return _failed(str(error), IN_USE_EXIT)
    except (EngineError, HalfSeededError, ListenError, SeedError) as error:
        return _failed(str(error), 1)
    except OSError as error:
        where = error.filename or "the data directory"
        return _failed(f"Cannot use {where}: {error.strerror}. Choose a directory that can be written.", 1)
    return 0


def _failed(why: str, code: int) -> int:
    print(why, file=sys.stderr)
    return code


def _limits(text: str) -> "dict[LimitClass, tuple[Rate, ...]]":
    from posthog_mcp.sandbox.http.throttles import parse_limits  # noqa: PLC0415

    try:
        return parse_limits(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command alone, without loading the rest of the program."""
    parser = argparse.ArgumentParser(prog="posthog-mcp sandbox", allow_abbrev=False)
    add_options(parser)
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
