"""What is worth saying about a query that PostHog may well run: unknown names, and what makes it costly.

PostHog is newer than we are and each project has names of its own, so these are notes and never refusals. The
lookup errs on the side of silence: what a subquery, a CTE or an unknown table gives is not known, so nothing
is said of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from posthog_mcp.hogql import ast
from posthog_mcp.hogql.tables import AGGREGATES, COMBINATORS, FUNCTIONS, OPAQUE_TABLES, TABLES
from posthog_mcp.hogql.walk import children, walk

DEFAULT_LIMIT = 100
"""Rows PostHog returns when the outermost query has no LIMIT."""

MOST_NOTES = 12
"""Notes given for one query at most; more would bury the answer."""

_TIME_COLUMNS = {"events": "timestamp", "sessions": "$start_timestamp"}
_CLOSE = 0.75
_MOST_LOOKUPS = 40
_LONGEST_LOOKUP = 80
_FUNCTION_CLOSE = 0.8


@dataclass(frozen=True, slots=True)
class Schema:
    """The names a project has, as far as the caller knows them.

    Attributes:
        tables: Columns by table; None instead of columns if they are not known.
        functions: Function names, without combinators such as -If.
        events: Event names; None if they are not known, and then none is looked up. The same for the others.
        event_properties: Names under `properties` of events.
        person_properties: Names under `person.properties` and `properties` of persons.
    """

    tables: Mapping[str, Collection[str] | None] = field(
        default_factory=lambda: {**dict.fromkeys(OPAQUE_TABLES), **TABLES}
    )
    functions: Collection[str] = FUNCTIONS
    events: Collection[str] | None = None
    event_properties: Collection[str] | None = None
    person_properties: Collection[str] | None = None


def notes(query: ast.Query, schema: Schema | None = None) -> list[str]:
    """Say what about a query may be a mistake, one sentence or two each; an empty list if nothing is."""
    reader = _Reader(query, schema or Schema())
    found = list(dict.fromkeys(reader.read()))
    if len(found) > MOST_NOTES:
        found[MOST_NOTES - 1 :] = [f"{len(found) - MOST_NOTES + 1} more of the kind."]
    return found


@dataclass(slots=True)
class _Scope:
    """What one SELECT can see: the tables by the names they have in it, and whether that is all."""

    tables: dict[str, str]
    complete: bool
    columns: set[str]


class _Reader:
    def __init__(self, query: ast.Query, schema: Schema) -> None:
        self.query = query
        self.schema = schema
        self.made = _made_names(query)
        self.ctes = {node.name for node in walk(query) if isinstance(node, ast.CTE)}
        self.functions = {name.lower(): name for name in schema.functions}
        self.lookups = 0

    def read(self) -> Iterator[str]:
        for node in walk(self.query):
            if isinstance(node, ast.SelectQuery):
                yield from self._select(node)
            elif isinstance(node, ast.Call | ast.WindowFunction):
                yield from self._function(node.name)
        yield from _limit_note(self.query)

    # --- one SELECT --------------------------------------------------------------------------------------

    def _select(self, select: ast.SelectQuery) -> Iterator[str]:
        scope = self._scope(select.select_from)
        for table in scope.tables.values():
            if table not in self.schema.tables:
                yield self._unknown("table", table, self.schema.tables)
        yield from self._time_range(select, scope)
        for node in _own_nodes(select):
            if isinstance(node, ast.Field):
                yield from self._field([str(part) for part in node.chain], scope)
            elif isinstance(node, ast.ArrayAccess) and isinstance(node.array, ast.Field):
                if isinstance(node.property, ast.Constant) and isinstance(node.property.value, str):
                    yield from self._property(
                        [str(part) for part in node.array.chain], node.property.value, scope
                    )
            elif isinstance(node, ast.CompareOperation):
                yield from self._event_names(node, scope)

    def _scope(self, join: ast.JoinExpr | None) -> _Scope:
        tables: dict[str, str] = {}
        complete = join is not None
        while join:
            if isinstance(join.table, ast.Field) and not join.column_aliases:
                name = ".".join(str(part) for part in join.table.chain)
                if name in self.ctes:
                    complete = False
                else:
                    tables[join.alias or name] = name
                    complete = complete and self.schema.tables.get(name) is not None
            else:
                complete = False
            join = join.next_join
        columns = {column for table in tables.values() for column in self._columns(table)}
        return _Scope(tables, complete, columns)

    def _columns(self, table: str) -> Collection[str]:
        return self.schema.tables.get(table) or ()

    def _field(self, chain: list[str], scope: _Scope) -> Iterator[str]:
        first, rest = chain[0], chain[1:]
        if first in scope.tables and rest:
            table = scope.tables[first]
            columns = self._columns(table)
            if columns and rest[0] != "*" and rest[0] not in columns and not _may_be_group(rest):
                yield self._unknown(f"column of {table}", rest[0], columns)
            elif len(rest) > 1:
                yield from self._property(chain[:-1], chain[-1], scope)
            return
        known = first == "*" or first in self.made or first in scope.tables or first in self.ctes
        if scope.complete and not known and first not in scope.columns and not _may_be_group(chain):
            tables = " and ".join(dict.fromkeys(scope.tables.values()))
            yield self._unknown(f"column of {tables}", first, scope.columns | self.made)
        elif rest:
            yield from self._property(chain[:-1], rest[-1], scope)

    def _property(self, chain: list[str], name: str, scope: _Scope) -> Iterator[str]:
        """Look up `chain.name` if the chain leads to the properties of an event or a person."""
        table = scope.tables.get(chain[0])
        if table is not None:
            chain = chain[1:]
        elif len(set(scope.tables.values())) == 1:
            table = next(iter(scope.tables.values()))
        if chain == ["properties"] and table == "events":
            kind, names = "event property", self.schema.event_properties
        elif (chain == ["properties"] and table == "persons") or (chain == ["person", "properties"]):
            kind, names = "person property", self.schema.person_properties
        else:
            return
        if names is not None and name not in names:
            yield self._unknown(kind, name, names)

    def _event_names(self, node: ast.CompareOperation, scope: _Scope) -> Iterator[str]:
        if (
            self.schema.events is None
            or "events" not in scope.tables.values()
            or node.op not in ("==", "!=", "in", "not in")
        ):
            return
        if not (isinstance(node.left, ast.Field) and node.left.chain[-1] == "event"):
            return
        values = node.right.exprs if isinstance(node.right, ast.Tuple | ast.Array) else [node.right]
        for value in values:
            if (
                isinstance(value, ast.Constant)
                and isinstance(value.value, str)
                and value.value not in self.schema.events
            ):
                yield self._unknown("event", value.value, self.schema.events)

    def _time_range(self, select: ast.SelectQuery, scope: _Scope) -> Iterator[str]:
        bounds = [expr for expr in (select.where, select.prewhere) if expr is not None]
        join = select.select_from
        while join:
            bounds += [join.constraint.expr] if join.constraint else []
            join = join.next_join
        named = {node.chain[-1] for expr in bounds for node in walk(expr) if isinstance(node, ast.Field)}
        if "filters" in {
            node.chain[0] for expr in bounds for node in walk(expr) if isinstance(node, ast.Field)
        }:
            return
        for table in dict.fromkeys(scope.tables.values()):
            column = _TIME_COLUMNS.get(table)
            if column and column not in named:
                yield (
                    f"No time range on {table}: the whole history is read, which is slow and may time out. "
                    f"Add a condition such as `{column} > now() - INTERVAL 7 DAY`."
                )

    def _function(self, name: str) -> Iterator[str]:
        if self._is_function(name):
            return
        near = self._near(name.lower(), self.functions, _FUNCTION_CLOSE)
        if near:
            yield f"Function `{name}` is not among those known; did you mean `{self.functions[near[0]]}`?"

    def _is_function(self, name: str) -> bool:
        if name.lower() in self.functions or name in self.made:
            return True
        for ending in COMBINATORS:
            if name.lower().endswith(ending.lower()) and self._is_function(name[: -len(ending)]):
                return True
        return False

    def _unknown(self, kind: str, name: str, names: Collection[str]) -> str:
        near = self._near(name, names, _CLOSE) or _without_case(name, names)
        sentence = f"There may be no {kind} `{name[:_LONGEST_LOOKUP]}`"
        return (
            f"{sentence}; did you mean {_either(near)}?"
            if near
            else f"{sentence}: it is not among those known."
        )

    def _near(self, name: str, names: Collection[str], close: float) -> list[str]:
        """The nearest names; none once enough were looked up, since each takes milliseconds."""
        self.lookups += 1
        if self.lookups > _MOST_LOOKUPS or len(name) > _LONGEST_LOOKUP:
            return []
        return get_close_matches(name, names, 3, close)


def _made_names(query: ast.Query) -> set[str]:
    """Names that the query itself gives: aliases, arguments of lambdas, columns of CTEs and tables."""
    found: set[str] = set()
    for node in walk(query):
        if isinstance(node, ast.Alias):
            found.add(node.alias)
        elif isinstance(node, ast.Lambda):
            found.update(node.args)
        elif isinstance(node, ast.CTE):
            found.update([node.name, *(node.columns or [])])
        elif isinstance(node, ast.JoinExpr):
            found.update([*(node.column_aliases or []), *([node.alias] if node.alias else [])])
    return found


def _own_nodes(select: ast.SelectQuery) -> Iterator[ast.Node]:
    """The nodes of a SELECT without its subqueries, its tables and what placeholders hold."""
    stack: list[ast.Node] = [*children(select)][::-1]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.SelectQuery | ast.SelectSetQuery | ast.CTE | ast.Placeholder):
            continue
        yield node
        if isinstance(node, ast.JoinExpr):
            stack += [part for part in (node.next_join, node.constraint) if part]
        else:
            stack += [*children(node)][::-1]


def _may_be_group(chain: list[str]) -> bool:
    """`company.properties.plan`: any name may be a type of group of the project."""
    return len(chain) > 1 and chain[1] in ("properties", "key", "created_at")


def _limit_note(query: ast.Query) -> Iterator[str]:
    last = query
    while isinstance(last, ast.SelectSetQuery) and last.limit is None:
        last = last.subsequent_select_queries[-1].select_query
    if last.limit is None and not (isinstance(query, ast.SelectQuery) and _gives_one_row(query)):
        yield f"No LIMIT: PostHog returns the first {DEFAULT_LIMIT} rows. Add LIMIT (at most 50000) for more."


def _gives_one_row(select: ast.SelectQuery) -> bool:
    return (
        not select.group_by
        and not select.group_by_mode
        and all(_is_aggregate(expr) for expr in select.select)
    )


def _is_aggregate(expr: ast.Expr) -> bool:
    """Whether a column without GROUP BY is one value: made of aggregates and constants."""
    if isinstance(expr, ast.Field | ast.ColumnsExpr | ast.WindowFunction):
        return False
    if isinstance(expr, ast.Call) and _aggregate_name(expr.name):
        return True
    if isinstance(expr, ast.SelectQuery | ast.SelectSetQuery):
        return True
    if isinstance(expr, ast.Call) and expr.name.lower() == "arrayjoin":
        return False
    return all(_is_aggregate(child) for child in children(expr) if isinstance(child, ast.Expr))


def _aggregate_name(name: str) -> bool:
    if name in AGGREGATES or name.lower() in ("count", "sum", "avg", "min", "max", "any"):
        return True
    return any(name.endswith(ending) and _aggregate_name(name[: -len(ending)]) for ending in COMBINATORS)


def _without_case(name: str, names: Collection[str]) -> list[str]:
    return [known for known in names if known.lower() == name.lower()][:1]


def _either(names: list[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)
