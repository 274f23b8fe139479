"""`ActorsQuery`: people, all of them or those that a source query names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from posthog_mcp.hogql import ast, print_hogql
from posthog_mcp.sandbox.compiler import CompileError
from posthog_mcp.sandbox.compiler.query_kinds import actors_query as tree_of
from posthog_mcp.sandbox.compiler.trees import compare, field, select
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.insights.asking import Asking
from posthog_mcp.sandbox.insights.group_rows import WHOLE as WHOLE_GROUP
from posthog_mcp.sandbox.insights.group_rows import group, group_rows
from posthog_mcp.sandbox.insights.people import KINDS, Behind, people_behind
from posthog_mcp.sandbox.queries.asked import Answer, Asked, common, refused, run
from posthog_mcp.sandbox.queries.hogql import HogQLQuery, read, refuse_offset
from posthog_mcp.sandbox.queries.models import QueryModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthog_mcp.sandbox.compiler.world import World
    from posthog_mcp.sandbox.sandbox import Sandbox

_LIMIT = 100
_WHOLE = ("person", "actor")
_DEFAULT = ["person", "id", "created_at", "person.$delete"]
_DEFAULT_OF_GROUPS = ["group", "id"]
_ID_COLUMNS = ("person_id", "actor_id", "id", "distinct_id")
_MOST_PEOPLE = 1_000_000


class ActorsQuery(QueryModel):
    """The query object. `select` is HogQL on persons; `person` is the whole person."""

    kind: Literal["ActorsQuery"]
    source: dict[str, Any] | None = None
    select: list[str] | None = None
    search: str | None = None
    properties: list[dict[str, Any]] | dict[str, Any] | None = None
    fixedProperties: list[dict[str, Any]] | None = None  # noqa: N815 - PostHog's names, here and below
    orderBy: list[str] | None = None  # noqa: N815
    limit: Annotated[int, Field(ge=1)] | None = None
    offset: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None

    def columns(self, default: list[str]) -> list[str]:
        """The names of the columns."""
        return self.select or default


async def actors_query(asked: Asked) -> Answer:
    """Run it; rows come with `person`, or `group`, as an object."""
    model = ActorsQuery.read(asked.query)
    behind = None
    try:
        if model.source is None:
            tree = tree_of(model.model_dump(exclude_none=True), asked.world)
        elif model.source.get("kind") in KINDS:
            behind = await people_behind(Asking(asked), model.source)
            tree = _behind(model, behind, asked.world)
        else:
            source = people_of(model.source, asked.world)
            tree = tree_of(model.model_dump(exclude_none=True), asked.world, source)
    except CompileError as error:
        raise refused(error) from error
    ran = await run(asked, tree, one_more=True)
    index = None if behind is None else behind.group
    names = model.columns(_DEFAULT if index is None else _DEFAULT_OF_GROUPS)
    for row in ran.rows:
        for place, name in enumerate(names):
            if index is not None and name in WHOLE_GROUP:
                row[place] = group(asked.sandbox, index, row[place])
            elif index is None and name in _WHOLE:
                row[place] = _person(asked.sandbox, row[place])
    body = common(asked, ran, print_hogql(tree)) | {
        "columns": names,
        "missing_actors_count": 0,
        "limit": model.limit or _LIMIT,
        "offset": model.offset or 0,
    }
    return Answer(body, ran.read_bytes)


def _behind(model: ActorsQuery, behind: Behind, world: World) -> ast.SelectQuery:
    """The rows of those behind a point of an insight."""
    if behind.group is not None:
        names, order = model.columns(_DEFAULT_OF_GROUPS), model.orderBy or []
        return group_rows(behind, names, order, model.limit or _LIMIT, model.offset or 0)
    tree = tree_of(model.model_dump(exclude_none=True), world)
    same = compare("==", field("persons", "id"), field("source", "actor"))
    assert tree.select_from is not None  # noqa: S101 - it reads persons
    tree.select_from.next_join = ast.JoinExpr(
        table=behind.tree,
        alias="source",
        join_type="INNER JOIN",
        constraint=ast.JoinConstraint(expr=same, constraint_type="ON"),
    )
    return tree


def people_of(source: Mapping[str, Any], world: World) -> ast.Query:
    """The ids of the persons that a source query names, as a query of one column.

    Raises `ApiError` 400 for a source without such a column, and for kinds not built.
    """
    if source.get("kind") != "HogQLQuery":
        raise invalid(f"The sandbox cannot list the people of a {source.get('kind')} yet.", "query__source")
    tree = read(HogQLQuery.read(dict(source)), world)
    refuse_offset(tree)
    if isinstance(tree, ast.SelectQuery):
        named = [_name(column) for column in tree.select]
        for name in _ID_COLUMNS:
            if name in named:
                return _ids(tree, name)
    detail = "Source query must be a single SELECT with one of the columns " + ", ".join(_ID_COLUMNS)
    raise invalid(detail, "query__source")


def _ids(tree: ast.SelectQuery, name: str) -> ast.Query:
    if tree.limit is None:
        tree.limit = ast.Constant(value=_MOST_PEOPLE)
    ids = ast.SelectQuery(select=[field(name)], select_from=ast.JoinExpr(table=tree, alias="source"))
    if name != "distinct_id":
        return ids
    return select([field("person_id")], "person_distinct_ids", where=compare("in", field("distinct_id"), ids))


def _name(column: ast.Expr) -> str:
    if isinstance(column, ast.Alias):
        return column.alias
    return str(column.chain[-1]) if isinstance(column, ast.Field) else ""


def _person(sandbox: Sandbox, uuid: str) -> dict[str, Any]:
    """A person as it is now; only the id when it has been deleted since."""
    people = sandbox.ingest.people
    person = people.get(uuid)
    if person is None:
        return {"id": uuid}
    return {
        "id": uuid,
        "distinct_ids": people.distinct_ids(uuid),
        "properties": person.properties,
        "created_at": iso(person.created_at),
        "is_identified": person.is_identified,
    }
