"""What calls give back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A successful answer.

    Attributes:
        status: 2xx, or 304 to a conditional request.
        headers: Header fields by lower-case name.
        body: The parsed JSON; `{}` when the answer was empty.
    """

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Page:
    """One page of a list.

    Attributes:
        results: Its objects.
        total: How many there are on all pages, when PostHog counts them.
        more: Whether PostHog has more than what was given out so far.
    """

    results: list[Any]
    total: int | None
    more: bool


@dataclass(frozen=True)
class BatchAnswer:
    """What PostHog said to a batch of events.

    Attributes:
        quota_limited: Kinds of data that PostHog dropped although it answered 200, because the project is
            over its billing limit; `("events",)` for example. Empty when everything was taken.
    """

    quota_limited: tuple[str, ...]


@dataclass(frozen=True)
class FlagsAnswer:
    """Flags as PostHog evaluated them for one person (`POST /flags/?v=2`).

    Attributes:
        flags: By key: `{"key", "enabled", "variant", "reason": {"code", "condition_index", "description"},
            "metadata": {"id", "version", "payload", ...}}`, and `"failed": True` on one that could not be
            evaluated. Flags that are off for the whole project are absent.
        incomplete: PostHog could not evaluate every flag; missing and failed ones are unknown, not off.
        quota_limited: `("feature_flags",)` when the project is over its quota: then nothing was evaluated.
        request_id: PostHog's id of the evaluation, for `$feature_flag_called`.
        evaluated_at: Time of the evaluation in milliseconds since 1970, when given.
    """

    flags: dict[str, dict[str, Any]]
    incomplete: bool
    quota_limited: tuple[str, ...]
    request_id: str
    evaluated_at: int | None
