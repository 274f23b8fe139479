"""FROM: tables, subqueries, joins, SAMPLE."""

from __future__ import annotations

from posthog_mcp.hogql import ast
from posthog_mcp.hogql.errors import HogQLSyntaxError
from posthog_mcp.hogql.forms import Forms

_TABLE_ALIASES = frozenset({"name", "quoted", "date", "first", "id", "key"})
"""Kinds of token that may name a table without AS."""

_JOIN_WORDS = frozenset({
    "all", "anti", "any", "asof", "cross", "full", "inner", "left", "natural", "outer", "positional", "right",
    "semi",
})  # fmt: skip


def _join_types() -> dict[str, str]:
    """Words before JOIN to the type of the join, spelled in the one order PostHog uses."""
    types = {"": "JOIN", "cross": "CROSS JOIN", "positional": "POSITIONAL JOIN", "inner": "INNER JOIN"}
    types |= {"semi": "SEMI JOIN", "anti": "ANTI JOIN"}
    for how in ("all", "any", "asof"):
        types |= dict.fromkeys((how, f"{how} inner", f"inner {how}"), f"{how.upper()} INNER JOIN")
    for side in ("left", "right", "full"):
        for outer in ("", " outer"):
            base = side + outer
            types[base] = f"{base.upper()} JOIN"
            for how in ("all", "any") if side == "full" else ("all", "any", "asof", "semi", "anti"):
                types |= dict.fromkeys((f"{how} {base}", f"{base} {how}"), f"{base} {how} join".upper())
    return types


_JOIN_TYPES = _join_types()


