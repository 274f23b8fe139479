"""Which tools this server shows: read from the committed catalogue, chosen by what each says of itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posthog_mcp.server.arguments import pruned
from posthog_mcp.server.drawing import available
from posthog_mcp.settings import Access, SettingsError
from posthog_mcp.tool import Listing, ToolFailure
from posthog_mcp.tool.misfits import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posthog_mcp.settings import Settings

FILE = Path(__file__).with_name("catalogue.json")
"""Written by `python docs/check.py --write`. Importing all tools to list them takes twice as long."""


def collect() -> tuple[Listing, ...]:
    """Every tool there is, in the order they are listed, without its code."""
    return tuple(_listing(entry) for entry in json.loads(FILE.read_text(encoding="utf-8")))


def written(tools: Iterable[Listing]) -> str:
    """The committed catalogue as it should be."""
    names = [one.name for one in fields(Listing)]
    entries = [{name: getattr(tool, name) for name in names} for tool in tools]
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Catalogue:
    """The tools of one server. What is not in it cannot be called and looks as if it did not exist.

    Attributes:
        tools: In the order they are listed, the same at every start.
        access: How far this server may go: arguments that need more are not there.
        pinned: Whether it is bound to one project, which is then no argument.
        extras: Those installed that arguments need; without one, its arguments are not there.
    """

    tools: tuple[Listing, ...]
    access: Access = Access.FULL
    pinned: bool = False
    extras: frozenset[str] = frozenset()
    _by_name: dict[str, Listing] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {tool.name: tool for tool in self.tools})

    @classmethod
    def of(cls, settings: Settings, tools: Iterable[Listing] | None = None) -> Catalogue:
        """The tools that `settings` ask for, out of `tools` or of all there are.

        Access wins over everything, then a tool taken out, then one added, then the areas.

        Raises:
            SettingsError: A tool named in the settings does not exist, or needs more access.
        """
        known = tuple(collect() if tools is None else tools)
        added, removed = _named(settings, known)
        shown = tuple(
            tool
            for tool in known
            if tool.within(settings.access)
            and tool.name not in removed
            and (tool.name in added or _in_areas(tool, settings.areas))
        )
        extras = frozenset({"charts"} if available() else ())
        return cls(shown, settings.access, settings.pinned_project_id is not None, extras)

    def shows(self, name: str) -> bool:
        """Whether there is a tool of that name."""
        return name in self._by_name

    def find(self, name: str) -> Listing:
        """The tool of that name.

        Raises:
            ToolFailure: There is none, or this server does not show it.
        """
        tool = self._by_name.get(name)
        if tool is None:
            near = nearest(name, self._by_name)
            raise ToolFailure(
                f"There is no tool `{name[:64]}`.",
                f"{near[0].upper()}{near[1:]}" if near else "",
                "The list of tools has the names.",
            )
        return tool

    def schema(self, tool: Listing) -> dict[str, Any]:
        """The JSON schema of a tool's arguments on this server."""
        return pruned(tool.schema, self.without(tool))

    def without(self, tool: Listing) -> dict[str, str]:
        """The arguments of a tool that this server does not take, each with the reason."""
        withheld = {
            name: f"this server has {self.access} access"
            for name, access in tool.needs.items()
            if not access.within(self.access)
        }
        withheld |= {
            name: f'it needs `pip install "posthog-mcp[{extra}]"` where the server runs'
            for name, extra in tool.extras.items()
            if extra not in self.extras
        }
        if self.pinned:
            withheld["project_id"] = "this server is bound to one project"
        return withheld


def _listing(entry: dict[str, Any]) -> Listing:
    typed: dict[str, Any] = {
        "access": Access(entry["access"]),
        "scopes": tuple(entry["scopes"]),
        "keys": tuple(entry["keys"]),
        "needs": {name: Access(access) for name, access in entry["needs"].items()},
    }
    return Listing(**(entry | typed))


def _in_areas(tool: Listing, areas: tuple[str, ...]) -> bool:
    return tool.default if not areas else "all" in areas or tool.area in areas


def _named(settings: Settings, known: tuple[Listing, ...]) -> tuple[set[str], set[str]]:
    """Names added and taken out. A misspelt one may be meant to keep the server safe: it stops the start."""
    by_name = {tool.name: tool for tool in known}
    problems: list[str] = []
    for choice in settings.tools:
        tool = by_name.get(choice[1:])
        if tool is None:
            near = nearest(choice[1:], by_name)
            problems.append(f"POSTHOG_MCP_TOOLS names {choice}, but there is no such tool{_then(near)}")
        elif choice[0] == "+" and not tool.within(settings.access):
            problems.append(
                f"POSTHOG_MCP_TOOLS names {choice}, which needs access {tool.access}; this start has access "
                f"{settings.access}.",
            )
    if problems:
        raise SettingsError(problems)
    named = {sign: {choice[1:] for choice in settings.tools if choice[0] == sign} for sign in "+-"}
    return named["+"], named["-"]


def _then(words: str) -> str:
    return f"; {words}" if words else "."
