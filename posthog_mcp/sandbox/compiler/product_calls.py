"""PostHog's own functions, each written out as the expression it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.actions import action_condition, find_action
from posthog_mcp.sandbox.compiler.errors import refuse
from posthog_mcp.sandbox.compiler.trees import all_of, call, compare, field, property_of, select

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.scope import Scope
    from posthog_mcp.sandbox.compiler.world import World

Expand = Callable[["World", ast.Call, "Scope"], ast.Expr]


def _constants(node: ast.Call, least: int, most: int) -> list[ast.Scalar]:
    values = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    if len(values) != len(node.args) or not least <= len(values) <= most:
        count = str(least) if least == most else f"{least} to {most}"
        raise refuse(f"{node.name} takes {count} constant arguments.", node)
    return values


def _matches_action(world: World, node: ast.Call, scope: Scope) -> ast.Expr:
    (named,) = _constants(node, 1, 1)
    return action_condition(find_action(world, named, node), scope.events(node))


def _survey_response(world: World, node: ast.Call, scope: Scope) -> ast.Expr:  # noqa: ARG001
    values = _constants(node, 1, 3)
    index = values[0]
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise refuse("getSurveyResponse needs the question's index, from 0, as its first argument.", node)
    keys = ["$survey_response" if index == 0 else f"$survey_response_{index}"]
    if len(values) > 1 and isinstance(values[1], str):
        keys.insert(0, f"$survey_response_{values[1]}")
    events = scope.events(node)
    answers: list[ast.Expr] = [
        call("nullIf", property_of([events], key), ast.Constant(value="")) for key in keys
    ]
    answer = answers[0] if len(answers) == 1 else call("coalesce", *answers)
    if len(values) > 2 and values[2] is True:  # noqa: PLR2004 - the third: several choices
        return call(
            "JSONExtract",
            call("ifNull", answer, ast.Constant(value="[]")),
            ast.Constant(value="Array(String)"),
        )
    return answer


def _unique_submissions(world: World, node: ast.Call, scope: Scope) -> ast.Expr:  # noqa: ARG001
    (survey,) = _constants(node, 1, 1)
    latest = select(
        [call("argMax", field("uuid"), field("timestamp"))],
        "events",
        where=all_of([
            compare("==", field("event"), ast.Constant(value="survey sent")),
            compare("==", property_of([], "$survey_id"), ast.Constant(value=survey)),
        ]),
        group_by=[
            call("coalesce", call("nullIf", property_of([], "$survey_submission_id"), ast.Constant(value="")),
                 call("toString", field("uuid")))
        ],
    )  # fmt: skip
    return compare("in", field(scope.events(node), "uuid"), latest)


def _convert_currency(world: World, node: ast.Call, scope: Scope) -> ast.Expr:  # noqa: ARG001
    if len(node.args) not in (3, 4):
        raise refuse("convertCurrency takes the two currencies, the amount, and optionally a date.", node)
    source, target = node.args[:2]
    if isinstance(source, ast.Constant) and isinstance(target, ast.Constant) and source.value == target.value:
        return call("toDecimal", node.args[2], ast.Constant(value=10))
    raise refuse("convertCurrency needs exchange rates, which the sandbox does not have.", node)


def _sparkline(world: World, node: ast.Call, scope: Scope) -> ast.Expr:  # noqa: ARG001
    if len(node.args) != 1:
        raise refuse(f"Function 'sparkline' expects exactly 1 argument, found {len(node.args)}", node)
    words = ("__hx_tag", "Sparkline", "data")
    return ast.Tuple(exprs=[*(ast.Constant(value=word) for word in words), node.args[0]])


def _interface_only(world: World, node: ast.Call, scope: Scope) -> ast.Expr:  # noqa: ARG001
    raise refuse(f"{node.name} draws a part of PostHog's own interface and has no value in an answer.", node)


PRODUCT_CALLS: dict[str, Expand] = {
    "matchesaction": _matches_action,
    "getsurveyresponse": _survey_response,
    "uniquesurveysubmissionsfilter": _unique_submissions,
    "convertcurrency": _convert_currency,
    "sparkline": _sparkline,
    "recording_button": _interface_only,
    "recordingbutton": _interface_only,
}
