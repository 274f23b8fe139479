"""The FROM of a query: tables, subqueries, joins, samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.cohorts import membership
from posthog_mcp.sandbox.compiler.errors import did_you_mean, refuse
from posthog_mcp.sandbox.compiler.other_tables import EMPTY_TABLES
from posthog_mcp.sandbox.compiler.relations import QueryRelation, TableRelation
from posthog_mcp.sandbox.compiler.replay import REPLAY_TABLES
from posthog_mcp.sandbox.compiler.scope import QueryCte, Scope
from posthog_mcp.sandbox.compiler.sessions import SESSIONS
from posthog_mcp.sandbox.compiler.tables import BASE_TABLES, Column, Table

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.expressions import Expressions
    from posthog_mcp.sandbox.compiler.relations import Source

TABLES: Mapping[str, Table] = {**BASE_TABLES, "sessions": SESSIONS, **REPLAY_TABLES, **EMPTY_TABLES}

_JOIN_WORDS = frozenset(
    {"JOIN", "INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS", "ANY", "ALL", "SEMI", "ANTI", "ASOF"}
)
_MAX_NUMBERS = 10_000_000
# SAMPLE keeps distinct ids whose hash falls in a share of these buckets.
_BUCKETS = 1_000_000


@dataclass(slots=True)
class From:
    """A FROM whose SQL is written once every use of it is known."""

    parts: list[tuple[str, Source, str]] = field(default_factory=list[tuple[str, "Source", str]])

    def render(self) -> str:
        """SQL after the word FROM."""
        return " ".join(
            f"{join} {source.render()} {constraint}".strip() for join, source, constraint in self.parts
        )


class Sources:
    """Reads the FROM of a query into its scope."""

    def __init__(self, expressions: Expressions) -> None:
        self._expressions = expressions
        self._context = expressions.context

    def read(self, node: ast.JoinExpr, scope: Scope) -> From:
        """Add every table of a FROM to `scope`.

        Raises:
            CompileError: a table is unknown, or two have one name.
        """
        found = From()
        join: ast.JoinExpr | None = node
        while join is not None:
            source = self._source(join, scope)
            name = self._name(join, scope)
            left = dict(scope.relations)
            scope.relations[name] = source
            if join.sample is not None:
                self._sample(join.sample, source, join)
            constraint = (
                "" if join.constraint is None else self._constraint(join.constraint, scope, left, source)
            )
            words = self._join_words(join) if found.parts else ""
            found.parts.append((words, source, constraint))
            join = join.next_join
        return found

    def _source(self, join: ast.JoinExpr, scope: Scope) -> Source:
        node = join.table
        if isinstance(node, ast.Placeholder):
            raise refuse("Query contains unresolved placeholders: give each a value.", node)
        if not isinstance(node, ast.Field):
            if join.table_args is not None:
                raise refuse("A subquery takes no arguments.", node)
            text, outputs = self._expressions.query(node, scope)
            self._check_labels(join, len(outputs))
            return QueryRelation(self._context, text, outputs, join.column_aliases or ())
        return self._named(join, node, scope)

    def _named(self, join: ast.JoinExpr, node: ast.Field, scope: Scope) -> Source:
        name = ".".join(str(part) for part in node.chain)
        if join.table_args is not None:
            return self._function(name, join)
        cte = scope.cte(name) if len(node.chain) == 1 else None
        if isinstance(cte, QueryCte):
            self._check_labels(join, len(cte.outputs))
            return QueryRelation(self._context, cte.text, cte.outputs, join.column_aliases or ())
        table = TABLES.get(name)
        if table is None:
            raise refuse(f'Unknown table "{name}".{did_you_mean(name, TABLES)}', node)
        if join.column_aliases:
            raise refuse("Only subqueries can be given column names in FROM.", node)
        return TableRelation(self._context, self._completed(name, table))

    def _completed(self, name: str, table: Table) -> Table:
        """Cohort members count only as of each cohort's last finished calculation."""
        if name not in ("cohort_people", "static_cohort_people"):
            return table
        static = name == "static_cohort_people"
        cohorts = [one for one in self._context.world.cohorts.values() if one.is_static is static]
        return Table(table.source, table.columns, table.joins, where=membership(cohorts))

    def _function(self, name: str, join: ast.JoinExpr) -> Source:
        arguments = join.table_args or []
        if name != "numbers":
            if name in TABLES:
                raise refuse(f'Table "{name}" takes no arguments.', join.table)
            raise refuse(f'Unknown table function "{name}". Only numbers(n) is available.', join.table)
        bounds = [
            argument.value
            for argument in arguments
            if isinstance(argument, ast.Constant)
            and isinstance(argument.value, int)
            and not isinstance(argument.value, bool)
            and argument.value >= 0
        ]
        if len(bounds) != len(arguments) or len(bounds) not in (1, 2):
            raise refuse("numbers(...) takes one or two constant whole numbers.", join.table)
        if bounds[-1] > _MAX_NUMBERS:
            raise refuse(f"numbers(...) gives at most {_MAX_NUMBERS:,} rows.", join.table)
        source = f"numbers({', '.join(f'{bound:d}' for bound in bounds)}) AS {{t}}"
        return TableRelation(self._context, Table(source, {"number": Column("{t}.`number`", "Number")}))

    def _name(self, join: ast.JoinExpr, scope: Scope) -> str:
        name = join.alias
        if name is None:
            node = join.table
            name = str(node.chain[-1]) if isinstance(node, ast.Field) else self._context.fresh("unnamed ")
        if name in scope.relations:
            raise refuse(f'Already have joined a table called "{name}". Can\'t redefine.', join.table)
        return name

    def _check_labels(self, join: ast.JoinExpr, count: int) -> None:
        if join.column_aliases and len(join.column_aliases) != count:
            raise refuse(f"The list names {len(join.column_aliases)} columns, the query has {count}.", join)

    def _join_words(self, join: ast.JoinExpr) -> str:
        words = (join.join_type or "JOIN").upper().split()
        if words == [","]:
            return "CROSS JOIN"
        if words and words[-1] != "JOIN":
            words.append("JOIN")
        if not words or not set(words) <= _JOIN_WORDS or len(words) != len(set(words)):
            raise refuse(f"Joins of type {join.join_type} are not supported.", join)
        return "CROSS JOIN" if words == ["JOIN"] and join.constraint is None else " ".join(words)

    def _constraint(
        self, node: ast.JoinConstraint, scope: Scope, left: dict[str, Source], right: Source
    ) -> str:
        with self._expressions.inside_join():
            if node.constraint_type == "ON":
                return f"ON {self._expressions.compile(node.expr, scope).text}"
            return f"ON {self._using(node, scope, left, right)}"

    def _using(self, node: ast.JoinConstraint, scope: Scope, left: dict[str, Source], right: Source) -> str:
        exprs = node.expr.exprs if isinstance(node.expr, ast.Tuple) else [node.expr]
        conditions: list[str] = []
        for expr in exprs:
            if not isinstance(expr, ast.Field) or len(expr.chain) != 1:
                raise refuse("USING takes names of columns.", node)
            name = str(expr.chain[0])
            one = scope.merged.get(name) or next(
                (value for source in left.values() if (value := source.column(name)) is not None), None
            )
            other = right.column(name)
            if one is None or other is None:
                raise refuse(
                    f"Unable to resolve field: {name}. Both sides of a join with USING must have it.", expr
                )
            scope.merged[name] = one
            conditions.append(self._expressions.compare("==", one, other).text)
        return " AND ".join(conditions)

    def _sample(self, sample: ast.SampleExpr, source: Source, node: ast.JoinExpr) -> None:
        if (
            not isinstance(source, TableRelation)
            or "distinct_id" not in source.table.columns
            or source.table.group_by
        ):
            raise refuse("SAMPLE is only supported on the events table.", node)
        share = _ratio(sample.value, node)
        offset = _ratio(sample.offset, node) if sample.offset is not None else 0.0
        if share <= 0:
            raise refuse("SAMPLE needs a share above 0, up to 1, such as 0.1 or 1/10.", node)
        low, high = round(offset * _BUCKETS), round((offset + share) * _BUCKETS)
        bucket = f"cityHash64({source.alias}.`distinct_id`) % {_BUCKETS}"
        source.filters.append(f"{bucket} >= {low} AND {bucket} < {high}")


def _ratio(ratio: ast.RatioExpr, node: ast.Node) -> float:
    top, bottom = ratio.left.value, ratio.right.value if ratio.right is not None else 1
    numbers = [part for part in (top, bottom) if isinstance(part, int | float) and not isinstance(part, bool)]
    if len(numbers) != 2 or numbers[1] == 0 or not 0 <= numbers[0] / numbers[1] <= 1:  # noqa: PLR2004 - a fraction
        raise refuse(
            "SAMPLE needs a share from 0 to 1, such as 0.1 or 1/10; a number of rows is not supported.", node
        )
    return numbers[0] / numbers[1]
