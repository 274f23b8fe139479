"""The tree that HogQL text becomes.

Names and shapes follow PostHog's own tree (the JSON of its parser), so that a reader of one can read the
other. `start` and `end` are character offsets into the text; they take no part in comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Scalar = str | int | float | bool | None


@dataclass(slots=True)
class Node:
    """Anything in the tree."""

    start: int = field(default=0, compare=False, repr=False, kw_only=True)
    end: int = field(default=0, compare=False, repr=False, kw_only=True)


@dataclass(slots=True)
class Expr(Node):
    """Anything that has a value."""


# --- values and names -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Constant(Expr):
    """A literal: text, number, boolean or null."""

    value: Scalar


@dataclass(slots=True)
class Field(Expr):
    """A name with its parts: `properties.$browser` is `["properties", "$browser"]`; `*` is `["*"]`."""

    chain: list[str | int]


@dataclass(slots=True)
class ColumnsExpr(Expr):
    """`columns('regex')`, or `t.* exclude (a)` with `all_columns`."""

    regex: str | None = None
    all_columns: bool = False
    exclude: list[str] = field(default_factory=list[str])
    table: list[str | int] = field(default_factory=list[str | int])


@dataclass(slots=True)
class Placeholder(Expr):
    """`{name}`: a value to be filled in before the query runs."""

    expr: Expr


@dataclass(slots=True)
class Alias(Expr):
    """`expr AS alias`."""

    alias: str
    expr: Expr


@dataclass(slots=True)
class Array(Expr):
    """`[a, b]`."""

    exprs: list[Expr]


@dataclass(slots=True)
class Tuple(Expr):
    """`(a, b)`."""

    exprs: list[Expr]


@dataclass(slots=True)
class Dict(Expr):
    """`{'key': value}`."""

    items: list[tuple[Expr, Expr]]


@dataclass(slots=True)
class ArrayAccess(Expr):
    """`array[property]`; also `array?.x` and `array?[x]` with `nullish`."""

    array: Expr
    property: Expr
    nullish: bool = False


@dataclass(slots=True)
class TupleAccess(Expr):
    """`tuple.1`; also `tuple?.1` with `nullish`."""

    tuple: Expr
    index: int
    nullish: bool = False


@dataclass(slots=True)
class Lambda(Expr):
    """`(a, b) -> expr`."""

    args: list[str]
    expr: Expr


# --- operators --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class And(Expr):
    """All of them."""

    exprs: list[Expr]


@dataclass(slots=True)
class Or(Expr):
    """Any of them."""

    exprs: list[Expr]


@dataclass(slots=True)
class Not(Expr):
    """The opposite."""

    expr: Expr


ArithmeticOp = Literal["+", "-", "*", "/", "%"]


@dataclass(slots=True)
class ArithmeticOperation(Expr):
    """`left op right`."""

    left: Expr
    op: ArithmeticOp
    right: Expr


CompareOp = Literal[
    "==", "!=", "<", "<=", ">", ">=", "like", "ilike", "not like", "not ilike", "in", "not in",
    "global in", "global not in", "in cohort", "not in cohort", "=~", "!~", "=~*", "!~*",
]  # fmt: skip


@dataclass(slots=True)
class CompareOperation(Expr):
    """`left op right`; `x is null` is `x == null` with `null_style`."""

    left: Expr
    op: CompareOp
    right: Expr
    null_style: bool = False


@dataclass(slots=True)
class BetweenExpr(Expr):
    """`expr [not] between low and high`."""

    expr: Expr
    low: Expr
    high: Expr
    negated: bool = False


# --- calls ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class OrderExpr(Node):
    """One key of an ORDER BY."""

    expr: Expr
    order: Literal["ASC", "DESC"] = "ASC"
    nulls: Literal["FIRST", "LAST"] | None = None


@dataclass(slots=True)
class Call(Expr):
    """`name(params)(distinct args order by …) filter (where …)`; `params` only for parametric functions.

    Casts, intervals, CASE, `??`, `?:`, `||` and the like are calls of the function they stand for.
    """

    name: str
    args: list[Expr]
    params: list[Expr] | None = None
    distinct: bool = False
    order_by: list[OrderExpr] | None = None
    filter_expr: Expr | None = None


@dataclass(slots=True)
class ExprCall(Expr):
    """A call of something that is not a plain name, such as a lambda."""

    expr: Expr
    args: list[Expr]


@dataclass(slots=True)
class WindowFrameExpr(Node):
    """One end of a window's frame; `frame_value` none means unbounded (for preceding and following)."""

    frame_type: Literal["CURRENT ROW", "PRECEDING", "FOLLOWING"]
    frame_value: int | None = None


