"""What a query may know of the project it runs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

PropertyType = Literal["String", "Numeric", "Boolean", "DateTime"]
PersonMode = Literal[
    "person_id_override_properties_on_events",
    "person_id_override_properties_joined",
    "person_id_no_override_properties_on_events",
    "disabled",
]

MAX_ROWS = 50_000


def _untyped(kind: str, name: str) -> PropertyType | None:  # noqa: ARG001 - the shape of the callable
    return None


@dataclass(frozen=True, slots=True)
class Cohort:
    """A cohort that a query can name; `version` is that of its last finished calculation."""

    id: int
    name: str
    is_static: bool = False
    version: int = 0


@dataclass(frozen=True, slots=True)
class Action:
    """An action that a query can match; `steps` are those of PostHog's API, any of which suffices."""

    id: int
    name: str
    steps: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class World:
    """A project as its queries see it.

    Attributes:
        project_id: The number that events show as `team_id`.
        timezone: IANA name; texts are read and days are cut in it.
        now: The moment that `now()` and relative dates start from, with a time zone.
        property_type: The definition of a property, by kind ("event", "person", "group_0" ... "group_4")
            and name; None when it has no type.
        group_types: Names of the group types by index 0 to 4.
        cohorts: By id.
        actions: By id.
        test_account_filters: Property filters that leave out internal users.
        week_start: 0 Sunday, 1 Monday.
        person_mode: How events find their persons: PostHog's `personsOnEventsMode`.
        has_overrides: Whether merges have moved distinct ids; without any, events need no join.
        moved_issues: The issue of every exception's fingerprint whose older events name another one.
        max_rows: No answer is longer.
    """

    project_id: int = 1
    timezone: str = "UTC"
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    property_type: Callable[[str, str], PropertyType | None] = _untyped
    group_types: Mapping[int, str] = field(default_factory=dict[int, str])
    cohorts: Mapping[int, Cohort] = field(default_factory=dict[int, Cohort])
    actions: Mapping[int, Action] = field(default_factory=dict[int, Action])
    test_account_filters: Sequence[Mapping[str, Any]] = ()
    week_start: Literal[0, 1] = 0
    person_mode: PersonMode = "person_id_override_properties_on_events"
    has_overrides: bool = False
    moved_issues: Mapping[str, str] = field(default_factory=dict[str, str])
    max_rows: int = MAX_ROWS
