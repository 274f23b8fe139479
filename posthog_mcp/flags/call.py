"""What one evaluation is about, and the rules its flags were compiled under."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypedDict

from posthog_mcp.flags.buckets import encoded
from posthog_mcp.flags.decision import Unknown

if TYPE_CHECKING:
    from posthog_mcp.flags.flag import CompiledFlag

Properties = Mapping[str, Any]


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
    """What may be passed to an evaluation besides the person's distinct id; see `FlagSet.evaluate`."""

    groups: Mapping[str, Any] | None
    person_properties: Properties | None
    group_properties: Mapping[str, Properties] | None
    device_id: str
    now: datetime | None
    cohorts: Container[str]
    hash_keys: Mapping[str, str] | None


class Call:
    """The subject of an evaluation, its properties, the flags of the set and the dependencies tried so far.

    `hashed` and the values of `groups` are ids as they are hashed. What is seldom passed is set on the
    class, since making one of these is a good part of a single evaluation's time.
    """

    groups: Mapping[str, bytes] = MappingProxyType({})
    group_properties: Mapping[str, Properties] = MappingProxyType({})
    device_id = ""
    now: datetime | None = None
    cohorts: Container[str] = ()
    hash_keys: Mapping[str, str] = MappingProxyType({})
    tried: dict[str, bool | str | None] | None = None

    def __init__(
        self, flags: Mapping[str, CompiledFlag], distinct_id: str, person: Properties | None
    ) -> None:
        self.flags = flags
        self.distinct_id = distinct_id
        try:
            self.hashed = distinct_id.encode()
        except UnicodeEncodeError:
            self.hashed = encoded(distinct_id)
        if not person:
            person = {"distinct_id": distinct_id}
        elif "distinct_id" not in person:
            person = {"distinct_id": distinct_id, **person}
        self.person = person

    def of_groups(self, groups: Mapping[str, Any], known: Mapping[str, Properties]) -> None:
        """Add the groups: their keys, and the properties of those of which something is known."""
        self.groups = {name: encoded(str(key)) for name, key in groups.items()}
        self.group_properties = {
            name: {"$group_key": key, **known[name]}
            for name, key in groups.items()
            if known.get(name) is not None
        }

    def clock(self) -> datetime:
        """The present, or the moment the caller asked about."""
        if self.now is None:
            self.now = datetime.now(UTC)
        return self.now


Matcher = Callable[[Properties, Call], bool | Unknown]
