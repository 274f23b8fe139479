"""What persons did, as conditions on them: `performed_event` and its relatives."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler import CompileError, property_filters
from posthog_mcp.sandbox.compiler.actions import action_condition, find_action
from posthog_mcp.sandbox.compiler.dates import parse_date
from posthog_mcp.sandbox.compiler.trees import all_of, call, compare, field, select

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from posthog_mcp.sandbox.compiler import World

    Leaf = Mapping[str, Any]
    Build = Callable[[Leaf, World], ast.Expr]

_COUNTS: dict[str, ast.CompareOp] = {
    "gte": ">=",
    "lte": "<=",
    "gt": ">",
    "lt": "<",
    "eq": "==",
    "exact": "==",
}
_UNITS = {"minute": "M", "hour": "h", "day": "d", "week": "w", "month": "m", "year": "y"}
_WHOLE = re.compile(r"\d{1,9}")


def performed(leaf: Leaf, world: World) -> ast.Expr:
    """The condition that a leaf of type `behavioral` stands for.

    Raises:
        CompileError: a field has a wrong value, or the sandbox does not know this kind of behaviour.
    """
    build = _KINDS.get(str(leaf.get("value")))
    if build is None:
        raise CompileError(f"The sandbox cannot calculate '{leaf.get('value')}' in cohorts.")
    built = build(leaf, world)
    return ast.Not(expr=built) if leaf.get("negation") else built


def _event(leaf: Leaf, world: World) -> ast.Expr:
    return _did(leaf, world, [_since(leaf, world)])


def _multiple(leaf: Leaf, world: World) -> ast.Expr:
    op = _COUNTS.get(str(leaf.get("operator") or "eq"))
    if op is None:
        raise CompileError(f"Unknown operator '{leaf.get('operator')}' for a count of events.")
    wanted = ast.Constant(value=_number(leaf, "operator_value"))
    return _did(leaf, world, [_since(leaf, world)], having=compare(op, call("count"), wanted))


def _first_time(leaf: Leaf, world: World) -> ast.Expr:
    start = _start(leaf, world)
    first = compare(">=", call("min", field("timestamp")), _moment(start))
    return _did(leaf, world, [], having=first)


def _stopped(leaf: Leaf, world: World) -> ast.Expr:
    """Did it in the outer window and not in the recent one."""
    recent = _did(leaf, world, [_bound(">=", _start(leaf, world, "seq_"))])
    return all_of([_event(leaf, world), ast.Not(expr=recent)])


def _restarted(leaf: Leaf, world: World) -> ast.Expr:
    """Did it recently, before the outer window as well, and not in between."""
    outer, recent = _start(leaf, world), _start(leaf, world, "seq_")
    between = [_bound(">=", outer), _bound("<", recent)]
    return all_of(
        [
            _did(leaf, world, [_bound(">=", recent)]),
            _did(leaf, world, [_bound("<", recent)]),
            ast.Not(expr=_did(leaf, world, between)),
        ]
    )


def _did(leaf: Leaf, world: World, when: list[ast.Expr], having: ast.Expr | None = None) -> ast.Expr:
    """`id in (select person_id from events where ... group by person_id having ...)`."""
    conditions = [_what(leaf, world), *when]
    if filters := leaf.get("event_filters"):
        conditions.append(property_filters(filters))
    people = select([field("person_id")], "events", where=all_of(conditions), group_by=[field("person_id")])
    people.having = having
    people.limit = ast.Constant(value=world.max_rows)
    return compare("in", field("id"), people)


def _what(leaf: Leaf, world: World) -> ast.Expr:
    key = leaf.get("key")
    if leaf.get("event_type") == "actions":
        action = int(key) if isinstance(key, str) and _WHOLE.fullmatch(key) else key
        return action_condition(find_action(world, action, ast.Node()))
    if not isinstance(key, str) or not key:
        raise CompileError("A behavioral filter needs the name of an event as its key.")
    return compare("==", field("event"), ast.Constant(value=key))


def _since(leaf: Leaf, world: World) -> ast.Expr:
    start = _bound(">=", _start(leaf, world))
    end = leaf.get("explicit_datetime_to")
    return all_of([start, _bound("<=", parse_date(str(end), world).moment)]) if end else start


def _start(leaf: Leaf, world: World, prefix: Literal["", "seq_"] = "") -> datetime:
    if not prefix and leaf.get("explicit_datetime"):
        text = str(leaf["explicit_datetime"])
    else:
        unit = _UNITS.get(str(leaf.get(f"{prefix}time_interval")))
        if unit is None:
            units = ", ".join(_UNITS)
            raise CompileError(f"{prefix}time_interval of a behavioral filter must be one of {units}.")
        text = f"-{_number(leaf, f'{prefix}time_value')}{unit}"
    parsed = parse_date(text, world)
    if parsed.unit in ("", "h", "M"):
        return parsed.moment
    # Windows of days and longer start with their first day.
    clock = parsed.moment
    return clock - timedelta(
        hours=clock.hour, minutes=clock.minute, seconds=clock.second, microseconds=clock.microsecond
    )


def _number(leaf: Leaf, name: str) -> int:
    text = str(leaf.get(name))
    if not _WHOLE.fullmatch(text):
        raise CompileError(f"{name} of a behavioral filter must be a whole number.")
    return int(text)


def _bound(op: ast.CompareOp, moment: datetime) -> ast.Expr:
    return compare(op, field("timestamp"), _moment(moment))


def _moment(moment: datetime) -> ast.Expr:
    return call("toDateTime", ast.Constant(value=moment.isoformat()))


_KINDS: dict[str, Build] = {
    "performed_event": _event,
    "performed_event_first_time": _first_time,
    "performed_event_multiple": _multiple,
    "restarted_performing_event": _restarted,
    "stopped_performing_event": _stopped,
}
