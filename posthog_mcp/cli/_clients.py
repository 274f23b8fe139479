"""MCP clients: where each keeps its servers, and how an entry for this one goes in beside the others."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from posthog_mcp.cli import _jsonc as jsonc
from posthog_mcp.cli import _toml as toml

NAME = "posthog"
KEYS = ("POSTHOG_API_KEY", "POSTHOG_PERSONAL_API_KEY")
"""What every entry has a place for."""
SECRETS = (*KEYS, "POSTHOG_PROJECT_SECRET_KEY")
_ASKED = {
    "POSTHOG_API_KEY": "PostHog project token (phc_...)",
    "POSTHOG_PERSONAL_API_KEY": "PostHog personal API key (phx_...)",
    "POSTHOG_PROJECT_SECRET_KEY": "PostHog project secret key (phs_...)",
}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """The machine as far as it says where files are.

    Attributes:
        env: The environment.
        here: The directory the command runs in.
        platform: As `sys.platform`.
    """

    env: Mapping[str, str]
    here: Path
    platform: str = sys.platform

    @property
    def home(self) -> Path:
        """The user's home directory."""
        named = self.env.get("HOME") or self.env.get("USERPROFILE")
        return Path(named) if named else Path.home()

    @property
    def applications(self) -> Path:
        """Where desktop applications keep their settings."""
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        named = self.env.get("APPDATA" if self.platform == "win32" else "XDG_CONFIG_HOME", "")
        return Path(named) if named else self.home / ".config"


@dataclass(frozen=True, slots=True)
class Client:
    """One MCP client.

    Attributes:
        title: Its name.
        file: Where it reads its servers.
        servers: The member of the file that holds them.
        stands_for: What it replaces by the variable of that name; what it leaves as it is counts as unset.
        refers: Keys never go into the file, which may be shared or can ask for them.
        comments: Its JSON may have comments.
        is_toml: The file is TOML.
        extra: More fields of an entry.
        then: What to do afterwards.
    """

    title: str
    file: Callable[[Place], Path]
    servers: str
    stands_for: Callable[[str], str]
    then: str
    refers: bool = False
    comments: bool = False
    is_toml: bool = False
    extra: Json = field(default_factory=dict[str, Any])

    def entry(self, text: str) -> Json:
        """The entry that the text has, or an empty one.

        Raises:
            ValueError: The text cannot be read.
        """
        whole = self._read(text)
        servers = whole.get(self.servers, {})
        if not isinstance(servers, dict):
            raise ValueError(f"`{self.servers}` is no object")  # noqa: TRY004 - of the text, not of the call
        found: Any = cast("Json", servers).get(NAME, {})
        if not isinstance(found, dict):
            raise ValueError(f"`{self.servers}.{NAME}` is no object")  # noqa: TRY004 - as above
        return cast("Json", found)

    def with_entry(self, text: str, entry: Json) -> str:
        """The text with that entry, everything else as it was.

        Raises:
            ValueError: The text cannot be read, or cannot be changed without touching something else.
        """
        whole = self._read(text)
        wanted = {**whole, self.servers: {**whole.get(self.servers, {}), NAME: entry}}
        if wanted == whole:
            return text
        if self.is_toml:
            changed = toml.put(text, [self.servers, NAME], entry)
        else:
            start = text if text.strip() else "{}\n"
            changed = jsonc.put(start, [self.servers, NAME], entry, comments=self.comments)
            for asked in self._questions(entry, whole):
                wanted["inputs"] = [*wanted.get("inputs", []), asked]
                changed = jsonc.append(changed, "inputs", asked, comments=self.comments)
        if self._read(changed) != wanted:
            raise ValueError("it cannot be changed without touching what else is in it")
        return changed

    def fragment(self, entry: Json) -> str:
        """The entry alone, as it would stand in the file."""
        return self.with_entry("", entry)

    def _read(self, text: str) -> Json:
        if self.is_toml:
            return tomllib.loads(text)
        if not text.strip():
            return {}
        value = jsonc.read(text, comments=self.comments).value
        if not isinstance(value, dict):
            raise ValueError("it holds no object")  # noqa: TRY004 - of the text, not of the call
        return cast("Json", value)

    def _questions(self, entry: Json, whole: Json) -> list[Json]:
        """What the client has to ask a person before it starts the server, as far as it is not there yet."""
        known = {str(one.get("id")) for one in cast("list[Json]", whole.get("inputs") or [])}
        return [
            {"type": "promptString", "id": _question(name), "description": _ASKED[name], "password": True}
            for name, value in entry["env"].items()
            if value == f"${{input:{_question(name)}}}" and _question(name) not in known
        ]


def _question(variable: str) -> str:
    return variable.lower().replace("_", "-")


CLIENTS = {
    "claude-desktop": Client(
        "Claude Desktop",
        lambda place: place.applications / "Claude" / "claude_desktop_config.json",
        "mcpServers",
        lambda variable: f"${{{variable}}}",
        "Quit Claude Desktop whole and start it again.",
    ),
    # The file lies in the project and is made to be shared, so it only names the variables.
    "claude-code": Client(
        "Claude Code",
        lambda place: place.here / ".mcp.json",
        "mcpServers",
        lambda variable: f"${{{variable}:-}}",
        "Start Claude Code in this directory, with the variables set, and agree to the server.",
        refers=True,
    ),
    "cursor": Client(
        "Cursor",
        lambda place: place.home / ".cursor" / "mcp.json",
        "mcpServers",
        lambda variable: f"${{env:{variable}}}",
        "Switch the server on in Cursor's settings, under MCP.",
        comments=True,
    ),
    "vscode": Client(
        "VS Code",
        lambda place: place.applications / "Code" / "User" / "mcp.json",
        "servers",
        lambda variable: f"${{input:{_question(variable)}}}",
        "Start the server with `MCP: List Servers`; VS Code asks for the keys and keeps them.",
        refers=True,
        comments=True,
        extra={"type": "stdio"},
    ),
    "windsurf": Client(
        "Windsurf",
        lambda place: place.home / ".codeium" / "windsurf" / "mcp_config.json",
        "mcpServers",
        lambda variable: f"${{env:{variable}}}",
        "Refresh the list of servers in Windsurf's settings.",
    ),
    # A first start may have to compile the program, which takes longer than the ten seconds Codex gives.
    "codex": Client(
        "Codex",
        lambda place: Path(place.env.get("CODEX_HOME") or place.home / ".codex") / "config.toml",
        "mcp_servers",
        lambda variable: f"${{{variable}}}",
        "Start Codex again.",
        is_toml=True,
        extra={"startup_timeout_sec": 60, "tool_timeout_sec": 120},
    ),
}
