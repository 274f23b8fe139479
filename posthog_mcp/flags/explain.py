"""Why a flag has the value it has: every condition, every filter, every number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from posthog_mcp.flags.buckets import holdout_text, place, rollout_text, variant_text
from posthog_mcp.flags.call import Call, Properties
from posthog_mcp.flags.decision import Code, Decision, Unknown
from posthog_mcp.flags.filters import Filter
from posthog_mcp.flags.flag import CompiledFlag, Condition, Flag

_BEFORE_CONDITIONS = (
    Code.FLAG_DISABLED,
    Code.HOLDOUT_CONDITION_VALUE,
    Code.SUPER_CONDITION_VALUE,
    Code.MISSING_DEPENDENCY,
)
_SETTLED = "the flag was settled before this condition"


@dataclass(frozen=True, slots=True)
class FilterReport:
    """One filter of a condition.

    Attributes:
        kind: `person`, `group`, `cohort` or `flag`.
        key: The property, cohort id or flag key.
        operator: PostHog's operator.
        wanted: The filter's value.
        given: The property's value as it was compared; `None` when it was not given.
        matched: Whether the filter holds, `None` when that cannot be told.
        why: The comparison in words.
        needs_server: Nothing that could be passed decides it.
    """

    kind: str
    key: str
    operator: str
    wanted: Any
    given: Any
    matched: bool | None
    why: str
    needs_server: bool = False


@dataclass(frozen=True, slots=True)
class ConditionReport:
    """One release condition.

    Attributes:
        index: Its place, from 0.
        outcome: `match`, `no_match`, `outside_rollout`, `undecided` or `not_reached`.
        why: The outcome in words.
        filters: Its filters, all of them, also after one that ruled the condition out.
        rollout_percentage: 0 to 100; `None` in the definition means 100.
        bucket: Where the hash puts the subject, 0 to 100; inside means at most `rollout_percentage`.
        variant: The variant the condition names.
        needs_server: Undecided for good, which ends the flag.
    """

    index: int
    outcome: str
    why: str
    filters: tuple[FilterReport, ...]
    rollout_percentage: float
    bucket: float | None
    variant: str | None
    needs_server: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with the way to it.

    Attributes:
        decision: What `evaluate` answers.
        subject: Whom the flag is about, in words; empty when there is nobody.
        holdout: What the holdout did, in words; empty when the flag has none.
        variant_bucket: Where the hash puts the subject among the variants, 0 to 100; `None` without variants.
        conditions: The release conditions in their order.
    """

    decision: Decision
    subject: str
    holdout: str
    variant_bucket: float | None
    conditions: tuple[ConditionReport, ...]


def explain(compiled: CompiledFlag, call: Call) -> Explanation:
    """Evaluate a flag, then walk its conditions with the same closures."""
    flag, decision = compiled.flag, compiled.decide(call)
    call.tried = None
    properties, subject, words = _subject(flag, call)
    early = decision.code in _BEFORE_CONDITIONS or (
        flag.special is not None and flag.special(call) is not None
    )
    reports: list[ConditionReport] = []
    over = _SETTLED if early else "" if words else decision.detail or "its group was not passed"
    for condition in flag.conditions:
        report = _condition(flag, condition, call, properties, subject, over=over)
        reports.append(report)
        over = over or (_SETTLED if _ends(flag, report) else "")
    return Explanation(
        decision,
        words,
        _holdout(flag, subject) if words else "",
        _percent(place(variant_text(flag.key, subject))) if flag.variants and words else None,
        tuple(reports),
    )


def _ends(flag: Flag, report: ConditionReport) -> bool:
    if report.outcome == "outside_rollout":
        return flag.early_exit
    return report.outcome == "match" or report.needs_server


