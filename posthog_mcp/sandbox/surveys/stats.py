"""What became of a survey: how often it was shown, dismissed and answered, and with which answers."""

from __future__ import annotations

from collections import Counter
from math import isfinite
from typing import TYPE_CHECKING, Any

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.trees import any_of
from posthog_mcp.sandbox.experiments.trees import constant, query
from posthog_mcp.sandbox.http.times import iso, read_iso
from posthog_mcp.sandbox.queries.asked import fetch
from posthog_mcp.sandbox.surveys.answers import DISMISSED, SENT, SHOWN, SUBMISSION, about
from posthog_mcp.sandbox.surveys.documents import questions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from posthog_mcp.sandbox.sandbox import Sandbox
    from posthog_mcp.sandbox.surveys.answers import Answer, Period, Response
    from posthog_mcp.sandbox.surveys.documents import Survey

_MOST_VALUES = 200
_OTHER = "<other>"
Json = dict[str, Any]


async def stats(sandbox: Sandbox, surveys: Sequence[Survey], period: Period) -> Json:
    """`{stats, rates}` of all of the surveys together.

    People who dismissed a survey and answered it as well count as having answered.
    """
    tree = query(
        "SELECT event, count(), uniqExact(person_id), min(timestamp), max(timestamp),"  # noqa: S608 - words of ours
        f" uniqExact({SUBMISSION}), uniqExactIf(person_id, person_id NOT IN {{answered}})"
        " FROM events WHERE event IN {names} AND {any} AND {when} GROUP BY event LIMIT 3",
        names=ast.Tuple(exprs=[constant(name) for name in (SHOWN, DISMISSED, SENT)]),
        any=any_of([about(one) for one in surveys]),
        when=period.condition(),
        answered=query(
            "SELECT person_id FROM events WHERE event = {sent} AND {any} AND {when}",
            sent=constant(SENT),
            any=any_of([about(one) for one in surveys]),
            when=period.condition(),
        ),
    )
    found = {row[0]: row[1:] for row in (await fetch(sandbox, tree)).rows}
    told = {name: _counts(name, found.get(name)) for name in (SHOWN, DISMISSED, SENT)}
    shown, dismissed, sent = told.values()
    for unit in ("total_count", "unique_persons"):
        shown[f"{unit}_only_seen"] = max(0, shown[unit] - dismissed[unit] - sent[unit])
    return {"stats": told, "rates": _rates(shown, dismissed, sent)}


def per_question(survey: Survey, found: Sequence[Response]) -> list[Json]:
    """For each question how many answered, how often each answer was given, and the average of ratings."""
    return [
        _question(number, one, [each.answers[number] for each in found if each.answers[number]])
        for number, one in enumerate(questions_of(survey))
    ]


def _question(number: int, question: Json, answers: Sequence[Answer | None]) -> Json:
    kind = question["type"]
    told: Json = {
        "question_id": question["id"],
        "question_index": number,
        "question_text": question["question"],
        "question_type": kind,
        "response_count": len(answers),
        "distribution": None,
        "average": None,
    }
    if kind == "rating":
        ratings = [rating for answer in answers if (rating := _number(answer)) is not None]
        told["average"] = round(sum(ratings) / len(ratings), 2) if ratings else None
        told["distribution"] = _distribution(str(answer) for answer in answers)
    elif kind in ("single_choice", "multiple_choice"):
        choices: list[str] = question.get("choices") or []
        given = [each for answer in answers for each in (answer if isinstance(answer, list) else [answer])]
        told["distribution"] = _distribution(str(one) if one in choices else _OTHER for one in given)
    return told


def _distribution(answers: Iterable[str]) -> dict[str, int]:
    return dict(Counter(answers).most_common(_MOST_VALUES))


def _number(answer: Answer | None) -> float | None:
    try:
        number = float(str(answer))
    except ValueError:
        return None
    return number if isfinite(number) else None


def _counts(name: str, row: list[Any] | None) -> Json:
    count, persons, first, last, submissions, others = row or [0, 0, None, None, 0, 0]
    return {
        "total_count": submissions if name == SENT else count,
        "total_count_only_seen": 0,
        "unique_persons": others if name == DISMISSED else persons,
        "unique_persons_only_seen": 0,
        "first_seen": iso(read_iso(first)) if first else None,
        "last_seen": iso(read_iso(last)) if last else None,
    }


def _rates(shown: Json, dismissed: Json, sent: Json) -> Json:
    def rate(part: Json, unit: str) -> float:
        return round(100 * part[unit] / shown[unit], 2) if shown[unit] else 0.0

    return {
        "response_rate": rate(sent, "total_count"),
        "dismissal_rate": rate(dismissed, "total_count"),
        "unique_users_response_rate": rate(sent, "unique_persons"),
        "unique_users_dismissal_rate": rate(dismissed, "unique_persons"),
    }