class Sources(Forms):
    """Where rows come from."""

    __slots__ = ()

    def sources(self) -> ast.JoinExpr:
        """Read tables and joins; the first table holds the next, and so on."""
        return self._joins(self._table())

    def _joins(self, first: ast.JoinExpr) -> ast.JoinExpr:
        last, length = first, 0
        while True:
            while last.next_join:
                last = last.next_join
            joined = self._join()
            if joined is None:
                return first
            last.next_join = joined
            length += 1
            self.chain(length)

    def _join(self) -> ast.JoinExpr | None:
        start = self.start
        if self.accept(","):
            join_type = "CROSS JOIN"
        else:
            join_type = self._join_type()
            if join_type is None:
                return None
        table = self._table()
        table.join_type = join_type
        if join_type != "CROSS JOIN":
            table.constraint = self._constraint()
        table.start = start
        return table

    def _join_type(self) -> str | None:
        """Take the words up to JOIN; None, and nothing taken, if there is no join."""
        i = self.i
        while self.kinds[i] in _JOIN_WORDS:
            i += 1
        if self.kinds[i] != "join":
            if i > self.i and self.kinds[i] != "array":
                self.i = i
                self.fail("`join`")
            return None
        words = " ".join(self.kinds[self.i : i])
        if "natural" in words:
            self.unsupported("NATURAL JOIN, which PostHog reads as JOIN,", "write JOIN … ON …", width=2)
        if words not in _JOIN_TYPES:
            message = f"there is no `{words} join`"
            raise HogQLSyntaxError(message, self.text, self.start, self.tokens[i][3], "a kind of join")
        self.i = i + 1
        return _JOIN_TYPES[words]

    def _constraint(self) -> ast.JoinConstraint | None:
        start = self.start
        if self.accept("on"):
            expr = self.expression()
            if self.kinds[self.i] == ",":
                self.unsupported("a comma after ON …", "join conditions with AND, tables with CROSS JOIN")
            return ast.JoinConstraint(expr, "ON", start=start, end=self.end)
        if not self.accept("using"):
            return None
        expr = self.expression()
        if self.kinds[self.i] == ",":
            exprs = [expr]
            while self.accept(","):
                exprs.append(self.expression())
            expr = ast.Tuple(exprs, start=expr.start, end=self.end)
        return ast.JoinConstraint(expr, "USING", start=start, end=self.end)

    def _table(self) -> ast.JoinExpr:
        start = self.start
        if self.kinds[self.i] == "(":
            table = self._parenthesized_table()
            if isinstance(table, ast.JoinExpr):
                return table
            join = ast.JoinExpr(table, start=start)
        elif self.accept("{"):
            self.enter()
            expr = self.expression()
            self.depth -= 1
            self.expect("}")
            join = ast.JoinExpr(ast.Placeholder(expr, start=start, end=self.end), start=start)
        else:
            join = self._named_table()
        self._after_table(join)
        join.end = self.end
        return join

    def _named_table(self) -> ast.JoinExpr:
        start = self.start
        if self.starts_clause():
            self.fail("a table name")
        chain: list[str | int] = [self.name("a table name")]
        while self.accept("."):
            chain.append(self.name("a table name"))
        join = ast.JoinExpr(ast.Field(chain, start=start, end=self.end), start=start)
        if self.kinds[self.i] == "(" and len(chain) == 1:
            self.i += 1
            self.enter()
            join.table_args = self.expressions(")")
            self.depth -= 1
        return join

    def _parenthesized_table(self) -> ast.JoinExpr | ast.Query:
        """Read `(select …)`, or tables and joins in parentheses, which change nothing."""
        self.i += 1
        self.enter()
        if self.at_query(self.i):
            table = self.query()
        elif self.kinds[self.i] == "values" and self.kinds[self.i + 1] == "(":
            self.unsupported("VALUES", "write select … union all select …")
        elif self.kinds[self.i] == "(":
            table = self._nested_table()
        else:
            table = self.sources()
        self.expect(")")
        self.depth -= 1
        return table

    def _nested_table(self) -> ast.JoinExpr | ast.Query:
        """Read `(select …) union …`, `(select …)` or `(select …) a join …` inside parentheses."""
        start = self.start
        table = self._parenthesized_table()
        if isinstance(table, ast.JoinExpr):
            return self._joins(table)
        if self.kinds[self.i] in (")", "union", "intersect", "except", "order", "limit", "offset"):
            return self.query_after(table)
        join = ast.JoinExpr(table, start=start)
        self._after_table(join)
        join.end = self.end
        return self._joins(join)

    def _after_table(self, join: ast.JoinExpr) -> None:
        """Read the alias, FINAL and SAMPLE."""
        if self.accept("as"):
            if self.kinds[self.i] == "string":
                self.fail("a name (without quotes, or in backquotes)")
            join.alias = self.alias()
        elif self.kinds[self.i] in _TABLE_ALIASES:
            join.alias = self.alias()
        elif self.kinds[self.i] in ("pivot", "unpivot") and self.kinds[self.i + 1] == "(":
            self.unsupported(self.kinds[self.i].upper(), "use sumIf(…), countIf(…) and GROUP BY")
        if join.alias and self.kinds[self.i] == "(":
            join.column_aliases = self.names("a column name")
        if self.accept("final"):
            join.table_final = True
        if self.accept("sample"):
            join.sample = self._sample()

    def _sample(self) -> ast.SampleExpr:
        start = self.start
        value = self._ratio()
        offset = self._ratio() if self.accept("offset") else None
        return ast.SampleExpr(value, offset, start=start, end=self.end)

    def _ratio(self) -> ast.RatioExpr:
        start = self.start
        left = self._sample_number()
        right = self._sample_number() if self.accept("/") else None
        return ast.RatioExpr(left, right, start=start, end=self.end)

    def _sample_number(self) -> ast.Constant:
        if self.kinds[self.i] == "{":
            self.unsupported("a placeholder in SAMPLE", "write the ratio, such as 1/10")
        number = self.operand()
        if not isinstance(number, ast.Constant) or not isinstance(number.value, int | float):
            self.fail("a number or a ratio such as 1/10 after SAMPLE")
        return number
