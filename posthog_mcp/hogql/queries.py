"""SELECT: its clauses, CTEs and set operations."""

from __future__ import annotations

from typing import Literal, NoReturn, cast

from posthog_mcp.hogql import ast
from posthog_mcp.hogql.cursor import CLAUSES, RESERVED
from posthog_mcp.hogql.errors import HogQLSyntaxError
from posthog_mcp.hogql.expressions import TERNARY
from posthog_mcp.hogql.lexer import NAMES
from posthog_mcp.hogql.sources import Sources

_COLUMN_ALIASES = frozenset({
    "name", "quoted", "asc", "ascending", "cohort", "date", "descending", "final", "id", "return", "top",
    "totals",
})  # fmt: skip
"""Kinds of token that may name a column without AS."""

_AFTER_LIMIT = frozenset({"eof", ")", ";", "offset", "by", "with", "union", "intersect", "except"})


class Queries(Sources):
    """What gives rows."""

    __slots__ = ()

    def query(self) -> ast.Query:
        """Read SELECTs joined by set operations."""
        query, parenthesized = self._term()
        return self._set(query, parenthesized=parenthesized)

    def query_after(self, first: ast.Query) -> ast.Query:
        """Go on after a query in parentheses: UNION and the like, LIMIT."""
        return self._set(first, parenthesized=True)

    def _set(self, first: ast.Query, *, parenthesized: bool) -> ast.Query:
        nodes: list[ast.SelectSetNode] = []
        while self.kinds[self.i] in ("union", "intersect", "except"):
            start = self.start
            operator = self._set_operator()
            query, parenthesized = self._term()
            nodes.append(ast.SelectSetNode(query, operator, start=start, end=self.end))
        query = ast.SelectSetQuery(first, nodes, start=first.start, end=self.end) if nodes else first
        if parenthesized:
            self._limit_of_parenthesized(query)
        return query

    def _set_operator(self) -> ast.SetOperator:
        word = self.kinds[self.i]
        self.i += 1
        if self.accept("all"):
            operator = f"{word} all"
        elif self.kinds[self.i] == "distinct" and word != "except":
            self.i += 1
            operator = f"{word} distinct"
        else:
            operator = "union distinct" if word == "union" else word
        if self.kinds[self.i] == "by":
            self.unsupported("UNION … BY NAME", "select the columns in the same order", width=2)
        return cast("ast.SetOperator", operator.upper())

    def _term(self) -> tuple[ast.Query, bool]:
        """Read one SELECT, or a query in parentheses (then the flag is true), with its CTEs."""
        ctes = self._ctes()
        if not self.accept("("):
            return self._select(ctes), False
        self.enter()
        query = self.subquery(")")
        self.depth -= 1
        if ctes:
            first = query
            while isinstance(first, ast.SelectSetQuery):
                first = first.initial_select_query
            first.ctes = [*(first.ctes or []), *ctes]
        return query, True

    def _limit_of_parenthesized(self, query: ast.Query) -> None:
        """Read ORDER BY, LIMIT, OFFSET after `(select …)`."""
        if self.kinds[self.i] == "order":
            self.unsupported(
                "ORDER BY after a query in parentheses, which PostHog drops,",
                "write select * from (…) order by …",
                width=2,
            )
        if self.kinds[self.i] not in ("limit", "offset"):
            return
        query.limit, query.offset = None, None
        if isinstance(query, ast.SelectQuery):
            query.limit_with_ties = False
        while self.kinds[self.i] in ("limit", "offset"):
            if self.accept("limit"):
                query.limit = self.expression()
                if self.accept(","):
                    query.offset = self.expression()
            else:
                self.i += 1
                query.offset = self.expression()

    # --- CTEs --------------------------------------------------------------------------------------------

    def _ctes(self) -> list[ast.CTE] | None:
        if self.kinds[self.i] != "with":
            return None
        self.i += 1
        recursive = self.kinds[self.i] == "recursive" and self.kinds[self.i + 1] not in ("as", "(")
        self.i += recursive
        ctes = [self._cte(recursive=recursive)]
        while self.accept(",") and self.kinds[self.i] != "select":
            ctes.append(self._cte(recursive=recursive))
        return ctes

    def _cte(self, *, recursive: bool) -> ast.CTE:
        start = self.start
        if self._at_subquery_cte():
            name = self.name("the name of a CTE")
            columns = self.names("a column name") if self.kinds[self.i] == "(" else None
            self.expect("as")
            self.accept("not")
            self.accept("materialized")
            self.expect("(", "`(` and a SELECT")
            self.enter()
            expr = self.subquery(")")
            self.depth -= 1
            return ast.CTE(name, expr, "subquery", columns, recursive, start=start, end=self.end)
        self.enter()
        expr = self.expression(TERNARY)
        self.depth -= 1
        if isinstance(expr, ast.Lambda) and isinstance(expr.expr, ast.Alias):  # it took the `as` for its own
            name, expr.expr = expr.expr.alias, expr.expr.expr
        else:
            self.expect("as", "`as` and a name (a CTE is `name as (select …)` or `expression as name`)")
            name = self.alias() if self.kinds[self.i] != "string" else self.name("a name")
        return ast.CTE(name, expr, "column", None, recursive, start=start, end=self.end)

    def _at_subquery_cte(self) -> bool:
        """Whether `name as (` or `name (a, b) as (` comes next."""
        kinds, i = self.kinds, self.i + 1
        if kinds[self.i] not in NAMES:
            return False
        if kinds[i] == "(":
            i += 1
            while kinds[i] in NAMES and kinds[i + 1] == ",":
                i += 2
            i += 1
            if kinds[i] != ")":
                return False
            i += 1
        if kinds[i] != "as":
            return False
        return kinds[i + 1] in ("(", "materialized") or kinds[i + 1 : i + 3] == ["not", "materialized"]

    # --- one SELECT --------------------------------------------------------------------------------------

    def _select(self, ctes: list[ast.CTE] | None) -> ast.SelectQuery:
        start = self.start
        if not self.accept("select"):
            self._no_select()
        query = ast.SelectQuery([], ctes=ctes, start=ctes[0].start if ctes else start)
        if self.kinds[self.i] == "distinct" and self.starts_expression(self.i + 1):
            self.i += 1
            query.distinct = True
        if self.kinds[self.i] == "top" and self.kinds[self.i + 1] == "number":
            self.unsupported("TOP", "end the query with LIMIT", width=2)
        self._columns_of(query)
        if self.accept("from"):
            query.select_from = self.sources()
        self._array_join(query)
        if self.accept("prewhere"):
            query.prewhere = self.expression()
        if self.accept("where"):
            query.where = self.expression()
        if self.kinds[self.i] in ("group", "with"):
            self._group_by(query)
        if self.accept("having"):
            query.having = self.expression()
        if self.accept("qualify"):
            query.qualify = self.expression()
        if self.accept("window"):
            query.window_exprs = self._windows()
        if self.accept_words("order", "by"):
            query.order_by = self.order_by()
        if self.kinds[self.i] in ("limit", "offset"):
            self._limits(query)
        query.end = self.end
        return query

    def _no_select(self) -> NoReturn:
        kind = self.kinds[self.i]
        if kind == "{":
            self.unsupported("a placeholder for a whole query", "write the query, or put {name} after FROM")
        if kind == "<":
            self.unsupported("a HogQLX tag", "write plain SQL")
        self.fail("`select` or `with` (HogQL only reads: there is no INSERT, UPDATE, DELETE or DDL)")

    def _columns_of(self, query: ast.SelectQuery) -> None:
        if self.starts_clause():
            self.fail("a column after `select`")
        query.select.append(self._column())
        while self.accept(","):
            if self.starts_clause() or self.kinds[self.i] in ("eof", ")", ";"):
                break
            query.select.append(self._column())

    def _column(self) -> ast.Expr:
        """Read a column with what names it, AS or not."""
        expr = self.expression()
        kind, written, start, end = self.tokens[self.i]
        if kind not in _COLUMN_ALIASES:
            return expr
        if kind == "name" and written.lower() in RESERVED:
            message = f"`{written}` cannot be an alias, PostHog reserves it: choose another name"
            raise HogQLSyntaxError(message, self.text, start, end, "another name")
        return ast.Alias(self.name("a name"), expr, start=expr.start, end=end)

    def _group_by(self, query: ast.SelectQuery) -> None:
        if self.kinds[self.i] == "with":
            self.fail("GROUP BY before WITH TOTALS")
        self.i += 1
        self.expect("by")
        if self.kinds[self.i] == "grouping" and self.kinds[self.i + 1] == "sets":
            self.unsupported("GROUPING SETS", "use CUBE, ROLLUP or UNION ALL", width=2)
        exprs = [self.expression()]
        while self.accept(","):
            if self.starts_clause() or self.kinds[self.i] in ("eof", ")", ";", "with"):
                break
            exprs.append(self.expression())
        query.group_by = exprs
        only = exprs[0] if len(exprs) == 1 else None
        if isinstance(only, ast.Field) and self.text[only.start : only.end].lower() == "all":
            query.group_by, query.group_by_mode = None, "all"
        elif isinstance(only, ast.Call) and only.args and only.name.lower() in ("cube", "rollup"):
            mode = cast("Literal['cube', 'rollup']", only.name.lower())
            query.group_by, query.group_by_mode = only.args, mode
        if self.kinds[self.i] == "with":
            self._group_by_with(query)

    def _group_by_with(self, query: ast.SelectQuery) -> None:
        word = self.kinds[self.i + 1]
        if word not in ("cube", "rollup", "totals"):
            self.i += 1
            self.fail("`rollup`, `cube` or `totals`")
        if query.group_by_mode:
            self.unsupported(
                f"WITH {word.upper()} after another form of grouping", "use one of them", width=2
            )
        self.i += 2
        query.group_by_mode = cast("Literal['with cube', 'with rollup', 'with totals']", f"with {word}")
        if self.kinds[self.i] == "with" and self.kinds[self.i + 1] in ("cube", "rollup", "totals"):
            self._group_by_with(query)

    def _windows(self) -> dict[str, ast.WindowExpr]:
        windows: dict[str, ast.WindowExpr] = {}
        while True:
            name = self.name("the name of a window")
            self.expect("as")
            self.expect("(")
            windows[name] = self.window()
            if not self.accept(","):
                return windows

    # --- LIMIT -------------------------------------------------------------------------------------------

    def _limits(self, query: ast.SelectQuery) -> None:
        """Read `limit n by …`, then `limit n`, `offset m` in either order.

        `limit 1, 2` is limit 1 offset 2, while `limit 1, 2 by x` is 2 rows after 1: so PostHog reads them.
        """
        while self.kinds[self.i] in ("limit", "offset"):
            if self.kinds[self.i] == "offset":
                self._once(query.offset, "OFFSET")
                self.i += 1
                query.offset = self.expression()
                continue
            self._once(query.limit, "LIMIT")
            self.i += 1
            limit, offset, comma = self._limit()
            if self.kinds[self.i] == "by":
                if query.limit_by or query.offset:
                    self.fail("LIMIT … BY before LIMIT and OFFSET")
                n, skipped = (offset, limit) if comma and offset else (limit, offset)
                query.limit_by = ast.LimitByExpr(n, self._limit_by(), skipped)
                continue
            if offset:
                self._once(query.offset, "OFFSET")
            query.limit, query.offset = limit, offset or query.offset
            if (comma or not offset) and self.accept_words("with", "ties"):
                query.limit_with_ties = True

    def _limit(self) -> tuple[ast.Expr, ast.Expr | None, bool]:
        """Read `n`, `n, m` or `n offset m` after LIMIT; the flag is true for the comma."""
        if (
            self.kinds[self.i] == "number"
            and self.kinds[self.i + 1] == "%"
            and self.kinds[self.i + 2] in _AFTER_LIMIT
        ):
            self.unsupported("LIMIT n%", "give a number of rows", width=2)
        limit = self.expression()
        if self.accept(","):
            return limit, self.expression(), True
        if self.accept("offset"):
            return limit, self.expression(), False
        return limit, None, False

    def _limit_by(self) -> list[ast.Expr]:
        self.i += 1
        exprs = [self.expression()]
        while self.accept(","):
            exprs.append(self.expression())
        return exprs

    def _once(self, value: ast.Expr | None, what: str) -> None:
        if value is not None:
            self.fail(f"only one {what}")

    # --- ARRAY JOIN ---------------------------------------------------------------------------------------

    def _array_join(self, query: ast.SelectQuery) -> None:
        start = self.i
        op = "array join"
        if self.kinds[self.i] in ("left", "inner") and self.kinds[self.i + 1] == "array":
            op = f"{self.kinds[self.i]} array join"
            self.i += 1
        if not self.accept_words("array", "join"):
            self.i = start
            return
        if query.select_from is None:
            self.i -= 2
            self.fail("FROM before ARRAY JOIN")
        query.array_join_op = cast("Literal['ARRAY JOIN', 'LEFT ARRAY JOIN', 'INNER ARRAY JOIN']", op.upper())
        query.array_join_list = [self._joined_array()]
        while self.accept(","):
            query.array_join_list.append(self._joined_array())

    def _joined_array(self) -> ast.Expr:
        expr = self.expression()
        if not isinstance(expr, ast.Alias):
            self.fail("`as` and a name: each array of ARRAY JOIN needs an alias")
        return expr

    # --- the whole text ----------------------------------------------------------------------------------

    def finish(self) -> None:
        """Make sure that nothing follows; say what is out of place otherwise."""
        kind = self.kinds[self.i]
        if kind == "eof":
            return
        if self.kinds[self.i - 1] == ";":
            self.fail("the end: only one statement can be run")
        if kind == "settings":
            self.unsupported("SETTINGS", "leave it out")
        if kind == "collate":
            self.unsupported("COLLATE", "use lower(x)")
        if kind == "interpolate":
            self.unsupported("INTERPOLATE", "leave it out")
        if kind in CLAUSES and self.starts_clause():
            order = ", ".join(CLAUSES.values())
            self.fail(f"the end: {CLAUSES[kind]} is out of place here (the order is {order})")
        if kind in ("=", "=="):
            self.fail("an expression after the comparison")
        self.fail("an operator, a comma, the next clause or the end")
