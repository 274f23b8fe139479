"""`PathsQuery`: where people go from where, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from posthog_mcp.sandbox.insights.path_steps import edges_of, paths_of
from posthog_mcp.sandbox.insights.paths_query import PathsFilter, PathsQuery, Plan, plan_of

if TYPE_CHECKING:
    from posthog_mcp.sandbox.insights.asking import Asking
    from posthog_mcp.sandbox.insights.path_steps import Step
    from posthog_mcp.sandbox.queries.asked import Answer

_MILLISECOND = 1_000
People = list[tuple[str, "list[Step]"]]


@dataclass(slots=True)
class Walked:
    """How often an edge was walked, and how long it took in microseconds all together."""

    times: int = 0
    took: int = 0


async def paths(asking: Asking) -> Answer:
    """The edges most walked that can be reached from a beginning."""
    plan = await plan_of(asking, PathsQuery.read(asking.asked.query))
    walked = await anyio.to_thread.run_sync(_walked, plan, await plan.people())
    results: list[dict[str, Any]] = [
        {
            "source": source,
            "target": target,
            "value": one.times,
            "average_conversion_time": one.took / one.times / _MILLISECOND,
        }
        for (source, target), one in _kept(plan, walked)
    ]
    return asking.answer(results, plan.period)


def _walked(plan: Plan, people: People) -> dict[tuple[str, str], Walked]:
    found: dict[tuple[str, str], Walked] = {}
    for _, steps in people:
        for path in paths_of(steps, plan.rules):
            for edge in edges_of(path):
                one = found.setdefault((edge.source, edge.target), Walked())
                one.times += 1
                one.took += edge.took
    return found


def _kept(plan: Plan, walked: dict[tuple[str, str], Walked]) -> list[tuple[tuple[str, str], Walked]]:
    least, most = plan.filter.minEdgeWeight or 0, plan.filter.maxEdgeWeight
    heavy = [
        (edge, one)
        for edge, one in walked.items()
        if one.times >= least and (most is None or one.times <= most)
    ]
    heavy.sort(key=lambda pair: (-pair[1].times, pair[0]))
    heavy = heavy[: plan.edges]
    reached: set[str] = set()
    # An edge leads one step on, so edges by the place they begin at see every way to get there.
    for (source, target), _ in sorted(heavy, key=lambda pair: _place(pair[0][0])):
        if _place(source) == 1 or source in reached:
            reached.add(target)
    return [(edge, one) for edge, one in heavy if _place(edge[0]) == 1 or edge[0] in reached]


def _place(step: str) -> int:
    return int(step.partition("_")[0])


async def people_on(plan: Plan) -> dict[str, int]:
    """The people on the edges that the query's keys name, each with how often."""
    found: dict[str, int] = {}
    for actor, steps in await plan.people():
        times = sum(_times(plan.filter, path) for path in paths_of(steps, plan.rules))
        if times:
            found[actor] = times
    return found


def _times(given: PathsFilter, path: list[Step]) -> int:
    """How often a path has the edge; without a key, every edge will do."""
    if given.pathDropoffKey:
        return int(f"{len(path)}_{path[-1].item}" == given.pathDropoffKey)
    start, end = given.pathStartKey, given.pathEndKey
    return sum(start in (None, edge.source) and end in (None, edge.target) for edge in edges_of(path))
