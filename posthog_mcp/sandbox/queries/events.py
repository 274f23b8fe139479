"""`EventsQuery`: columns of events, newest first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from posthog_mcp.hogql import ast, print_hogql
from posthog_mcp.sandbox.compiler import Action, CompileError
from posthog_mcp.sandbox.compiler.actions import action_condition
from posthog_mcp.sandbox.compiler.dates import parse_date
from posthog_mcp.sandbox.compiler.query_kinds import EVENT_FIELDS
from posthog_mcp.sandbox.compiler.query_kinds import events_query as tree_of
from posthog_mcp.sandbox.compiler.trees import all_of, call, compare, field
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.insights.asking import Asking
from posthog_mcp.sandbox.insights.people import events_behind
from posthog_mcp.sandbox.queries.asked import Answer, Asked, common, refused, run
from posthog_mcp.sandbox.queries.models import ActionStep, Model, QueryModel

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.world import World
    from posthog_mcp.sandbox.sandbox import Sandbox


class EventsQueryActionStep(ActionStep, Model):
    """One step of an action that is not saved; here unknown fields are refused."""


class EventsQuery(QueryModel):
    """The query object. `select` and `where` are HogQL; `*` is the whole event."""

    kind: Literal["EventsQuery"]
    select: list[str]
    where: list[str] | None = None
    event: str | None = None
    events: list[str] | None = None
    actionId: int | None = None  # noqa: N815 - PostHog's names, here and below
    actionSteps: list[EventsQueryActionStep] | None = None  # noqa: N815
    personId: str | None = None  # noqa: N815
    properties: list[dict[str, Any]] | None = None
    fixedProperties: list[dict[str, Any]] | None = None  # noqa: N815
    filterTestAccounts: bool | None = None  # noqa: N815
    after: str | None = None
    before: str | None = None
    orderBy: list[str] | None = None  # noqa: N815
    limit: Annotated[int, Field(ge=1)] | None = None
    offset: Annotated[int, Field(ge=0)] | None = None
    source: dict[str, Any] | None = None


async def events_query(asked: Asked) -> Answer:
    """Run it; rows come with `*` and `person` as objects."""
    model = EventsQuery.read(asked.query)
    try:
        tree = _tree(model, asked.world)
        if model.source is not None:
            behind = compare("in", field("uuid"), await events_behind(Asking(asked), model.source))
            tree.where = all_of([tree.where, behind]) if tree.where else behind
    except CompileError as error:
        raise refused(error) from error
    ran = await run(asked, tree, one_more=True)
    cursor = _cursor(model.select, ran.rows) if ran.more else None
    _fill_in(asked.sandbox, model.select, ran.rows)
    body = common(asked, ran, print_hogql(tree)) | {"columns": model.select, "nextCursor": cursor}
    return Answer(body, ran.read_bytes)


def _tree(model: EventsQuery, world: World) -> ast.SelectQuery:
    body = model.model_dump(exclude_none=True)
    conditions: list[ast.Expr] = []
    for side, op in (("after", ">"), ("before", "<")):
        at, _, uuid = body.get(side, "").partition("|")
        if uuid:
            # The bound of a cursor is exact; the plain one beside it only keeps the default away.
            body[side] = "all" if side == "after" else ""
            conditions.append(_beyond("<" if op == "<" else ">", at, uuid, world))
    if model.actionSteps:
        steps = [step.model_dump(exclude_none=True) for step in model.actionSteps]
        conditions.append(action_condition(Action(0, "", steps)))
    tree = tree_of(body, world)
    if conditions:
        tree.where = all_of([*([tree.where] if tree.where else []), *conditions])
    _settle_order(tree)
    return tree


def _beyond(op: Literal["<", ">"], at: str, uuid: str, world: World) -> ast.Expr:
    moment = call("toDateTime", ast.Constant(value=parse_date(at, world).moment.isoformat()))
    seen = ast.Tuple(exprs=[moment, call("toUUID", ast.Constant(value=uuid))])
    return compare(op, ast.Tuple(exprs=[field("timestamp"), field("uuid")]), seen)


def _settle_order(tree: ast.SelectQuery) -> None:
    """Events of one moment need an order too, or pages would repeat and skip them."""
    order = tree.order_by or []
    if len(order) == 1 and order[0].expr == field("timestamp") and tree.group_by is None:
        order.append(ast.OrderExpr(expr=field("uuid"), order=order[0].order))


def _cursor(names: list[str], rows: list[list[Any]]) -> str | None:
    """`timestamp|uuid` of the last row, when both were selected."""
    last = rows[-1]
    if "*" in names:
        event = dict(zip(EVENT_FIELDS, last[names.index("*")], strict=True))
        return f"{event['timestamp']}|{event['uuid']}"
    if "timestamp" in names and "uuid" in names:
        return f"{last[names.index('timestamp')]}|{last[names.index('uuid')]}"
    return None


def _fill_in(sandbox: Sandbox, names: list[str], rows: list[list[Any]]) -> None:
    """Turn the cells of `*` and `person` into objects, in place."""
    if "person" in names:
        sandbox.ingest.people.load({row[names.index("person")] for row in rows})
    for row in rows:
        for index, name in enumerate(names):
            if name == "*":
                row[index] = event_of(row[index])
            elif name == "person":
                row[index] = _person(sandbox, row[index])


def event_of(cell: list[Any]) -> dict[str, Any]:
    """The event in a cell of `*`."""
    event = dict(zip(EVENT_FIELDS, cell, strict=True))
    return event | {"properties": json.loads(event["properties"])}


def _person(sandbox: Sandbox, distinct_id: str) -> dict[str, Any]:
    """The person beside an event, as it is now; only the distinct id when there is none."""
    person = sandbox.ingest.people.person_of(distinct_id)
    if person is None:
        return {"distinct_id": distinct_id}
    return {
        "uuid": person.uuid,
        "created_at": iso(person.created_at),
        "properties": person.properties,
        "distinct_id": distinct_id,
    }
