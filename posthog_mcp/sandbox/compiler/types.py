"""What the compiler knows about a compiled expression."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthog_mcp.hogql.ast import Scalar

Kind = Literal[
    "String", "Number", "Boolean", "DateTime", "Date", "UUID", "JSON", "Array", "Tuple", "Map", "Interval",
    "State", "Unknown",
]  # fmt: skip


def same_text(text: str) -> str:
    """The export of a document that is not inside a table: nothing to do."""
    return text


@dataclass(frozen=True, slots=True)
class Document:
    """JSON text whose keys can be reached with dots and brackets.

    Attributes:
        base: SQL of the text.
        owner: Whose property definitions type its keys ("event", "person", "group_0" ...); "" for none.
        keys: The path so far; empty for the document itself.
        export: Makes SQL written inside the table's own subquery usable outside of it.
    """

    base: str
    owner: str = ""
    keys: tuple[str | int, ...] = ()
    export: Callable[[str], str] = same_text


@dataclass(frozen=True, slots=True)
class Sql:
    """A compiled expression.

    Attributes:
        text: ClickHouse SQL, safe to place anywhere an expression may stand.
        kind: Its type, as coarse as the compiler needs it.
        nullable: Whether it may be NULL; true when unknown.
        document: Set when dots and brackets can go further into it.
        instant: The same moment without a change of time zone, which can use the primary key.
        is_literal: Whether it is a constant of the query, then `literal` is its value.
        items: The elements of a tuple or array written in the query.
    """

    text: str
    kind: Kind = "Unknown"
    nullable: bool = True
    document: Document | None = None
    instant: str | None = None
    is_literal: bool = False
    literal: Scalar = None
    items: tuple[Sql, ...] | None = None

    def renamed(self, name: str) -> Sql:
        """The same value under an alias, where dots and brackets still reach into JSON text."""
        inner = self.document
        document = None
        if inner is not None and self.kind in ("JSON", "String"):
            document = Document(name, "" if inner.keys else inner.owner)
        return replace(self, text=name, document=document, items=None)


@dataclass(frozen=True, slots=True)
class Output:
    """A column that a SELECT gives to whoever reads from it.

    Attributes:
        label: As the API shows it: the alias, or the expression as HogQL text.
        names: The names by which an outer query may ask for it.
        sql: The value, under the name that the compiler gave it.
    """

    label: str
    names: tuple[str, ...]
    sql: Sql
