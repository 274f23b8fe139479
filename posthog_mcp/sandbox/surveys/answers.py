"""Answers, read from events: one response is one submission, whose latest words count."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.trees import call
from posthog_mcp.sandbox.experiments.trees import constant, expr, moment, query
from posthog_mcp.sandbox.http.times import iso, read_iso
from posthog_mcp.sandbox.queries.asked import fetch
from posthog_mcp.sandbox.surveys.documents import questions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthog_mcp.sandbox.sandbox import Sandbox
    from posthog_mcp.sandbox.surveys.documents import Survey

SENT, SHOWN, DISMISSED = "survey sent", "survey shown", "survey dismissed"
#: Tells the events of one submission from others'; an event without an id of one is one by itself.
SUBMISSION = "coalesce(nullIf(properties.`$survey_submission_id`, ''), toString(uuid))"
_MOST = 50_000
_FIRST_ANSWER = 5  # columns before the answers
Json = dict[str, Any]
Answer = str | list[str]


@dataclass(frozen=True, slots=True)
class Period:
    """From one moment to another, both included; None is open."""

    start: datetime | None = None
    end: datetime | None = None

    @classmethod
    def of(cls, survey: Survey, asked: Period) -> Period:
        """What is asked for, as far as the survey ran: from its start, or else from when it was made."""
        begun = read_iso(survey["start_date"] or survey["created_at"])
        ended = read_iso(survey["end_date"]) if survey["end_date"] else None
        starts = [at for at in (asked.start, begun) if at]
        ends = [at for at in (asked.end, ended) if at]
        return cls(max(starts), min(ends) if ends else None)

    def condition(self) -> ast.Expr:
        """The condition on events."""
        start = expr("timestamp >= {at}", at=moment(self.start)) if self.start else constant(value=True)
        end = expr("timestamp <= {at}", at=moment(self.end)) if self.end else constant(value=True)
        return expr("{start} AND {end}", start=start, end=end)


@dataclass(slots=True)
class Response:
    """One submission. `answers` has an entry for each question, None where it was skipped."""

    uuid: str
    distinct_id: str
    session_id: str | None
    at: str
    answers: list[Answer | None] = field(default_factory=list[Answer | None])
    completed: bool = True


def about(survey: Survey) -> ast.Expr:
    """Which events are about a survey."""
    return expr("properties.`$survey_id` = {id}", id=constant(survey["id"]))


async def responses(sandbox: Sandbox, survey: Survey, period: Period) -> list[Response]:
    """The submissions of a survey in a period, latest first."""
    questions = questions_of(survey)
    tree = query(
        f"SELECT argMax(uuid, timestamp), argMax(distinct_id, timestamp), argMax($session_id, timestamp),"  # noqa: S608 - words of ours
        " max(timestamp) AS at, argMax(toString(properties.`$survey_completed`), timestamp)"
        f" FROM events WHERE event = {{sent}} AND {{about}} AND {{when}} GROUP BY {SUBMISSION}"
        f" ORDER BY at DESC, 1 LIMIT {_MOST}",
        sent=constant(SENT),
        about=about(survey),
        when=period.condition(),
    )
    tree.select.extend(_latest(index, one) for index, one in enumerate(questions))
    ran = await fetch(sandbox, tree)
    return [_response(row, questions) for row in ran.rows]


def read_answer(text: str | None, question: Json) -> Answer | None:
    """An answer as its question has it: a list for several choices, else text; None for none."""
    if text is None or question["type"] != "multiple_choice":
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    return [str(item) for item in value] if isinstance(value, list) else [text]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


async def counts(sandbox: Sandbox, surveys: Sequence[Survey]) -> dict[str, int]:
    """The number of responses of each survey since its start; drafts, and those without any, are left out."""
    begun = {one["id"]: one["start_date"] for one in surveys if one["start_date"]}
    if not begun:
        return {}
    starts = ast.Array(exprs=[moment(read_iso(start)) for start in begun.values()])
    ids = ast.Array(exprs=[constant(name) for name in begun])
    tree = query(
        f"SELECT properties.`$survey_id` AS survey, uniqExact({SUBMISSION}) FROM events"  # noqa: S608 - words of ours
        " WHERE event = {sent} AND has({ids}, survey)"
        f" AND timestamp >= arrayElement({{starts}}, indexOf({{ids}}, survey)) GROUP BY survey LIMIT {_MOST}",
        sent=constant(SENT),
        ids=ids,
        starts=starts,
    )
    ran = await fetch(sandbox, tree)
    return {str(survey): int(count) for survey, count in ran.rows}


def _latest(index: int, question: Json) -> ast.Expr:
    answer = call("getSurveyResponse", constant(index), constant(question["id"]))
    return expr("argMaxIf({answer}, timestamp, isNotNull({answer}))", answer=answer)


def _response(row: list[Any], questions: list[Json]) -> Response:
    uuid, distinct_id, session, at, completed = row[:_FIRST_ANSWER]
    texts = row[_FIRST_ANSWER:]
    return Response(
        str(uuid),
        str(distinct_id),
        session or None,
        iso(read_iso(at)),
        [read_answer(text or None, one) for text, one in zip(texts, questions, strict=True)],
        completed != "false",
    )
