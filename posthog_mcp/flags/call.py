"""What one evaluation is about, and the rules its flags were compiled under."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypedDict

from posthog_mcp.flags.decision import Unknown

Properties = Mapping[str, Any]
_NOTHING: Mapping[str, Any] = {}


class Absence(Enum):
    """What it means that a property, a cohort or a group is not at hand.

    `UNKNOWN` is a caller's view: it may well exist in PostHog, so the flag may be undecided. `KNOWN` is
    the server's own: all there is was passed, so what is absent does not exist, and every flag has a value.
    """

    UNKNOWN = "unknown"
    KNOWN = "known"


@dataclass(frozen=True, slots=True)
class Rules:
    """How definitions are read.

    Attributes:
        absence: Whether what was not passed may exist all the same.
        matching_version: PostHog's `property_matching_version`: 1 reads the words true and false as truth.
        ignore_super_groups: Decide a flag with the old early-access form by its release conditions alone,
            as PostHog's own packages do and its server does not.
    """

    absence: Absence = Absence.UNKNOWN
    matching_version: int = 1
    ignore_super_groups: bool = False

    @property
    def served(self) -> bool:
        """Whether these are the server's rules."""
        return self.absence is Absence.KNOWN


class Context(TypedDict, total=False):
    """What may be passed to an evaluation besides the person's distinct id.

    Attributes:
        groups: Group key by group type name.
        person_properties: What is known of the person; `distinct_id` is added when it is not given.
        group_properties: What is known of each group, by group type name; `{}` for a group of which
            nothing is known. `$group_key` is added when it is not given.
        device_id: The device, for flags that hash it.
        now: The present for relative dates; by default the clock.
        cohorts: Ids, as text, of the cohorts the person is in. Server rules only.
        hash_keys: Flag key to the id remembered for experience continuity. Server rules only.
    """

    groups: Mapping[str, Any] | None
    person_properties: Properties | None
    group_properties: Mapping[str, Properties] | None
    device_id: str
    now: datetime | None
    cohorts: Container[str]
    hash_keys: Mapping[str, str]


class Call:
    """The subject of an evaluation, its properties, and the dependencies tried so far."""

    __slots__ = (
        "cohorts",
        "device_id",
        "distinct_id",
        "group_properties",
        "groups",
        "hash_keys",
        "now",
        "person",
        "tried",
    )

    def __init__(self, distinct_id: str, context: Context) -> None:
        person = context.get("person_properties") or _NOTHING
        groups = context.get("groups") or _NOTHING
        known = context.get("group_properties") or _NOTHING
        self.distinct_id = str(distinct_id)
        self.person = person if "distinct_id" in person else {"distinct_id": distinct_id, **person}
        self.groups: Mapping[str, str] = {name: str(key) for name, key in groups.items()} if groups else {}
        self.group_properties: Mapping[str, Properties] = {
            name: {"$group_key": key, **known[name]}
            for name, key in groups.items()
            if known.get(name) is not None
        }
        self.device_id = context.get("device_id") or ""
        self.now = context.get("now")
        self.cohorts: Container[str] = context.get("cohorts") or ()
        self.hash_keys: Mapping[str, str] = context.get("hash_keys") or {}
        self.tried: dict[str, bool | str | None] = {}

    def clock(self) -> datetime:
        """The present, or the moment the caller asked about."""
        if self.now is None:
            self.now = datetime.now(UTC)
        return self.now


Matcher = Callable[[Properties, Call], bool | Unknown]
