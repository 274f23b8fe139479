"""Who was exposed to which variant, and when first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.filters import property_filters
from posthog_mcp.sandbox.compiler.trees import all_of, property_of
from posthog_mcp.sandbox.experiments.settings import MULTIPLE, Breakdown, EventExposure, ExposureCriteria
from posthog_mcp.sandbox.experiments.trees import between, constant, expr, matching, query
from posthog_mcp.sandbox.http.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from posthog_mcp.sandbox.compiler.world import World

CALLED = "$feature_flag_called"
_NO_VALUE = "$$_posthog_breakdown_null_$$"


@dataclass(frozen=True, slots=True)
class Exposed:
    """What decides who belongs to an experiment: from `start` to `end`, both included.

    `group` is the index of the group type whose groups are exposed, None for persons.
    """

    flag_key: str
    variants: Sequence[str]
    start: datetime
    end: datetime
    criteria: ExposureCriteria = field(default_factory=ExposureCriteria)
    group: int | None = None

    @property
    def entity(self) -> str:
        """The column of events that says who."""
        return "person_id" if self.group is None else f"`$group_{self.group}`"

    @property
    def handling(self) -> str:
        """What becomes of people who saw several variants."""
        return self.criteria.multiple_variant_handling or "exclude"

    def event(self, world: World) -> ast.Expr:
        """Which events expose: of one of the variants, and not of test accounts."""
        config = self.criteria.exposure_config
        if config is None or (isinstance(config, EventExposure) and config.event == CALLED):
            called = expr("event = {name} AND {flag} = {key}", name=constant(CALLED),
                          flag=_text("$feature_flag"), key=constant(self.flag_key))  # fmt: skip
            filters = config.properties if isinstance(config, EventExposure) else []
            conditions = [called, property_filters(filters)]
        else:
            conditions = [matching(config, world)]
        if self.criteria.filterTestAccounts is not False and world.test_account_filters:
            conditions.append(property_filters(world.test_account_filters))
        known = ast.Array(exprs=[constant(key) for key in self.variants])
        conditions.append(expr("has({known}, {variant})", known=known, variant=self._variant()))
        return all_of(conditions)

    def people(self, world: World, *, several: bool, breakdowns: Sequence[Breakdown] = ()) -> ast.SelectQuery:
        """One row for each of them: `who, variant, exposed_at, exposure, split_0, ...`.

        Args:
            world: The project.
            several: Keep those who saw several variants, as `$multiple`.
            breakdowns: Properties of the first exposure to split by.
        """
        pick = "argMin({seen}, timestamp)"
        if self.handling != "first_seen":
            pick = "if(uniqExact({seen}) > 1, {multiple}, any({seen}))"
        made = query(
            f"SELECT {self.entity} AS who, {pick} AS variant, min(timestamp) AS exposed_at,"  # noqa: S608 - words of ours
            " argMin(uuid, timestamp) AS exposure FROM events WHERE {when} AND {exposes} AND {is_someone}"
            " GROUP BY who HAVING {keep}",
            seen=self._variant(),
            multiple=constant(MULTIPLE),
            when=between(self.start, self.end),
            exposes=self.event(world),
            is_someone=constant(value=True) if self.group is None else expr(f"{self.entity} != ''"),
            keep=constant(value=True) if several else expr("variant != {m}", m=constant(MULTIPLE)),
        )
        for number, one in enumerate(breakdowns):
            split = expr("argMin({value}, timestamp)", value=_split(one))
            made.select.append(ast.Alias(alias=f"split_{number}", expr=split))
        return made

    def _variant(self) -> ast.Expr:
        config = self.criteria.exposure_config
        default = config is None or (isinstance(config, EventExposure) and config.event == CALLED)
        return _text("$feature_flag_response" if default else f"$feature/{self.flag_key}")


def _text(name: str) -> ast.Expr:
    """An event's property as text, whatever type the project gave it."""
    return expr("JSONExtractString(properties, {name})", name=constant(name))


def _split(one: Breakdown) -> ast.Expr:
    kind, name = one.type or "event", str(one.property)
    if kind not in ("event", "person"):
        raise invalid(f"The sandbox cannot break experiments down by a {kind} property.", "metric")
    value = property_of([] if kind == "event" else ["person"], name)
    return expr("ifNull(toString({value}), {none})", value=value, none=constant(_NO_VALUE))
