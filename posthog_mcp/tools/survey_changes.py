"""Surveys made, changed, shown to people, and deleted."""

from typing import Any, Literal

from pydantic import Field, model_validator

from posthog_mcp.api.errors import NotFound
from posthog_mcp.render import Record
from posthog_mcp.tool import Access, Context, JsonObject, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.difference import difference
from posthog_mcp.tool.filter_rows import FilterRows
from posthog_mcp.tool.filters import Filter
from posthog_mcp.tool.flags import conditions_of, find_flag, posthog_rows
from posthog_mcp.tool.survey_questions import (
    Question,
    QuestionRows,
    changed_questions,
    merge,
    posthog_question,
)
from posthog_mcp.tool.surveys import (
    LAUNCH,
    LIST,
    ONE,
    OneSurvey,
    audience,
    find_survey,
    questions_of,
    response_counts,
    state_of,
    whole,
)
from posthog_mcp.tool.times import iso

Json = dict[str, Any]
_EVERYBODY = 100
_PEOPLE = 'Only persons like [{"property": "plan", "value": "pro"}].'


class CreateSurvey(ProjectInput):
    """Arguments of create_survey."""

    name: str = Field(min_length=1, description="For the team.")
    questions: list[Question] = Field(min_length=1, description="In order.")
    type: Literal["popover", "widget", "external_survey", "api"] = Field(
        "popover", description="Where it shows; api: in your own code."
    )
    url: str = Field("", description="Only at addresses with this in them.")
    event: str = Field("", description="Only after this event.")
    flag: str = Field("", description="Only for those with this flag: its key.")
    people: FilterRows = Field(default_factory=list[Filter], description=_PEOPLE)
    wait_days: int = Field(0, ge=0, description="Days of rest since the last survey.")
    responses_limit: int = Field(0, ge=0, description="Ends after so many.")
    thank_you: str = Field("", description="Shown at the end.")
    dry_run: bool = Field(default=False, description="Show the request, send nothing.")


@tool(area="surveys", access=Access.WRITE, title="Create a survey", scopes=("survey:write",))
async def create_survey(ctx: Context, args: CreateSurvey) -> Record:
    """Create a survey as a draft, which nobody sees.

    update_survey refines whom it is for and how it looks; launch_survey, or a person in PostHog, shows it.
    """
    project = await ctx.project(args)
    conditions: Json = {}
    if args.url:
        conditions |= {"url": args.url, "urlMatchType": "icontains"}
    if args.event:
        conditions["events"] = {"values": [{"name": args.event}]}
    if args.wait_days:
        conditions["seenSurveyWaitPeriodInDays"] = args.wait_days
    thanks = {"displayThankYouMessage": True, "thankYouMessageHeader": args.thank_you}
    body: Json = {
        "name": args.name,
        "type": args.type,
        "questions": [posthog_question(one) for one in args.questions],
        "schedule": "once",
        "conditions": conditions or None,
        "appearance": thanks if args.thank_you else None,
        "responses_limit": args.responses_limit or None,
        "linked_flag_id": await _flag_id(ctx, project, args.flag),
        "targeting_flag_filters": await _targeting(ctx, project, args.people, _EVERYBODY),
        "enable_partial_responses": True,
    }
    body = {name: value for name, value in body.items() if value is not None}
    if args.dry_run:
        return Record({"dry_run": True, "project": str(project), "would_create": body})
    made = await ctx.api.post(LIST, body, project_id=project.id)
    await ctx.flags_changed()
    return Record(whole(ctx, project, made))


class UpdateSurvey(OneSurvey):
    """Arguments of update_survey."""

    state: Literal["stop", "archive", "unarchive"] | None = Field(
        None, description="stop ends it; archive hides it, too."
    )
    name: str = Field("", description="New name.")
    description: str | None = Field(None, description='What it is for; "" clears.')
    add_questions: QuestionRows = Field(
        default_factory=list[Question], description="At the end; as in create_survey, JSON text."
    )
    change_questions: JsonObject = Field(
        default_factory=dict, description='Their fields at PostHog by id: {"<id>": {"question": "New?"}}.'
    )
    remove_questions: list[str] = Field(default_factory=list[str], description="Their ids.")
    conditions: JsonObject = Field(
        default_factory=dict, description='PostHog\'s, merged; null takes out: {"url": "/pricing"}.'
    )
    appearance: JsonObject = Field(default_factory=dict, description="The same for its look.")
    flag: str | None = Field(None, description='Only for those with it; "" for all.')
    people: FilterRows = Field(default_factory=list[Filter], description=_PEOPLE)
    rollout_percentage: float = Field(100, ge=0, le=100, description="Share of them.")
    everyone: bool = Field(default=False, description="Not only for certain persons.")
    always: bool | None = Field(None, description="Again and again, or once.")
    responses_limit: int | None = Field(None, ge=0, description="0 for none.")
    dry_run: bool = Field(default=False, description="Show what would change, send nothing.")

    @model_validator(mode="after")
    def _fits(self) -> "UpdateSurvey":
        if self.everyone and (self.people or self.rollout_percentage < _EVERYBODY):
            raise ValueError("give either `everyone` or `people` and `rollout_percentage`")
        return self


