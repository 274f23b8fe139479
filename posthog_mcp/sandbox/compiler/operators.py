"""The operators of property filters."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.errors import CompileError, did_you_mean
from posthog_mcp.sandbox.compiler.trees import all_of, any_of, call, compare

Build = Callable[[ast.Expr, Any], ast.Expr]

_VERSIONS: dict[str, ast.CompareOp] = {
    "semver_eq": "==", "semver_neq": "!=", "semver_gt": ">", "semver_gte": ">=", "semver_lt": "<",
    "semver_lte": "<=",
}  # fmt: skip
_NUMERIC: dict[str, ast.CompareOp] = {
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "min": ">=",
    "max": "<=",
}
_WITHOUT_LIST = ("is_set", "is_not_set", "between", "not_between")
_RELATIVE = re.compile(r"-?(\d+)([smhdwMqy]?)")


def condition(target: ast.Expr, operator: str, value: Any, key: str) -> ast.Expr:
    """`target operator value`.

    Args:
        target: The property.
        operator: PostHog's name of the operator.
        value: Text, number, boolean or a list of them; ignored by `is_set` and `is_not_set`.
        key: The property's name, for messages.

    Raises:
        CompileError: the operator is unknown, or the value does not fit it.
    """
    build = _OPERATORS.get(operator)
    if build is None:
        raise CompileError(f"Unknown operator '{operator}' on '{key}'.{did_you_mean(operator, _OPERATORS)}")
    if value is None and operator not in ("is_set", "is_not_set"):
        raise CompileError(f"The filter on '{key}' needs a value.")
    if value == [] and operator not in _WITHOUT_LIST:
        # Nothing to choose from restricts nothing, whatever the operator.
        return ast.Constant(value=True)
    return build(target, value)


def _values(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _scalar(value: Any) -> ast.Scalar:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise CompileError("A filter's value must be text, a number, a boolean or a list of them.")


def _constant(value: Any) -> ast.Constant:
    return ast.Constant(value=_scalar(value))


def _text(value: Any) -> str:
    value = _scalar(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _exact(target: ast.Expr, value: Any) -> ast.Expr:
    values = _values(value)
    if len(values) == 1:
        return compare("==", target, _constant(values[0]))
    return compare("in", target, ast.Tuple(exprs=[_constant(one) for one in values]))


def _is_not(target: ast.Expr, value: Any) -> ast.Expr:
    values = _values(value)
    if len(values) == 1:
        return compare("!=", target, _constant(values[0]))
    return compare("not in", target, ast.Tuple(exprs=[_constant(one) for one in values]))


def _like(before: str, after: str) -> Build:
    def build(target: ast.Expr, value: Any) -> ast.Expr:
        patterns = [before + re.sub(r"([\\%_])", r"\\\1", _text(one)) + after for one in _values(value)]
        text = call("toString", target)
        return any_of([compare("ilike", text, ast.Constant(value=pattern)) for pattern in patterns])

    return build


def _regex(target: ast.Expr, value: Any) -> ast.Expr:
    text = call("toString", target)
    return any_of([compare("=~", text, ast.Constant(value=_text(one))) for one in _values(value)])


def _not(build: Build) -> Build:
    """The opposite, which also holds where the property is missing."""
    return lambda target, value: ast.Not(expr=build(target, value))


def _number(operator: str) -> Build:
    def build(target: ast.Expr, value: Any) -> ast.Expr:
        value = _values(value)[0]
        try:
            number = float(_text(value))
        except ValueError:
            return compare(_NUMERIC[operator], target, ast.Constant(value=_text(value)))
        return compare(_NUMERIC[operator], call("toFloat", target), ast.Constant(value=number))

    return build


def _between(target: ast.Expr, value: Any) -> ast.Expr:
    values = _values(value)
    if len(values) != 2:  # noqa: PLR2004 - a lower and an upper bound
        raise CompileError("'between' needs a list of two values.")
    return all_of([_number("gte")(target, values[0]), _number("lte")(target, values[1])])


def _is_set(target: ast.Expr, value: Any) -> ast.Expr:  # noqa: ARG001 - the operators' shape
    return compare("!=", target, ast.Constant(value=None))


def _is_not_set(target: ast.Expr, value: Any) -> ast.Expr:  # noqa: ARG001 - the operators' shape
    return compare("==", target, ast.Constant(value=None))


def _moment(value: Any) -> ast.Expr:
    """A date, or `-30d` before now."""
    text = _text(_values(value)[0])
    found = _RELATIVE.fullmatch(text)
    if found is None or (len(text) == 4 and text.isdecimal()):  # noqa: PLR2004 - a year
        return call("toDateTime", ast.Constant(value=f"{text}-01-01" if len(text) == 4 else text))  # noqa: PLR2004
    units = {
        "s": "Second",
        "M": "Minute",
        "h": "Hour",
        "d": "Day",
        "": "Day",
        "w": "Week",
        "m": "Month",
        "y": "Year",
    }
    amount, letter = int(found[1]), found[2]
    if letter == "q":
        amount, letter = amount * 13, "w"
    return ast.ArithmeticOperation(
        left=call("now"), op="-", right=call(f"toInterval{units[letter]}", ast.Constant(value=amount))
    )


def _date(op: ast.CompareOp) -> Build:
    return lambda target, value: compare(op, call("toDateTime", target), _moment(value))


def _date_exact(target: ast.Expr, value: Any) -> ast.Expr:
    text = _text(_values(value)[0])
    try:
        has_time = datetime.fromisoformat(text).time().isoformat() != "00:00:00" or "T" in text or ":" in text
    except ValueError:
        has_time = False
    if has_time:
        return compare("==", call("toDateTime", target), _moment(value))
    return compare("==", call("toDate", call("toDateTime", target)), call("toDate", _moment(value)))


def _clean_path(target: ast.Expr, value: Any) -> ast.Expr:
    def trimmed(expr: ast.Expr) -> ast.Expr:
        return call(
            "replaceRegexpAll", call("toString", expr), ast.Constant(value="[/?#]*$"), ast.Constant(value="")
        )

    return any_of([compare("==", trimmed(target), trimmed(_constant(one))) for one in _values(value)])


def _version(target: ast.Expr) -> ast.Expr:
    """`v1.2.3-beta` as `[1, 2, 3]`; NULL-like (empty) when it is no version."""
    cleaned = call(
        "extract", call("ifNull", call("toString", target), ast.Constant(value="")),
        ast.Constant(value=r"^\s*v?(\d+(?:\.\d+){0,2})"),
    )  # fmt: skip
    parts = call("splitByChar", ast.Constant(value="."), cleaned)
    number = call("ifNull", call("toInt", ast.Field(chain=["part"])), ast.Constant(value=-1))
    numbers = call("arrayMap", ast.Lambda(args=["part"], expr=number), parts)
    return call("arrayResize", numbers, ast.Constant(value=3), ast.Constant(value=0))


def _semver(op: ast.CompareOp) -> Build:
    def build(target: ast.Expr, value: Any) -> ast.Expr:
        is_version = compare("=~", call("toString", target), ast.Constant(value=r"^\s*v?\d"))
        compared = any_of(
            [
                compare(op, _version(target), _version(ast.Constant(value=_text(one))))
                for one in _values(value)
            ]
        )
        return all_of([is_version, compared])

    return build


_OPERATORS: dict[str, Build] = {
    "exact": _exact,
    "is_not": _is_not,
    "in": _exact,
    "not_in": _is_not,
    "icontains": _like("%", "%"),
    "not_icontains": _not(_like("%", "%")),
    "icontains_multi": _like("%", "%"),
    "not_icontains_multi": _not(_like("%", "%")),
    "starts_with": _like("", "%"),
    "not_starts_with": _not(_like("", "%")),
    "ends_with": _like("%", ""),
    "not_ends_with": _not(_like("%", "")),
    "regex": _regex,
    "not_regex": _not(_regex),
    **{operator: _number(operator) for operator in _NUMERIC},
    "between": _between,
    "not_between": _not(_between),
    "is_set": _is_set,
    "is_not_set": _is_not_set,
    "is_date_exact": _date_exact,
    "is_date_before": _date("<"),
    "is_date_after": _date(">"),
    "is_cleaned_path_exact": _clean_path,
    **{operator: _semver(op) for operator, op in _VERSIONS.items()},
}
