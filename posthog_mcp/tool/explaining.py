"""The way to a flag's value in lines that can be read one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posthog_mcp.flags import ConditionReport, Explanation

_OUTCOMES = {
    "match": "match",
    "no_match": "no match",
    "outside_rollout": "outside the rollout",
    "undecided": "undecided",
    "not_reached": "not reached",
}
Json = dict[str, Any]


def told(explanation: Explanation) -> list[str]:
    """Each condition, counted as PostHog does: `1 no match: plan is 'free'; exact 'pro' does not hold`."""
    lines = [explanation.holdout] if explanation.holdout else []
    lines += [_condition(report) for report in explanation.conditions]
    if explanation.variant_bucket is not None and explanation.decision.variant:
        lines.append(f"variant {explanation.decision.variant}: bucket {explanation.variant_bucket:g} of 100")
    return lines


def told_by_posthog(conditions: list[Json]) -> list[str]:
    """The same from PostHog's own test of an evaluation."""
    lines: list[str] = []
    for condition in conditions:
        outcome = "match" if condition.get("matched") else "no match"
        if condition.get("rollout_excluded"):
            outcome = "outside the rollout"
        rows: list[Json] = condition.get("properties") or []
        words = " | ".join(map(_row, rows)) or str(condition.get("explanation") or "")
        lines.append(f"{int(condition.get('index') or 0) + 1} {outcome}: {words}")
    return lines


def _row(row: Json) -> str:
    given = row.get("actual_value")
    is_ = "is not set" if given is None else f"is {given!r}"
    verdict = "holds" if row.get("matched") else "does not hold"
    return f"{row.get('key')} {is_}; {row.get('operator') or 'exact'} {row.get('value')!r} {verdict}"


def _condition(report: ConditionReport) -> str:
    parts = [filter_.why for filter_ in report.filters] or [report.why]
    if report.bucket is not None:
        sign = "≤" if report.outcome == "match" else ">"
        parts.append(f"bucket {report.bucket:g} {sign} rollout {report.rollout_percentage:g}")
    return f"{report.index + 1} {_OUTCOMES[report.outcome]}: {' | '.join(parts)}"
