"""One flag as one closure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha1
from typing import Any

from posthog_mcp.flags.buckets import bound, encoded, holdout_text
from posthog_mcp.flags.call import Call, Matcher, Properties
from posthog_mcp.flags.decision import Code, Decision, Reason, Unknown, merge
from posthog_mcp.flags.filters import Filter

Subject = tuple[Properties, bytes]
# Properties and hashed id of whom a flag or condition is about, or why there is nobody.
Locate = Callable[[Call], "Subject | Unknown | None"]
_MOST_KEPT = 256
Variants = tuple[tuple[bytes, str], ...]
Decide = Callable[[Call], Decision]


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
class Flag:
    """What a definition says, in the form that decisions are made from.

    Attributes:
        key: The flag's key.
        source: The definition as it came.
        template: A decision that carries the flag's id, version and runtime.
        active: Whether it is switched on.
        subjects: What it is about: group type indexes, `None` for persons; empty when that does not matter.
        conditions: The compiled release conditions.
        locate: Whom the flag is about; `None` for the person and their distinct id.
        holdout: Id and excluded fraction.
        variants: The bound of each one's share of the hash, and its key.
        payloads: The stored payload by the text of the value.
        early_exit: Whether the first condition that only the rollout excluded ends the flag.
        unusable: The definition alone keeps some filter from being decided.
        depends: Whether some filter asks for another flag.
        special: What is asked before the holdout: early access.
        prefix: What the flag's hashes begin with.
        nobody: The answer when there is no subject.
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
    prefix: bytes = field(init=False)
    nobody: Decision = field(init=False)
    _undecided: dict[Unknown, Decision] = field(default_factory=dict[Unknown, Decision])

    def __post_init__(self) -> None:
        self.prefix = encoded(f"{self.key}.")

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
        """A decision without a value; the same one each time for the same cause."""
        decision = self._undecided.get(unknown)
        if decision is not None:
            return decision
        reason = unknown.reason
        if self.unusable and unknown.server:
            reason = Reason.UNSUPPORTED_DEFINITION
        decision = replace(
            self.template,
            value=None,
            reason=reason,
            needs=unknown.needs,
            detail=unknown.detail,
            needs_server=unknown.server,
        )
        if len(self._undecided) < _MOST_KEPT:
            self._undecided[unknown] = decision
        return decision

    def variant_of(self, subject: bytes) -> str | None:
        """The variant the hash gives a subject, `None` beyond the last one's share."""
        digest = sha1(self.prefix + subject + b"variant").digest()  # noqa: S324 PostHog's hash
        for end, key in self.variants:
            if digest < end:
                return key
        return None

    def held_out(self, subject: bytes) -> bool:
        """Whether the flag's holdout takes the subject."""
        if self.holdout is None:
            return False
        digest = sha1(holdout_text(subject)).digest()  # noqa: S324 PostHog's hash
        return digest < bound(self.holdout[1], inclusive=True)


@dataclass(frozen=True, slots=True)
class CompiledFlag:
    """A flag ready to be evaluated.

    The closure knows the flag and not the other way round: without a circle, a set that is replaced is
    freed at once, where the collector would stop everything for as long as it takes to find it.
    """

    flag: Flag
    decide: Decide


def fixed(decision: Decision) -> Decide:
    """A closure for a flag whose answer is the same for everybody."""
    return lambda _call: decision


_Prepared = tuple[
    tuple[Matcher, ...],
    bytes | None,
    Decision | None,
    Decision,
    dict[bool | str, Decision],
    "Locate | None",
    int,
]


def _prepared(flag: Flag, condition: Condition) -> _Prepared:
    """A condition as the loops below read it, with the decision of a match where that is certain."""
    certain = condition.forced or (None if flag.variants else True)
    return (
        tuple(each.matches for each in condition.filters),
        None if condition.share is None else bound(condition.share, inclusive=True),
        flag.decided(certain, Code.CONDITION_MATCH, condition.index) if certain else None,
        flag.decided(False, Code.OUT_OF_ROLLOUT_BOUND, condition.index),
        {},
        condition.locate,
        condition.index,
    )


