"""The query kind `RecordingsQuery`, which the list of recordings asks as well."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.api.persons import shown
from posthog_mcp.sandbox.compiler import CompileError
from posthog_mcp.sandbox.compiler.dates import parse_date
from posthog_mcp.sandbox.compiler.trees import all_of, any_of
from posthog_mcp.sandbox.experiments.trees import constant, expr, moment, query
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.http.times import read_iso
from posthog_mcp.sandbox.queries.asked import Answer, Asked, refused, run
from posthog_mcp.sandbox.queries.models import QueryModel
from posthog_mcp.sandbox.replay.filters import MEASURES, Filters

if TYPE_CHECKING:
    from posthog_mcp.sandbox.sandbox import Sandbox

JSON = dict[str, Any]
Rows = list[dict[str, Any]]

VIEWS = "recording_view"
_PAGE = 50
_ONGOING = timedelta(minutes=5)
_COLUMNS = (
    "session_id", "distinct_id", "start_time", "end_time", "first_url", "click_count", "keypress_count",
    "mouse_activity_count", "active_milliseconds", "console_log_count", "console_warn_count",
    "console_error_count", "snapshot_source", "snapshot_library",
)  # fmt: skip
_SHOWN = (
    "distinct_id", "start_time", "end_time", "click_count", "keypress_count", "mouse_activity_count",
    "console_log_count", "console_warn_count", "console_error_count", "snapshot_source", "snapshot_library",
)  # fmt: skip


class RecordingsQuery(QueryModel):
    """The query object."""

    kind: Literal["RecordingsQuery"]
    date_from: str | None = None
    date_to: str | None = None
    events: Rows | None = None
    actions: Rows | None = None
    properties: Rows | None = None
    console_log_filters: Rows | None = None
    having_predicates: Rows | None = None
    comment_text: dict[str, Any] | None = None
    filter_test_accounts: bool | None = None
    operand: Literal["AND", "OR"] | None = None
    session_ids: list[str] | None = None
    session_recording_id: str | None = None
    hide_viewed_recordings: Literal["current-user", "any-user"] | None = None
    person_uuid: str | None = None
    distinct_ids: list[str] | None = None
    order: (
        Literal[
            "duration", "recording_duration", "inactive_seconds", "active_seconds", "start_time",
            "console_error_count", "click_count", "keypress_count", "mouse_activity_count", "activity_score",
            "recording_ttl", "surfacing_score",
        ]
        | None
    ) = None  # fmt: skip
    order_direction: Literal["ASC", "DESC"] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] | None = None
    offset: Annotated[int, Field(ge=0)] | None = None
    after: str | None = None
    user_modified_filters: dict[str, Any] | None = None


async def recordings_query(asked: Asked) -> Answer:
    """A page of recordings: `{results, has_next, next_cursor}`.

    Raises:
        ApiError: 400 for a filter, an order or a cursor that cannot be used.
    """
    model = RecordingsQuery.read(asked.query)
    try:
        tree = _tree(model, asked)
    except CompileError as error:
        raise refused(error) from error
    ran = await run(asked, tree, one_more=True)
    rows: list[JSON] = [dict(zip(ran.columns, row, strict=True)) for row in ran.rows]
    viewed = views(asked.sandbox)
    body: JSON = {
        "results": [_item(asked.sandbox, row, viewed) for row in rows],
        "has_next": bool(ran.more),
        "next_cursor": _cursor(rows[-1]) if ran.more else None,
    }
    return Answer(body, ran.read_bytes)


def views(sandbox: Sandbox) -> set[str]:
    """The sessions whose recordings the user has viewed."""
    return {view["session_id"] for view in sandbox.store.all(VIEWS)}


def _tree(model: RecordingsQuery, asked: Asked) -> ast.SelectQuery:
    world = asked.world
    start = parse_date(model.date_from or "-3d", world).moment
    end = parse_date(model.date_to, world).moment if model.date_to else world.now
    chosen = Filters(world, start, end)
    order = model.order or "start_time"
    if order not in MEASURES:
        raise invalid(f"The sandbox cannot order recordings by {order}.", "order")
    direction = model.order_direction or "DESC"
    where = [*_which(model, asked, start, end), *_wanted(model, chosen)]
    if model.after:
        where.append(_beyond(model.after, order, direction))
    return query(
        f"SELECT {', '.join(_COLUMNS)}, {MEASURES[order]} AS sorted FROM session_replay_events"  # noqa: S608 - words of ours
        f" WHERE {{where}} ORDER BY sorted {direction}, session_id {direction}"
        f" LIMIT {model.limit or _PAGE} OFFSET {model.offset or 0}",
        where=all_of(where),
    )


def _which(model: RecordingsQuery, asked: Asked, start: Any, end: Any) -> list[ast.Expr]:
    """Whose recordings, and of when: these hold whatever the operand is."""
    if model.session_recording_id:
        return [expr("session_id = {id}", id=constant(model.session_recording_id))]
    conditions = [
        expr("start_time >= {start}", start=moment(start)),
        expr("start_time <= {end}", end=moment(end)),
    ]
    for column, values in (("session_id", model.session_ids), ("distinct_id", model.distinct_ids)):
        if values is not None:
            conditions.append(expr(f"{column} IN {{values}}", values=_texts(values)))
    if model.person_uuid:
        conditions.append(expr("toString(person_id) = {id}", id=constant(model.person_uuid)))
    if model.hide_viewed_recordings:
        conditions.append(
            expr("session_id NOT IN {viewed}", viewed=_texts(["", *sorted(views(asked.sandbox))]))
        )
    return conditions


def _wanted(model: RecordingsQuery, chosen: Filters) -> list[ast.Expr]:
    """What must have happened: all of it, or any."""
    if model.comment_text:
        raise invalid("The sandbox keeps no comments on recordings.", "comment_text")
    conditions = [
        *map(chosen.event, model.events or ()),
        *map(chosen.action, model.actions or ()),
        *map(chosen.property, model.properties or ()),
        *map(chosen.console, model.console_log_filters or ()),
        *map(chosen.property, model.having_predicates or ()),
    ]
    joined = [any_of(conditions)] if model.operand == "OR" and conditions else conditions
    return [*joined, *(chosen.internal_users() if model.filter_test_accounts else [])]


def _texts(values: list[str]) -> ast.Array:
    return ast.Array(exprs=[constant(value) for value in values])


def _cursor(row: JSON) -> str:
    return base64.urlsafe_b64encode(json.dumps([row["sorted"], row["session_id"]]).encode()).decode()


def _beyond(cursor: str, order: str, direction: str) -> ast.Expr:
    """What comes after the last recording seen."""
    try:
        value, session_id = json.loads(base64.urlsafe_b64decode(cursor))
        last = moment(read_iso(value)) if order == "start_time" else constant(float(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid("Invalid cursor.", "after") from error
    op = "<" if direction == "DESC" else ">"
    seen = ast.Tuple(exprs=[last, constant(str(session_id))])
    return expr(f"tuple({MEASURES[order]}, session_id) {op} {{seen}}", seen=seen)


def _item(sandbox: Sandbox, row: JSON, viewed: set[str]) -> JSON:
    seconds = int((read_iso(row["end_time"]) - read_iso(row["start_time"])).total_seconds())
    active = round(row["active_milliseconds"] / 1000, 3)
    person = sandbox.ingest.people.person_of(row["distinct_id"])
    return {
        "id": row["session_id"],
        **{name: row[name] for name in _SHOWN},
        "start_url": row["first_url"] or None,
        "recording_duration": seconds,
        "active_seconds": active,
        "inactive_seconds": max(round(seconds - active, 3), 0),
        "viewed": row["session_id"] in viewed,
        "viewers": [],
        "person": None if person is None else shown(sandbox, person),
        "retention_period_days": 30,
        "ongoing": sandbox.clock() - read_iso(row["end_time"]) < _ONGOING,
    }