@dataclass(slots=True)
class WindowExpr(Node):
    """`(partition by … order by … rows between … and …)`."""

    partition_by: list[Expr] | None = None
    order_by: list[OrderExpr] | None = None
    frame_method: Literal["ROWS", "RANGE"] | None = None
    frame_start: WindowFrameExpr | None = None
    frame_end: WindowFrameExpr | None = None


@dataclass(slots=True)
class WindowFunction(Expr):
    """`name(params)(exprs) over (…)` or `over name`."""

    name: str
    exprs: list[Expr]
    params: list[Expr] | None = None
    over: WindowExpr | None = None
    over_name: str | None = None


# --- queries ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RatioExpr(Node):
    """`1/10` or `0.1` (right none) in SAMPLE."""

    left: Constant
    right: Constant | None = None


@dataclass(slots=True)
class SampleExpr(Node):
    """`SAMPLE value OFFSET offset`."""

    value: RatioExpr
    offset: RatioExpr | None = None


@dataclass(slots=True)
class JoinConstraint(Node):
    """`ON expr` or `USING expr`."""

    expr: Expr
    constraint_type: Literal["ON", "USING"]


@dataclass(slots=True)
class JoinExpr(Node):
    """One table of a FROM and, in `next_join`, those joined to it."""

    table: Query | Field | Placeholder
    table_args: list[Expr] | None = None
    alias: str | None = None
    column_aliases: list[str] | None = None
    table_final: bool = False
    sample: SampleExpr | None = None
    join_type: str | None = None
    constraint: JoinConstraint | None = None
    next_join: JoinExpr | None = None


@dataclass(slots=True)
class CTE(Node):
    """`name AS (query)` (`subquery`) or `expr AS name` (`column`)."""

    name: str
    expr: Expr
    cte_type: Literal["subquery", "column"]
    columns: list[str] | None = None
    recursive: bool = False


@dataclass(slots=True)
class LimitByExpr(Node):
    """`LIMIT n BY exprs`, with an offset of its own."""

    n: Expr
    exprs: list[Expr]
    offset_value: Expr | None = None


@dataclass(slots=True)
class SelectQuery(Expr):
    """One SELECT."""

    select: list[Expr]
    distinct: bool = False
    ctes: list[CTE] | None = None
    select_from: JoinExpr | None = None
    array_join_op: Literal["ARRAY JOIN", "LEFT ARRAY JOIN", "INNER ARRAY JOIN"] | None = None
    array_join_list: list[Expr] | None = None
    window_exprs: dict[str, WindowExpr] | None = None
    prewhere: Expr | None = None
    where: Expr | None = None
    group_by: list[Expr] | None = None
    group_by_mode: Literal["all", "cube", "rollup", "with cube", "with rollup", "with totals"] | None = None
    having: Expr | None = None
    qualify: Expr | None = None
    order_by: list[OrderExpr] | None = None
    limit_by: LimitByExpr | None = None
    limit: Expr | None = None
    limit_with_ties: bool = False
    offset: Expr | None = None


SetOperator = Literal[
    "UNION ALL", "UNION DISTINCT", "INTERSECT", "INTERSECT ALL", "INTERSECT DISTINCT", "EXCEPT", "EXCEPT ALL",
    "EXCEPT DISTINCT",
]  # fmt: skip


@dataclass(slots=True)
class SelectSetNode(Node):
    """One further SELECT of a union."""

    select_query: Query
    set_operator: SetOperator


@dataclass(slots=True)
class SelectSetQuery(Expr):
    """SELECTs joined by UNION, INTERSECT, EXCEPT, in the order written, with the LIMIT of the whole."""

    initial_select_query: Query
    subsequent_select_queries: list[SelectSetNode]
    limit: Expr | None = None
    offset: Expr | None = None


Query = SelectQuery | SelectSetQuery
