"""A query with its circumstances, its answer, and how SQL gets from one to the other."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from posthog_mcp.sandbox.compiler import CompileError, compile_query
from posthog_mcp.sandbox.compiler.results import api_rows
from posthog_mcp.sandbox.engine import EngineError
from posthog_mcp.sandbox.http.errors import ApiError, invalid
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.queries.world import world_of

if TYPE_CHECKING:
    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.compiler.world import World
    from posthog_mcp.sandbox.sandbox import Sandbox

# ClickHouse's errors that PostHog shows to whoever wrote the query (posthog/errors.py).
_EXPOSED = frozenset({
    "ARGUMENT_OUT_OF_BOUND", "BAD_ARGUMENTS", "BAD_TYPE_OF_FIELD", "CANNOT_COMPILE_REGEXP",
    "CANNOT_CONVERT_TYPE", "CANNOT_PARSE_BOOL", "CANNOT_PARSE_DATE", "CANNOT_PARSE_DATETIME",
    "CANNOT_PARSE_INPUT_ASSERTION_FAILED", "CANNOT_PARSE_NUMBER", "CANNOT_PARSE_TEXT",
    "CANNOT_READ_ARRAY_FROM_TEXT",
    "CANNOT_PARSE_UUID", "DECIMAL_OVERFLOW", "ILLEGAL_AGGREGATION", "ILLEGAL_COLUMN",
    "ILLEGAL_DIVISION", "ILLEGAL_TYPE_OF_ARGUMENT", "INVALID_JOIN_ON_EXPRESSION",
    "ILLEGAL_TYPE_OF_COLUMN_FOR_FILTER", "NO_COMMON_TYPE",
    "NOT_AN_AGGREGATE", "NUMBER_OF_ARGUMENTS_DOESNT_MATCH", "PARAMETER_OUT_OF_BOUND",
    "SIZES_OF_ARRAYS_DONT_MATCH", "SIZES_OF_ARRAYS_DOESNT_MATCH", "TOO_FEW_ARGUMENTS_FOR_FUNCTION",
    "TOO_MANY_ARGUMENTS_FOR_FUNCTION", "TYPE_MISMATCH", "UNKNOWN_FUNCTION", "UNSUPPORTED_METHOD",
})  # fmt: skip
_TIMED_OUT, _OUT_OF_MEMORY = 159, 241


@dataclass(slots=True)
class Asked:
    """One query: its object as sent, the world it runs in, the id it can be cancelled by, its time limit."""

    sandbox: Sandbox
    query: dict[str, Any]
    world: World
    query_id: str
    seconds: float
    timings: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def timed(self, name: str, since: float) -> float:
        """Note how long a step took; the time now."""
        now = time.perf_counter()
        self.timings.append({"k": f"./{name}", "t": round(now - since, 6)})
        return now


@dataclass(slots=True)
class Ran:
    """Rows of one compiled query. `limit` is set, and `more` known, when the server limited it."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    limit: int | None
    offset: int
    more: bool | None
    read_bytes: int


@dataclass(slots=True)
class Answer:
    """What `POST query/` answers, and the bytes read for it."""

    body: dict[str, Any]
    read_bytes: int = 0


Runner = Callable[[Asked], Awaitable[Answer]]


async def run(asked: Asked, query: ast.Query, *, one_more: bool = False) -> Ran:
    """Compile a tree and run it; with `one_more`, `more` is known for a LIMIT of the query's own as well.

    Raises `ApiError` in PostHog's words for what cannot be compiled or run.
    """
    since = time.perf_counter()
    try:
        compiled = compile_query(query, asked.world, one_more=one_more)
    except CompileError as error:
        raise refused(error) from error
    since = asked.timed("compile", since)
    try:
        rows = await asked.sandbox.engine.query(
            compiled.sql, compiled.params, query_id=asked.query_id, seconds=asked.seconds
        )
    except EngineError as error:
        raise refusal(error, compiled.in_words(error.message)) from error
    asked.timed("clickhouse_execute", since)
    limit = compiled.limit
    return Ran(
        columns=list(compiled.columns),
        types=rows.types,
        rows=api_rows(rows.rows if limit is None else rows.rows[:limit], rows.types, asked.world.timezone),
        limit=limit,
        offset=compiled.offset or 0,
        more=None if limit is None else len(rows.rows) > limit,
        read_bytes=rows.read_bytes,
    )


async def fetch(sandbox: Sandbox, query: ast.Query) -> Ran:
    """Run a query of the sandbox's own, for a list; the query has a LIMIT."""
    await sandbox.cohorts.refresh()
    asked = Asked(sandbox, {}, world_of(sandbox), uuid4().hex, sandbox.options.query_seconds)
    return await run(asked, query, one_more=True)


def refused(error: CompileError) -> ApiError:
    """What the compiler refuses as PostHog answers it."""
    return invalid(error.message, code=error.code)


def refusal(error: EngineError, words: str) -> ApiError:
    """The engine's error as PostHog answers it; `words` are told where the query's author can mend it."""
    if error.code == _TIMED_OUT:
        detail = (
            "Query has hit the max execution time before completing. Narrow the time range, or run it "
            "asynchronously."
        )
        return ApiError(504, "server_error", "error", detail)
    if error.code == _OUT_OF_MEMORY:
        detail = "Query has hit the memory limit. Narrow the time range, or group by fewer values."
        return ApiError(504, "server_error", "error", detail)
    if error.name in _EXPOSED:
        return invalid(words, code=error.name.lower())
    return ApiError(500, "server_error", "error", "ClickHouse error while executing query.")


def common(asked: Asked, ran: Ran, hogql: str) -> dict[str, Any]:
    """The fields that the answers of all kinds have."""
    now = iso(asked.world.now)
    return {
        "cache_key": f"cache_{asked.query_id}",
        "cache_target_age": None,
        "calculation_trigger": None,
        "columns": ran.columns,
        "error": None,
        "hasMore": ran.more,
        "hogql": hogql,
        "is_cached": False,
        "last_refresh": now,
        "limit": ran.limit,
        "modifiers": asked.query.get("modifiers") or {},
        "next_allowed_client_refresh": now,
        "offset": None if ran.limit is None else ran.offset,
        "query_status": None,
        "resolved_date_range": None,
        "results": ran.rows,
        "timezone": asked.world.timezone,
        "timings": asked.timings,
        "types": ran.types,
    }
