"""Which names a query sees, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posthog_mcp.sandbox.compiler.errors import CompileError, did_you_mean, refuse
from posthog_mcp.sandbox.compiler.properties import read_property
from posthog_mcp.sandbox.compiler.relations import TableRelation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.compiler.relations import Relation, Source
    from posthog_mcp.sandbox.compiler.types import Output, Sql
    from posthog_mcp.sandbox.compiler.world import World


@dataclass(slots=True)
class QueryCte:
    """`name AS (query)`, compiled."""

    text: str
    outputs: Sequence[Output]


@dataclass(slots=True)
class ValueCte:
    """`expr AS name`: compiled anew wherever the name stands."""

    expr: ast.Expr


@dataclass(slots=True)
class Scope:
    """The names of one SELECT.

    Attributes:
        world: The project.
        outer: The SELECT around it, whose CTEs are visible here.
        relations: What is in the FROM, by alias or table name.
        merged: Columns of USING, which stand for either side.
        aliases: What the SELECT list and ARRAY JOIN have named.
        ctes: Of the WITH.
        locals: Arguments of the lambdas around, innermost last.
        windows: Of the WINDOW clause.
    """

    world: World
    outer: Scope | None = None
    relations: dict[str, Source] = field(default_factory=dict[str, "Source"])
    merged: dict[str, Sql] = field(default_factory=dict[str, "Sql"])
    aliases: dict[str, Sql] = field(default_factory=dict[str, "Sql"])
    ctes: dict[str, QueryCte | ValueCte] = field(default_factory=dict[str, "QueryCte | ValueCte"])
    locals: list[dict[str, Sql]] = field(default_factory=list[dict[str, "Sql"]])
    windows: dict[str, ast.WindowExpr] = field(default_factory=dict[str, "ast.WindowExpr"])

    def cte(self, name: str) -> QueryCte | ValueCte | None:
        """The CTE of that name, of this SELECT or one around it."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.ctes:
                return scope.ctes[name]
            scope = scope.outer
        return None

    def events(self, node: ast.Node) -> str:
        """The name under which this query reads events; refused when it does not, or more than once."""
        found = [
            name
            for name, relation in self.relations.items()
            if isinstance(relation, TableRelation) and "elements_chain" in relation.table.columns
        ]
        if len(found) != 1:
            raise refuse("This needs a query that reads the events table exactly once.", node)
        return found[0]

    def resolve(self, node: ast.Field) -> Sql:
        """What a name stands for here.

        Raises:
            CompileError: nothing has that name, or more than one thing.
        """
        chain = node.chain
        head = str(chain[0])
        for names in reversed(self.locals):
            if head in names:
                return self._into(names[head], chain[1:], node)
        if len(chain) > 1 and head in self.relations:
            return self._within(self.relations[head], chain[1:], node)
        if head in self.aliases:
            return self._into(self.aliases[head], chain[1:], node)
        if head in self.merged:
            return self._into(self.merged[head], chain[1:], node)
        owners = [relation for relation in self.relations.values() if relation.has(head)]
        if len(owners) > 1:
            raise refuse(f"Ambiguous query. Found multiple sources for field: {head}", node)
        if owners:
            return self._within(owners[0], chain, node)
        raise self._unknown(node)

    def _within(self, relation: Relation, chain: Sequence[str | int], node: ast.Field) -> Sql:
        name, rest = str(chain[0]), chain[1:]
        document = relation.document(name) if rest else None
        if document is not None:
            return read_property(document, tuple(rest), self.world)
        column = relation.column(name)
        if column is not None:
            return self._into(column, rest, node)
        member = relation.member(name)
        if member is None:
            raise self._unknown(node, relation)
        if not rest:
            example = f"{name}.{member.names()[0]}"
            raise refuse(f"Cannot select {name} as a whole: name one of its fields, such as {example}.", node)
        return self._within(member, rest, node)

    def _into(self, value: Sql, rest: Sequence[str | int], node: ast.Field) -> Sql:
        if not rest:
            return value
        if value.document is None:
            raise self._unknown(node)
        return read_property(value.document, tuple(rest), self.world)

    def _unknown(self, node: ast.Field, relation: Relation | None = None) -> CompileError:
        written = ".".join(str(part) for part in node.chain)
        known = relation.names() if relation is not None else self._names()
        return refuse(
            f"Unable to resolve field: {written}{_hint(str(node.chain[-1 if relation else 0]), known)}", node
        )

    def _names(self) -> list[str]:
        columns = [name for relation in self.relations.values() for name in relation.names()]
        return [*columns, *self.aliases, *self.relations]


def _hint(name: str, known: Sequence[str]) -> str:
    hint = did_you_mean(name, known)
    return f".{hint}" if hint else ""
