"""Calls of functions, with what may follow them: parameters, FILTER, OVER and its window."""

from __future__ import annotations

from typing import Literal

from posthog_mcp.hogql import ast
from posthog_mcp.hogql.expressions import Expressions


class Calls(Expressions):
    """Functions, windows, and the order of rows within them."""

    __slots__ = ()

    def call(self, name: str, start: int) -> ast.Expr:
        """Read `(…)` after the name of a function, and what may follow: `(…)`, FILTER, OVER."""
        self.i += 1
        if self.at_query(self.i) and self.kinds[self.i + 1] not in ("+", "-"):
            return ast.Call(name, self.arguments(), start=start, end=self.end)
        call = ast.Call(name, [], start=start)
        self.enter()
        if self.kinds[self.i] == "distinct" and (
            self.starts_expression(self.i + 1) or self.kinds[self.i + 1] == ")"
        ):
            self.i += 1
            call.distinct = True
        self._call_arguments(call)
        return self._after_arguments(call)

    def _call_arguments(self, call: ast.Call) -> None:
        """Read `a, b order by c)`; the level was entered at the `(`."""
        while not self.accept(")"):
            if self.accept_words("order", "by"):
                call.order_by = self.order_by()
                self.expect(")", "`,` or `)`")
                break
            call.args.append(self.expression())
            if not self.accept(",") and self.kinds[self.i] not in (")", "order"):
                self.fail("`,` or `)`")
        self.depth -= 1
        call.end = self.end

    def _after_arguments(self, call: ast.Call) -> ast.Expr:
        """Read a second `(…)`, which makes the first one parameters, FILTER and OVER."""
        if (
            self.kinds[self.i] == "("
            and not (call.distinct or call.order_by)
            and not self.at_query(self.i + 1)
        ):
            self.i += 1
            call.params, call.args = call.args, []
            self.enter()
            if self.accept("distinct"):
                call.distinct = True
            self._call_arguments(call)
        if self.kinds[self.i] == "filter" and self.kinds[self.i + 1] == "(":
            self._filter(call)
        return self._over(call) if self.kinds[self.i] == "over" else call

    def _filter(self, call: ast.Call) -> None:
        self.i += 2
        self.expect("where", "`where` inside FILTER (…)")
        self.enter()
        call.filter_expr = self.expression()
        self.depth -= 1
        self.expect(")")
        call.end = self.end
        if self.kinds[self.i] == "over":
            self.unsupported(
                "FILTER before OVER, which PostHog drops,", "use the -If form, such as sumIf(x, condition)"
            )

    def _over(self, call: ast.Call) -> ast.Expr:
        if call.distinct or call.order_by:
            self.unsupported("DISTINCT or ORDER BY in a window function", "aggregate in a subquery")
        self.i += 1
        function = ast.WindowFunction(call.name, call.args, call.params, start=call.start)
        if self.accept("("):
            function.over = self.window()
        else:
            function.over_name = self.name("`(` or the name of a window after OVER")
        function.end = self.end
        return function

    # --- windows and order -------------------------------------------------------------------------------

    def window(self) -> ast.WindowExpr:
        """Read a window after its `(`, up to and with the `)`."""
        self.enter()
        window = ast.WindowExpr(start=self.start)
        if self.accept_words("partition", "by"):
            window.partition_by = [self.expression()]
            while self.accept(","):
                window.partition_by.append(self.expression())
        if self.accept_words("order", "by"):
            window.order_by = self.order_by()
        if self.kinds[self.i] in ("rows", "range"):
            window.frame_method = "ROWS" if self.kinds[self.i] == "rows" else "RANGE"
            self.i += 1
            if self.accept("between"):
                window.frame_start = self._frame()
                self.expect("and", "`and` between the ends of the frame")
                window.frame_end = self._frame()
            else:
                window.frame_start = self._frame()
        window.end = self.end
        self.expect(")", "`partition by`, `order by`, `rows`, `range` or `)`")
        self.depth -= 1
        return window

    def _frame(self) -> ast.WindowFrameExpr:
        start, value = self.start, None
        if self.accept_words("current", "row"):
            return ast.WindowFrameExpr("CURRENT ROW", start=start, end=self.end)
        if not self.accept("unbounded"):
            if self.kinds[self.i] != "number":
                self.fail("`current row`, `unbounded` or a number of rows")
            value = self.number().value
        if not isinstance(value, int | None):
            self.fail("a whole number of rows")
        if self.kinds[self.i] not in ("preceding", "following"):
            self.fail("`preceding` or `following`")
        frame_type = "PRECEDING" if self.kinds[self.i] == "preceding" else "FOLLOWING"
        self.i += 1
        return ast.WindowFrameExpr(frame_type, value, start=start, end=self.end)

    def order_by(self) -> list[ast.OrderExpr]:
        """Read the keys after ORDER BY."""
        keys = [self._order_key()]
        while self.accept(","):
            keys.append(self._order_key())
        return keys

    def _order_key(self) -> ast.OrderExpr:
        start = self.start
        expr = self.expression()
        order: Literal["ASC", "DESC"] = "ASC"
        nulls: Literal["FIRST", "LAST"] | None = None
        if self.kinds[self.i] in ("asc", "ascending", "desc", "descending"):
            order = "ASC" if self.kinds[self.i].startswith("asc") else "DESC"
            self.i += 1
        if self.accept("nulls"):
            if self.kinds[self.i] not in ("first", "last"):
                self.fail("`first` or `last` after `nulls`")
            nulls = "FIRST" if self.kinds[self.i] == "first" else "LAST"
            self.i += 1
        if self.kinds[self.i] == "collate":
            self.unsupported("COLLATE", "order by lower(x) for an order without case")
        if self.kinds[self.i] == "with" and self.kinds[self.i + 1] == "fill":
            self.unsupported("WITH FILL", "join with numbers(n) to fill gaps", width=2)
        return ast.OrderExpr(expr, order, nulls, start=start, end=self.end)
