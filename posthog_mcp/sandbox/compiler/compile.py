"""HogQL to ClickHouse SQL: the way in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.errors import CompileError
from posthog_mcp.sandbox.compiler.limits import DEFAULT_LIMIT, clamp, whole_number
from posthog_mcp.sandbox.compiler.relations import Context
from posthog_mcp.sandbox.compiler.select import Queries
from posthog_mcp.sandbox.compiler.sources import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthog_mcp.sandbox.compiler.types import Kind
    from posthog_mcp.sandbox.compiler.world import World

_OUR_NAMES = re.compile(r"\b(?:t\d+\.)?[kcl]\d+\b")
_OUR_SQL = re.compile(r"[.,:;]? (?:In query|In scope|while executing|While processing) ")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A query as the engine runs it.

    Attributes:
        sql: ClickHouse SQL; holds no name and no text of the user's but escaped literals.
        params: Bound parameters; none are needed so far.
        columns: The names of the columns as the API shows them, in order.
        kinds: What the compiler knows of their types.
        limit: The number of rows to hand out, set when one row more is asked for than that, so that the
            caller sees whether there are more.
        offset: Rows left out before; set along with `limit`.
        labels: What the query calls the names in the SQL.
    """

    sql: str
    columns: list[str]
    kinds: list[Kind]
    limit: int | None = None
    offset: int | None = None
    params: Mapping[str, str | int | float] = field(default_factory=dict[str, "str | int | float"])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    def in_words(self, message: str) -> str:
        """A message of the engine's with the names of the query instead of ours, and without our SQL."""
        told = _OUR_SQL.split(message, maxsplit=1)[0]
        return _OUR_NAMES.sub(lambda found: self.labels.get(found.group(), found.group()), told)


def compile_query(query: ast.Query, world: World, *, one_more: bool = False) -> Compiled:
    """Compile a HogQL query.

    Args:
        query: The tree; its placeholders are filled.
        world: The project it runs in.
        one_more: Ask for one row more than a constant LIMIT, too, as query kinds with a `limit` field need.

    Raises:
        CompileError: the query names something unknown, or asks for what cannot be run here.
    """
    limited, limit, offset = _limited(query, world.max_rows, one_more=one_more)
    context = Context(world, TABLES)
    queries = Queries(context)
    try:
        text, outputs = queries.query(limited, None)
    except RecursionError as error:
        raise CompileError("The query is nested too deeply.") from error
    for output in outputs:
        if output.sql.kind == "State":
            raise CompileError(
                f"'{output.label}' is the state of an aggregation: read it with a -Merge function."
            )
    return Compiled(
        sql=text,
        columns=[output.label for output in outputs],
        kinds=[output.sql.kind for output in outputs],
        limit=limit,
        offset=offset,
        labels=context.labels,
    )


def _limited(query: ast.Query, most: int, *, one_more: bool) -> tuple[ast.Query, int | None, int | None]:
    if query.limit is None:
        offset = whole_number(query.offset) if isinstance(query.offset, ast.Constant) else 0
        return replace(query, limit=ast.Constant(value=DEFAULT_LIMIT + 1)), DEFAULT_LIMIT, offset
    clamped = clamp(query.limit, most)
    if one_more and isinstance(clamped, ast.Constant) and isinstance(clamped.value, int):
        offset = whole_number(query.offset) if isinstance(query.offset, ast.Constant) else 0
        return replace(query, limit=ast.Constant(value=clamped.value + 1)), clamped.value, offset
    return replace(query, limit=clamped), None, None