@tool(
    area="surveys",
    access=Access.WRITE,
    title="Change or stop a survey",
    scopes=("survey:write",),
    idempotent=False,
    default=False,
)
async def update_survey(ctx: Context, args: UpdateSurvey) -> Record:
    """Change a survey, or stop or archive it; everything not named stays. Only launch_survey starts one."""
    project = await ctx.project(args)
    survey = await find_survey(ctx, project, args.survey)
    body = _changes(survey, args) | _state(ctx, survey, args.state)
    if args.flag is not None:
        body["linked_flag_id"] = await _flag_id(ctx, project, args.flag)
    filters = await _targeting(ctx, project, args.people, args.rollout_percentage)
    if filters:
        body["targeting_flag_filters"] = filters
    if args.everyone and survey.get("targeting_flag"):
        body["remove_targeting_flag"] = True
    if not (body or args.state or args.everyone):
        raise ToolFailure(
            "The survey was not changed.",
            "No argument says how.",
            "Give state, or a field's new value.",
        )
    changed = difference(_shown(survey, body), body)
    if args.dry_run:
        request = f"PATCH {ONE.format(project_id=project.id, id=survey['id'])}"
        dry = {"dry_run": True, "survey": survey["name"], "state": state_of(survey), "request": request}
        return Record({**dry, "body": body, "would_change": changed})
    if not changed:
        return Record({"changed": "nothing: it is so already"} | whole(ctx, project, survey))
    after = await ctx.api.patch(ONE, body, project_id=project.id, id=survey["id"])
    await ctx.flags_changed()
    return Record({"changed": changed} | whole(ctx, project, after))


def _changes(survey: Json, args: UpdateSurvey) -> Json:
    """The fields to send: each whole, with what it held and what was asked for."""
    body: Json = {}
    if args.name:
        body["name"] = args.name
    if args.description is not None:
        body["description"] = args.description
    if args.add_questions or args.change_questions or args.remove_questions:
        body["questions"] = changed_questions(
            questions_of(survey),
            change=args.change_questions,
            remove=args.remove_questions,
            add=args.add_questions,
        )
    for name, fields in (("conditions", args.conditions), ("appearance", args.appearance)):
        if fields:
            body[name] = {**(survey.get(name) or {})}
            merge(body[name], fields)
    if args.always is not None:
        body["schedule"] = "always" if args.always else "once"
    if args.responses_limit is not None:
        body["responses_limit"] = args.responses_limit or None
    return body


def _state(ctx: Context, survey: Json, action: str | None) -> Json:
    runs = bool(survey.get("start_date")) and not survey.get("end_date")
    ended = {"end_date": iso(ctx.now())} if runs else {}
    match action:
        case "stop":
            if not survey.get("start_date"):
                raise ToolFailure(f"{survey['name']} was not stopped.", "It is a draft.", "Nothing to do.")
            return ended
        case "archive":
            return {"archived": True, **ended}
        case "unarchive":
            # One that was archived while it ran would be shown again at once.
            return {"archived": False, **ended}
        case _:
            return {}


def _shown(survey: Json, body: Json) -> Json:
    """What the fields of an update hold now, in the form they are sent in."""
    flag: Json = survey.get("targeting_flag") or {}
    kept = [
        {name: one.get(name) for name in ("properties", "rollout_percentage")} for one in conditions_of(flag)
    ]
    linked: Json = survey.get("linked_flag") or {}
    now: Json = {
        **survey,
        "targeting_flag_filters": {"groups": kept} if flag else None,
        "remove_targeting_flag": False,
        "linked_flag_id": survey.get("linked_flag_id") or linked.get("id"),
    }
    return {name: now.get(name) for name in body}


async def _flag_id(ctx: Context, project: Project, key: str) -> int | None:
    return int((await find_flag(ctx, project, key))["id"]) if key else None


