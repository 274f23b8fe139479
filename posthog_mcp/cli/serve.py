"""`posthog-mcp serve`: answer MCP clients over standard input and output, or over HTTP."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import anyio

from posthog_mcp.cli import port
from posthog_mcp.cli._start import LateSandbox, add_options, load, refuse
from posthog_mcp.server import log, stdio
from posthog_mcp.server.app import App
from posthog_mcp.settings import SettingsError

if TYPE_CHECKING:
    import argparse

    from posthog_mcp.cli import Subparsers

_LAST_SEND_SECONDS = 0.7
"""For sending the events that still wait; nothing depends on it, what is left is for the next start."""
_CLOSING_SECONDS = 0.15
"""For closing what calls used; the process ends soon after, and what it started with it."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "serve",
        help="answer MCP clients (the default)",
        description="Answer MCP clients over standard input and output, or over HTTP.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--transport",
        choices=("stdio", "http", "sse"),
        default="stdio",
        help="stdio (default); http: Streamable HTTP at /mcp; sse: that and the older one at /sse",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address for HTTP (default: %(default)s)")
    parser.add_argument(
        "--port", type=port, default=8000, help="port for HTTP, 0 for any (default: %(default)s)"
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until the client leaves or a signal comes; 2 when the start does not fit."""
    try:
        settings = load(args)
        log.configure(settings)
        app = App(settings, late=LateSandbox(settings, args.data) if args.sandbox else None)
        if args.transport != "stdio":
            from posthog_mcp.server import http  # noqa: PLC0415 - a start over stdio has no use for uvicorn

            return http.serve(app, args.host, args.port, sse=args.transport == "sse")
    except SettingsError as error:
        return refuse(error)
    gc.freeze()
    anyio.run(_stdio, app)
    return 0


async def _stdio(app: App) -> None:
    left = 0.0
    try:
        left = await stdio.serve(app.server())
    finally:
        sending = max(0.0, min(_LAST_SEND_SECONDS, left - _CLOSING_SECONDS))
        with anyio.move_on_after(sending + _CLOSING_SECONDS, shield=True):
            await app.close(sending)
