"""`HogQLQuery`: text, placeholders, rows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from posthog_mcp.hogql import (
    HogQLSyntaxError,
    PlaceholderError,
    ast,
    fill_placeholders,
    parse,
    placeholder_names,
    print_hogql,
    walk,
)
from posthog_mcp.sandbox.compiler import CompileError
from posthog_mcp.sandbox.compiler.placeholders import fill_filters
from posthog_mcp.sandbox.http.errors import ApiError, invalid
from posthog_mcp.sandbox.queries.asked import Answer, Asked, common, refused, run
from posthog_mcp.sandbox.queries.models import Model, NotComputed, QueryModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthog_mcp.sandbox.compiler.world import World


class DateRange(Model):
    """From and to, ISO or relative; `all` lifts a bound."""

    date_from: str | None = None
    date_to: str | None = None
    explicitDate: bool | None = None  # noqa: N815 - PostHog's names, here and below


class HogQLFilters(Model):
    """What `{filters}` stands for."""

    properties: list[dict[str, Any]] | None = None
    dateRange: DateRange | None = None  # noqa: N815
    filterTestAccounts: bool | None = None  # noqa: N815


class HogQLVariable(Model):
    """The value of one `{variables.code_name}`."""

    variableId: str  # noqa: N815
    code_name: str
    value: Any = None
    isNull: bool | None = None  # noqa: N815


class HogQLQuery(QueryModel):
    """The query object."""

    kind: Literal["HogQLQuery"]
    query: Annotated[str, Field(max_length=1_000_000)]
    values: dict[str, Any] | None = None
    variables: dict[str, HogQLVariable] | None = None
    filters: HogQLFilters | None = None
    explain: NotComputed = None
    name: str | None = None
    connectionId: NotComputed = None  # noqa: N815
    sendRawQuery: NotComputed = None  # noqa: N815


async def hogql_query(asked: Asked) -> Answer:
    """Run one SELECT as written."""
    model = HogQLQuery.read(asked.query)
    since = time.perf_counter()
    tree = read(model, asked.world)
    refuse_offset(tree)
    asked.timed("parse_select", since)
    ran = await run(asked, tree)
    body = common(asked, ran, print_hogql(tree)) | {
        "types": [list(pair) for pair in zip(ran.columns, ran.types, strict=True)],
        "query": model.query,
        "clickhouse": None,
        "explain": None,
        "metadata": None,
    }
    return Answer(body, ran.read_bytes)


def read(model: HogQLQuery, world: World) -> ast.Query:
    """The tree of a query with every placeholder filled.

    Raises `ApiError` 400 for text that is no HogQL, and placeholders without a value.
    """
    try:
        return fill(parse(model.query), model, world)
    except HogQLSyntaxError as error:
        raise syntax_error(error) from error


def fill(tree: ast.Query, model: HogQLQuery, world: World) -> ast.Query:
    """The tree with its values, `{filters}` and `{variables.x}`. Raises `ApiError` 400 for those missing."""
    if model.values:
        _refuse_filters(tree, model.values)
    filters = model.filters.model_dump(exclude_none=True) if model.filters else None
    variables = {one.code_name: None if one.isNull else one.value for one in (model.variables or {}).values()}
    values = {**(model.values or {}), "variables": variables}
    try:
        return fill_placeholders(fill_filters(tree, filters, world), values, leave=())
    except CompileError as error:
        raise refused(error) from error
    except PlaceholderError as error:
        names = ", ".join(f"{{{name}}}" for name in error.names)
        raise invalid(f"Query contains unresolved placeholders: {names}. Give them in `values`.") from error
    except TypeError as error:
        raise invalid(f"A value of the query is of no type that HogQL has: {error}") from error


def _refuse_filters(tree: ast.Query, values: Mapping[str, Any]) -> None:
    """PostHog fills in values first, and then knows no `{filters}` among them."""
    for name in placeholder_names(tree):
        if name.split(".")[0] == "filters" and "filters" not in values:
            raise invalid(
                f"Placeholder {{{name}}} is not available in this context. You can use the following: "
                + ", ".join(values)
            )


def refuse_offset(tree: ast.Query) -> None:
    """Personal keys may not page by OFFSET; raises PostHog's 400."""
    for node in walk(tree):
        offset = node.offset_value if isinstance(node, ast.LimitByExpr) else getattr(node, "offset", None)
        if offset is not None and not isinstance(node, ast.SampleExpr):
            raise invalid(
                "OFFSET is not supported on queries made with a personal API key. Page by key instead: order "
                "by timestamp and uuid, and ask for rows beyond the last one seen."
            )


def syntax_error(error: HogQLSyntaxError) -> ApiError:
    """400 with the position in words."""
    return invalid(f"Syntax error at line {error.line}, column {error.column}: {error.message}")
