"""What an evaluation answers: a value, or why there is none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any


class Reason(StrEnum):
    """Why a flag cannot be decided locally; of several causes the first in this order is reported."""

    EXPERIENCE_CONTINUITY = "experience_continuity"
    UNSUPPORTED_DEFINITION = "unsupported_definition"
    UNRESOLVED_DEPENDENCY = "unresolved_dependency"
    MISSING_CONTEXT = "missing_context"


PRECEDENCE = {reason: rank for rank, reason in enumerate(Reason)}


class Code(StrEnum):
    """PostHog's own words for how a flag got its value (`reason.code` of `/flags`)."""

    CONDITION_MATCH = "condition_match"
    NO_CONDITION_MATCH = "no_condition_match"
    OUT_OF_ROLLOUT_BOUND = "out_of_rollout_bound"
    NO_GROUP_TYPE = "no_group_type"
    SUPER_CONDITION_VALUE = "super_condition_value"
    HOLDOUT_CONDITION_VALUE = "holdout_condition_value"
    FLAG_DISABLED = "flag_disabled"
    MISSING_DEPENDENCY = "missing_dependency"


class UnknownFlagError(LookupError):
    """The definitions hold no flag of that key, which is not the same as a flag that is off."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"No flag with the key {key!r} in these definitions.")


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one flag and one subject.

    Attributes:
        key: The flag's key.
        value: `True`, `False` or a variant's key; `None` when undecided.
        code: How the value came about, in PostHog's words; `None` when undecided.
        condition_index: The release condition (from 0) that decided, if one did.
        variant: The variant's key when the value is one.
        payload_text: The payload as stored: JSON in a string.
        reason: Why there is no value; `None` when decided.
        needs: What to pass for an answer, such as `person_properties.plan`.
        detail: One sentence about `reason`.
        needs_server: Nothing that could be passed decides it: PostHog must be asked.
        flag_id: PostHog's id of the flag; 0 when the definition has none.
        version: The definition's version.
        runtime: `all`, `server` or `client`: what the flag is meant for.
    """

    key: str
    value: bool | str | None
    code: Code | None = None
    condition_index: int | None = None
    variant: str | None = None
    payload_text: str | None = None
    reason: Reason | None = None
    needs: tuple[str, ...] = ()
    detail: str = ""
    needs_server: bool = False
    flag_id: int = 0
    version: int = 0
    runtime: str = "all"

    @property
    def decided(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    @property
    def payload(self) -> Any:
        """The payload, parsed; the text itself when it is not JSON, `None` when there is none.

        Parsed at each access, so that a caller who changes it changes nobody else's.
        """
        if self.payload_text is None:
            return None
        try:
            return json.loads(self.payload_text)
        except ValueError:
            return self.payload_text


@dataclass(frozen=True, slots=True)
class Unknown:
    """A filter, condition or flag without an answer.

    `server` marks what no argument can mend (a cohort whose definition is not here): it ends the flag.
    """

    reason: Reason
    detail: str
    needs: tuple[str, ...] = ()
    server: bool = False


@lru_cache(maxsize=4_096)
def merge(first: Unknown | None, second: Unknown) -> Unknown:
    """Two causes as one: the weightier reason, and all that would have to be passed.

    A first cause that needs the server stays as it is; after another one it counts as inconclusive only.
    """
    if first is None or (first.server and not second.server):
        return second if first is None else first
    if first.server:
        return first
    weightier = first if PRECEDENCE[first.reason] <= PRECEDENCE[second.reason] else second
    needs = first.needs + tuple(need for need in second.needs if need not in first.needs)
    if needs == weightier.needs and not weightier.server:
        return weightier
    return Unknown(weightier.reason, weightier.detail, needs)
