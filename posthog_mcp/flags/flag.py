"""One flag as one closure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from posthog_mcp.flags.buckets import holdout_bucket, rollout_bucket, variant_bucket
from posthog_mcp.flags.call import Call, Matcher, Properties
from posthog_mcp.flags.decision import Code, Decision, Reason, Unknown, merge
from posthog_mcp.flags.filters import Filter

Subject = tuple[Properties, str]
# Properties and id of whom a flag or condition is about, or why there is nobody.
Locate = Callable[[Call], "Subject | Unknown | None"]
Variants = tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One release condition, compiled.

    Attributes:
        index: Its place in the definition, from 0.
        source: The condition as PostHog defines it.
        filters: Its property filters; all must hold.
        share: The rollout as a fraction, `None` for everybody.
        forced: The variant it names, when the flag has that variant.
        locate: Whom it is about, when not the flag's own subject.
    """

    index: int
    source: dict[str, Any]
    filters: tuple[Filter, ...]
    share: float | None
    forced: str | None
    locate: Locate | None


@dataclass(slots=True)
class CompiledFlag:
    """A flag ready to be evaluated.

    Attributes:
        key: The flag's key.
        source: The definition as it came.
        template: A decision that carries the flag's id, version and runtime.
        active: Whether it is switched on.
        subjects: What it is about: group type indexes, `None` for persons; empty when that does not matter.
        conditions: The compiled release conditions.
        locate: Whom the flag is about; `None` for the person and their distinct id.
        holdout: Id and excluded fraction.
        variants: Lower bound, upper bound, key.
        payloads: The stored payload by the text of the value.
        early_exit: Whether the first condition that only the rollout excluded ends the flag.
        unusable: The definition alone keeps some filter from being decided.
        depends: Whether some filter asks for another flag.
        special: What is asked before the holdout: early access.
        nobody: The answer when there is no subject.
        decide: The closure.
    """

    key: str
    source: dict[str, Any]
    template: Decision
    active: bool = True
    subjects: frozenset[int | None] = frozenset()
    conditions: tuple[Condition, ...] = ()
    locate: Locate | None = None
    holdout: tuple[str, float] | None = None
    variants: Variants = ()
    payloads: dict[str, str] = field(default_factory=dict[str, str])
    early_exit: bool = False
    unusable: bool = False
    depends: bool = False
    special: Callable[[Call], bool | Unknown | None] | None = None
    nobody: Decision = field(init=False)
    decide: Callable[[Call], Decision] = field(init=False)

    def decided(self, value: bool | str, code: Code, index: int | None = None) -> Decision:
        """A decision with a value, and the payload that belongs to it."""
        text = value if isinstance(value, str) else str(value).lower()
        return replace(
            self.template,
            value=value,
            code=code,
            condition_index=index,
            variant=value if isinstance(value, str) else None,
            payload_text=self.payloads.get(text),
        )

    def undecided(self, unknown: Unknown) -> Decision:
        """A decision without a value."""
        reason = unknown.reason
        if self.unusable and reason is not Reason.EXPERIENCE_CONTINUITY and unknown.server:
            reason = Reason.UNSUPPORTED_DEFINITION
        return replace(
            self.template,
            value=None,
            reason=reason,
            needs=unknown.needs,
            detail=unknown.detail,
            needs_server=unknown.server,
        )

    def variant_of(self, subject: str) -> str | None:
        """The variant the hash gives a subject, `None` beyond the last one's share."""
        place = variant_bucket(self.key, subject)
        for low, high, key in self.variants:
            if low <= place < high:
                return key
        return None

    def held_out(self, subject: str) -> bool:
        """Whether the flag's holdout takes the subject."""
        if self.holdout is None:
            return False
        share = self.holdout[1]
        return share >= 1.0 or holdout_bucket(subject) <= share


def fixed(decision: Decision) -> Callable[[Call], Decision]:
    """A closure for a flag whose answer is the same for everybody."""
    return lambda _call: decision


_Prepared = tuple[
    int, tuple[Matcher, ...], float | None, "Locate | None", Decision | None, dict[bool | str, Decision]
]


def _prepared(flag: CompiledFlag, condition: Condition) -> _Prepared:
    """A condition as the loop below reads it, with the decision of a match where that is certain."""
    certain = condition.forced or (None if flag.variants else True)
    return (
        condition.index,
        tuple(each.matches for each in condition.filters),
        condition.share,
        condition.locate,
        flag.decided(certain, Code.CONDITION_MATCH, condition.index) if certain else None,
        {},
    )


def closure(flag: CompiledFlag) -> Callable[[Call], Decision]:
    """The decision procedure of one flag: early access, holdout, then the conditions in order.

    Decisions are built once and handed out again, so that an evaluation allocates next to nothing.
    """
    key, locate, special, early_exit = flag.key, flag.locate, flag.special, flag.early_exit
    holdout = None if flag.holdout is None else flag.holdout[0]
    held_out = None if holdout is None else flag.decided(f"holdout-{holdout}", Code.HOLDOUT_CONDITION_VALUE)
    conditions = tuple(_prepared(flag, condition) for condition in flag.conditions)
    last = len(conditions) - 1 if conditions else None
    no_match = flag.decided(False, Code.NO_CONDITION_MATCH, last)
    outside = [flag.decided(False, Code.OUT_OF_ROLLOUT_BOUND, index) for index in range(len(conditions))]

    def decide(call: Call) -> Decision:
        properties, subject = call.person, call.distinct_id
        if locate is not None:
            found = locate(call)
            if not isinstance(found, tuple):
                return flag.nobody if found is None else flag.undecided(found)
            properties, subject = found
        if special is not None:
            early = special(call)
            if early is not None:
                return _early(flag, early)
        if held_out is not None and flag.held_out(subject):
            return held_out

        place = -1.0
        blocked: Unknown | None = None
        result = no_match
        for index, matchers, share, elsewhere, certain, decisions in conditions:
            here, who = properties, subject
            if elsewhere is not None:
                found = elsewhere(call)
                if not isinstance(found, tuple):
                    blocked = blocked if found is None else merge(blocked, found)
                    continue
                here, who = found
            doubt: Unknown | None = None
            for matches in matchers:
                outcome = matches(here, call)
                if outcome is True:
                    continue
                if outcome is False:
                    break
                doubt = merge(doubt, outcome)
            else:
                if doubt is not None:
                    if doubt.server:
                        return flag.undecided(doubt)
                    blocked = merge(blocked, doubt)
                    continue
                if share is not None:
                    if elsewhere is not None:
                        inside = rollout_bucket(key, who) <= share
                    else:
                        place = rollout_bucket(key, who) if place < 0.0 else place
                        inside = place <= share
                    if not inside:
                        result = outside[index]
                        if early_exit:
                            break
                        continue
                return certain or _by_variant(flag, index, who, decisions)
        return result if blocked is None else flag.undecided(blocked)

    return decide


def _early(flag: CompiledFlag, early: bool | Unknown) -> Decision:
    if isinstance(early, Unknown):
        return flag.undecided(early)
    return flag.decided(early, Code.SUPER_CONDITION_VALUE)


def _by_variant(
    flag: CompiledFlag, index: int, subject: str, decisions: dict[bool | str, Decision]
) -> Decision:
    value = flag.variant_of(subject) or True
    decision = decisions.get(value)
    if decision is None:
        decision = decisions[value] = flag.decided(value, Code.CONDITION_MATCH, index)
    return decision
