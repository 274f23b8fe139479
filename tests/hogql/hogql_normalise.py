"""The one mapping between PostHog's JSON tree and ours: PostHog's is brought to the shape of ours.

What differs, and why:

* Keys of PostHog's tree whose value is null or false are left out, as are ours at their default.
* `is_null_comparison_style` is our `null_style`, `over_expr` and `over_identifier` are `over`, `over_name`;
  `sample_value` and `offset_value` of a SAMPLE are `value` and `offset`.
* Numbers too large or odd for JSON (`value_type: number`) are numbers.
* PostHog's TypeCast, TryCast and IsDistinctFrom are calls of `cast`, `try_cast`, `isDistinctFrom` and
  `isNotDistinctFrom`.
* A call of `not` with one plain argument is a Not: that is what people who write `not (a or b)` mean.
* PostHog puts the parameters of a parametric window function into `exprs` and its arguments into `args`.
* PostHog forgets, without a word, what we keep: NULLS FIRST/LAST, WITH TOTALS/ROLLUP/CUBE, the table of
  `t.* exclude (…)`. These are taken from ours before comparing. MATERIALIZED, a hint, we forget.
"""

import math
from dataclasses import MISSING, fields
from typing import Any

from posthog_mcp.hogql import ast

Json = Any

_RENAMED = {
    "is_null_comparison_style": "null_style",
    "over_expr": "over",
    "over_identifier": "over_name",
    "sample_value": "value",
}


def ours(node: Json) -> Json:
    """Our tree as plain data, without what PostHog's tree cannot tell."""
    if isinstance(node, ast.Node):
        return _node(node)
    if isinstance(node, list | tuple):
        return [ours(item) for item in node]
    if isinstance(node, dict):
        return {key: ours(item) for key, item in node.items()}
    return _number(node)


def _node(node: ast.Node) -> Json:
    found: dict[str, Json] = {"node": type(node).__name__}
    for field in fields(node):
        value = getattr(node, field.name)
        default = field.default if field.default is not MISSING else None
        forgotten = (type(node), field.name) in (
            (ast.OrderExpr, "nulls"),
            (ast.ColumnsExpr, "table"),
        ) or (field.name == "group_by_mode" and str(value).startswith("with "))
        if field.name in ("start", "end") or forgotten:
            continue
        unset = value is None or value is False or value == default
        if isinstance(node, ast.Constant) or field.default is MISSING or not unset:
            found[field.name] = ours(value)
    return _without_empty_lists(found)


def theirs(node: Json) -> Json:
    """PostHog's tree in the shape of `ours`."""
    if isinstance(node, list):
        return [theirs(item) for item in node]
    if not isinstance(node, dict):
        return _number(node)
    kind = node.get("node")
    if kind is None:
        return {key: theirs(item) for key, item in node.items()}
    found = {
        _RENAMED.get(key, key): theirs(item)
        for key, item in node.items()
        if kind == "Constant" or (item is not None and item is not False)
    }
    return _without_empty_lists(_reshaped(kind, found))


def _reshaped(kind: str, found: dict[str, Json]) -> dict[str, Json]:
    if kind == "Constant" and found.pop("value_type", None):
        found["value"] = _number(_parsed(found["value"]))
    elif kind in ("TypeCast", "TryCast"):
        name = "cast" if kind == "TypeCast" else "try_cast"
        return _call(name, [found["expr"], {"node": "Constant", "value": found["type_name"]}])
    elif kind == "IsDistinctFrom":
        name = "isNotDistinctFrom" if found.get("negated") else "isDistinctFrom"
        return _call(name, [found["left"], found["right"]])
    elif kind == "Call" and found["name"].lower() == "not" and len(found["args"]) == 1:
        if found == _call(found["name"], found["args"]):
            return {"node": "Not", "expr": found["args"][0]}
    elif kind == "WindowFunction":
        args = found.pop("args", None)
        if args:
            found["params"], found["exprs"] = found["exprs"], args
    elif kind == "SampleExpr" and "offset_value" in found:
        found["offset"] = found.pop("offset_value")
    elif kind == "CTE":
        found.pop("materialized", None)
    elif kind == "OrderExpr" and found.get("order") == "ASC":
        del found["order"]
    return found


def _call(name: str, args: list[Json]) -> dict[str, Json]:
    return {"node": "Call", "name": name, "args": args}


def _parsed(written: str) -> int | float:
    return int(written) if written.lstrip("-").isdigit() else float(written.replace("Infinity", "inf"))


def _number(value: Json) -> Json:
    """Numbers with their type, so that 1, 1.0 and true differ, and nan equals itself."""
    if isinstance(value, bool | int | float):
        return (type(value).__name__, "nan" if isinstance(value, float) and math.isnan(value) else value)
    return value


def _without_empty_lists(found: dict[str, Json]) -> dict[str, Json]:
    optional = ("params", "exclude", "table", "ctes")
    return {
        key: value
        for key, value in found.items()
        if not (value == [] and key in optional and key != "params")
    }
