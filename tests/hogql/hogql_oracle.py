"""PostHog's own parser (PyPI `hogql-parser`), which the tests compare ours with.

The extension imports classes of PostHog's backend, which nobody but the backend has; empty stand-ins are
enough. They are gone again afterwards, so that the SDK, which is also called `posthog`, still imports.
"""

import json
import sys
from types import ModuleType
from typing import Any


def _load() -> ModuleType:
    mine = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "posthog"}
    for name in mine:
        del sys.modules[name]
    for name in ("posthog", "posthog.hogql"):
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = []
    errors = ModuleType("posthog.hogql.errors")
    for name in ("BaseHogQLError", "ExposedHogQLError", "SyntaxError", "NotImplementedError", "ParsingError"):
        setattr(errors, name, type(name, (Exception,), {}))
    sys.modules["posthog.hogql.errors"] = errors
    try:
        import hogql_parser  # noqa: PLC0415 - it finds the stand-ins only now
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "posthog"]:
            del sys.modules[name]
        sys.modules.update(mine)
    return hogql_parser


_parser = _load()


def parse_query(text: str) -> dict[str, Any] | None:
    """PostHog's tree of a query, or None if it refuses the text. Keep inputs shallow: it is exponential."""
    return _tree(_parser.parse_select_json, text)


def parse_expr(text: str) -> dict[str, Any] | None:
    """PostHog's tree of an expression, or None if it refuses the text."""
    return _tree(_parser.parse_expr_json, text)


def _tree(parse: Any, text: str) -> dict[str, Any] | None:
    try:
        tree = json.loads(parse(text, is_internal=True))
    except Exception:  # noqa: BLE001 - some refusals come as the stand-ins' classes, some as others
        return None
    return None if tree.get("error") else tree
