"""Which tools this server shows: found in `posthog_mcp.tools`, chosen by what the tools say of themselves."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from posthog_mcp import tools as tool_modules
from posthog_mcp.server.arguments import nearest
from posthog_mcp.server.schema import input_schema
from posthog_mcp.settings import Access, SettingsError
from posthog_mcp.tool import AREAS, Tool, ToolFailure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posthog_mcp.settings import Settings


def collect() -> tuple[Tool, ...]:
    """Every tool there is, in the order of the areas, then of the files, then as written in each file."""
    found: dict[str, Tool] = {}
    for module in sorted(pkgutil.iter_modules(tool_modules.__path__), key=lambda module: module.name):
        named = importlib.import_module(f"{tool_modules.__name__}.{module.name}")
        for value in vars(named).values():
            if isinstance(value, Tool) and found.setdefault(value.name, value) is not value:
                raise TypeError(f"two tools are named {value.name}")
    return tuple(sorted(found.values(), key=lambda tool: AREAS.index(tool.area)))


@dataclass(frozen=True)
class Catalogue:
    """The tools of one server. What is not in it cannot be called and looks as if it did not exist.

    Attributes:
        tools: In the order they are listed, the same at every start.
        access: How far this server may go: arguments that need more are not there.
        pinned: Whether it is bound to one project, which is then no argument.
    """

    tools: tuple[Tool, ...]
    access: Access = Access.FULL
    pinned: bool = False
    _by_name: dict[str, Tool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {tool.name: tool for tool in self.tools})

    @classmethod
    def of(cls, settings: Settings, tools: Iterable[Tool] | None = None) -> Catalogue:
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
        return cls(shown, settings.access, settings.pinned_project_id is not None)

    def find(self, name: str) -> Tool:
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

    def schema(self, tool: Tool) -> dict[str, Any]:
        """The JSON schema of a tool's arguments on this server."""
        return input_schema(tool.input, self.without(tool))

    def without(self, tool: Tool) -> dict[str, str]:
        """The arguments of a tool that this server does not take, each with the reason."""
        withheld = dict.fromkeys(tool.input.beyond(self.access), f"this server has {self.access} access")
        if self.pinned:
            withheld["project_id"] = "this server is bound to one project"
        return withheld


def _in_areas(tool: Tool, areas: tuple[str, ...]) -> bool:
    return tool.default if not areas else "all" in areas or tool.area in areas


def _named(settings: Settings, known: tuple[Tool, ...]) -> tuple[set[str], set[str]]:
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