async def _targeting(ctx: Context, project: Project, people: list[Filter], share: float) -> Json | None:
    """The filters of the flag that PostHog makes for the survey; None for everybody."""
    if not people and share == _EVERYBODY:
        return None
    rows = await posthog_rows(ctx, project, people, None)
    return {"groups": [{"properties": rows, "rollout_percentage": share}]}


class LaunchSurvey(OneSurvey):
    """Arguments of launch_survey."""

    dry_run: bool = Field(default=False, description="Show the request and who would see it.")


@tool(
    area="surveys",
    access=Access.FULL,
    title="Launch or resume a survey",
    scopes=("survey:write",),
    destructive=True,
    idempotent=True,
    default=False,
)
async def launch_survey(ctx: Context, args: LaunchSurvey) -> Record:
    """Show a draft, or a survey that was stopped, to people. A person must agree. update_survey stops it."""
    project = await ctx.project(args)
    survey = await find_survey(ctx, project, args.survey)
    state, reach = state_of(survey), "; ".join(audience(survey)) or "everybody"
    if state == "archived":
        raise ToolFailure(
            f"{survey['name']} was not launched.",
            "It is archived.",
            "Bring it back with update_survey and state unarchive first.",
        )
    if state == "complete":
        await _check_limit(ctx, project, survey)
    if args.dry_run:
        path = (LAUNCH if state == "draft" else ONE).format(project_id=project.id, id=survey["id"])
        request = {"draft": f"POST {path}", "complete": f"PATCH {path}"}.get(state, "none: it runs already")
        dry: Json = {"dry_run": True, "survey": survey["name"], "state": state, "request": request}
        return Record(dry | ({"body": {"end_date": None}} if state == "complete" else {}) | {"who": reach})
    if state == "running":
        return Record({"changed": "nothing: it runs already"} | whole(ctx, project, survey))
    questions = len(questions_of(survey))
    await ctx.consent(
        f"Show the survey {survey['name']} of project {project} ({questions} "
        f"question{'' if questions == 1 else 's'}) to {reach}, from now on.",
        str(survey["name"]),
    )
    after = await _launched(ctx, project, survey, resume=state == "complete")
    await ctx.flags_changed()
    return Record({"was": state} | whole(ctx, project, after))


async def _check_limit(ctx: Context, project: Project, survey: Json) -> None:
    limit = survey.get("responses_limit")
    if limit and (await response_counts(ctx, project, [survey])).get(survey["id"], 0) >= limit:
        raise ToolFailure(
            f"{survey['name']} was not resumed.",
            f"It has the {limit} responses it wants, so PostHog would end it again.",
            "Raise responses_limit with update_survey first.",
        )


async def _launched(ctx: Context, project: Project, survey: Json, *, resume: bool) -> Json:
    where: Json = {"project_id": project.id, "id": survey["id"]}
    if resume:
        return await ctx.api.patch(ONE, {"end_date": None}, **where)
    try:
        return await ctx.api.post(LAUNCH, {}, **where)
    except NotFound:
        # An older PostHog launches by the date.
        return await ctx.api.patch(ONE, {"start_date": iso(ctx.now())}, **where)


class DeleteSurvey(OneSurvey):
    """Arguments of delete_survey."""

    dry_run: bool = Field(default=False, description="Show what would go, send nothing.")


@tool(
    area="surveys",
    access=Access.FULL,
    title="Delete a survey",
    scopes=("survey:write",),
    destructive=True,
    idempotent=True,
    default=False,
)
async def delete_survey(ctx: Context, args: DeleteSurvey) -> Record:
    """Delete a survey and its targeting for good. A person must agree. update_survey can archive it."""
    project = await ctx.project(args)
    survey = await find_survey(ctx, project, args.survey)
    responses = (await response_counts(ctx, project, [survey])).get(survey["id"], 0)
    if args.dry_run:
        request = f"DELETE {ONE.format(project_id=project.id, id=survey['id'])}"
        return Record(
            {"dry_run": True, "survey": survey["name"], "request": request, "state": state_of(survey),
             "responses": responses}
        )  # fmt: skip
    await ctx.consent(
        f"Delete the survey {survey['name']} ({state_of(survey)}) of project {project}. Its {responses} "
        "responses stay as events, but PostHog shows them no more.",
        str(survey["name"]),
    )
    await ctx.api.delete(ONE, project_id=project.id, id=survey["id"])
    await ctx.flags_changed()
    return Record({"deleted": survey["name"], "id": survey["id"], "project": str(project)})
