"""Operands: literals, names, brackets, and what is attached to them.

Shapes are those of PostHog's parser; the tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NoReturn

from posthog_mcp.hogql import ast
from posthog_mcp.hogql.cursor import Cursor
from posthog_mcp.hogql.errors import HogQLSyntaxError
from posthog_mcp.hogql.lexer import NAMES, unquote

ANY = 0
"""The floor below all operators."""

SIGN = 14
"""How tightly a sign binds: tighter than any operator between two operands."""

_MAX_DIGITS = 1000
_NUMBERS = frozenset({"number", "float", "hex", "binary", "octal", "inf", "infinity", "nan"})
_ATTACHED = frozenset({".", "?.", "[", "(", "::"})


class Operands(Cursor):
    """What stands on one side of an operator."""

    __slots__ = ()

    # --- what other parts of the parser read ---------------------------------------------------------------

    def expression(self, floor: int = ANY) -> ast.Expr:
        """Read an expression made of operators that bind at least as tightly as `floor`."""
        raise NotImplementedError

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
        args: list[ast.Expr] = [self.subquery(")")] if self.at_query(self.i) else self.expressions(")")
        self.depth -= 1
        return args

    def at_query(self, index: int) -> bool:
        """Whether SELECT or WITH at an index starts a query and is not just a name."""
        kind, following = self.kinds[index], self.kinds[index + 1]
        if kind == "select":
            return following not in (")", ",", ".")
        return kind == "with" and (following in NAMES or following in ("(", "number", "string", "{", "["))

    def subquery(self, closing: str) -> ast.Query:
        """Read a query and what closes it."""
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
        elif kind in ("hex", "binary"):
            value = int(written, 0)
        elif kind == "octal":
            message = f"HogQL has no octal numbers; write `{int(written, 0)}`"
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
        if self.kinds[self.i + 1] != "number":
            self._no_operand()
        return self.number()

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
        return self.fail("a number after the sign `+`")

    # --- brackets ----------------------------------------------------------------------------------------

    def _parenthesis(self) -> ast.Expr:
        """`(expr)`, `(a, b)`, `(select …)`, `(a, b) -> expr`."""
        lambda_args = self._lambda_args()
        if lambda_args is not None:
            return self.lambda_body(lambda_args, self.start)
        start = self.start
        self.i += 1
        self.enter()
        expr = self.subquery(")") if self.at_query(self.i) else self._parenthesized(start)
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
        placeholder = self.accept("}")
        expr = ast.Placeholder(key, start=start, end=self.end) if placeholder else self._dict(key, start)
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

    _OPERANDS: ClassVar[dict[str, Callable[[Operands], ast.Expr]]] = {
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
