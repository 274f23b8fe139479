"""Expressions that words open: CASE, CAST, INTERVAL, TRIM and the like."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from posthog_mcp.hogql import ast
from posthog_mcp.hogql.calls import Calls
from posthog_mcp.hogql.expressions import NOT, TERNARY
from posthog_mcp.hogql.lexer import NAMES, unquote

UNITS = frozenset({"second", "minute", "hour", "day", "week", "month", "quarter", "year"})

_LONG_TYPES = frozenset({
    "double precision", "character varying", "timestamp with time zone", "timestamp without time zone",
    "time with time zone", "time without time zone", "timestamp with local time zone",
})  # fmt: skip
_TRIMS = {"both": "trim", "leading": "trimLeft", "trailing": "trimRight"}


class Forms(Calls):
    """What has a value and starts with a word."""

    __slots__ = ()

    def form(self, kind: str) -> ast.Expr | None:
        """Read a form that a keyword opens, such as CASE; None, and nothing taken, if it is just a name."""
        read = self._FORMS.get(kind)
        return read(self) if read else None

    # --- NOT, CASE, INTERVAL -----------------------------------------------------------------------------

    def _not(self) -> ast.Expr | None:
        """`not x`; `not (x)` binds as tightly as a call, which is what PostHog reads it as."""
        start, following = self.start, self.kinds[self.i + 1]
        if following == "(" and not self.at_query(self.i + 2):
            return self._not_call(start)
        if following in ("*", "->") or not self.starts_expression(self.i + 1):
            return None
        self.i += 1
        self.enter()
        expr = self.expression(NOT)
        self.depth -= 1
        return ast.Not(expr, start=start, end=expr.end)

    def _not_call(self, start: int) -> ast.Expr:
        name = self.tokens[self.i][1]
        self.i += 1
        call = self.call(name, start)
        if isinstance(call, ast.Call) and len(call.args) == 1 and call == ast.Call(name, call.args):
            return ast.Not(call.args[0], start=start, end=call.end)
        return call

    def _case(self) -> ast.Expr | None:
        """CASE becomes the call PostHog makes of it: `if`, `multiIf` or `_caseWithExpression`."""
        if not self._is_keyword() or self.kinds[self.i + 1] in ("+", "-"):
            return None
        start = self.start
        self.i += 1
        self.enter()
        args = [] if self.kinds[self.i] == "when" else [self.expression()]
        subject = bool(args)
        while self.accept("when"):
            args.append(self.expression())
            self.expect("then", "`then`")
            args.append(self.expression())
        if len(args) <= subject:
            self.fail("`when`")
        last = (
            self.expression() if self.accept("else") else ast.Constant(None, start=self.start, end=self.start)
        )
        args.append(last)
        self.expect("end", "`when`, `else` or `end`")
        self.depth -= 1
        name = "_caseWithExpression" if subject else ("if" if len(args) == 3 else "multiIf")  # noqa: PLR2004 - if/then/else
        return ast.Call(name, args, start=start, end=self.end)

    def _interval(self) -> ast.Expr | None:
        """`interval 7 day`, `interval '7 day'`: calls of toIntervalDay and the like."""
        if not self._at_interval():
            return None
        start = self.start
        self.i += 1
        if self.kinds[self.i] == "string" and self.kinds[self.i + 1] not in UNITS | {"||"}:
            count, unit = self._interval_text()
        else:
            self.enter()
            count = self.expression(TERNARY)
            self.depth -= 1
            unit = self.kinds[self.i]
            if unit not in UNITS:
                self.fail("a unit (second, minute, hour, day, week, month, quarter or year, in the singular)")
            self.i += 1
        return ast.Call(f"toInterval{unit.capitalize()}", [count], start=start, end=self.end)

    def _at_interval(self) -> bool:
        """Whether `interval` here is the keyword and not a column or function of that name."""
        following = self.kinds[self.i + 1]
        if following in ("(", "["):
            return self.kinds[self.closing(self.i + 1) + 1] in UNITS
        if following in ("+", "-"):
            return self.kinds[self.i + 2] == "number" and self.kinds[self.i + 3] in UNITS
        return self._is_keyword()

    def _is_keyword(self) -> bool:
        """Whether an expression follows the word here, and not `from x` or `desc`, which make it a column."""
        following = self.kinds[self.i + 1]
        if following in ("*", "as", "->", "asc", "desc", "nulls") or not self.starts_expression(self.i + 1):
            return False
        self.i += 1
        ends = self.starts_clause()
        self.i -= 1
        return not ends

    def _interval_text(self) -> tuple[ast.Expr, str]:
        token = self.tokens[self.i]
        count, _, unit = unquote(token, self.text).partition(" ")
        singular = unit.removesuffix("s")
        if not (count.isascii() and count.isdigit() and len(count) < 20 and singular in UNITS):  # noqa: PLR2004 - an Int64
            self.fail("a count and a unit, such as '7 day'")
        self.i += 1
        return ast.Constant(int(count), start=token[2], end=token[3]), singular

    # --- casts -------------------------------------------------------------------------------------------

    def _cast(self) -> ast.Expr | None:
        """`cast(x as Int)` and `try_cast`: calls of that name with the type as text in lower case."""
        if self.kinds[self.i + 1] != "(" or self.kinds[self.i + 2] == ")":
            return None
        start, name, written = self.start, self.kinds[self.i], self.tokens[self.i][1]
        self.i += 2
        self.enter()
        expr = self.expression(TERNARY)
        if not self.accept("as"):
            return self._plain_cast(ast.Call(written, [expr], start=start))
        type_name = self._type()
        self.expect(")")
        self.depth -= 1
        return ast.Call(name, [expr, type_name], start=start, end=self.end)

    def _plain_cast(self, call: ast.Call) -> ast.Expr:
        """Read on in `cast(x, 'Int')` after its first argument."""
        if not self.accept(",") and self.kinds[self.i] != ")":
            self.fail("`as` and a type, `,` or `)`")
        self._call_arguments(call)
        return self._after_arguments(call)

    def cast_suffix(self, expr: ast.Expr) -> ast.Expr:
        """Read the type after `::`: one word."""
        start = self.start
        if self.kinds[self.i] == "timestamp" and self.kinds[self.i + 1] == "with":
            type_name = self._type()
        else:
            word = self.name("a type after `::`").lower()
            type_name = ast.Constant(word, start=start, end=self.end)
        if self.kinds[self.i] == "(":
            self.unsupported("a type with arguments after `::`", "write cast(x as Type(…))")
        return ast.Call("cast", [expr, type_name], start=expr.start, end=self.end)

    def _type(self) -> ast.Constant:
        start = self.start
        return ast.Constant(self._type_text(nested=False), start=start, end=self.end)

    def _type_text(self, *, nested: bool) -> str:
        words = [self.name("a type").lower()]
        while self.kinds[self.i] in NAMES:
            words.append(self.name("a type").lower())
        if len(words) > 1 and not nested and " ".join(words) not in _LONG_TYPES:
            self.i -= 1
            self.fail("`)` after the type")
        text = " ".join(words)
        if self.accept("("):
            self.enter()
            parts = [self._type_argument()]
            while self.accept(","):
                parts.append(self._type_argument())
            self.expect(")")
            self.depth -= 1
            text += f"({', '.join(parts)})"
        while self.accept_words("[", "]"):
            text += "[]"
        return text

    def _type_argument(self) -> str:
        kind, written, _, _ = self.tokens[self.i]
        if kind in ("number", "string"):
            self.i += 1
            if self.kinds[self.i] == "=":
                self.unsupported("the values of an Enum", "cast to String")
            return written
        return self._type_text(nested=True)

    # --- forms of standard SQL ---------------------------------------------------------------------------

    def _trim(self) -> ast.Expr | None:
        """`trim(both 'x' from y)`."""
        side = self.kinds[self.i + 2]
        if self.kinds[self.i + 1] != "(" or side not in _TRIMS or self.kinds[self.i + 3] != "string":
            return None
        start = self.start
        self.i += 3
        token = self.tokens[self.i]
        self.i += 1
        what = ast.Constant(unquote(token, self.text), start=token[2], end=token[3])
        self.expect("from")
        self.enter()
        expr = self.expression()
        self.expect(")")
        self.depth -= 1
        return ast.Call(_TRIMS[side], [expr, what], start=start, end=self.end)

    def _columns(self) -> ast.Expr | None:
        """`columns('regex')`."""
        if self.kinds[self.i + 1] != "(" or self.kinds[self.i + 2] == ")":
            return None
        if self.kinds[self.i + 2] != "string" or self.kinds[self.i + 3] != ")":
            self.unsupported("a list in COLUMNS(…)", "name the columns, or give one regular expression")
        start, token = self.start, self.tokens[self.i + 2]
        self.i += 4
        return ast.ColumnsExpr(regex=unquote(token, self.text), start=start, end=self.end)

    def _lambda(self) -> ast.Expr | None:
        """`lambda a, b: expr`."""
        if self.kinds[self.i + 1] not in ("name", "quoted") or self.kinds[self.i + 2] not in (",", ":"):
            return None
        start = self.start
        self.i += 1
        args = [self.name("a name")]
        while self.accept(","):
            args.append(self.name("a name"))
        if self.kinds[self.i] != ":":
            self.fail("`:`")
        return self.lambda_body(args, start)

    def _from_form(self) -> ast.Expr | None:
        """`extract(day from x)`, `substring(x from 1)`: PostHog's grammar has them, its parser refuses."""
        word = self.kinds[self.i]
        if (
            self.kinds[self.i + 1] == "("
            and self.kinds[self.i + 3] == "from"
            and self.kinds[self.i + 2] in NAMES
        ):
            instead = (
                "use toYear(x), toMonth(x), toDayOfMonth(x), toHour(x)"
                if word == "extract"
                else "use substring(x, 1, 2)"
            )
            self.unsupported(f"{word.upper()}(… FROM …)", instead, width=4)
        return None

    def _dated(self) -> ast.Expr | None:
        """`date '2026-03-01'`: PostHog's grammar has it, its parser refuses."""
        if self.kinds[self.i + 1] == "string":
            word = self.kinds[self.i]
            instead = "toDate" if word == "date" else "toDateTime"
            self.unsupported(f"a {word} literal", f"write {instead}({self.tokens[self.i + 1][1]})", width=2)
        return None

    _FORMS: ClassVar[dict[str, Callable[[Forms], ast.Expr | None]]] = {
        "not": _not,
        "case": _case,
        "interval": _interval,
        "cast": _cast,
        "try_cast": _cast,
        "trim": _trim,
        "columns": _columns,
        "lambda": _lambda,
        "extract": _from_form,
        "substring": _from_form,
        "date": _dated,
        "timestamp": _dated,
    }
