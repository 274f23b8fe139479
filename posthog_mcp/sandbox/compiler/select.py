"""Queries: SELECTs with all their clauses, and SELECTs joined by UNION, INTERSECT and EXCEPT."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from posthog_mcp.hogql import ast, print_hogql, walk
from posthog_mcp.sandbox.compiler.cohorts import Cohorts
from posthog_mcp.sandbox.compiler.errors import refuse
from posthog_mcp.sandbox.compiler.expressions import Expressions
from posthog_mcp.sandbox.compiler.limits import limit_text
from posthog_mcp.sandbox.compiler.scope import QueryCte, Scope, ValueCte
from posthog_mcp.sandbox.compiler.sources import From, Sources
from posthog_mcp.sandbox.compiler.types import Output
from posthog_mcp.sandbox.compiler.windows import order_text

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.relations import Context, Source

# A WITH that names itself often enough stands for a text of any length.
MAX_SQL = 1_000_000
_SET_OPERATORS: Final = frozenset({
    "UNION ALL", "UNION DISTINCT", "INTERSECT", "INTERSECT ALL", "INTERSECT DISTINCT", "EXCEPT", "EXCEPT ALL",
    "EXCEPT DISTINCT",
})  # fmt: skip
_RESERVED: Final = frozenset({"team_id", "true", "false", "null"})


class _Starred(ast.Field):
    """A column that a star stands for: shown under its own name, whatever the table is called."""


class Queries:
    """Compiles the queries of one statement."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.world = context.world
        self.expressions = Expressions(context, self, Cohorts(context.world))
        self._sources = Sources(self.expressions)

    def query(self, node: ast.Query, outer: Scope | None) -> tuple[str, list[Output]]:
        """SQL of a query without brackets, and its columns."""
        if isinstance(node, ast.SelectSetQuery):
            text, outputs = self._set(node, outer)
        else:
            text, outputs = self._select(node, outer)
        if len(text) > MAX_SQL:
            raise refuse("The query is too large once its WITH queries are written out.", node)
        return text, outputs

    def _set(self, node: ast.SelectSetQuery, outer: Scope | None) -> tuple[str, list[Output]]:
        first = node.initial_select_query
        scope = Scope(self.world, outer)
        if isinstance(first, ast.SelectQuery):
            # The WITH of the first SELECT is seen by all of them.
            self._read_ctes(first, scope)
        text, outputs = self.query(first, scope if not isinstance(first, ast.SelectQuery) else outer)
        parts = [f"({text})"]
        for other in node.subsequent_select_queries:
            if other.set_operator not in _SET_OPERATORS:
                raise refuse(f"{other.set_operator} is not supported.", node)
            text, columns = self.query(other.select_query, scope)
            if len(columns) != len(outputs):
                raise refuse("All parts of a UNION must have the same number of columns.", other.select_query)
            parts.append(f"{other.set_operator} ({text})")
        whole = " ".join(parts)
        part = self._limit(node, scope)
        return (f"SELECT * FROM ({whole}) {part}" if part else whole), outputs  # noqa: S608 - text of ours

    def _read_ctes(self, node: ast.SelectQuery, scope: Scope) -> None:
        for cte in node.ctes or []:
            if cte.name in scope.ctes:
                raise refuse(f"WITH names {cte.name} twice.", cte)
            scope.ctes[cte.name] = self._cte(cte, scope)

    def _cte(self, cte: ast.CTE, scope: Scope) -> QueryCte | ValueCte:
        if cte.cte_type == "column":
            return ValueCte(cte.expr)
        if cte.recursive and _names_itself(cte):
            raise refuse("Recursive CTEs are not supported.", cte)
        if not isinstance(cte.expr, ast.SelectQuery | ast.SelectSetQuery):
            raise refuse(f"WITH {cte.name} must be a query.", cte)
        text, outputs = self.expressions.query(cte.expr, scope)
        if cte.columns:
            if len(cte.columns) != len(outputs):
                raise refuse(
                    f"WITH {cte.name} names {len(cte.columns)} columns, the query has {len(outputs)}.", cte
                )
            pairs = zip(cte.columns, outputs, strict=True)
            outputs = [Output(name, (name,), output.sql) for name, output in pairs]
        return QueryCte(text, outputs)

    def _select(self, node: ast.SelectQuery, outer: Scope | None) -> tuple[str, list[Output]]:
        scope = Scope(self.world, outer, windows=dict(node.window_exprs or {}))
        self._read_ctes(node, scope)
        source = self._sources.read(node.select_from, scope) if node.select_from is not None else From()
        array_join = self._array_join(node, scope)
        columns, outputs = self._columns(node, scope)
        clauses = self._clauses(node, scope)
        parts = [f"SELECT {'DISTINCT ' if node.distinct else ''}{columns}"]
        if source.parts:
            parts.append(f"FROM {source.render()}")
        return " ".join([*parts, *array_join, *clauses]), outputs

    def _array_join(self, node: ast.SelectQuery, scope: Scope) -> list[str]:
        if node.array_join_op is None:
            return []
        if node.select_from is None:
            raise refuse("Using ARRAY JOIN without a FROM clause is not permitted.", node)
        word = "LEFT ARRAY JOIN" if node.array_join_op.startswith("LEFT") else "ARRAY JOIN"
        items: list[str] = []
        for expr in node.array_join_list or []:
            if not isinstance(expr, ast.Alias):
                raise refuse("ARRAY JOIN arrays must have an alias.", expr)
            value = self.expressions.compile(expr.expr, scope)
            name = self.context.fresh("c")
            if expr.alias in scope.aliases:
                raise refuse(f"Cannot redefine an alias with the name: {expr.alias}", expr)
            scope.aliases[expr.alias] = type(value)(name)
            items.append(f"{value.text} AS {name}")
        return [f"{word} {', '.join(items)}"]

    def _columns(self, node: ast.SelectQuery, scope: Scope) -> tuple[str, list[Output]]:
        texts: list[str] = []
        outputs: list[Output] = []
        for expr in self._expanded(node.select, scope):
            text, output = self._column(expr, scope)
            texts.append(text)
            outputs.append(output)
        return ", ".join(texts), outputs

    def _column(self, expr: ast.Expr, scope: Scope) -> tuple[str, Output]:
        name = self.context.fresh("c")
        inner = expr.expr if isinstance(expr, ast.Alias) else expr
        value = self.expressions.compile(inner, scope)
        output = value.renamed(name)
        if isinstance(expr, ast.Alias):
            if expr.alias.lower() in _RESERVED:
                raise refuse(f"Alias '{expr.alias}' is a reserved keyword.", expr)
            if expr.alias in scope.aliases:
                raise refuse(f"Cannot redefine an alias with the name: {expr.alias}", expr)
            scope.aliases[expr.alias] = output
            self.context.labels[name] = expr.alias
            return f"{value.text} AS {name}", Output(expr.alias, (expr.alias,), output)
        label = str(expr.chain[-1]) if isinstance(expr, _Starred) else print_hogql(expr)
        self.context.labels[name] = label
        names = (str(expr.chain[-1]), label) if isinstance(expr, ast.Field) else (label,)
        return f"{value.text} AS {name}", Output(label, names, output)

    def _expanded(self, exprs: list[ast.Expr], scope: Scope) -> list[ast.Expr]:
        """The SELECT list with every star written out."""
        found: list[ast.Expr] = []
        for expr in exprs:
            if isinstance(expr, ast.Field) and expr.chain and expr.chain[-1] == "*":
                found += self._star(expr, [str(part) for part in expr.chain[:-1]], scope)
            elif isinstance(expr, ast.ColumnsExpr):
                found += self._matching(expr, scope)
            else:
                found.append(expr)
        if not found:
            raise refuse("The SELECT has no columns.")
        return found

    def _star(self, node: ast.Expr, prefix: list[str], scope: Scope) -> list[ast.Expr]:
        if not scope.relations:
            raise refuse("Cannot use '*' when there is no table to select from.", node)
        if not prefix:
            merged = set[str]()
            fields: list[ast.Expr] = []
            for alias, relation in scope.relations.items():
                names = [name for name in relation.star() if name not in merged]
                merged |= set(scope.merged) & set(names)
                fields += [_Starred(chain=[alias, name]) for name in names]
            return fields
        relation: Source | None = scope.relations.get(prefix[0]) if len(prefix) == 1 else None
        if relation is None:
            raise refuse(f'There is no table "{".".join(prefix)}" in this query to take * from.', node)
        return [_Starred(chain=[prefix[0], name]) for name in relation.star()]

    def _matching(self, node: ast.ColumnsExpr, scope: Scope) -> list[ast.Expr]:
        fields = self._star(node, [str(part) for part in node.table], scope)
        if node.regex is not None:
            try:
                pattern = re.compile(node.regex)
            except re.error as error:
                raise refuse(f"COLUMNS has an invalid pattern: {error}.", node) from error
            fields = [
                one for one in fields if isinstance(one, ast.Field) and pattern.search(str(one.chain[-1]))
            ]
        elif not node.all_columns:
            raise refuse("COLUMNS needs a pattern or *.", node)
        left_out = set(node.exclude)
        return [one for one in fields if isinstance(one, ast.Field) and one.chain[-1] not in left_out]

    def _clauses(self, node: ast.SelectQuery, scope: Scope) -> list[str]:
        compiled = self.expressions
        # PREWHERE only says when to look; on a subquery it is a WHERE.
        conditions = [expr for expr in (node.prewhere, node.where) if expr is not None]
        parts: list[str] = []
        if conditions:
            parts.append("WHERE " + " AND ".join(compiled.compile(expr, scope).text for expr in conditions))
        parts += self._group_by(node, scope)
        if node.having is not None:
            parts.append(f"HAVING {compiled.compile(node.having, scope).text}")
        if node.qualify is not None:
            parts.append(f"QUALIFY {compiled.compile(node.qualify, scope).text}")
        if node.order_by:
            parts.append(f"ORDER BY {order_text(compiled, node.order_by, scope)}")
        return parts + self._limits(node, scope)

    def _group_by(self, node: ast.SelectQuery, scope: Scope) -> list[str]:
        mode = (node.group_by_mode or "").upper().removeprefix("WITH ")
        if mode not in ("", "ALL", "CUBE", "ROLLUP", "TOTALS"):
            raise refuse(f"GROUP BY {node.group_by_mode} is not supported.", node)
        if mode == "ALL":
            return ["GROUP BY ALL"]
        keys = [value.text for value in self.expressions.all(node.group_by or [], scope)]
        if not keys:
            return ["WITH TOTALS"] if mode == "TOTALS" else []
        text = ", ".join(keys)
        if mode in ("CUBE", "ROLLUP"):
            return [f"GROUP BY {mode}({text})"]
        return [f"GROUP BY {text}" + (" WITH TOTALS" if mode == "TOTALS" else "")]

    def _limits(self, node: ast.SelectQuery, scope: Scope) -> list[str]:
        parts: list[str] = []
        if node.limit_by is not None:
            by = node.limit_by
            keys = ", ".join(value.text for value in self.expressions.all(by.exprs, scope))
            offset = (
                f" OFFSET {limit_text(self.expressions, by.offset_value, scope)}"
                if by.offset_value is not None
                else ""
            )
            parts.append(f"LIMIT {limit_text(self.expressions, by.n, scope)}{offset} BY {keys}")
        limit = self._limit(node, scope)
        return [*parts, limit] if limit else parts

    def _limit(self, node: ast.Query, scope: Scope) -> str:
        """LIMIT and OFFSET of a SELECT, or of a union as a whole; empty where it has neither."""
        values = {"LIMIT": node.limit, "OFFSET": node.offset}
        parts = [
            f"{word} {limit_text(self.expressions, value, scope)}"
            for word, value in values.items()
            if value is not None
        ]
        if isinstance(node, ast.SelectQuery) and node.limit_with_ties:
            parts.append("WITH TIES")
        return " ".join(parts)


def _names_itself(cte: ast.CTE) -> bool:
    return any(
        isinstance(node, ast.JoinExpr)
        and isinstance(node.table, ast.Field)
        and node.table.chain == [cte.name]
        for node in walk(cte.expr)
    )
