"""Expressions: from the tree to SQL with what is known about its type."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler import calls, windows
from posthog_mcp.sandbox.compiler.comparisons import compare, fit
from posthog_mcp.sandbox.compiler.errors import refuse
from posthog_mcp.sandbox.compiler.properties import read_property
from posthog_mcp.sandbox.compiler.quoting import scalar
from posthog_mcp.sandbox.compiler.scope import QueryCte, Scope, ValueCte
from posthog_mcp.sandbox.compiler.types import Kind, Sql

if TYPE_CHECKING:
    from collections.abc import Generator

    from posthog_mcp.sandbox.compiler.cohorts import Cohorts
    from posthog_mcp.sandbox.compiler.relations import Context
    from posthog_mcp.sandbox.compiler.types import Output

MAX_DEPTH = 120
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})
# A column CTE is compiled wherever it is named, so a short text can stand for a long one.
MAX_NODES = 50_000


class Subqueries(Protocol):
    """Whoever compiles the queries inside expressions."""

    def query(self, node: ast.Query, outer: Scope) -> tuple[str, list[Output]]:
        """SQL and columns of a query."""
        ...


class Expressions:
    """Compiles the expressions of one statement."""

    def __init__(self, context: Context, subqueries: Subqueries, cohorts: Cohorts) -> None:
        self.context = context
        self.world = context.world
        self.aggregates: list[str] = []
        self._subqueries = subqueries
        self._cohorts = cohorts
        self._nodes = 0
        self._depth = 0
        self._in_join = False

    def compile(self, node: ast.Expr, scope: Scope) -> Sql:
        """SQL of an expression.

        Raises:
            CompileError: it names something unknown, or is of a kind that cannot be run here.
        """
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise refuse("The query is too large once its WITH expressions are written out.", node)
        if self._depth >= MAX_DEPTH:
            raise refuse("The query is nested too deeply.", node)
        self._depth += 1
        try:
            return self._dispatch(node, scope)
        finally:
            self._depth -= 1

    def all(self, nodes: list[ast.Expr], scope: Scope) -> list[Sql]:
        """SQL of several."""
        return [self.compile(node, scope) for node in nodes]

    @contextmanager
    def inside_join(self) -> Generator[None]:
        """Comparisons within are written plainly, so that the engine can hash them."""
        before, self._in_join = self._in_join, True
        try:
            yield
        finally:
            self._in_join = before

    @contextmanager
    def fresh_query(self) -> Generator[None]:
        """A query within an expression: it aggregates and joins for itself."""
        aggregates, self.aggregates = self.aggregates, []
        before, self._in_join = self._in_join, False
        try:
            yield
        finally:
            self.aggregates, self._in_join = aggregates, before

    def compare(self, op: ast.CompareOp, left: Sql, right: Sql) -> Sql:
        """`left op right` by HogQL's rules."""
        return compare(op, left, right, self.world.timezone, in_join=self._in_join)

    def _dispatch(self, node: ast.Expr, scope: Scope) -> Sql:
        match node:
            case ast.Constant():
                return constant(node.value)
            case ast.Field():
                return self._field(node, scope)
            case ast.Alias():
                return self._alias(node, scope)
            case ast.Call():
                return calls.compile_call(self, node, scope)
            case ast.WindowFunction():
                return windows.compile_window_function(self, node, scope)
            case ast.CompareOperation():
                return self._compare(node, scope)
            case ast.And() | ast.Or():
                word = " AND " if isinstance(node, ast.And) else " OR "
                return self._junction(word, node.exprs, scope)
            case ast.Not():
                inner = self.compile(node.expr, scope)
                return Sql(f"(NOT {inner.text})", "Boolean", nullable=inner.nullable)
            case ast.ArithmeticOperation():
                return self._arithmetic_chain(node, scope)
            case ast.BetweenExpr():
                return self._between(node, scope)
            case ast.SelectQuery() | ast.SelectSetQuery():
                return self._subquery(node, scope)
            case _:
                return self._composite(node, scope)

    def _composite(self, node: ast.Expr, scope: Scope) -> Sql:
        match node:
            case ast.Tuple():
                items = self.all(node.exprs, scope)
                return Sql(f"tuple({_joined(items)})", "Tuple", nullable=False, items=tuple(items))
            case ast.Array():
                items = self.all(node.exprs, scope)
                return Sql(f"[{_joined(items)}]", "Array", nullable=False, items=tuple(items))
            case ast.Dict():
                items = [self.compile(part, scope) for pair in node.items for part in pair]
                return Sql(f"map({_joined(items)})", "Map", nullable=False)
            case ast.ArrayAccess():
                return self._array_access(node, scope)
            case ast.TupleAccess():
                inner = self.compile(node.tuple, scope)
                if inner.document is not None:
                    return read_property(inner.document, (node.index,), self.world)
                return Sql(f"tupleElement({inner.text}, {scalar(node.index)})")
            case ast.Lambda():
                return self._lambda(node, scope)
            case ast.Placeholder():
                raise refuse("Query contains unresolved placeholders: give each a value.", node)
            case ast.ColumnsExpr():
                raise refuse("COLUMNS(...) may only stand alone in the SELECT list.", node)
            case ast.ExprCall():
                raise refuse("You can only call simple functions in HogQL, not expressions.", node)
            case _:
                raise refuse(f"{type(node).__name__} is not supported here.", node)

    def _field(self, node: ast.Field, scope: Scope) -> Sql:
        if not node.chain or node.chain[-1] == "*":
            raise refuse("'*' may only stand alone in the SELECT list or in count(*).", node)
        cte = scope.cte(str(node.chain[0])) if len(node.chain) == 1 else None
        if isinstance(cte, ValueCte) and not _is_local(scope, str(node.chain[0])):
            return self.compile(cte.expr, scope)
        value = scope.resolve(node)
        self.context.labels.setdefault(
            value.instant or value.text, ".".join(str(part) for part in node.chain)
        )
        return value

    def _alias(self, node: ast.Alias, scope: Scope) -> Sql:
        value = self.compile(node.expr, scope)
        if node.alias in scope.aliases:
            raise refuse(f"Cannot redefine an alias with the name: {node.alias}", node)
        name = self.context.fresh("c")
        self.context.labels[name] = node.alias
        scope.aliases[node.alias] = value.renamed(name)
        return replace(value.renamed(name), text=f"({value.text} AS {name})")

    def _compare(self, node: ast.CompareOperation, scope: Scope) -> Sql:
        if node.op in ("in cohort", "not in cohort"):
            left = self.compile(node.left, scope)
            members = self._cohorts.members(self.compile(node.right, scope), node.right)
            return self.compare("in" if node.op == "in cohort" else "not in", left, members)
        if isinstance(node.right, ast.Constant) and node.right.value is None and node.op in ("==", "!="):
            inner = self.compile(node.left, scope)
            function = "isNull" if node.op == "==" else "isNotNull"
            return Sql(f"{function}({inner.text})", "Boolean", nullable=False)
        left = self.compile(node.left, scope)
        if node.op in ("in", "not in", "global in", "global not in"):
            return self.compare(node.op, left, self._members(node.right, scope))
        return self.compare(node.op, left, self.compile(node.right, scope))

    def _members(self, node: ast.Expr, scope: Scope) -> Sql:
        """The right side of IN: a list, a query, the name of a CTE, or one value."""
        if isinstance(node, ast.Field) and len(node.chain) == 1:
            cte = scope.cte(str(node.chain[0]))
            if isinstance(cte, QueryCte):
                return Sql(f"({cte.text})", "Unknown", nullable=False)
        right = self.compile(node, scope)
        if isinstance(node, ast.Constant):
            return Sql(f"({right.text})", "Tuple", nullable=False, items=(right,))
        return right

    def _junction(self, word: str, nodes: list[ast.Expr], scope: Scope) -> Sql:
        parts = self.all(nodes, scope)
        if not parts:
            return constant(value=word == " AND ")
        text = f"({word.join(part.text for part in parts)})"
        return Sql(text, "Boolean", nullable=any(part.nullable for part in parts))

    def _arithmetic_chain(self, node: ast.ArithmeticOperation, scope: Scope) -> Sql:
        """`a + b + c ...`, which is a tree as deep as it is long, without going down into it."""
        spine = [node]
        while isinstance(spine[-1].left, ast.ArithmeticOperation):
            spine.append(spine[-1].left)
        value = self.compile(spine[-1].left, scope)
        for step in reversed(spine):
            if step.op not in _ARITHMETIC:
                raise refuse(f"There is no operator {step.op}.", step)
            value = self.arithmetic(step.op, value, self.compile(step.right, scope))
        return value

    def arithmetic(self, op: str, left: Sql, right: Sql) -> Sql:
        """`left op right`; a moment plus or minus an interval stays a moment."""
        kinds: tuple[Kind, Kind] = (left.kind, right.kind)
        kind: Kind = "Number"
        if "Interval" in kinds:
            kind = "Date" if "Date" in kinds else "DateTime"
        elif "Unknown" in kinds or "Tuple" in kinds:
            kind = "Unknown"
        elif "Date" in kinds and kinds != ("Date", "Date"):
            kind = "Date"
        instant = None
        if left.instant is not None and right.kind == "Interval":
            instant = f"({left.instant} {op} {right.text})"
        text = f"({left.text} {op} {right.text})"
        return Sql(text, kind, nullable=left.nullable or right.nullable, instant=instant)

    def _between(self, node: ast.BetweenExpr, scope: Scope) -> Sql:
        value = self.compile(node.expr, scope)
        low = fit(self.compile(node.low, scope), value, self.world.timezone)
        high = fit(self.compile(node.high, scope), value, self.world.timezone)
        value = fit(value, low, self.world.timezone)
        word = "NOT BETWEEN" if node.negated else "BETWEEN"
        text = f"({value.text} {word} {low.text} AND {high.text})"
        if not (value.nullable or low.nullable or high.nullable):
            return Sql(text, "Boolean", nullable=False)
        return Sql(f"ifNull({text}, {int(node.negated)})", "Boolean", nullable=False)

    def _subquery(self, node: ast.Query, scope: Scope) -> Sql:
        text, outputs = self.query(node, scope)
        kind = outputs[0].sql.kind if len(outputs) == 1 else "Tuple"
        return Sql(f"({text})", "String" if kind == "JSON" else kind, nullable=True)

    def query(self, node: ast.Query, scope: Scope) -> tuple[str, list[Output]]:
        """SQL and columns of a query inside an expression or a FROM."""
        with self.fresh_query():
            self._depth += 1
            if self._depth >= MAX_DEPTH:
                raise refuse("The query is nested too deeply.", node)
            try:
                return self._subqueries.query(node, scope)
            finally:
                self._depth -= 1

    def _array_access(self, node: ast.ArrayAccess, scope: Scope) -> Sql:
        inner = self.compile(node.array, scope)
        key = self.compile(node.property, scope)
        document = inner.document
        if document is not None:
            if not key.is_literal or not isinstance(key.literal, str | int):
                raise refuse(
                    "A property's name must be a constant; use JSONExtractString(properties, ...).", node
                )
            return read_property(document, (key.literal,), self.world)
        if key.is_literal and key.literal == 0 and inner.kind == "Array":
            raise refuse("SQL indexes start from one, not from zero. E.g: array[1]", node)
        return Sql(f"arrayElement({inner.text}, {key.text})")

    def _lambda(self, node: ast.Lambda, scope: Scope) -> Sql:
        if len(set(node.args)) != len(node.args):
            raise refuse("A lambda's arguments must have different names.", node)
        names = {name: Sql(self.context.fresh("l")) for name in node.args}
        self.context.labels |= {value.text: name for name, value in names.items()}
        scope.locals.append(names)
        try:
            body = self.compile(node.expr, scope)
        finally:
            scope.locals.pop()
        arguments = ", ".join(value.text for value in names.values())
        return Sql(f"(({arguments}) -> {body.text})", body.kind, nullable=body.nullable)


def constant(value: ast.Scalar) -> Sql:
    """SQL of a literal."""
    kind: Kind = "Unknown"
    if isinstance(value, str):
        kind = "String"
    elif isinstance(value, bool):
        kind = "Boolean"
    elif value is not None:
        kind = "Number"
    return Sql(scalar(value), kind, nullable=value is None, is_literal=True, literal=value)


def _joined(items: list[Sql]) -> str:
    return ", ".join(item.text for item in items)


def _is_local(scope: Scope, name: str) -> bool:
    return any(name in names for names in scope.locals)
