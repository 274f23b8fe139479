"""Actions: named conditions on events, which queries match in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.errors import did_you_mean, refuse
from posthog_mcp.sandbox.compiler.filters import property_filters
from posthog_mcp.sandbox.compiler.selectors import selector_pattern, tag_pattern
from posthog_mcp.sandbox.compiler.trees import all_of, any_of, call, compare, field, property_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthog_mcp.sandbox.compiler.world import Action, World

AUTOCAPTURE = "$autocapture"


def find_action(world: World, named: ast.Scalar, node: ast.Node) -> Action:
    """The action of that id or name.

    Raises:
        CompileError: there is none, or more than one of that name.
    """
    if isinstance(named, int) and not isinstance(named, bool):
        found = [action for action in world.actions.values() if action.id == named]
    else:
        found = [action for action in world.actions.values() if action.name == named]
    if len(found) == 1:
        return found[0]
    how = "id" if isinstance(named, int) else "name"
    if found:
        raise refuse(f"Found multiple actions with name '{named}'. Use the id instead.", node)
    hint = did_you_mean(str(named), [action.name for action in world.actions.values()])
    raise refuse(f"Could not find an action with the {how} {named!r}.{hint}", node)


def action_condition(action: Action, events: str = "") -> ast.Expr:
    """What an event must fulfil: any of the action's steps. `events` is the table's name in the query."""
    return any_of([_step(step, events) for step in action.steps])


def _step(step: Mapping[str, Any], events: str) -> ast.Expr:
    conditions: list[ast.Expr] = []
    event = step.get("event")
    if event:
        conditions.append(compare("==", field(events, "event"), ast.Constant(value=str(event))))
    if event == AUTOCAPTURE:
        conditions += _elements(step, events)
    url = step.get("url")
    if url:
        conditions.append(
            _text_match(
                property_of([events], "$current_url"), str(url), step.get("url_matching") or "contains"
            )
        )
    if properties := step.get("properties"):
        conditions.append(property_filters(properties, owner=events))
    return all_of(conditions)


def _elements(step: Mapping[str, Any], events: str) -> list[ast.Expr]:
    conditions: list[ast.Expr] = []
    chain = field(events, "elements_chain")
    if selector := step.get("selector"):
        conditions.append(compare("=~", chain, ast.Constant(value=selector_pattern(str(selector)))))
    if tag := step.get("tag_name"):
        conditions.append(compare("=~", chain, ast.Constant(value=tag_pattern(str(tag)))))
    if href := step.get("href"):
        matching = step.get("href_matching") or "exact"
        conditions.append(_text_match(field(events, "elements_chain_href"), str(href), matching))
    if text := step.get("text"):
        matching = step.get("text_matching") or "exact"
        condition = _text_match(field("element"), str(text), matching)
        texts = field(events, "elements_chain_texts")
        conditions.append(call("arrayExists", ast.Lambda(args=["element"], expr=condition), texts))
    return conditions


def _text_match(value: ast.Expr, wanted: str, matching: str) -> ast.Expr:
    if matching == "regex":
        return compare("=~", value, ast.Constant(value=wanted))
    if matching == "exact":
        return compare("==", value, ast.Constant(value=wanted))
    escaped = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return compare("ilike", value, ast.Constant(value=f"%{escaped}%"))
