"""Surveys: which there are, and what people answered."""

from typing import Any, Literal

from pydantic import Field

from posthog_mcp.render import Record, Table
from posthog_mcp.render.surveys import COLUMNS, Answered, Given, read, rows, sentence
from posthog_mcp.tool import Access, Context, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.asking import rows_of
from posthog_mcp.tool.survey_questions import is_nps
from posthog_mcp.tool.surveys import (
    LIST,
    STATS,
    OneSurvey,
    find_survey,
    questions_of,
    response_counts,
    state_of,
    whole,
)
from posthog_mcp.tool.times import Moment, iso, parse_time

Json = dict[str, Any]
_MOST = 10_000  # responses counted in one call
_BEFORE_ANSWERS = 2  # columns


class ListSurveys(ProjectInput):
    """Arguments of list_surveys."""

    search: str = Field("", description="Part of the name or description.")
    state: Literal["any", "draft", "running", "complete", "archived"] = Field(
        "any", description="Archived ones are only in archived."
    )
    limit: int = Field(50, ge=1, le=200, description="How many.")
    offset: int = Field(0, ge=0, description="How many to skip.")


@tool(area="surveys", access=Access.READ, title="List surveys", scopes=("survey:read",))
async def list_surveys(ctx: Context, args: ListSurveys) -> Table:
    """List the project's surveys with state, questions and number of responses."""
    project = await ctx.project(args)
    archived = args.state == "archived"
    query: Json = {
        "limit": args.limit,
        "offset": args.offset,
        "search": args.search or None,
        "archived": archived,
        "status": None if args.state in ("any", "archived") else args.state,
    }
    page = await ctx.api.get(LIST, query=query, project_id=project.id)
    # An older PostHog does not know the filters and lists all.
    found: list[Json] = [one for one in page["results"] if _wanted(one, args.state)]
    counts = await response_counts(ctx, project, found)
    return Table(
        about=[f"Surveys of project {project}."],
        columns=["id", "name", "state", "type", "responses", "questions", "started", "ended"],
        rows=[_row(one, counts) for one in found],
        total=page.get("count") if len(found) == len(page["results"]) else None,
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(page.get("next")),
        empty=["Leave out the filters to see all, or create one with create_survey."],
    )


def _wanted(survey: Json, state: str) -> bool:
    return state_of(survey) == state or (state == "any" and not survey.get("archived"))


def _row(one: Json, counts: dict[str, int]) -> list[Any]:
    questions = "; ".join(str(each.get("question")) for each in questions_of(one))
    times = [one.get("start_date"), one.get("end_date")]
    return [one["id"], one["name"], state_of(one), one.get("type"), counts.get(one["id"]), questions, *times]


class GetSurvey(OneSurvey):
    """Arguments of get_survey."""


@tool(area="surveys", access=Access.READ, title="Get a survey", scopes=("survey:read",), default=False)
async def get_survey(ctx: Context, args: GetSurvey) -> Record:
    """One survey whole: questions with ids, who sees it and when, look. Its answers: get_survey_results."""
    project = await ctx.project(args)
    return Record(whole(ctx, project, await find_survey(ctx, project, args.survey)))


class GetSurveyResults(OneSurvey):
    """Arguments of get_survey_results."""

    date_from: Moment = Field("", description="Answers since: -7d or 2026-03-01.")
    date_to: Moment = Field("", description="Answers until.")
    texts: int = Field(10, ge=0, le=200, description="Latest texts of each open question.")


