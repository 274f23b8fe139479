"""A person, and the rules by which an event changes a person's properties."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from posthog_mcp.sandbox.ingest.properties import JSON
from posthog_mcp.sandbox.ingest.text import dumps, quote
from posthog_mcp.sandbox.ingest.times import engine_text, hour_of

PROPERTIES_LIMIT: Final = 640 * 1024
"""The most characters of JSON a person's properties may have; PostHog's hard limit in bytes."""

_NAMESPACE: Final = UUID("932979b4-65c3-4424-8467-0b66ec27bc22")
_HOUR: Final = timedelta(hours=1)
_PERSON_EVENTS: Final = frozenset({"$identify", "$set", "$create_alias", "$merge_dangerously"})
_NEVER_UPDATE: Final = frozenset({"$exception", "$$heatmap"})
_NOISY: Final = frozenset({
    "$current_url", "$pathname", "$referrer", "$referring_domain", "$screen_height", "$screen_width",
    "$viewport_height", "$viewport_width", "$browser", "$browser_version", "$device_type", "$raw_user_agent",
    "$os", "$os_name", "$os_version",
})  # fmt: skip
_GEOIP: Final = "$geoip_"
_GEOIP_TOLD: Final = frozenset({"$geoip_country_name", "$geoip_city_name"})


def uuid_of(project_id: int, distinct_id: str) -> str:
    """The uuid of the person whose first distinct id this is."""
    return str(uuid5(_NAMESPACE, f"{project_id}:{distinct_id}"))


@dataclass(slots=True)
class Person:
    """A person as stored. Read it; change it through `People` or an event.

    Attributes:
        uuid: PostHog's person id.
        created_at: Time of the event that created the person, in UTC.
        properties: Current values by name.
        is_identified: Whether a merge event named one of the ids; such a person cannot be merged away by
            `$identify` or an alias.
        version: Grows by one with every write.
        last_seen_at: Time of the latest event floored to the hour, in UTC.
    """

    uuid: str
    created_at: datetime
    properties: JSON
    is_identified: bool = False
    version: int = 0
    last_seen_at: datetime | None = None
    _text: str = field(default="", repr=False, compare=False)
    _quoted: str = field(default="", repr=False, compare=False)
    _born: tuple[datetime | None, str] = field(default=(None, ""), repr=False, compare=False)

    def text(self) -> str:
        """The properties as JSON."""
        if not self._text:
            self._text = dumps(self.properties)
        return self._text

    def quoted(self) -> str:
        """The properties as JSON, once more as a JSON string."""
        if not self._quoted:
            self._quoted = quote(self.text())
        return self._quoted

    def born(self) -> str:
        """`created_at` as the engine reads it."""
        if self._born[0] is not self.created_at:
            self._born = (self.created_at, engine_text(self.created_at))
        return self._born[1]

    def replace_properties(self, properties: JSON) -> bool:
        """Take these properties instead; False, and no change, when they are too many."""
        text = dumps(properties)
        if len(text) > PROPERTIES_LIMIT:
            return False
        self.properties, self._text, self._quoted = properties, text, ""
        return True

    def see(self, time: datetime) -> bool:
        """Note an event at that time; whether `last_seen_at` moved."""
        if self.last_seen_at is not None and time < self.last_seen_at + _HOUR:
            return False
        self.last_seen_at = hour_of(time)
        return True


@dataclass(slots=True)
class Update:
    """What one event asks of its person.

    Attributes:
        set: Values to write.
        set_once: Values to write where the person has none.
        unset: Names to remove.
    """

    set: JSON
    set_once: JSON
    unset: list[str]

    def initial(self, creator: str) -> JSON:
        """The properties of a person this event creates."""
        return {**self.set_once, **self.set, "$creator_event_uuid": creator}

    def apply(self, stored: JSON, event: str) -> JSON | None:
        """The person's properties afterwards, or None when there is nothing to write.

        Changes are judged against what is stored, not against the clock: the later arrival wins.
        """
        if event in _NEVER_UPDATE:
            return None
        changes = {key: value for key, value in self.set_once.items() if key not in stored}
        changes |= {
            key: value for key, value in self.set.items() if key not in stored or _differs(stored[key], value)
        }
        removed = [name for name in self.unset if name in stored]
        if not changes and not removed:
            return None
        if event not in _PERSON_EVENTS and not removed and all(_is_noise(key, stored) for key in changes):
            return None
        after = {**stored, **changes}
        for name in removed:
            after.pop(name, None)
        return after


def _differs(old: Any, new: Any) -> bool:
    # JavaScript's !==, which PostHog uses: true is not 1, and no two objects are ever the same.
    if isinstance(new, (dict, list)) or isinstance(old, bool) is not isinstance(new, bool):
        return True
    return bool(old != new)


def _is_noise(key: str, stored: JSON) -> bool:
    noisy = key in _NOISY or (key.startswith(_GEOIP) and key not in _GEOIP_TOLD)
    return noisy and key in stored
