"""What agents can do: one file per area of PostHog. A new tool is an edit in one of them and nowhere else."""

import importlib
import pkgutil

from posthog_mcp.tool import AREAS, Tool


def every() -> tuple[Tool, ...]:
    """Every tool there is, in the order of the areas, then of the files, then as written in each file.

    Imports them all: a server reads the catalogue that is made of them (`server/catalogue.json`) instead.

    Raises:
        TypeError: Two have the same name.
    """
    found: dict[str, Tool] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        named = importlib.import_module(f"{__name__}.{module.name}")
        for value in vars(named).values():
            if isinstance(value, Tool) and found.setdefault(value.name, value) is not value:
                raise TypeError(f"two tools are named {value.name}")
    return tuple(sorted(found.values(), key=lambda tool: AREAS.index(tool.area)))