@tool(
    area="surveys",
    access=Access.READ,
    title="Get the results of a survey",
    scopes=("survey:read", "query:read"),
)
async def get_survey_results(ctx: Context, args: GetSurveyResults) -> Table:
    """What people answered: response rate; by question counts, shares, average, NPS, latest texts."""
    project = await ctx.project(args)
    survey = await find_survey(ctx, project, args.survey)
    if not survey.get("start_date"):
        raise ToolFailure(
            f"{survey['name']} has no results.",
            "It is a draft: nobody was asked.",
            "Launch it with launch_survey, or in PostHog.",
        )
    since, until = _period(ctx, survey, args)
    stats: Json = await ctx.api.get(
        STATS, query={"date_from": since, "date_to": until}, project_id=project.id, id=survey["id"]
    )
    found = await _responses(ctx, project, survey, since, until)
    page = ctx.link(project, f"surveys/{survey['id']}")
    period = f"answers from {_to_the_second(since)} to {_to_the_second(until)}"
    about = [
        f"{survey['name']} ({survey['id']}) of project {project}: {state_of(survey)}, {period}. Page: {page}",
        _rates(stats),
        *_completeness(found),
    ]
    table: list[list[Any]] = []
    for number, question in enumerate(questions_of(survey)):
        answers = [(read(row[number + _BEFORE_ANSWERS], question), str(row[0])) for row in found]
        given = [Given(texts, at) for texts, at in answers if texts]
        one = Answered(number + 1, question, given, len(found), is_nps(question))
        about.append(sentence(one))
        table += rows(one, args.texts)
    return Table(
        about=about,
        columns=COLUMNS,
        rows=table,
        outsiders=frozenset({"answer"}),
        empty=["Nobody answered in this period.", "Widen date_from and date_to."],
    )


def _period(ctx: Context, survey: Json, args: GetSurveyResults) -> tuple[str, str]:
    """The period to look at, within the time the survey ran."""
    now = ctx.now()
    start = parse_time(str(survey["start_date"]), now)
    end = parse_time(str(survey["end_date"]), now) if survey.get("end_date") else now
    since = max(start, parse_time(args.date_from, now)) if args.date_from else start
    until = min(end, parse_time(args.date_to, now)) if args.date_to else end
    if since > until:
        raise ToolFailure(
            "There is no such period.",
            f"The survey ran from {iso(start)} to {iso(end)}.",
            "Give date_from and date_to within that.",
        )
    return iso(since), iso(until)


async def _responses(ctx: Context, project: Project, survey: Json, since: str, until: str) -> list[list[Any]]:
    """One row for each submission, latest first: its time, whether it is complete, the answers in order.

    Events of one submission are one response; of each question its latest answer counts.
    """
    questions = questions_of(survey)
    answers = [f"getSurveyResponse({number}, {{question_{number}}})" for number in range(len(questions))]
    latest = [f"argMaxIf({each}, timestamp, notEmpty(ifNull({each}, '')))" for each in answers]
    columns = ", ".join(
        ["max(timestamp) AS at", "argMax(toString(properties.`$survey_completed`), timestamp)", *latest]
    )
    hogql = (
        f"SELECT {columns} FROM events WHERE event = 'survey sent'"  # noqa: S608 - numbers of ours
        " AND properties.`$survey_id` = {survey}"
        " AND timestamp >= toDateTime({since}) AND timestamp <= toDateTime({until})"
        " GROUP BY coalesce(nullIf(properties.`$survey_submission_id`, ''), toString(uuid))"
        f" ORDER BY at DESC LIMIT {_MOST}"
    )
    ids = {f"question_{number}": str(one.get("id")) for number, one in enumerate(questions)}
    return await rows_of(ctx, project, hogql, survey=survey["id"], since=since, until=until, **ids)


def _to_the_second(time: str) -> str:
    return f"{time[:19]}Z"


def _rates(stats: Json) -> str:
    counts: dict[str, Json] = stats.get("stats") or {}
    shown, sent, dismissed = (
        int(counts.get(f"survey {name}", {}).get("total_count") or 0)
        for name in ("shown", "sent", "dismissed")
    )
    people = counts.get("survey shown", {}).get("unique_persons") or 0
    told = f"Shown {shown} times to {people} people"
    if not shown:
        return f"{told}, so there is no rate; {sent} responses."
    rates: Json = stats.get("rates") or {}
    return (
        f"{told}: {sent} responses ({rates.get('response_rate')} % of showings, "
        f"{rates.get('unique_users_response_rate')} % of people), {dismissed} dismissed "
        f"({rates.get('dismissal_rate')} %)."
    )


def _completeness(found: list[list[Any]]) -> list[str]:
    told: list[str] = []
    if partial := sum(str(row[1]).lower() in ("false", "0") for row in found):
        told.append(f"{partial} of the {len(found)} responses are not complete; what they answered counts.")
    if len(found) == _MOST:
        told.append(f"Counted are the latest {_MOST:,} responses; a shorter period shows the others.")
    return told
