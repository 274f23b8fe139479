"""Operators: precedence climbing.

Precedence is that of PostHog's parser; the tests compare every pair of operators with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, cast

from posthog_mcp.hogql import ast
from posthog_mcp.hogql.operands import ANY, Operands

ALIAS, TERNARY, OR, AND, NOT, BETWEEN, NULLISH = 1, 2, 3, 4, 5, 6, 7
NULL_SAFE, DISTINCT, IS_NULL, COMPARE, ADD, MULTIPLY = 8, 9, 10, 11, 12, 13
"""How tightly operators bind, from loose to tight."""

_NOT_AFTER_ALIAS = frozenset({"+", "-", "*", "/", "%", "||", "??", "<=>", "is", "between"})

_Rule = tuple[int, Callable[["Expressions", ast.Expr, str, int], ast.Expr], str]
"""How tightly an operator binds, what reads the rest of it, and its name in the tree."""


def _nothing(_parser: Expressions, left: ast.Expr, _op: str, _precedence: int) -> ast.Expr:
    return left


_NO_RULE: _Rule = (ANY, _nothing, "")


class Expressions(Operands):
    """What has a value."""

    __slots__ = ()

    def expression(self, floor: int = ANY) -> ast.Expr:
        """Read an expression made of operators that bind at least as tightly as `floor`."""
        left = self.operand()
        kinds, length = self.kinds, 0
        while True:
            rule = self._INFIX.get(kinds[self.i])
            if rule is None:
                return left
            if rule is _NO_RULE:
                rule = self._two_words()
            precedence, read, op = rule
            if precedence < floor or precedence == ANY:
                return left
            left = read(self, left, op, precedence)
            length += 1
            if length > 1:
                self.chain(length)

    # --- operators ---------------------------------------------------------------------------------------

    def _two_words(self) -> _Rule:
        """Decide about `not in`, `is null` and the like by the word that follows."""
        kind, following = self.kinds[self.i], self.kinds[self.i + 1]
        if kind == "is" and following == "not":
            following = self.kinds[self.i + 2]
        rule = self._TWO_WORDS.get((kind, following), _NO_RULE)
        if rule is _NO_RULE and kind == "is":
            self.i += 1
            self.fail("`null`, `not null` or `distinct from` after `is`")
        return rule

    def _arithmetic(self, left: ast.Expr, op: str, precedence: int) -> ast.Expr:
        self.i += 1
        right = self.expression(precedence + 1)
        op = cast("ast.ArithmeticOp", op)
        return ast.ArithmeticOperation(left, op, right, start=left.start, end=right.end)

    def _compare(self, left: ast.Expr, op: str, precedence: int) -> ast.Expr:
        self.i += 2 if op.startswith("not ") else 1
        if op.endswith("in") and self._at_cohort():
            self.i += 1
            op += " cohort"
        right = self.expression(precedence + 1)
        op = cast("ast.CompareOp", op)
        return ast.CompareOperation(left, op, right, start=left.start, end=right.end)

    def _at_cohort(self) -> bool:
        """Whether `cohort` here is the operator's word and not a column."""
        return (
            self.kinds[self.i] == "cohort"
            and self.starts_expression(self.i + 1)
            and self.kinds[self.i + 1] != "*"
        )

    def _and(self, left: ast.Expr, _op: str, precedence: int) -> ast.Expr:
        exprs = left.exprs if isinstance(left, ast.And) else [left]
        while self.accept("and"):
            right = self.expression(precedence + 1)
            exprs += right.exprs if isinstance(right, ast.And) else [right]
        return ast.And(exprs, start=left.start, end=self.end)

    def _or(self, left: ast.Expr, _op: str, precedence: int) -> ast.Expr:
        exprs = left.exprs if isinstance(left, ast.Or) else [left]
        while self.accept("or"):
            right = self.expression(precedence + 1)
            exprs += right.exprs if isinstance(right, ast.Or) else [right]
        return ast.Or(exprs, start=left.start, end=self.end)

    def _concat(self, left: ast.Expr, _op: str, precedence: int) -> ast.Expr:
        args = _concatenated(left)
        while self.accept("||"):
            args += _concatenated(self.expression(precedence + 1))
        return ast.Call("concat", args, start=left.start, end=self.end)

    def _nullish(self, left: ast.Expr, _op: str, precedence: int) -> ast.Expr:
        self.i += 1
        right = self.expression(precedence + 1)
        return ast.Call("ifNull", [left, right], start=left.start, end=right.end)

    def _is_null(self, left: ast.Expr, _op: str, _precedence: int) -> ast.Expr:
        self.i += 1
        op = "!=" if self.accept("not") else "=="
        self.i += 1
        null = ast.Constant(None, start=self.tokens[self.i - 1][2], end=self.end)
        return ast.CompareOperation(left, op, null, null_style=True, start=left.start, end=self.end)

    def _is_distinct(self, left: ast.Expr, op: str, precedence: int) -> ast.Expr:
        name = "isNotDistinctFrom" if op == "<=>" else "isDistinctFrom"
        self.i += 1
        if not op:
            if self.accept("not"):
                name = "isNotDistinctFrom"
            self.i += 1
            self.expect("from", "`from` after `is distinct`")
        right = self.expression(precedence + 1)
        return ast.Call(name, [left, right], start=left.start, end=right.end)

    def _between(self, left: ast.Expr, op: str, precedence: int) -> ast.Expr:
        self.i += 2 if op else 1
        low = self.expression(precedence + 1)
        self.expect("and", "`and` between the bounds of BETWEEN")
        high = self.expression(precedence + 1)
        return ast.BetweenExpr(left, low, high, negated=bool(op), start=left.start, end=high.end)

    def _ternary(self, left: ast.Expr, _op: str, precedence: int) -> ast.Expr:
        self.i += 1
        self.enter()
        then = self.expression()
        self.expect(":", "`:` between the two results of `?`")
        otherwise = self.expression(precedence)
        self.depth -= 1
        return ast.Call("if", [left, then, otherwise], start=left.start, end=otherwise.end)

    def _alias(self, left: ast.Expr, _op: str, _precedence: int) -> ast.Expr:
        self.i += 1
        alias = ast.Alias(self.alias(), left, start=left.start, end=self.end)
        if self.kinds[self.i] in _NOT_AFTER_ALIAS or self.kinds[self.i : self.i + 2] == ["not", "between"]:
            self.fail("parentheses around `… as name`, or the end of the expression")
        return alias

    # --- which token leads where (last, since the methods must exist) -------------------------------------

    _INFIX: ClassVar[dict[str, _Rule]] = {
        "as": (ALIAS, _alias, ""),
        "?": (TERNARY, _ternary, ""),
        "or": (OR, _or, ""),
        "and": (AND, _and, ""),
        "between": (BETWEEN, _between, ""),
        "??": (NULLISH, _nullish, ""),
        "<=>": (NULL_SAFE, _is_distinct, "<=>"),
        "||": (ADD, _concat, ""),
        "+": (ADD, _arithmetic, "+"),
        "-": (ADD, _arithmetic, "-"),
        "*": (MULTIPLY, _arithmetic, "*"),
        "/": (MULTIPLY, _arithmetic, "/"),
        "%": (MULTIPLY, _arithmetic, "%"),
        "=": (COMPARE, _compare, "=="),
        "==": (COMPARE, _compare, "=="),
        "!=": (COMPARE, _compare, "!="),
        "<>": (COMPARE, _compare, "!="),
        "<": (COMPARE, _compare, "<"),
        "<=": (COMPARE, _compare, "<="),
        ">": (COMPARE, _compare, ">"),
        ">=": (COMPARE, _compare, ">="),
        "like": (COMPARE, _compare, "like"),
        "ilike": (COMPARE, _compare, "ilike"),
        "in": (COMPARE, _compare, "in"),
        "=~": (COMPARE, _compare, "=~"),
        "~": (COMPARE, _compare, "=~"),
        "!~": (COMPARE, _compare, "!~"),
        "=~*": (COMPARE, _compare, "=~*"),
        "~*": (COMPARE, _compare, "=~*"),
        "!~*": (COMPARE, _compare, "!~*"),
        "not": _NO_RULE,
        "is": _NO_RULE,
    }
    _TWO_WORDS: ClassVar[dict[tuple[str, str], _Rule]] = {
        ("not", "in"): (COMPARE, _compare, "not in"),
        ("not", "like"): (COMPARE, _compare, "not like"),
        ("not", "ilike"): (COMPARE, _compare, "not ilike"),
        ("not", "between"): (BETWEEN, _between, "not"),
        ("is", "null"): (IS_NULL, _is_null, ""),
        ("is", "distinct"): (DISTINCT, _is_distinct, ""),
    }


def _concatenated(expr: ast.Expr) -> list[ast.Expr]:
    """The parts of a concatenation, which PostHog flattens even when written as a call."""
    if isinstance(expr, ast.Call) and expr.name == "concat" and expr.params is None and not expr.distinct:
        return expr.args
    return [expr]
