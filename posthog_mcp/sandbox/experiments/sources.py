"""A source of a metric: which events it takes, and how they make one number for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler import functions
from posthog_mcp.sandbox.compiler.filters import hogql_expression
from posthog_mcp.sandbox.compiler.trees import call, field, property_of
from posthog_mcp.sandbox.experiments.trees import constant, expr, matching
from posthog_mcp.sandbox.http.errors import invalid

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.world import World
    from posthog_mcp.sandbox.experiments.settings import Source

# Properties of sessions count once for each session.
_OF_SESSIONS = ("session", "session_properties")
_COUNT = "countIf({when})"
_SUM = "sumIf({of}, {when})"
_DISTINCT = "uniqExactIf({of}, {when} AND {of} != '')"
_FOLDS = {
    "sum": _SUM,
    "avg": "if(countIf({when}) = 0, 0, avgIf({of}, {when}))",
    "min": "minIf({of}, {when})",
    "max": "maxIf({of}, {when})",
}
_ONCE_A_SESSION = {"sum": "arraySum", "avg": "arrayAvg", "min": "arrayMin", "max": "arrayMax"}


@dataclass(frozen=True, slots=True)
class Side:
    """One source: its events, what of each, and the aggregation, with `{of}` and `{when}` to fill in."""

    matches: ast.Expr
    value: ast.Expr
    fold: str

    def folded(self, of: str, when: str) -> str:
        """The number of one person: 0 without events."""
        return f"assumeNotNull(ifNull(toFloat({self.fold.format(of=of, when=when)}), 0))"


def side_of(source: Source, world: World) -> Side:
    """How a source is read.

    Raises:
        CompileError: It names what the project does not have.
        ApiError: 400 for what the sandbox cannot compute.
    """
    matches, math = matching(source, world), source.math or "total"
    match math:
        case "total":
            return Side(matches, constant(1), _COUNT)
        case "dau":
            return Side(matches, field("person_id"), "uniqExactIf({of}, {when})")
        case "unique_session":
            return Side(matches, field("$session_id"), _DISTINCT)
        case "unique_group":
            return Side(matches, field(f"$group_{source.math_group_type_index or 0}"), _DISTINCT)
        case "hogql":
            return _own_fold(matches, source.math_hogql or "")
        case _:
            return _numeric(matches, source, math)


def _numeric(matches: ast.Expr, source: Source, math: str) -> Side:
    name = source.math_property
    factor = constant(1 if source.math_multiplier is None else source.math_multiplier)
    if not name:
        raise invalid(f"A metric with math {math} needs a math_property.", "metric")
    if source.math_property_type not in _OF_SESSIONS:
        owner = ["person"] if source.math_property_type == "person_properties" else []
        value = expr("{n} * {factor}", n=_number(property_of(owner, name)), factor=factor)
        return Side(matches, value, _FOLDS[math])
    value = expr("{n} * {factor}", n=_number(field("session", name)), factor=factor)
    numbers = "arrayMap(x -> tupleElement(x, 2), groupUniqArrayIf({of}, {when}))"
    # Nobody without a session has an average of none.
    fold = f"if(countIf({{when}}) = 0, 0, {_ONCE_A_SESSION[math]}({numbers}))"
    return Side(matches, call("tuple", field("$session_id"), value), fold)


def _number(value: ast.Expr) -> ast.Expr:
    return expr("assumeNotNull(ifNull(toFloat({value}), 0))", value=value)


def _own_fold(matches: ast.Expr, text: str) -> Side:
    """An aggregation in HogQL; a plain expression is summed."""
    tree = hogql_expression(text)
    function = functions.find(tree.name) if isinstance(tree, ast.Call) else None
    if not isinstance(tree, ast.Call) or function is None or not function.aggregate:
        return Side(matches, _number(tree), _SUM)
    if len(tree.args) > 1 or tree.params or tree.distinct:
        raise invalid(f"A metric's aggregation takes one plain argument, not {text}.", "metric")
    if not tree.args:
        return Side(matches, constant(1), _COUNT)
    return Side(matches, tree.args[0], f"{function.name}If({{of}}, {{when}})")
