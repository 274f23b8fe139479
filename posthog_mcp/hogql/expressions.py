"""Expressions: precedence climbing over the operators, recursive descent for the rest.

Precedence and shapes are those of PostHog's parser; the tests compare every pair of operators with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NoReturn, cast

from posthog_mcp.hogql import ast
from posthog_mcp.hogql.cursor import Cursor
from posthog_mcp.hogql.errors import HogQLSyntaxError
from posthog_mcp.hogql.lexer import NAMES, unquote

(
    ALIAS,
    TERNARY,
    OR,
    AND,
    NOT,
    BETWEEN,
    NULLISH,
    NULL_SAFE,
    DISTINCT,
    IS_NULL,
    COMPARE,
    ADD,
    MULTIPLY,
    SIGN,
) = range(1, 15)
ANY = 0

_MAX_DIGITS = 1000
_NUMBERS = frozenset({"number", "float", "hex", "binary", "octal", "inf", "infinity", "nan"})
_NOT_AFTER_ALIAS = frozenset({"+", "-", "*", "/", "%", "||", "??", "<=>", "is", "between"})
_ATTACHED = frozenset({".", "?.", "[", "(", "::"})

_Rule = tuple[int, Callable[["Expressions", ast.Expr, str, int], ast.Expr], str]
"""How tightly an operator binds, what reads the rest of it, and its name in the tree."""


class Expressions(Cursor):
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
            if rule is self._NO_RULE:
                rule = self._two_words()
            precedence, read, op = rule
            if precedence < floor or precedence == ANY:
                return left
            left = read(self, left, op, precedence)
            length += 1
            if length > 1:
                self.chain(length)

    def expressions(self, closing: str) -> list[ast.Expr]:
        """Read `a, b` up to and with the closing bracket; a trailing comma is fine."""
        found: list[ast.Expr] = []
        while not self.accept(closing):
            found.append(self.expression())
            if self.accept(","):
                continue
            self.expect(closing, f"`,` or `{closing}`")
            break
        return found

    def query(self) -> ast.Query:
        """Read a query; the part of the parser that knows queries does it."""
        raise NotImplementedError

    def query_after(self, first: ast.Query) -> ast.Query:
        """Go on after a query in parentheses: UNION and the like, LIMIT."""
        raise NotImplementedError

    def form(self, kind: str) -> ast.Expr | None:
        """Read a form that a keyword opens, such as CASE; None, and nothing taken, if it is just a name."""
        raise NotImplementedError

    def call(self, name: str, start: int) -> ast.Expr:
        """Read `(…)` after the name of a function."""
        raise NotImplementedError

    def cast_suffix(self, expr: ast.Expr) -> ast.Expr:
        """Read the type after `::`."""
        raise NotImplementedError

    # --- operators ---------------------------------------------------------------------------------------

    def _two_words(self) -> _Rule:
        """Decide about `not in`, `is null` and the like by the word that follows."""
        kind, following = self.kinds[self.i], self.kinds[self.i + 1]
        if kind == "is" and following == "not":
            following = self.kinds[self.i + 2]
        rule = self._TWO_WORDS.get((kind, following), self._NO_RULE)
        if rule is self._NO_RULE and kind == "is":
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

    # --- operands ----------------------------------------------------------------------------------------

    def operand(self) -> ast.Expr:
        """Read what stands on one side of an operator, with what is attached to it: `a.b[1]::int`."""
        kind = self.kinds[self.i]
        read = self._OPERANDS.get(kind)
        if read is not None:
            expr = read(self)
        elif kind in NAMES:
            expr = self.form(kind) or self._keyword()
        else:
            self._no_operand()
        return self._attached(expr) if self.kinds[self.i] in _ATTACHED else expr

    def _keyword(self) -> ast.Expr:
        """Read a keyword used as a name, unless a clause starts here."""
        if self.starts_clause():
            self._no_operand()
        return self._named()

    def _no_operand(self) -> NoReturn:
        kind = self.kinds[self.i]
        if kind == "<":
            self.unsupported("a HogQLX tag", "write plain SQL")
        if kind in ("fn", "fun", "let", "while", "throw", "try", "catch", "finally", "materialized"):
            self.fail(f"an expression (as a name, `{kind}` needs backquotes)")
        self.fail("an expression")

    def _attached(self, expr: ast.Expr) -> ast.Expr:
        """Read `.x`, `?.x`, `[x]`, `(x)`, `::type` after an operand."""
        length = 0
        while True:
            kind = self.kinds[self.i]
            if kind not in _ATTACHED:
                return expr
            start = expr.start
            self.i += 1
            if kind == "::":
                expr = self.cast_suffix(expr)
            elif kind == "(":
                expr = ast.ExprCall(expr, self.arguments(), start=start, end=self.end)
            elif kind == "[" or (kind == "?." and self.accept("[")):
                key = self._subscript()
                expr = ast.ArrayAccess(expr, key, nullish=kind == "?.", start=start, end=self.end)
            elif self.kinds[self.i] == "number":
                index = self._position()
                expr = ast.TupleAccess(expr, index, nullish=kind == "?.", start=start, end=self.end)
            else:
                at = self.start
                key = ast.Constant(
                    self.name("a property name or a position after the dot"), start=at, end=self.end
                )
                expr = ast.ArrayAccess(expr, key, nullish=kind == "?.", start=start, end=self.end)
            length += 1
            self.chain(length)

    def _subscript(self) -> ast.Expr:
        if self.kinds[self.i] == ":":
            self.unsupported("a slice such as [1:3]", "use arraySlice(array, offset, length)")
        self.enter()
        key = self.expression()
        self.depth -= 1
        if self.kinds[self.i] == ":":
            self.unsupported("a slice such as [1:3]", "use arraySlice(array, offset, length)")
        self.expect("]")
        return key

    def _position(self) -> int:
        digits = self.tokens[self.i][1]
        if len(digits) > _MAX_DIGITS:
            self.fail("a position in a tuple")
        self.i += 1
        return int(digits)

    def arguments(self) -> list[ast.Expr]:
        """Read the arguments of a call after its `(`: a query or expressions."""
        self.enter()
        args = [self.subquery(")")] if self.at_query(self.i) else self.expressions(")")
        self.depth -= 1
        return args

    def at_query(self, index: int) -> bool:
        """Whether SELECT or WITH at an index starts a query and is not just a name."""
        kind, following = self.kinds[index], self.kinds[index + 1]
        if kind == "select":
            return following not in (")", ",", ".")
        return kind == "with" and (following in NAMES or following in ("(", "number", "string", "{", "["))

    def subquery(self, closing: str) -> ast.Query:
        query = self.query()
        self.expect(closing)
        return query

    # --- literals ----------------------------------------------------------------------------------------

    def _string(self) -> ast.Expr:
        token = self.tokens[self.i]
        self.i += 1
        return ast.Constant(unquote(token, self.text), start=token[2], end=token[3])

    def number(self, sign: int = 1) -> ast.Constant:
        """Read a number without its sign: `5`, `1.5`, `.5`, `5.`, `1e3`, `0x1f`, `0b1`, `inf`, `nan`."""
        kind, written, start, end = self.tokens[self.i]
        if len(written) > _MAX_DIGITS:
            self.fail(f"a number of at most {_MAX_DIGITS} digits")
        self.i += 1
        value: int | float
        if kind == "number":
            value = self._decimal(written)
        elif kind == ".":
            value = float("." + self.tokens[self.i][1])
            self.i += 1
        elif kind == "hex":
            value = int(written[2:], 16)
        elif kind == "binary":
            value = int(written[2:], 2)
        elif kind == "octal":
            message = f"HogQL has no octal numbers; write `{int(written[2:], 8)}`"
            raise HogQLSyntaxError(message, self.text, start, end, "a decimal number")
        else:
            value = float(written)
        return ast.Constant(sign * value, start=start, end=self.end)

    def _decimal(self, written: str) -> int | float:
        """Read on after the digits before a point."""
        if self.kinds[self.i] != ".":
            return int(written)
        following = self.kinds[self.i + 1]
        if following == "number":
            self.i += 2
            return float(f"{written}.{self.tokens[self.i - 1][1]}")
        if following in NAMES and following not in ("from", "as"):
            return int(written)
        self.i += 1
        return float(written)

    def _point(self) -> ast.Expr:
        return self.number() if self.kinds[self.i + 1] == "number" else self._no_operand()

    def _literal_word(self) -> ast.Expr:
        """`null`, `true`, `false`, unless used as a name."""
        kind, _, start, end = self.tokens[self.i]
        if kind != "null" and self.kinds[self.i + 1] in (".", "(", "->"):
            return self._named()
        self.i += 1
        return ast.Constant({"null": None, "true": True, "false": False}[kind], start=start, end=end)

    def _minus(self) -> ast.Expr:
        start = self.start
        self.i += 1
        kind = self.kinds[self.i]
        if kind in _NUMBERS or (kind == "." and self.kinds[self.i + 1] == "number"):
            number = self.number(-1)
            number.start = start
            return number
        self.enter()
        expr = self.expression(SIGN)
        self.depth -= 1
        zero = ast.Constant(0, start=start, end=start + 1)
        return ast.ArithmeticOperation(zero, "-", expr, start=start, end=expr.end)

    def _plus(self) -> ast.Expr:
        self.i += 1
        if self.kinds[self.i] in _NUMBERS or (
            self.kinds[self.i] == "." and self.kinds[self.i + 1] == "number"
        ):
            return self.number()
        self.fail("a number after the sign `+`")

    # --- brackets ----------------------------------------------------------------------------------------

    def _parenthesis(self) -> ast.Expr:
        """`(expr)`, `(a, b)`, `(select …)`, `(a, b) -> expr`."""
        lambda_args = self._lambda_args()
        if lambda_args is not None:
            return self.lambda_body(lambda_args, self.start)
        start = self.start
        self.i += 1
        self.enter()
        if self.at_query(self.i):
            expr = self.subquery(")")
        else:
            expr = self._parenthesized(start)
        self.depth -= 1
        return expr

    def _parenthesized(self, start: int) -> ast.Expr:
        first = self.expression()
        if isinstance(first, ast.SelectQuery | ast.SelectSetQuery) and self.kinds[self.i] != ")":
            first = self.query_after(first) if self.kinds[self.i] != "," else first
        if self.accept(")"):
            return first
        self.expect(",", "`,` or `)`")
        return ast.Tuple([first, *self.expressions(")")], start=start, end=self.end)

    def _lambda_args(self) -> list[str] | None:
        """The names of `(a, b) ->` from here, or None if it is no lambda; moves up to the arrow."""
        kinds, i = self.kinds, self.i + 1
        while kinds[i] in NAMES:
            i += 1
            if kinds[i] != ",":
                break
            i += 1
        if kinds[i] != ")" or kinds[i + 1] != "->":
            return None
        tokens = [token for token in self.tokens[self.i + 1 : i] if token[0] != ","]
        self.i = i + 1
        return [unquote(token, self.text) if token[0] == "quoted" else token[1] for token in tokens]

    def lambda_body(self, args: list[str], start: int) -> ast.Lambda:
        """Read `-> expr` (or `: expr`), as far as it goes."""
        self.i += 1
        self.enter()
        body = self.expression()
        self.depth -= 1
        return ast.Lambda(args, body, start=start, end=body.end)

    def _array(self) -> ast.Expr:
        start = self.start
        self.i += 1
        self.enter()
        exprs = self.expressions("]")
        self.depth -= 1
        return ast.Array(exprs, start=start, end=self.end)

    def _brace(self) -> ast.Expr:
        """`{placeholder}` or `{'key': value}`."""
        start = self.start
        self.i += 1
        if self.accept("}"):
            return ast.Dict([], start=start, end=self.end)
        self.enter()
        key = self.expression()
        if self.accept("}"):
            expr = ast.Placeholder(key, start=start, end=self.end)
        else:
            expr = self._dict(key, start)
        self.depth -= 1
        return expr

    def _dict(self, key: ast.Expr, start: int) -> ast.Expr:
        self.expect(":", "`}` or `:`")
        items = [(key, self.expression())]
        while self.accept(",") and self.kinds[self.i] != "}":
            key = self.expression()
            self.expect(":")
            items.append((key, self.expression()))
        self.expect("}", "`,` or `}`")
        return ast.Dict(items, start=start, end=self.end)

    def _template(self) -> ast.Expr:
        """`f'text {expr}'`."""
        start = self.start
        self.i += 1
        self.enter()
        parts: list[ast.Expr] = []
        while not self.accept("'f"):
            if self.kinds[self.i] == "text":
                parts.append(self._string())
                continue
            self.expect("f{", "the end of the f-string")
            parts.append(self.expression())
            self.expect("f}", "`}`")
        self.depth -= 1
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return ast.Constant("", start=start, end=self.end)
        return ast.Call("concat", parts, start=start, end=self.end)

    # --- names -------------------------------------------------------------------------------------------

    def _star(self) -> ast.Expr:
        start = self.start
        self.i += 1
        return self._all_columns(["*"], start)

    def _all_columns(self, chain: list[str | int], start: int) -> ast.Expr:
        if self.kinds[self.i] == "exclude" and self.kinds[self.i + 1] == "(":
            self.i += 1
            excluded = self.names("a column name")
            return ast.ColumnsExpr(
                all_columns=True, exclude=excluded, table=chain[:-1], start=start, end=self.end
            )
        return ast.Field(chain, start=start, end=self.end)

    def _named(self) -> ast.Expr:
        """Read `a.b.c`, `a.*`, `a -> …`, `f(…)`."""
        token = self.tokens[self.i]
        start = token[2]
        self.i += 1
        name = unquote(token, self.text) if token[0] == "quoted" else token[1]
        kinds = self.kinds
        kind = kinds[self.i]
        if kind == "(":
            return self.call(name, start)
        chain: list[str | int] = [name]
        while kind == ".":
            following = kinds[self.i + 1]
            if following == "*":
                self.i += 2
                return self._all_columns([*chain, "*"], start)
            if following not in NAMES:
                break
            self.i += 1
            chain.append(self.name("a property name"))
            kind = kinds[self.i]
        if kind == "->" and len(chain) == 1:
            return self.lambda_body([name], start)
        if kind == ":=" and len(chain) == 1:
            self.unsupported("a named argument", "give arguments by their position")
        return ast.Field(chain, start=start, end=self.end)

    # --- which token leads where (last, since the methods must exist) -------------------------------------

    _NO_RULE: ClassVar[_Rule] = (ANY, _alias, "")
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
    _OPERANDS: ClassVar[dict[str, Callable[[Expressions], ast.Expr]]] = {
        "name": _named,
        "quoted": _named,
        "string": _string,
        "(": _parenthesis,
        "-": _minus,
        "+": _plus,
        "[": _array,
        "{": _brace,
        "*": _star,
        ".": _point,
        "f'": _template,
        "null": _literal_word,
        "true": _literal_word,
        "false": _literal_word,
        **dict.fromkeys(_NUMBERS, number),
    }


def _concatenated(expr: ast.Expr) -> list[ast.Expr]:
    """The parts of a concatenation, which PostHog flattens even when written as a call."""
    if isinstance(expr, ast.Call) and expr.name == "concat" and expr.params is None and not expr.distinct:
        return expr.args
    return [expr]
