"""`posthog-mcp tools`: the tools a server with the same options would show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from posthog_mcp.cli._start import add_options, load, refuse
from posthog_mcp.server.catalog import Catalogue
from posthog_mcp.settings import SettingsError

if TYPE_CHECKING:
    import argparse

    from posthog_mcp.cli import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "tools",
        help="list the tools",
        description="List the tools that a server with the same options shows.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="with descriptions, schemas and hints, as JSON")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the tools; 2 when the options do not fit."""
    try:
        catalogue = Catalogue.of(load(args))
    except SettingsError as error:
        return refuse(error)
    if args.json:
        print(json.dumps([_described(catalogue, tool.name) for tool in catalogue.tools], indent=2))
        return 0
    width = max((len(tool.name) for tool in catalogue.tools), default=0)
    area = ""
    for tool in catalogue.tools:
        if tool.area != area:
            area = tool.area
            print(f"{area}:")
        print(f"  {tool.name:{width}}  {tool.access:5}  {tool.description.splitlines()[0]}")
    return 0


def _described(catalogue: Catalogue, name: str) -> dict[str, Any]:
    tool = catalogue.find(name)
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "area": tool.area,
        "access": str(tool.access),
        "keys": list(tool.keys),
        "scopes": list(tool.scopes),
        "read_only": tool.read_only,
        "destructive": tool.destructive,
        "idempotent": tool.idempotent,
        "default": tool.default,
        "input_schema": catalogue.schema(tool),
    }
