"""Whom an error hit: the people, their versions, and what their flags were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from posthog_mcp.tool.asking import rows_of
from posthog_mcp.tool.persons import read

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

Json = dict[str, Any]
Values = dict[str, list[tuple[Any, int]]]
"""By property or flag: each value with how many people had it, most people first."""

_FLAG = "$feature/"
# What tells one group of people or machines from another, in the names of PostHog's SDKs.
_CIRCUMSTANCES = ("$app_version", "$environment", "$lib", "$os", "$browser", "$device_type")
_VALUES_SHOWN = 5
_OF_THE_ISSUE = (
    " FROM events WHERE event = '$exception' AND toString(issue_id) = {issue}"
    " AND timestamp >= toDateTime({since}) AND timestamp <= toDateTime({until})"
)
_PEOPLE = (
    "SELECT toString(person_id) AS person, arraySlice(groupUniqArray(distinct_id), 1, 3) AS ids,"
    f" count() AS occurrences, max(timestamp) AS last_seen{_OF_THE_ISSUE}"
    " GROUP BY person ORDER BY occurrences DESC, person LIMIT {most}"
)
_HAD = (
    "SELECT pair.1 AS name, pair.2 AS value, count(DISTINCT person_id) AS people FROM ("  # noqa: S608 - words of ours
    f"SELECT person_id, arrayJoin(JSONExtractKeysAndValuesRaw(properties)) AS pair{_OF_THE_ISSUE})"
    " WHERE startsWith(pair.1, {flag}) OR pair.1 IN {names}"
    " GROUP BY name, value ORDER BY people DESC, name, value LIMIT 500"
)
_EVALUATED = (
    "SELECT properties.$feature_flag AS flag, toString(properties.$feature_flag_response) AS value,"
    " count(DISTINCT person_id) AS people FROM events WHERE event = '$feature_flag_called'"
    " AND timestamp >= toDateTime({since}) AND timestamp <= toDateTime({until})"
)
_BY_VALUE = " GROUP BY flag, value ORDER BY people DESC LIMIT 1000"
_FOR_EVERYONE = f"{_EVALUATED} AND properties.$feature_flag IN {{flags}}{_BY_VALUE}"
_FOR_THEM = f"{_EVALUATED} AND person_id IN (SELECT person_id{_OF_THE_ISSUE}){_BY_VALUE}"


@dataclass(frozen=True, slots=True)
class Impact:
    """What the events of one issue say of a period, both ends ISO times."""

    ctx: Context
    project: Project
    issue_id: str
    since: str
    until: str

    async def people(self, most: int) -> list[Json]:
        """Whom it happened to most often, with the ids that events name them by."""
        rows = await self._rows(_PEOPLE, issue=self.issue_id, most=most)
        names = ("person_id", "distinct_ids", "occurrences", "last_seen")
        return [dict(zip(names, row, strict=True)) for row in rows]

    async def values(self) -> Values:
        """What the people had: versions, platforms, and flags under `$feature/<key>`."""
        rows = await self._rows(_HAD, issue=self.issue_id, flag=_FLAG, names=list(_CIRCUMSTANCES))
        found: Values = {}
        for name, value, people in rows:
            found.setdefault(name, []).append((read(value), int(people)))
        return found

    async def evaluated(self) -> Values:
        """By flag: what was evaluated for the people in the period, whether or not their events say so."""
        found: Values = {}
        for flag, value, people in await self._rows(_FOR_THEM, issue=self.issue_id):
            found.setdefault(flag, []).append((_on_or_off(_text(value)), int(people)))
        return found

    async def compared(self, flags: Values, affected: int, most: int) -> list[Json]:
        """What the people had for each flag, beside what everyone had for whom it was evaluated.

        Args:
            flags: From `flags_in`, or from `evaluated`.
            affected: How many people the issue happened to.
            most: How many to give; those whose shares differ most come first.
        """
        if not flags:
            return []
        usual = await self._usual(list(flags))
        found: list[tuple[float, Json]] = []
        for flag, had in flags.items():
            for value, people in had:
                share = round(people / max(affected, 1), 3)
                told: Json = {"flag": flag, "value": value, "people": people, "share": share}
                if flag in usual:
                    told["usual_share"] = usual[flag].get(_text(value), 0.0)
                found.append((abs(share - told.get("usual_share", share)), told))
        found.sort(key=lambda one: (-one[0], -one[1]["people"]))
        return [told for _, told in found[:most]]

    async def _usual(self, flags: list[str]) -> dict[str, dict[str, float]]:
        """By flag and value: the share of the people for whom the flag was evaluated."""
        rows = await self._rows(_FOR_EVERYONE, flags=flags)
        people: dict[str, dict[str, int]] = {}
        for flag, value, count in rows:
            people.setdefault(flag, {})[_text(value)] = int(count)
        return {
            flag: {value: round(count / sum(counts.values()), 3) for value, count in counts.items()}
            for flag, counts in people.items()
        }

    async def _rows(self, hogql: str, **values: Any) -> list[list[Any]]:
        return await rows_of(self.ctx, self.project, hogql, since=self.since, until=self.until, **values)


def flags_in(values: Values) -> Values:
    """The flags among `Impact.values`, by key."""
    return {name.removeprefix(_FLAG): had for name, had in values.items() if name.startswith(_FLAG)}


def people_by(values: Values) -> Json:
    """How many people had each version and platform of `Impact.values`: `{"browser": {"Safari": 12}}`."""
    return {
        name.removeprefix("$"): {str(value): people for value, people in had[:_VALUES_SHOWN]}
        for name, had in values.items()
        if not name.startswith(_FLAG)
    }


def _text(value: Any) -> str:
    """The value as flags write it: PostHog shows booleans as 1, true or True, by version and type."""
    return {"1": "true", "0": "false"}.get(str(value).lower(), str(value).lower())


def _on_or_off(value: str) -> str | bool:
    return {"true": True, "false": False}.get(value, value)
