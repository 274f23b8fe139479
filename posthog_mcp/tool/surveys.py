"""Surveys as tools find and show them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import Field

from posthog_mcp.api.errors import NotFound
from posthog_mcp.render.flags import conditions
from posthog_mcp.tool.arguments import ProjectInput
from posthog_mcp.tool.naming import only, unknown
from posthog_mcp.tool.survey_questions import in_words

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

LIST = "/api/projects/{project_id}/surveys/"
ONE = LIST + "{id}/"
LAUNCH = ONE + "launch/"
STATS = ONE + "stats/"
COUNTS = LIST + "responses_count/"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PAGE = 200
_SHOWN = (
    "id",
    "name",
    "description",
    "type",
    "schedule",
    "start_date",
    "end_date",
    "responses_limit",
    "iteration_count",
    "iteration_frequency_days",
    "current_iteration",
    "enable_partial_responses",
    "conditions",
    "appearance",
)
Json = dict[str, Any]


class OneSurvey(ProjectInput):
    """The argument that names a survey."""

    survey: str = Field(min_length=1, description="Its id, or its name.")


async def find_survey(ctx: Context, project: Project, name: str) -> Json:
    """The survey with this id or name, archived or not, as PostHog has it now.

    Raises:
        ToolFailure: There is none, or several of that name; the text names those that come near.
    """
    wanted = name.strip()
    if _UUID.fullmatch(wanted):
        try:
            return await ctx.api.get(ONE, project_id=project.id, id=wanted)
        except NotFound:
            pass  # a name may look like an id as well
    found = await _listed(ctx, project, search=wanted[:200])
    same = [one for one in found if str(one["name"]).lower() == wanted.lower()]
    survey = only("survey", name, same, project)
    if survey is None:
        raise unknown("survey", name, [str(one["name"]) for one in await _listed(ctx, project)], project)
    return await ctx.api.get(ONE, project_id=project.id, id=survey["id"])


async def _listed(ctx: Context, project: Project, **query: Any) -> list[Json]:
    page = await ctx.api.get(LIST, query={"limit": _PAGE, **query}, project_id=project.id)
    results: list[Json] = page["results"]
    return results


async def response_counts(ctx: Context, project: Project, surveys: list[Json]) -> dict[str, int]:
    """How many responses each of the surveys has; those that were never launched are left out."""
    ids = [str(one["id"]) for one in surveys if one.get("start_date")]
    if not ids:
        return {}
    found = await ctx.api.get(COUNTS, query={"survey_ids": ",".join(ids)}, project_id=project.id)
    return {survey: int(found.get(survey) or 0) for survey in ids}


def state_of(survey: Json) -> str:
    """draft, running, complete or archived."""
    if survey.get("archived"):
        return "archived"
    if not survey.get("start_date"):
        return "draft"
    return "complete" if survey.get("end_date") else "running"


def questions_of(survey: Json) -> list[Json]:
    """Its questions, in order."""
    questions: list[Json] = survey.get("questions") or []
    return questions


def audience(survey: Json) -> list[str]:
    """Who sees it, one sentence for each thing that narrows it; none: everybody the SDK shows it to."""
    when: Json = survey.get("conditions") or {}
    told: list[str] = []
    for name in ("linked_flag", "targeting_flag"):
        flag: Json = survey.get(name) or {}
        if name == "linked_flag" and flag:
            variant = when.get("linkedFlagVariant")
            told.append(f"people who get {variant or 'any value'} of the flag {flag.get('key')}")
        elif flag:
            told += conditions(flag.get("filters") or {})
    if when.get("url"):
        told.append(f"on pages whose address {when.get('urlMatchType') or 'icontains'} {when['url']}")
    events: dict[str, list[Json]] = when.get("events") or {}
    if names := [str(one.get("name")) for one in events.get("values") or []]:
        told.append(f"after {' or '.join(names)}")
    if days := when.get("seenSurveyWaitPeriodInDays"):
        told.append(f"not within {days} days after another survey")
    return told


def whole(ctx: Context, project: Project, survey: Json) -> Json:
    """A survey as tools show it: state, questions in words, who sees it, its page."""
    shown = {name: survey[name] for name in _SHOWN if survey.get(name) not in (None, "", [], {}, False)}
    linked: Json = survey.get("linked_flag") or {}
    return {
        **shown,
        "state": state_of(survey),
        "questions": [in_words(one) for one in questions_of(survey)],
        "who_sees_it": audience(survey) or ["everybody"],
        **({"linked_flag": linked.get("key")} if linked else {}),
        "project": str(project),
        "url": ctx.link(project, f"surveys/{survey['id']}"),
    }