def _subject(flag: Flag, call: Call) -> tuple[Properties, bytes, str]:
    if flag.locate is None:
        return call.person, call.hashed, f"the person {call.distinct_id!r}"
    found = flag.locate(call)
    if not isinstance(found, tuple):
        return {}, b"", ""
    properties, subject = found
    name = subject.decode("utf-8", "surrogatepass")
    if properties is call.person:
        return properties, subject, f"the person {call.distinct_id!r}, hashed as {name!r}"
    return properties, subject, f"the group {name!r}"


def _condition(
    flag: Flag,
    condition: Condition,
    call: Call,
    properties: Properties,
    subject: bytes,
    *,
    over: str,
) -> ConditionReport:
    share = 1.0 if condition.share is None else condition.share

    def report(
        outcome: str,
        why: str,
        filters: tuple[FilterReport, ...] = (),
        bucket: float | None = None,
        *,
        needs_server: bool = False,
    ) -> ConditionReport:
        variant = condition.source.get("variant")
        return ConditionReport(
            condition.index, outcome, why, filters, _percent(share), bucket, variant or None, needs_server
        )

    if over:
        return report("not_reached", over)
    if condition.locate is not None:
        found = condition.locate(call)
        if found is None:
            return report("no_match", "the group it is about was not passed")
        if isinstance(found, Unknown):
            return report("undecided", found.detail)
        properties, subject = found
    filters = _filters(condition, properties, call)
    against = next((each for each in filters if each.matched is False), None)
    if against is not None:
        return report("no_match", against.why, filters)
    doubtful = next((each for each in filters if each.matched is None), None)
    if doubtful is not None:
        return report("undecided", doubtful.why, filters, needs_server=doubtful.needs_server)
    so_far = "its filters hold" if filters else "it has no filters"
    at = place(rollout_text(flag.key, subject))
    if condition.share is not None and at > condition.share:
        why = f"{so_far}, but {_percent(at):g} is beyond the rollout of {_percent(share):g} %"
        return report("outside_rollout", why, filters, _percent(at))
    return report("match", f"{so_far}, and the rollout includes the subject", filters, _percent(at))


def _filters(condition: Condition, properties: Properties, call: Call) -> tuple[FilterReport, ...]:
    reports: list[FilterReport] = []
    tried: dict[str, bool | str | None] | None = None
    for each in condition.filters:
        report = _filter(each, properties, call)
        reports.append(report)
        if report.matched is False and tried is None:
            # A decision stops here: what the rest asks of other flags must leave no trace.
            tried = call.tried or {}
            call.tried = dict(tried)
    call.tried = call.tried if tried is None else tried
    return tuple(reports)


def _filter(filter_: Filter, properties: Properties, call: Call) -> FilterReport:
    source = filter_.source
    kind = str(source.get("type") or "person")
    operator = str(source.get("operator") or "exact")
    wanted = source.get("value")
    outcome = filter_.matches(properties, call)
    if kind == "cohort":
        key, given, words = str(wanted), None, f"cohort {wanted}"
    elif kind == "flag":
        key = str(source.get("key"))
        given = (call.tried or {}).get(key)
        words = f"flag {key!r} is {given!r}"
    else:
        key = str(source.get("key"))
        given = properties.get(key)
        words = f"{key} is {given!r}" if key in properties else f"{key} is not given"
    if isinstance(outcome, Unknown):
        return FilterReport(kind, key, operator, wanted, given, None, outcome.detail, outcome.server)
    verdict = "holds" if outcome else "does not hold"
    return FilterReport(
        kind, key, operator, wanted, given, outcome, f"{words}; {operator} {wanted!r} {verdict}"
    )


def _holdout(flag: Flag, subject: bytes) -> str:
    if flag.holdout is None:
        return ""
    name, share = flag.holdout
    verdict = "held out" if flag.held_out(subject) else "not held out"
    at = _percent(place(holdout_text(subject)))
    return f"holdout {name} takes {_percent(share):g} %, the subject is at {at:g}: {verdict}"


def _percent(fraction: float) -> float:
    return round(fraction * 100, 6)
