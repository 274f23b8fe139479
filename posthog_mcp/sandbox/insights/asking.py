"""Running the queries of one insight, and the answer around its results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from posthog_mcp.hogql import ast, print_hogql
from posthog_mcp.sandbox.compiler import CompileError
from posthog_mcp.sandbox.compiler.trees import compare, field, select
from posthog_mcp.sandbox.experiments.trees import constant, query
from posthog_mcp.sandbox.http.times import iso, read_iso
from posthog_mcp.sandbox.queries.asked import Answer, Asked, Ran, Runner, common, refused, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthog_mcp.sandbox.compiler.world import World
    from posthog_mcp.sandbox.insights.models import InsightDates
    from posthog_mcp.sandbox.insights.periods import Period

_OF_ROWS = ("columns", "types", "hasMore", "limit", "offset")
_NOTHING = Ran(columns=[], types=[], rows=[], limit=None, offset=0, more=None, read_bytes=0)
_STALE_AFTER = {
    "minute": timedelta(minutes=5),
    "hour": timedelta(hours=1),
    "day": timedelta(hours=6),
    "week": timedelta(days=1),
    "month": timedelta(days=1),
}
_SHORT, _LONG = timedelta(minutes=3), timedelta(minutes=15)
Row = list[Any]
Json = dict[str, Any]


@dataclass(slots=True)
class Asking:
    """One insight being computed: runs its queries and keeps what the answer tells about them."""

    asked: Asked
    read_bytes: int = 0
    hogql: str = ""

    @property
    def world(self) -> World:
        """The project."""
        return self.asked.world

    async def rows(self, tree: ast.SelectQuery) -> list[Row]:
        """All rows of a query whose columns are named, in no order; values are JSON's.

        They come as one row, since the engine hands out 50,000 at most.
        """
        names = ", ".join(_name(column) for column in tree.select)
        packed = query(f"SELECT groupArray(tuple({names})) FROM {{tree}}", tree=tree)  # noqa: S608 - names of ours
        ran = await run(self.asked, packed)
        self.read_bytes += ran.read_bytes
        self.hogql = self.hogql or print_hogql(tree)
        return ran.rows[0][0]

    async def earliest(self, dates: InsightDates | None, events: Sequence[ast.Expr]) -> datetime | None:
        """The first event of any of these kinds, asked for only by dates that begin with `all`."""
        if dates is None or dates.date_from != "all":
            return None
        first = ast.Alias(alias="first", expr=ast.Call(name="min", args=[field("timestamp")]))
        counted = ast.Alias(alias="events", expr=ast.Call(name="count", args=[]))
        where = ast.Or(exprs=list(events)) if len(events) > 1 else events[0]
        ran = await run(self.asked, select([first, counted], "events", where=where))
        return read_iso(ran.rows[0][0]) if ran.rows[0][1] else None

    def answer(self, results: Any, period: Period, **more: Any) -> Answer:
        """The whole answer, with the fields of PostHog's cache."""
        now = self.world.now
        body: Json = {
            name: value
            for name, value in common(self.asked, _NOTHING, self.hogql).items()
            if name not in _OF_ROWS
        }
        body |= {
            "cache_key": _cache_key(self.asked.query, self.world),
            "cache_target_age": iso(now + _STALE_AFTER[period.interval]),
            "next_allowed_client_refresh": iso(now + _refresh_after(period)),
            "resolved_date_range": {
                "date_from": period.start.isoformat(),
                "date_to": period.end.isoformat(),
            },
            "results": results,
        }
        return Answer(body | more, self.read_bytes)


def insight(compute: Callable[[Asking], Awaitable[Answer]]) -> Runner:
    """The runner of a kind; what the compiler refuses becomes PostHog's 400."""

    async def runner(asked: Asked) -> Answer:
        try:
            return await compute(Asking(asked))
        except CompileError as error:
            raise refused(error) from error

    return runner


def alias(name: str, expr: ast.Expr) -> ast.Alias:
    """`expr AS name`."""
    return ast.Alias(alias=name, expr=expr)


def is_true(name: str) -> ast.Expr:
    """A flag column that is set."""
    return compare("==", field(name), constant(1))


def _name(column: ast.Expr) -> str:
    if isinstance(column, ast.Alias):
        return column.alias
    assert isinstance(column, ast.Field)  # noqa: S101 - every query of an insight names its columns
    return str(column.chain[-1])


def _cache_key(asked: Json, world: World) -> str:
    text = json.dumps([asked, world.project_id, world.timezone], sort_keys=True)
    return f"cache_{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"


def _refresh_after(period: Period) -> timedelta:
    if period.interval == "minute":
        return timedelta(minutes=1)
    short = period.interval == "hour" or period.end - period.start <= timedelta(days=7)
    return _SHORT if short else _LONG
