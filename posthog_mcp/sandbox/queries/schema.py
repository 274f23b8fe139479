"""`DatabaseSchemaQuery` and `HogQLMetadata`: what can be queried, and whether a query would run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from posthog_mcp.hogql import HogQLSyntaxError, ast, parse, parse_expr, placeholder_names, walk
from posthog_mcp.sandbox.compiler import CompileError, compile_query
from posthog_mcp.sandbox.compiler.sources import TABLES
from posthog_mcp.sandbox.http.errors import ApiError
from posthog_mcp.sandbox.queries.asked import Answer, Asked
from posthog_mcp.sandbox.queries.hogql import HogQLFilters, HogQLQuery, HogQLVariable, fill
from posthog_mcp.sandbox.queries.models import NotComputed, QueryModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthog_mcp.sandbox.compiler.tables import Column, Table
    from posthog_mcp.sandbox.compiler.types import Kind

_TYPES: Mapping[Kind, str] = {
    "Array": "array",
    "Boolean": "boolean",
    "Date": "date",
    "DateTime": "datetime",
    "JSON": "json",
    "Number": "float",
    "String": "string",
    "UUID": "string",
}


class DatabaseSchemaQuery(QueryModel):
    """Asks for the tables."""

    kind: Literal["DatabaseSchemaQuery"]
    connectionId: NotComputed = None  # noqa: N815 - PostHog's name


class HogQLMetadata(QueryModel):
    """Asks whether a query would run."""

    kind: Literal["HogQLMetadata"]
    language: Literal["hogQL", "hogQLExpr"]
    query: str
    connectionId: NotComputed = None  # noqa: N815
    sourceQuery: NotComputed = None  # noqa: N815
    globals: dict[str, Any] | None = None
    filters: HogQLFilters | None = None
    variables: dict[str, HogQLVariable] | None = None
    debug: bool | None = None


async def database_schema(asked: Asked) -> Answer:
    """Every table with its fields, joins included."""
    DatabaseSchemaQuery.read(asked.query)
    return Answer({"tables": {name: _table(name, table) for name, table in TABLES.items()}, "joins": []})


async def hogql_metadata(asked: Asked) -> Answer:
    """Read and compile without running; mistakes come with their place in the text."""
    model = HogQLMetadata.read(asked.query)
    errors: list[dict[str, Any]] = []
    names: list[str] = []
    try:
        tree = _tree(model, asked)
        names = _tables(tree)
        compile_query(tree, asked.world)
    except HogQLSyntaxError as error:
        errors.append(_error(error.message, error.start, error.end))
    except CompileError as error:
        errors.append(_error(error.message, error.start, error.end))
    except ApiError as error:
        errors.append(_error(error.detail, 0, len(model.query)))
    return Answer(
        {
            "query": model.query,
            "isValid": not errors,
            "isUsingIndices": "undecisive",
            "errors": errors,
            "warnings": [],
            "notices": [],
            "table_names": names,
            "ch_table_names": [],
        }
    )


def _tree(model: HogQLMetadata, asked: Asked) -> ast.Query:
    if model.language == "hogQLExpr":
        expression = parse_expr(model.query)
        source = ast.JoinExpr(table=ast.Field(chain=["events"]))
        return ast.SelectQuery(select=[expression], select_from=source)
    tree = parse(model.query)
    # Values come when the query runs; here any will do.
    values: dict[str, Any] = dict.fromkeys([*placeholder_names(tree), "filters"], "")
    whole = HogQLQuery(
        kind="HogQLQuery",
        query=model.query,
        values={**values, **(model.globals or {})},
        filters=model.filters,
        variables=model.variables,
    )
    return fill(tree, whole, asked.world)


def _tables(tree: ast.Query) -> list[str]:
    ctes = {node.name for node in walk(tree) if isinstance(node, ast.CTE)}
    found: dict[str, None] = {}
    for node in walk(tree):
        if isinstance(node, ast.JoinExpr) and isinstance(node.table, ast.Field):
            found[".".join(str(part) for part in node.table.chain)] = None
    return [name for name in found if name not in ctes]


def _error(message: str, start: int, end: int) -> dict[str, Any]:
    return {"message": message, "start": start, "end": end, "fix": None}


def _table(name: str, table: Table) -> dict[str, Any]:
    fields = {key: _field(key, column) for key, column in table.columns.items() if not column.hidden}
    for key, join in table.joins.items():
        fields[key] = _reference(key, "lazy_table", join.table)
    for key in sorted(table.virtual):
        fields[key] = _reference(key, "virtual_table", "person_distinct_ids" if key == "pdi" else "persons")
    return {"id": name, "name": name, "type": "posthog", "row_count": None, "fields": fields}


def _field(name: str, column: Column) -> dict[str, Any]:
    return {
        "name": name,
        "hogql_value": name,
        "type": _TYPES.get(column.kind, "unknown"),
        "schema_valid": True,
        "table": None,
        "fields": None,
        "chain": None,
        "id": None,
    }


def _reference(name: str, kind: str, table: str) -> dict[str, Any]:
    fields = [key for key, column in TABLES[table].columns.items() if not column.hidden]
    return {
        "name": name,
        "hogql_value": name,
        "type": kind,
        "schema_valid": True,
        "table": table,
        "fields": fields,
        "chain": None,
        "id": name,
    }