def closure(flag: Flag) -> Decide:
    """The decision procedure of one flag.

    Decisions are built once and handed out again, so that an evaluation allocates next to nothing. Most
    flags are about persons and can be decided from what was passed: those take a shorter way.
    """
    conditions = tuple(_prepared(flag, condition) for condition in flag.conditions)
    last = len(conditions) - 1 if conditions else None
    no_match = flag.decided(False, Code.NO_CONDITION_MATCH, last)
    whole = _whole(flag, conditions, no_match)
    mixed = any(condition.locate for condition in flag.conditions)
    if flag.locate or flag.special or flag.holdout or flag.depends or mixed:
        return whole
    return _short(flag, conditions, no_match, whole)


def _short(
    flag: Flag,
    conditions: tuple[_Prepared, ...],
    no_match: Decision,
    whole: Decide,
) -> Decide:
    prefix, early_exit = flag.prefix, flag.early_exit
    short = tuple(condition[:5] for condition in conditions)

    def decide(call: Call) -> Decision:
        properties = call.person
        digest: bytes | None = None
        result = no_match
        for matchers, inside, certain, outside, by_variant in short:
            for matches in matchers:
                outcome = matches(properties, call)
                if outcome is True:
                    continue
                if outcome is False:
                    break
                return whole(call)
            else:
                if inside is not None:
                    if digest is None:
                        digest = sha1(prefix + call.hashed).digest()  # noqa: S324 PostHog's hash
                    if digest >= inside:
                        result = outside
                        if early_exit:
                            break
                        continue
                return certain or _of_variant(flag, call.hashed, outside.condition_index, by_variant)
        return result

    return decide


def _whole(flag: Flag, conditions: tuple[_Prepared, ...], no_match: Decision) -> Decide:
    """All a flag can have: early access, holdout, then the conditions in order, whoever they are about."""
    locate, special, prefix, early_exit = flag.locate, flag.special, flag.prefix, flag.early_exit
    holdout = None if flag.holdout is None else flag.holdout[0]
    held_out = None if holdout is None else flag.decided(f"holdout-{holdout}", Code.HOLDOUT_CONDITION_VALUE)

    def decide(call: Call) -> Decision:
        properties, subject = call.person, call.hashed
        if locate is not None:
            found = locate(call)
            if not isinstance(found, tuple):
                return flag.nobody if found is None else flag.undecided(found)
            properties, subject = found
        if special is not None:
            early = special(call)
            if isinstance(early, Unknown):
                return flag.undecided(early)
            if early is not None:
                return flag.decided(early, Code.SUPER_CONDITION_VALUE)
        if held_out is not None and flag.held_out(subject):
            return held_out

        blocked: Unknown | None = None
        result = no_match
        for matchers, inside, certain, outside, by_variant, elsewhere, index in conditions:
            here, who = properties, subject
            if elsewhere is not None:
                found = elsewhere(call)
                if not isinstance(found, tuple):
                    blocked = blocked if found is None else merge(blocked, found)
                    continue
                here, who = found
            outcome = _all_hold(matchers, here, call)
            if outcome is False:
                continue
            if isinstance(outcome, Unknown):
                if outcome.server:
                    return flag.undecided(outcome)
                blocked = merge(blocked, outcome)
                continue
            if inside is None or sha1(prefix + who).digest() < inside:  # noqa: S324 PostHog's hash
                return certain or _of_variant(flag, who, index, by_variant)
            result = outside
            if early_exit:
                break
        return result if blocked is None else flag.undecided(blocked)

    return decide


def _all_hold(matchers: tuple[Matcher, ...], properties: Properties, call: Call) -> bool | Unknown:
    """Whether every filter holds; one that does not outweighs those that cannot be told."""
    doubt: Unknown | None = None
    for matches in matchers:
        outcome = matches(properties, call)
        if outcome is False:
            return False
        if outcome is not True:
            doubt = merge(doubt, outcome)
    return True if doubt is None else doubt


def _of_variant(
    flag: Flag, subject: bytes, index: int | None, decisions: dict[bool | str, Decision]
) -> Decision:
    value = flag.variant_of(subject) or True
    decision = decisions.get(value)
    if decision is None:
        decision = decisions[value] = flag.decided(value, Code.CONDITION_MATCH, index)
    return decision
