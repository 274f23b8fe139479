"""EventsQuery and ActorsQuery, as HogQL trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.hogql import HogQLSyntaxError, ast, children, parse
from posthog_mcp.sandbox.compiler import functions
from posthog_mcp.sandbox.compiler.actions import action_condition, find_action
from posthog_mcp.sandbox.compiler.dates import parse_date
from posthog_mcp.sandbox.compiler.errors import CompileError
from posthog_mcp.sandbox.compiler.filters import hogql_expression, property_filters
from posthog_mcp.sandbox.compiler.limits import DEFAULT_LIMIT
from posthog_mcp.sandbox.compiler.trees import all_of, any_of, call, compare, field, property_of, select

if TYPE_CHECKING:
    from datetime import datetime

    from posthog_mcp.sandbox.compiler.world import World

Body = Mapping[str, Any]

#: What the event object of `*` holds, in the order of the tuple that its cell is.
EVENT_FIELDS = (
    "uuid", "event", "properties", "timestamp", "team_id", "distinct_id", "elements_chain", "created_at",
    "person_mode",
)  # fmt: skip
_FILTERS = ("properties", "fixedProperties")
_SEARCHED = ("email", "name")


def events_query(body: Body, world: World) -> ast.SelectQuery:
    """The tree of an EventsQuery; compile it with `one_more`.

    Cells that the API makes objects of: `*` is a tuple in the order of `EVENT_FIELDS`; `person` and
    `person_display_name` are the event's distinct id.

    Args:
        body: The query object: `select, where, event, events, actionId, personId, after, before, orderBy,
            properties, fixedProperties, filterTestAccounts, limit, offset`.
        world: The project.

    Raises:
        CompileError: an expression does not parse, or a field has a wrong value.
    """
    selected = _texts(body, "select") or ["*"]
    columns = _columns([_event_column(text, world) for text in selected], selected)
    where: list[ast.Expr] = []
    having: list[ast.Expr] = []
    for text in _texts(body, "where"):
        condition = hogql_expression(text)
        (having if _aggregates(condition) else where).append(condition)
    where += _event_conditions(body, world)
    grouped = any(_aggregates(column) for column in columns)
    query = select(columns, "events", where=all_of(where))
    if grouped:
        query.group_by = [_unaliased(column) for column in columns if not _aggregates(column)]
    query.having = all_of(having) if having else None
    query.order_by = _order(
        body, columns, default=field("timestamp") if "timestamp" in selected or "*" in selected else None
    )
    return _paged(query, body)


def actors_query(body: Body, world: World, source: ast.Query | None = None) -> ast.SelectQuery:
    """The tree of an ActorsQuery over persons; compile it with `one_more`.

    Cells that the API makes objects of: `person`, `actor` and `person.$delete` are the person's id.

    Args:
        body: The query object: `select, search, properties, fixedProperties, orderBy, limit, offset`.
        world: The project.
        source: A query whose only column is the ids of the persons to list; all without one.

    Raises:
        CompileError: an expression does not parse, or a field has a wrong value.
    """
    del world
    selected = _texts(body, "select") or ["person", "id", "created_at", "person.$delete"]
    columns = _columns([_actor_column(text) for text in selected], selected)
    where: list[ast.Expr] = [compare("in", field("id"), source)] if source is not None else []
    where += [property_filters(body[key], table="persons") for key in _FILTERS if body.get(key)]
    if search := str(body.get("search") or "").strip():
        where.append(_search(search))
    query = select(columns, "persons", where=all_of(where) if where else None)
    if any(_aggregates(column) for column in columns):
        query.group_by = [_unaliased(column) for column in columns if not _aggregates(column)]
        query.order_by = _order(body, columns, default=None)
    else:
        query.order_by = _order(body, columns, default=field("created_at"))
    return _paged(query, body)


def _event_column(text: str, world: World) -> ast.Expr:
    bare = text.split("--", maxsplit=1)[0].strip()
    if bare == "*":
        return ast.Tuple(exprs=[_event_field(name, world) for name in EVENT_FIELDS])
    return field("distinct_id") if bare in ("person", "person_display_name") else hogql_expression(text)


def _event_field(name: str, world: World) -> ast.Expr:
    return ast.Constant(value=world.project_id) if name == "team_id" else field(name)


def _actor_column(text: str) -> ast.Expr:
    return (
        field("id")
        if text in ("person", "actor", "person.$delete", "actor_id", "person_id")
        else hogql_expression(text)
    )


def _columns(exprs: list[ast.Expr], texts: Sequence[str]) -> list[ast.Expr]:
    """The SELECT list, each column under the text it was asked for by."""
    seen = set[str]()
    columns: list[ast.Expr] = []
    for expr, text in zip(exprs, texts, strict=True):
        plain = isinstance(expr, ast.Alias) or text in seen
        # A plain name keeps its meaning in the other clauses without an alias of the same name.
        same = isinstance(expr, ast.Field) and ".".join(str(part) for part in expr.chain) == text
        seen.add(text)
        columns.append(expr if plain or same else ast.Alias(alias=text, expr=expr))
    return columns


def _event_conditions(body: Body, world: World) -> list[ast.Expr]:
    conditions = [property_filters(body[key]) for key in _FILTERS if body.get(key)]
    if body.get("filterTestAccounts"):
        conditions.append(property_filters(world.test_account_filters))
    if (event := body.get("event")) is not None and event != "":
        conditions.append(compare("==", field("event"), ast.Constant(value=str(event))))
    if events := _texts(body, "events"):
        conditions.append(
            any_of([compare("==", field("event"), ast.Constant(value=name)) for name in events])
        )
    if (action := body.get("actionId")) is not None:
        conditions.append(action_condition(find_action(world, action, ast.Node())))
    if person := body.get("personId"):
        conditions.append(
            compare("==", call("toString", field("person_id")), ast.Constant(value=str(person)))
        )
    before = str(body.get("before") or "")
    until = parse_date(before, world).moment if before else world.now + timedelta(seconds=5)
    conditions.append(compare("<", field("timestamp"), _moment(until)))
    after = str(body.get("after") or "-24h")
    if after != "all":
        conditions.append(compare(">", field("timestamp"), _moment(parse_date(after, world).moment)))
    return conditions


def _moment(moment: datetime) -> ast.Expr:
    return call("toDateTime", ast.Constant(value=moment.isoformat()))


def _search(text: str) -> ast.Expr:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    pattern = ast.Constant(value=f"%{escaped}%")
    ids = select(
        [field("person_id")], "person_distinct_ids", where=compare("ilike", field("distinct_id"), pattern)
    )
    return any_of([
        *(compare("ilike", call("toString", property_of([], key)), pattern) for key in _SEARCHED),
        compare("ilike", call("toString", field("id")), pattern),
        compare("in", field("id"), ids),
    ])  # fmt: skip


def _order(body: Body, columns: list[ast.Expr], default: ast.Expr | None) -> list[ast.OrderExpr] | None:
    if "orderBy" in body and body["orderBy"] is not None:
        return [key for text in _texts(body, "orderBy") for key in _order_keys(text)] or None
    aggregates = [column for column in columns if _aggregates(column)]
    if aggregates:
        counts = [one for one in aggregates if _unaliased(one) == call("count")]
        return [ast.OrderExpr(expr=_reference((counts or aggregates)[0]), order="DESC")]
    if default is not None:
        return [ast.OrderExpr(expr=default, order="DESC")]
    return [ast.OrderExpr(expr=_reference(columns[0]))] if columns else None


def _reference(column: ast.Expr) -> ast.Expr:
    return field(column.alias) if isinstance(column, ast.Alias) else column


def _order_keys(text: str) -> list[ast.OrderExpr]:
    parsed = _parsed(f"select 1 order by {text}")
    if isinstance(parsed, ast.SelectQuery) and parsed.order_by:
        alone = ast.SelectQuery(select=parsed.select, order_by=parsed.order_by)
        if parsed == alone:
            return parsed.order_by
    raise CompileError(f"orderBy must hold expressions to sort by, not {text!r}.")


def _parsed(text: str) -> ast.Query:
    try:
        return parse(text)
    except HogQLSyntaxError as error:
        raise CompileError(error.message) from error


def _unaliased(expr: ast.Expr) -> ast.Expr:
    return expr.expr if isinstance(expr, ast.Alias) else expr


def _aggregates(node: ast.Node) -> bool:
    """Whether an expression folds rows, subqueries and windows left aside."""
    if isinstance(node, ast.SelectQuery | ast.SelectSetQuery | ast.WindowFunction):
        return False
    if isinstance(node, ast.Call):
        function = functions.find(node.name)
        if function is not None and function.aggregate:
            return True
    return any(_aggregates(child) for child in children(node))


def _texts(body: Body, key: str) -> list[str]:
    value = body.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in cast("list[Any]", value)):
        raise CompileError(f"{key} must be a list of texts.")
    return cast("list[str]", value)


def _paged(query: ast.SelectQuery, body: Body) -> ast.SelectQuery:
    query.limit = ast.Constant(value=_number(body, "limit", DEFAULT_LIMIT))
    query.offset = ast.Constant(value=_number(body, "offset", 0))
    return query


def _number(body: Body, key: str, default: int) -> int:
    value = body.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise CompileError(f"{key} must be a whole number, not negative.")
    return value
