"""Splitting by properties: the value of each, and which values keep their name."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.compiler.filters import hogql_expression
from posthog_mcp.sandbox.compiler.trees import call, compare, field, property_of
from posthog_mcp.sandbox.experiments.trees import constant, expr
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.insights.models import Breakdown, BreakdownFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.compiler.world import World

NULL = "$$_posthog_breakdown_null_$$"
OTHER = "$$_posthog_breakdown_other_$$"
LIMIT = 25
Value = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CohortSplit:
    """One cohort, or everybody, when results are split by cohorts: who is in it, its id and its name."""

    where: ast.Expr
    value: int | str
    label: str


def properties_of(given: BreakdownFilter | None) -> list[Breakdown]:
    """The properties to split by, in either form; none for cohorts.

    Raises:
        ApiError: 400 for a form that cannot be read.
    """
    if given is None or given.breakdown_type == "cohort":
        return []
    if given.breakdowns:
        return given.breakdowns
    if given.breakdown is None:
        return []
    named = given.breakdown if isinstance(given.breakdown, list) else [given.breakdown]
    return [
        Breakdown(
            property=name,
            type=given.breakdown_type or "event",
            group_type_index=given.breakdown_group_type_index,
            normalize_url=given.breakdown_normalize_url,
            histogram_bin_count=given.breakdown_histogram_bin_count,
        )
        for name in named
    ]


def check_values(given: BreakdownFilter | None) -> None:
    """Refuse what only trends can do with values: put numbers in bins, hide the values beyond the limit.

    Raises:
        ApiError: 400.
    """
    if given is None:
        return
    if given.breakdown_hide_other_aggregation:
        detail = "breakdown_hide_other_aggregation is for trends."
        raise invalid(detail, "breakdownFilter__breakdown_hide_other_aggregation")
    if any(one.histogram_bin_count for one in properties_of(given)):
        raise invalid("histogram_bin_count is for trends.", "breakdownFilter__histogram_bin_count")


def cohorts_of(given: BreakdownFilter | None, world: World) -> list[CohortSplit]:
    """The cohorts to split by, in the order asked for; none for properties.

    Raises:
        ApiError: 400 for a cohort that does not exist.
    """
    if given is None or given.breakdown_type != "cohort":
        return []
    wanted = given.breakdown if isinstance(given.breakdown, list) else [given.breakdown]
    found: list[CohortSplit] = []
    for one in wanted:
        if one == "all":
            found.append(CohortSplit(constant(value=True), "all", "all users"))
            continue
        number = int(one) if isinstance(one, int) or (one and one.isdecimal()) else 0
        if number not in world.cohorts:
            raise invalid(f"Cohort with id {one} does not exist", "breakdownFilter", "does_not_exist")
        where = compare("in cohort", field("person_id"), constant(number))
        found.append(CohortSplit(where, number, world.cohorts[number].name))
    return found


def raw_value(one: Breakdown) -> ast.Expr:
    """The property itself, typed as the project has it.

    Raises:
        ApiError: 400 for types that the sandbox cannot split by.
        CompileError: HogQL that does not parse.
    """
    name, kind = str(one.property), one.type or "event"
    match kind:
        case "event":
            return property_of([], name)
        case "person":
            return property_of(["person"], name)
        case "session":
            return field("session", name)
        case "group":
            return property_of([f"group_{one.group_type_index or 0}"], name)
        case "event_metadata":
            return field(name)
        case "hogql":
            return hogql_expression(name)
        case _:
            raise invalid(f"Breakdowns of type {kind} cannot be run in the sandbox.", "breakdownFilter")


def text_value(one: Breakdown, missing: str) -> ast.Expr:
    """The property as text; `missing` where there is none, or an empty one."""
    text = call("toString", raw_value(one))
    if one.normalize_url:
        cut = call("replaceRegexpOne", text, constant("[/?#]+$"), constant(""))
        text = expr("if(isNull({value}), NULL, if(empty({cut}), '/', {cut}))", value=text, cut=cut)
    return expr("ifNull(nullIf({value}, ''), {missing})", value=text, missing=constant(missing))


def number_value(one: Breakdown) -> ast.Expr:
    """The property as a number, NULL where it is none."""
    return call("toFloat", raw_value(one))


def binned_value(one: Breakdown, edges: Sequence[float]) -> ast.Expr:
    """The bin that the property lies in, as `[low,high]`; the null marker where it is no number."""
    bins = list(pairwise(edges))
    number, text = number_value(one), constant(NULL)
    for low, high in reversed(bins):
        name = constant(f"[{round(low, 2)},{round(high, 2)}]")
        inside = expr("{n} >= {low} AND {n} < {high}", n=number, low=constant(low), high=constant(high))
        text = call("if", call("ifNull", inside, constant(0)), name, text)
    return text


def bin_edges(low: float, high: float, count: int) -> list[float]:
    """The edges of `count` equal bins; the last is widened, so that it holds the highest value."""
    width = (high - low) / count
    return [*(low + width * number for number in range(count)), high + 0.01]


def ranked(totals: Iterable[tuple[Value, float]], *, nulls_last: bool) -> list[Value]:
    """Values by their totals, the largest first."""

    def rank(one: tuple[Value, float]) -> tuple[Any, ...]:
        value, total = one
        return (nulls_last and is_null(value), -total, value)

    return [value for value, _ in sorted(totals, key=rank)]


def is_null(value: Value) -> bool:
    """Whether the event had none of the properties."""
    return all(part == NULL for part in value)
