"""Formulas over series: `A / B * 100`."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence

from posthog_mcp.sandbox.http.errors import invalid

_LONGEST = 500
_DEEPEST = 50
_LETTERS = 26
_LARGEST = 1e300
Compute = Callable[[Sequence[float]], float]


def compiled(text: str, series: int) -> Compute:
    """What computes one number of the numbers of the series, A first.

    Args:
        text: Letters in any case, numbers, `+ - * / % **` and parentheses.
        series: How many series there are.

    Raises:
        ApiError: 400 for anything else.
    """
    if len(text) > _LONGEST:
        raise invalid(f"A formula has at most {_LONGEST} characters.", "trendsFilter__formula")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise invalid(f"The formula {text!r} cannot be read.", "trendsFilter__formula") from error
    return _compute(tree.body, series, text, _DEEPEST)


def _compute(node: ast.expr, series: int, text: str, depth: int) -> Compute:
    if depth == 0:
        raise invalid(f"The formula {text!r} is nested too deeply.", "trendsFilter__formula")
    match node:
        case ast.Constant(value=bool() | None):
            pass
        case ast.Constant(value=int() | float() as number) if abs(number) <= _LARGEST:
            return lambda _: float(number)
        case ast.Name(id=letter) if len(letter) == 1 and 0 <= ord(letter.upper()) - 65 < min(
            series, _LETTERS
        ):
            index = ord(letter.upper()) - 65
            return lambda values: values[index]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            inner, factor = (
                _compute(operand, series, text, depth - 1),
                -1 if isinstance(sign, ast.USub) else 1,
            )
            return lambda values: factor * inner(values)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            one, other = (_compute(side, series, text, depth - 1) for side in (left, right))
            operation = _OPERATIONS[type(op)]
            return lambda values: _finite(operation, one(values), other(values))
        case _:
            pass
    raise invalid(
        f"The formula {text!r} may hold the letters of the series, numbers, + - * / % ** and parentheses.",
        "trendsFilter__formula",
    )


_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda one, other: one + other,
    ast.Sub: lambda one, other: one - other,
    ast.Mult: lambda one, other: one * other,
    ast.Div: lambda one, other: one / other if other else 0.0,
    ast.Mod: lambda one, other: one % other if other else 0.0,
    ast.Pow: math.pow,
}


def _finite(operation: Callable[[float, float], float], one: float, other: float) -> float:
    """What has no value, such as a root of a negative number, is 0 like a division by zero."""
    try:
        value = operation(one, other)
    except (OverflowError, ValueError, ZeroDivisionError):
        return 0.0
    return value if math.isfinite(value) else 0.0
