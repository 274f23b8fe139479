"""`in cohort`: a cohort by id or name, and its members at the last finished calculation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.sandbox.compiler.errors import did_you_mean, refuse
from posthog_mcp.sandbox.compiler.types import Sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.compiler.world import Cohort, World


class Cohorts:
    """The cohorts of a project, as queries name them."""

    def __init__(self, world: World) -> None:
        self._by_id = world.cohorts

    def members(self, named: Sql, node: ast.Node) -> Sql:
        """A subquery of the person ids in a cohort.

        Raises:
            CompileError: no cohort has that id or name, or `named` is no constant.
        """
        cohort = self._find(named, node)
        text = f"(SELECT person_id FROM ph.cohort_people WHERE {membership([cohort])})"  # noqa: S608 - numbers
        return Sql(text, "Unknown", nullable=False)

    def _find(self, named: Sql, node: ast.Node) -> Cohort:
        value = named.literal
        if not named.is_literal or isinstance(value, bool) or not isinstance(value, str | int):
            raise refuse("IN COHORT needs the id or the name of a cohort.", node)
        number = value if isinstance(value, int) else int(value) if value.isdecimal() else None
        if number is not None and number in self._by_id:
            return self._by_id[number]
        same = [cohort for cohort in self._by_id.values() if cohort.name == value]
        if len(same) > 1:
            raise refuse(f"Found multiple cohorts with name '{value}'. Use the id instead.", node)
        if same:
            return same[0]
        by = "ID" if isinstance(value, int) else "name"
        hint = did_you_mean(str(value), [cohort.name for cohort in self._by_id.values()])
        raise refuse(f"Could not find a cohort with the {by} {value!r}.{hint}", node)


def membership(cohorts: Iterable[Cohort]) -> str:
    """SQL condition on `cohort_people` for the current members of these cohorts."""
    pairs = ", ".join(f"({cohort.id}, {cohort.version})" for cohort in cohorts)
    return f"(cohort_id, version) IN ({pairs})" if pairs else "0"
