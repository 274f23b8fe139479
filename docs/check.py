"""Compares what the documents say with what the program is; `--write` brings them up to date.

Checked: the catalogue that servers list, the tools in docs/tools.md and manifest.json, the settings, the
version everywhere, and that links lead somewhere.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

from posthog_mcp import __version__
from posthog_mcp.server import catalog
from posthog_mcp.settings import VARIABLES
from posthog_mcp.tool import AREAS
from posthog_mcp.tools import every

ROOT = Path(__file__).parent.parent
TOOLS, MANIFEST, SETTINGS = ROOT / "docs/tools.md", ROOT / "manifest.json", ROOT / "docs/settings.md"
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def tools_page() -> str:
    """docs/tools.md as it should be."""
    lines = [
        "# Tools",
        "",
        "Written by `python docs/check.py --write` from the tools themselves. Access says from which",
        "`--access` level on a tool exists; scopes are what its personal key needs. Tools marked ○ are",
        "listed on demand, with `--areas` or `POSTHOG_MCP_TOOLS`.",
    ]
    for area in AREAS:
        tools = [tool for tool in every() if tool.area == area]
        if not tools:
            continue
        lines += [
            "",
            f"## {area}",
            "",
            "| tool | access | key | scopes | what it does |",
            "| --- | --- | --- | --- | --- |",
        ]
        for tool in tools:
            name = f"`{tool.name}`{'' if tool.default else ' ○'}"
            first = tool.description.split("\n")[0]
            keys, scopes = " or ".join(tool.keys), " ".join(f"`{scope}`" for scope in tool.scopes)
            lines.append(f"| {name} | {tool.access.name.lower()} | {keys} | {scopes} | {first} |")
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """docs/settings.md as it should be."""
    lines = [
        "# Settings",
        "",
        "Written by `python docs/check.py --write`. Blank values, and templates such as `${KEY}` that nobody",
        "filled in, count as unset. Command-line options win over variables.",
        "",
        "| variable | what it is |",
        "| --- | --- |",
    ]
    lines += [f"| `{variable.name}` | {variable.about} |" for variable in VARIABLES]
    return "\n".join(lines) + "\n"


def manifest() -> str:
    """manifest.json with the tools and the version there are."""
    data = json.loads(MANIFEST.read_text(encoding="utf-8"))
    data["version"] = __version__
    data["tools"] = [
        {"name": tool.name, "description": tool.description.split("\n")[0]}
        for tool in every()
        if tool.default
    ]
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def dead_links() -> list[str]:
    """Links between documents that lead nowhere."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "posthog_mcp/guides").glob("*.md")]
    return [
        f"{page.relative_to(ROOT)} links to {target}, which does not exist"
        for page in pages
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]


def main() -> int:
    """0 when the documents are true, else 1 with what is not."""
    problems: list[str] = []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if project["version"] != __version__:
        problems.append(f"pyproject.toml says version {project['version']}, the package {__version__}")
    registry = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
    if {registry["version"], *(package["version"] for package in registry["packages"])} != {__version__}:
        problems.append(f"server.json names another version than {__version__}")
    for path, wanted in (
        (catalog.FILE, catalog.written(every())),
        (TOOLS, tools_page()),
        (SETTINGS, settings_page()),
        (MANIFEST, manifest()),
    ):
        if "--write" in sys.argv:
            path.write_text(wanted, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != wanted:
            problems.append(f"{path.relative_to(ROOT)} is out of date: run python docs/check.py --write")
    problems += dead_links()
    print("\n".join(problems) or "The documents are up to date.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
