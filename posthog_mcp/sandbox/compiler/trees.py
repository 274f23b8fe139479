"""Short ways to write pieces of a HogQL tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast

if TYPE_CHECKING:
    from collections.abc import Sequence


def field(*chain: str | int) -> ast.Field:
    """A name with its parts; empty ones are left out."""
    return ast.Field(chain=[part for part in chain if part != ""])


def property_of(owner: Sequence[str], key: str) -> ast.Field:
    """`owner.properties.key`."""
    return ast.Field(chain=[*(part for part in owner if part), "properties", key])


def call(name: str, *args: ast.Expr) -> ast.Call:
    """`name(args)`."""
    return ast.Call(name=name, args=list(args))


def compare(op: ast.CompareOp, left: ast.Expr, right: ast.Expr) -> ast.CompareOperation:
    """`left op right`."""
    return ast.CompareOperation(left=left, op=op, right=right)


def all_of(exprs: Sequence[ast.Expr]) -> ast.Expr:
    """All of them; true for none."""
    if not exprs:
        return ast.Constant(value=True)
    return exprs[0] if len(exprs) == 1 else ast.And(exprs=list(exprs))


def any_of(exprs: Sequence[ast.Expr]) -> ast.Expr:
    """Any of them; false for none."""
    if not exprs:
        return ast.Constant(value=False)
    return exprs[0] if len(exprs) == 1 else ast.Or(exprs=list(exprs))


def select(
    columns: list[ast.Expr],
    table: str,
    *,
    where: ast.Expr | None = None,
    group_by: list[ast.Expr] | None = None,
) -> ast.SelectQuery:
    """`select columns from table where ... group by ...`."""
    source = ast.JoinExpr(table=ast.Field(chain=[table]))
    return ast.SelectQuery(select=columns, select_from=source, where=where, group_by=group_by)
