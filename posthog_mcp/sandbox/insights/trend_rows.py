"""What a series of trends counts, as rows of events and as one number for each bucket."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.filters import hogql_expression
from posthog_mcp.sandbox.compiler.trees import all_of, call, field, property_of, select
from posthog_mcp.sandbox.experiments.trees import constant, expr, moment, query
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.insights.asking import alias
from posthog_mcp.sandbox.insights.periods import Period, after, bucket_of, start_of
from posthog_mcp.sandbox.insights.series import filters_of, has_actor, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthog_mcp.sandbox.compiler.world import World
    from posthog_mcp.sandbox.insights.models import ActionsNode, EventsNode

_DISTINCT = ("dau", "unique_session", "unique_group")
_DAYS = {"weekly_active": 7, "monthly_active": 30}
_FIRSTS = ("first_time_for_user", "first_matching_event_for_user")
_PER_ACTOR = "_count_per_actor"
_FOLDS = {
    "sum": "sum",
    "avg": "avg",
    "min": "min",
    "max": "max",
    "median": "quantile(0.5)",
    "p75": "quantile(0.75)",
    "p90": "quantile(0.9)",
    "p95": "quantile(0.95)",
    "p99": "quantile(0.99)",
}
# Each event is looked for in every span.
_MOST_SPANS = 2_000
_SESSION_DURATION = "$session_duration"


@dataclass(frozen=True, slots=True)
class Counting:
    """One series over one period.

    Attributes:
        node: The series.
        period: Whose buckets are counted in.
        where: The query's filters.
        splits: Values to split by, as text.
        world: The project.
        whole: One number over the period instead of one for each bucket.
        once: Each actor counts only in its first bucket.
        people: Actors are people even where sessions are counted.
        ids: Rows carry the `uuid` of their event.
    """

    node: EventsNode | ActionsNode
    period: Period
    where: ast.Expr
    splits: Sequence[ast.Expr]
    world: World
    whole: bool = False
    once: bool = False
    people: bool = False
    ids: bool = False

    @property
    def math(self) -> str:
        """How the series counts; active users of a longer span are those of the interval itself."""
        math, interval = self.node.math or "total", self.period.interval
        shorter = ("week", "month") if math == "weekly_active" else ("month",)
        return "dau" if math in _DAYS and interval in shorter and not self.whole else math

    @property
    def names(self) -> list[str]:
        """The columns to group by."""
        return ["bucket", *(f"split_{number}" for number in range(len(self.splits)))]


def counted(asked: Counting) -> ast.SelectQuery:
    """One row for each bucket and split with events: `bucket, split_0, ..., number`.

    Raises:
        ApiError: 400 for maths that PostHog, or the sandbox, does not have.
        CompileError: The series names what the project does not have.
    """
    math = asked.math
    if math == "hogql":
        tree = _events(asked)
        tree.select = [*tree.select[:-2], alias("number", hogql_expression(asked.node.math_hogql or ""))]
        tree.group_by = [field(name) for name in asked.names]
        return tree
    rows = event_rows(asked)
    if asked.once and math in ("dau", "unique_group"):
        rest = ", ".join([*asked.names[1:], "actor"])
        first = query(f"SELECT min(bucket) AS bucket, {rest} FROM {{rows}} GROUP BY {rest}", rows=rows)  # noqa: S608 - names of ours
        return _grouped(asked, "count()", first)
    if math.endswith(_PER_ACTOR):
        fold = _fold(math.removesuffix(_PER_ACTOR))
        return _grouped(asked, f"{fold}(n)", _by_actor(asked, "count() AS n", rows))
    if math in _DISTINCT or math in _DAYS:
        return _grouped(asked, "uniqExact(actor)", rows)
    if math == "total" or math in _FIRSTS:
        return _grouped(asked, "count()", rows)
    if _once_a_session(asked.node):
        rows = _by_actor(asked, "any(value) AS value", rows)
    return _grouped(asked, f"{_fold(math)}(value)", rows)


def event_rows(asked: Counting) -> ast.SelectQuery:
    """One row for each event that counts: `bucket, split_0, ..., actor, value`."""
    return _first_events(asked) if asked.math in _FIRSTS else _events(asked)


def _events(asked: Counting) -> ast.SelectQuery:
    node, period, group = asked.node, asked.period, _group(asked)
    bucket, within = period.bucket(), period.within()
    if asked.math in _DAYS:
        spans = _spans(asked, _DAYS[asked.math])
        bucket = _buckets_within(spans)
        first, last = spans[0][1], spans[-1][2]
        within = expr("timestamp >= {first} AND timestamp < {last}", first=moment(first), last=moment(last))
    elif asked.whole:
        bucket = constant(0)
    where = [within, named(node, asked.world), filters_of(node), asked.where, has_actor(group)]
    columns: list[ast.Expr] = [
        alias("bucket", bucket),
        *_splits(asked),
        alias("actor", _actor(asked)),
        _value(asked),
    ]
    if asked.ids:
        columns.append(alias("id", field("uuid")))
    return select(columns, "events", where=all_of(where))


def _first_events(asked: Counting) -> ast.SelectQuery:
    """The first event of each person, where it counts; what passes no filter can be first as well."""
    node, last = asked.node, asked.period.end
    filters = all_of([filters_of(node), asked.where])
    passes = constant(1) if asked.math == "first_matching_event_for_user" else call("if", filters, *_yes_no())
    kept = filters if asked.math == "first_matching_event_for_user" else constant(value=True)
    until = expr("timestamp <= {last}", last=moment(last.replace(microsecond=0)))
    firsts = select(
        [
            alias("actor", field("person_id")),
            alias("at", call("min", field("timestamp"))),
            alias("passes", call("argMin", passes, field("timestamp"))),
            alias("id", call("argMin", field("uuid"), field("timestamp"))),
            *(alias(one.alias, call("argMin", one.expr, field("timestamp"))) for one in _splits(asked)),
        ],
        "events",
        where=all_of([named(node, asked.world), kept, until]),
        group_by=[field("person_id")],
    )
    bucket = constant(0) if asked.whole else bucket_of(asked.period.epochs, "at")
    names = "".join(f", {name}" for name in asked.names[1:])
    return query(
        f"SELECT {{bucket}} AS bucket{names}, actor, 0 AS value, id FROM {{firsts}}"  # noqa: S608 - names of ours
        " WHERE passes = 1 AND at >= {lower}",
        bucket=bucket,
        firsts=firsts,
        lower=moment(asked.period.lower),
    )


def _yes_no() -> tuple[ast.Expr, ast.Expr]:
    return constant(1), constant(0)


def _splits(asked: Counting) -> list[ast.Alias]:
    return [alias(name, split) for name, split in zip(asked.names[1:], asked.splits, strict=True)]


def _group(asked: Counting) -> int | None:
    return (asked.node.math_group_type_index or 0) if asked.math == "unique_group" else None


def _actor(asked: Counting) -> ast.Expr:
    group = _group(asked)
    if group is not None:
        return field(f"$group_{group}")
    per_session = not asked.people and (asked.math == "unique_session" or _once_a_session(asked.node))
    return field("$session_id") if per_session else field("person_id")


def _once_a_session(node: EventsNode | ActionsNode) -> bool:
    of_session = node.math_property_type in ("session", "session_properties")
    return bool(node.math_property) and (of_session or node.math_property == _SESSION_DURATION)


def _value(asked: Counting) -> ast.Alias:
    """The number that property maths look at."""
    node, math = asked.node, asked.math
    if math not in _FOLDS:
        return alias("value", constant(0))
    name = node.math_property
    if not name:
        raise invalid(f"Math {math} needs a math_property.", "series")
    if name == "$time":
        value: ast.Expr = call("toUnixTimestamp", field("timestamp"))
    elif _once_a_session(node):
        value = field("session", name)
    else:
        value = property_of(["person"] if node.math_property_type == "person_properties" else [], name)
    number = call("toFloat", value)
    if node.math_multiplier is not None:
        number = expr("{number} * {factor}", number=number, factor=constant(node.math_multiplier))
    return alias("value", number)


def _fold(math: str) -> str:
    fold = _FOLDS.get(math)
    if fold is None:
        raise invalid(f"The sandbox cannot compute a series with math {math}.", "series")
    return fold


def _grouped(asked: Counting, number: str, rows: ast.SelectQuery) -> ast.SelectQuery:
    names = ", ".join(asked.names)
    return query(f"SELECT {names}, {number} AS number FROM {{rows}} GROUP BY {names}", rows=rows)  # noqa: S608 - names of ours


def _by_actor(asked: Counting, column: str, rows: ast.SelectQuery) -> ast.SelectQuery:
    names = ", ".join([*asked.names, "actor"])
    return query(f"SELECT {names}, {column} FROM {{rows}} GROUP BY {names}", rows=rows)  # noqa: S608 - names of ours


def _spans(asked: Counting, days: int) -> list[tuple[int, datetime, datetime]]:
    """For each bucket the time whose active people it shows: so many days, ending with its own."""
    period = asked.period
    if len(period.starts) > _MOST_SPANS:
        detail = f"{asked.math} over more than {_MOST_SPANS} intervals: take a longer interval."
        raise invalid(detail, "interval")
    if asked.whole:
        end = period.end + timedelta(microseconds=1)
        return [(0, end - timedelta(days=days), end)]
    spans: list[tuple[int, datetime, datetime]] = []
    for epoch, start in zip(period.epochs, period.starts, strict=True):
        if period.interval in ("minute", "hour"):
            end = after(start, period.interval)
        else:
            end = after(start_of(start, "day"), "day") if period.interval == "day" else after(start, "week")
        spans.append((epoch, end - timedelta(days=days), end))
    return spans


def _buckets_within(spans: list[tuple[int, datetime, datetime]]) -> ast.Expr:
    """Every bucket whose time an event lies in."""
    listed = ast.Array(
        exprs=[
            ast.Tuple(exprs=[constant(epoch), constant(_seconds(first)), constant(_seconds(last))])
            for epoch, first, last in spans
        ]
    )
    return expr(
        "arrayJoin(arrayMap(x -> tupleElement(x, 1), arrayFilter(x -> toUnixTimestamp(timestamp) >= "
        "tupleElement(x, 2) AND toUnixTimestamp(timestamp) < tupleElement(x, 3), {listed})))",
        listed=listed,
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
