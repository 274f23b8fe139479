"""The queries every metric is made of: who was exposed, joined to what they did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from posthog_mcp.sandbox.compiler.trees import any_of
from posthog_mcp.sandbox.experiments.trees import between, query

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.compiler.world import World
    from posthog_mcp.sandbox.experiments.exposures import Exposed


@dataclass(frozen=True, slots=True)
class Asking:
    """An experiment's people in a project; results are split by their first `splits` properties.

    `until` hides what happened later, to see the results as they stood then.
    """

    exposed: Exposed
    world: World
    people: ast.SelectQuery
    splits: int = 0
    until: datetime | None = None

    @property
    def split_names(self) -> list[str]:
        """The columns to split by."""
        return [f"split_{number}" for number in range(self.splits)]

    @property
    def names(self) -> str:
        """`variant, split_0, ...`: what every query here hands on."""
        return ", ".join(["variant", *self.split_names])


def events(
    asking: Asking, conditions: Sequence[ast.Expr], columns: Sequence[ast.Expr], later: int
) -> ast.SelectQuery:
    """Events that meet any of the conditions, up to `later` seconds behind the experiment's end.

    Their columns are `actor`, `at`, `id` and those given.
    """
    exposed = asking.exposed
    last = exposed.end + timedelta(seconds=later)
    made = query(
        f"SELECT {exposed.entity} AS actor, timestamp AS at, uuid AS id FROM events"  # noqa: S608 - words of ours
        " WHERE {when} AND {any}",
        when=between(exposed.start, min(last, asking.until or last)),
        any=any_of(list(conditions)),
    )
    made.select.extend(columns)
    return made


def joined(columns: str, of: ast.SelectQuery, asking: Asking, **trees: ast.Node) -> ast.SelectQuery:
    """One row for each exposed person: variant, splits, and `columns` folded from their events.

    In `columns`, `e` is the person and `m` the event; who did nothing has one event at the dawn of time.
    """
    names = "".join(f", any(e.{name}) AS {name}" for name in asking.split_names)
    return query(
        f"SELECT e.who AS person, any(e.variant) AS variant{names}, {columns}"  # noqa: S608 - words of ours
        " FROM {people} AS e LEFT JOIN {events} AS m ON e.who = m.actor GROUP BY person",
        people=asking.people,
        events=of,
        **trees,
    )


def within(seconds: int | None) -> str:
    """The condition that an event counts: at the exposure or after it, within the window."""
    since = "m.at >= e.exposed_at"
    return since if seconds is None else f"{since} AND m.at < e.exposed_at + toIntervalSecond({seconds})"
