"""What surveys brought in: counts, rates, and the responses one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.http.errors import forbidden, invalid
from posthog_mcp.sandbox.http.paging import limit_offset
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import read_iso
from posthog_mcp.sandbox.surveys.answers import Period, Response, counts, responses
from posthog_mcp.sandbox.surveys.documents import KIND, Survey, find, questions_of
from posthog_mcp.sandbox.surveys.stats import per_question, stats

if TYPE_CHECKING:
    from datetime import datetime

    from posthog_mcp.sandbox.http.routing import Call

_LIST = "/api/projects/{project_id}/surveys/"
_ONE = _LIST + "{id}/"
_READ = "survey:read"
_PAGE, _LONGEST_PAGE = 100, 500


@route("GET", _LIST + "responses_count/", scope=_READ)
async def count_responses(call: Call) -> Reply:
    """How many responses each launched survey has."""
    wanted = [part for part in call.query.get("survey_ids", "").split(",") if part]
    surveys = [one for one in call.sandbox.store.all(KIND) if not wanted or one["id"] in wanted]
    return Reply(await counts(call.sandbox, surveys))


@route("GET", _LIST + "stats/", scope=_READ)
async def get_stats_of_all(call: Call) -> Reply:
    """Counts and rates of all surveys that are not archived, together."""
    surveys = [one for one in call.sandbox.store.all(KIND) if not one["archived"]]
    return Reply(await stats(call.sandbox, surveys, _asked(call, "date_from", "date_to")))


@route("GET", _ONE + "stats/", scope=_READ)
async def get_stats(call: Call) -> Reply:
    """Counts and rates of one survey; its answers by question where they are asked for."""
    survey = find(call.sandbox, call.params["id"])
    period = Period.of(survey, _asked(call, "date_from", "date_to"))
    body = {
        "survey_id": survey["id"],
        "start_date": survey["start_date"],
        "end_date": survey["end_date"],
        **await stats(call.sandbox, [survey], period),
    }
    if call.query.get("include_per_question_stats", "").lower() == "true":
        body["per_question_stats"] = per_question(survey, await responses(call.sandbox, survey, period))
    return Reply(body)


@route("GET", _ONE + "responses/", scope=(_READ, "query:read"))
async def list_responses(call: Call) -> Reply:
    """Submissions, latest first; `score_lte` and `score_gte` narrow by the answer to `question_id`."""
    survey = find(call.sandbox, call.params["id"])
    limit, offset = limit_offset(call, _PAGE, _LONGEST_PAGE)
    period = Period.of(survey, _asked(call, "since", "until"))
    found = [
        one for one in await responses(call.sandbox, survey, period) if _answers_as_asked(call, survey, one)
    ]
    page = found[offset : offset + limit]
    return Reply(
        {
            "results": [_shown(survey, one) for one in page],
            "has_more": offset + limit < len(found),
            "limit": limit,
            "offset": offset,
        }
    )


@route("POST", _ONE + "summarize_responses/", scope=_READ)
async def summarize_responses(call: Call) -> Reply:
    """Refused, as in an organization that has not allowed PostHog's AI."""
    find(call.sandbox, call.params["id"])
    raise forbidden("AI data processing must be approved by your organization before using AI features")


def _asked(call: Call, start: str, end: str) -> Period:
    return Period(_moment(call, start), _moment(call, end))


def _moment(call: Call, name: str) -> datetime | None:
    text = call.query.get(name)
    if not text:
        return None
    try:
        return read_iso(text)
    except ValueError as error:
        raise invalid("Must be an ISO 8601 date or time.", name) from error


def _answers_as_asked(call: Call, survey: Survey, response: Response) -> bool:
    least, most = _score(call, "score_gte"), _score(call, "score_lte")
    wanted = call.query.get("question_id")
    if not wanted:
        if least is not None or most is not None:
            raise invalid("score_gte and score_lte need question_id.", "question_id")
        return True
    ids = [one["id"] for one in questions_of(survey)]
    if wanted not in ids:
        raise invalid("The survey has no such question.", "question_id")
    answer = response.answers[ids.index(wanted)]
    if least is None and most is None:
        return answer is not None
    try:
        score = float(str(answer))
    except ValueError:
        return False
    return (least is None or score >= least) and (most is None or score <= most)


def _score(call: Call, name: str) -> float | None:
    text = call.query.get(name)
    try:
        return float(text) if text else None
    except ValueError as error:
        raise invalid("A valid number is required.", name) from error


def _shown(survey: Survey, response: Response) -> dict[str, Any]:
    answers = [
        {
            "question_id": question["id"],
            "question_index": number,
            "question_text": question["question"],
            "question_type": question["type"],
            "answer": answer,
        }
        for number, (question, answer) in enumerate(zip(questions_of(survey), response.answers, strict=True))
        if answer is not None
    ]
    return {
        "uuid": response.uuid,
        "distinct_id": response.distinct_id,
        "session_id": response.session_id,
        "submitted_at": response.at,
        "answers": answers,
        "extra": {"completed": response.completed},
    }
