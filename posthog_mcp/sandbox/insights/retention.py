"""`RetentionQuery`: of those who did something in a period, how many came back in each later one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.trees import all_of, any_of, call, compare, field, select
from posthog_mcp.sandbox.experiments.trees import constant, expr, moment, query
from posthog_mcp.sandbox.insights.asking import Asking, alias
from posthog_mcp.sandbox.insights.breakdowns import LIMIT, OTHER, CohortSplit
from posthog_mcp.sandbox.insights.periods import after, bucket_of, numbers
from posthog_mcp.sandbox.insights.retention_query import Plan, RetentionQuery, plan_of
from posthog_mcp.sandbox.insights.series import actor_of, filters_of_query, has_actor, matching, named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthog_mcp.sandbox.queries.asked import Answer

_HOURS = {"hour": 1, "day": 24, "week": 7 * 24, "month": 30 * 24}
Json = dict[str, Any]
Value = tuple[str, ...]
Counts = dict[tuple[int, int], int]


async def retention(asking: Asking) -> Answer:
    """Rows of periods, in them how many came back; for each value one after the other."""
    plan = await plan_of(asking, RetentionQuery.read(asking.asked.query))
    results: list[Json] = []
    if plan.cohorts:
        for cohort in plan.cohorts:
            counts = (await _counts(plan, cohort)).get((), {})
            results += _rows(plan, counts, cohort.value)
    elif not plan.splits:
        results = _rows(plan, (await _counts(plan)).get((), {}), None)
    else:
        for value, counts in _limited(plan, await _counts(plan)).items():
            results += _rows(plan, counts, "::".join(value))
    return asking.answer(results, plan.period)


async def _counts(plan: Plan, cohort: CohortSplit | None = None) -> dict[Value, Counts]:
    """How many actors each row has in each cell, by value."""
    if not plan.period.starts:
        return {}
    names = [f"split_{number}" for number in range(len(plan.splits))]
    columns = ", ".join([*names, "row", "cell"])
    totals = query(
        f"SELECT {columns}, count() AS number FROM (SELECT {', '.join([*names, 'row'])},"  # noqa: S608 - names of ours
        f" arrayJoin(appearances) AS cell FROM {{people}}) GROUP BY {columns}",
        people=people(plan, cohort),
    )
    found: dict[Value, Counts] = {}
    for *value, row, cell, number in await plan.asking.rows(totals):
        found.setdefault(tuple(value), {})[row, cell] = number
    return found


def _limited(plan: Plan, counts: Mapping[Value, Counts]) -> dict[Value, Counts]:
    """Values by the size of their cohorts; those beyond the limit are added up."""

    def size(value: Value) -> int:
        return sum(number for (_, cell), number in counts[value].items() if cell == 0)

    given = plan.model.breakdownFilter
    limit = (given.breakdown_limit if given else None) or LIMIT
    order = sorted(counts, key=lambda value: (-size(value), value))
    rest: Counts = {}
    for value in order[limit:]:
        for place, number in counts[value].items():
            rest[place] = rest.get(place, 0) + number
    return {value: counts[value] for value in order[:limit]} | ({(OTHER,): rest} if rest else {})


def _rows(plan: Plan, counts: Counts, value: str | int | None) -> list[Json]:
    unit = plan.filter.period or "Day"
    told = [f"{unit} {first}" + (f"-{last}" if last > first else "") for first, last in plan.filter.cells]
    return [
        {
            "date": start.isoformat(),
            "label": f"{unit} {row}",
            "values": [
                {"count": counts.get((row, cell), 0), "label": label} for cell, label in enumerate(told)
            ],
            "breakdown_value": value,
        }
        for row, start in enumerate(plan.period.starts)
    ]


def people(plan: Plan, cohort: CohortSplit | None = None) -> ast.SelectQuery:
    """One row for each actor and row it belongs to: `actor, split_0, ..., row, appearances`.

    `appearances` are the numbers of the cells the actor is in, ascending.
    """
    names = "".join(f", split_{number}" for number in range(len(plan.splits)))
    if plan.filter.timeWindowMode == "24_hour_windows":
        hours = _HOURS[plan.filter.interval]
        row = f"intDiv(dateDiff('hour', {{start}}, first), {hours})"
        later = "arrayFilter(t -> t > first, came)"
        came = f"arrayMap(t -> intDiv(dateDiff('hour', first, t), {hours}), {later})"
        begun = f"arrayFilter(r -> notEmpty(begun) AND r >= 0 AND r < {len(plan.period.starts)}, [{row}])"
    else:
        begun = "begun"
        came = "arrayMap(p -> p - row, arrayFilter(p -> p > row, places))"
    rows = query(
        f"SELECT actor{names}, arrayJoin({begun}) AS row, first, came, {_places(plan)} AS places"  # noqa: S608 - names of ours
        " FROM {actors}",
        start=moment(plan.period.starts[0]),
        actors=_actors(plan, cohort),
    )
    return query(
        f"SELECT actor{names}, row, {_appearances(plan, came)} AS appearances FROM {{rows}}",  # noqa: S608 - names of ours
        cells=numbers([first for first, _ in plan.filter.cells[1:]] or [1]),
        rows=rows,
    )


def _places(plan: Plan) -> str:
    """The periods with enough returning events."""
    least = plan.filter.minimumOccurrences or 1
    return f"arrayFilter(p -> countEqual(returned, p) >= {least}, arrayDistinct(returned))"


def _appearances(plan: Plan, came: str) -> str:
    """The cells of a row that its periods, counted from the start, lie in."""
    last = plan.filter.cells[-1][1]
    within = f"arrayFilter(k -> k >= 1 AND k <= {last}, {came})"
    cells = f"arrayMap(k -> indexOf({{cells}}, roundDown(k, {{cells}})), {within})"
    if plan.filter.cumulative:
        return f"range(0, arrayMax(arrayConcat([0], {cells})) + 1)"
    return f"arraySort(arrayDistinct(arrayConcat([0], {cells})))"


def _actors(plan: Plan, cohort: CohortSplit | None) -> ast.SelectQuery:
    """One row for each actor and value: `begun` are its rows, `returned` the periods of returning events."""
    splits = [f"split_{number}" for number in range(len(plan.splits))]
    ever = plan.filter.retentionType == "retention_first_ever_occurrence"
    firsts = ever or plan.filter.retentionType == "retention_first_time"
    chosen = {name: f"argMinIf({name}, at, named) AS {name}_of_first" if ever else name for name in splits}
    values = "".join(f", {one}" for one in chosen.values())
    grouped = ", ".join(["actor", *([] if ever else splits)])
    told = "".join(f", {name}_of_first AS {name}" if ever else f", {name}" for name in splits)
    # A time no event has: minIf of nothing is the dawn of time, which lies before any range.
    begun = "if(first >= {start}, [place_of_first], [])" if firsts else "targets"
    if ever:
        begun = begun.replace("first >= {start}", "first >= {start} AND first = first_named")
    folded = query(
        f"SELECT actor{values}, minIf(at, target) AS first, minIf(at, named) AS first_named,"  # noqa: S608 - names of ours
        " argMinIf(place, at, target) AS place_of_first,"
        " groupUniqArrayIf(place, target AND at >= {start}) AS targets,"
        " groupArrayIf(place, returning AND at >= {start}) AS returned,"
        f" groupArrayIf(at, returning AND at >= {{start}}) AS came FROM {{events}} GROUP BY {grouped}",
        start=moment(plan.period.starts[0]),
        events=_events(plan, cohort, history=firsts),
    )
    return query(
        f"SELECT actor{told}, first, came, returned, {begun} AS begun FROM {{folded}}",  # noqa: S608 - names of ours
        start=moment(plan.period.starts[0]),
        folded=folded,
    )


def _events(plan: Plan, cohort: CohortSplit | None, *, history: bool) -> ast.SelectQuery:
    """Targets and returns with the number of their period, and what came before where firsts matter."""
    world, group, period = plan.asking.world, plan.model.aggregation_group_type_index, plan.period
    target, returning = plan.filter.target, plan.filter.returning
    begins, comes = matching(target, world), matching(returning, world)
    until = compare("<", field("timestamp"), moment(after(period.starts[-1], period.interval)))
    since = compare(">=", field("timestamp"), moment(period.starts[0]))
    place = expr(
        "indexOf({epochs}, {bucket}) - 1", epochs=numbers(period.epochs), bucket=bucket_of(period.epochs)
    )
    return select(
        [
            alias("actor", actor_of(group)),
            alias("at", field("timestamp")),
            alias("place", place),
            alias("target", call("if", begins, constant(1), constant(0))),
            alias("named", call("if", named(target, world), constant(1), constant(0))),
            alias("returning", call("if", comes, constant(1), constant(0))),
            *(alias(f"split_{number}", one) for number, one in enumerate(plan.splits)),
        ],
        "events",
        where=all_of(
            [
                until,
                any_of([named(target, world), comes]),
                *([] if history else [since]),
                filters_of_query(plan.model, world),
                has_actor(group),
                *([cohort.where] if cohort else []),
            ]
        ),
    )
