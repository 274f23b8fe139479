"""What a person gets for feature flags, and why."""

import difflib
import json
from typing import Annotated, Any

from pydantic import Field, field_validator

from posthog_mcp import outbox
from posthog_mcp.api.errors import NotFound, PostHogError
from posthog_mcp.render import Table
from posthog_mcp.tool import Access, Context, Input, JsonObject, Needs, tool
from posthog_mcp.tool.evaluation import Evaluation, Mode, Subject, Verdict, evaluate
from posthog_mcp.tool.explaining import told_by_posthog

_TEST = "/api/projects/{project_id}/feature_flags/{id}/test_evaluation/"
_UNKNOWN = (
    "PostHog stores nothing of a person with this distinct id. An email or a person's uuid is none: "
    "find_persons has the ids."
)
_MOST_OF_KEYS = 500  # characters
_MOST_TESTS = 5  # each is a query of PostHog's
Json = dict[str, Any]


class EvaluateFlags(Input):
    """Arguments of evaluate_flags."""

    distinct_id: str = Field(min_length=1, max_length=200, description="The person, as events name them.")
    flags: list[str] = Field(default_factory=list, max_length=200, description="Flag keys; none for all.")
    mode: Mode = Field(
        "auto",
        description="local decides here from definitions, without a request for each person; remote asks "
        "PostHog, which knows what it stored; auto is local where that can be decided.",
    )
    person_properties: JsonObject = Field(
        default_factory=dict, description='Count over what is stored: {"plan": "pro"}.'
    )
    groups: JsonObject = Field(default_factory=dict, description='Groups of the person: {"company": "acme"}.')
    group_properties: JsonObject = Field(
        default_factory=dict, description='Count over what is stored: {"company": {"seats": 20}}.'
    )
    device_id: str = Field("", max_length=200, description="For flags that go by device.")
    explain: bool = Field(default=False, description="Show what each condition compared, and the bucket.")
    send_event: Annotated[bool, Needs(Access.WRITE)] = Field(
        default=False, description="Record $feature_flag_called, as an application would."
    )

    @field_validator("group_properties")
    @classmethod
    def _by_type(cls, value: Json) -> Json:
        wrong = next((name for name, known in value.items() if not isinstance(known, dict)), None)
        if wrong is not None:
            raise ValueError(f'must hold an object for `{wrong}`, such as {{"company": {{"seats": 20}}}}')
        return value


@tool(area="flags", access=Access.READ, title="Evaluate feature flags", keys=("project",))
async def evaluate_flags(ctx: Context, args: EvaluateFlags) -> Table:
    """What a person gets for feature flags, as an application would see it: value, payload and reason.

    `from` says whether each was decided here (local) or by PostHog (remote).
    """
    # PostHog may not know yet what was said of the person a moment ago.
    lately = ctx.outbox().person(args.distinct_id)
    subject = Subject(
        args.distinct_id,
        lately | args.person_properties,
        {name: str(key) for name, key in args.groups.items()},
        args.group_properties,
        args.device_id,
        ctx.outbox().anonymous_id(args.distinct_id),
    )
    result = await evaluate(ctx, subject, args.flags, args.mode, explain=args.explain)
    if args.explain:
        await _have_explained(ctx, subject, result)
    if args.send_event:
        result.notes.append(await _send_events(ctx, subject, result))
    if lately:
        result.notes.append(f"Set here within the last ten minutes, and used: {', '.join(sorted(lately))}.")
    missing = [key for key in args.flags if key not in result.verdicts]
    if missing:
        result.notes.append(_not_found(missing, result))
    verdicts = [result.verdicts[key] for key in sorted(result.verdicts)]
    return Table(
        about=[f"Flags for {args.distinct_id}{_project(ctx, result)}.", *result.notes],
        columns=["flag", "value", "reason", "payload", "from", *(["how"] if args.explain else [])],
        rows=[_row(verdict, explain=args.explain) for verdict in verdicts],
        more=lambda shown: f"flags={_next([verdict.key for verdict in verdicts[shown:]])}",
        outsiders=frozenset({"how"} if args.explain else ()),
        empty=[
            "Nothing was evaluated."
            if args.flags
            else "The project has no active flag. create_flag makes one."
        ],
    )


def _project(ctx: Context, result: Evaluation) -> str:
    """The project, where the definitions name it: nothing is asked for that alone."""
    if result.definitions is None or not len(result.definitions.flags):
        return ""
    flags = result.definitions.flags
    number: int | None = flags.definition(next(iter(flags))).get("team_id")
    known = ctx.services.projects.get(number) if number else None
    return f" in project {known or number}" if number else ""


def _next(keys: list[str]) -> str:
    """The next flags to ask for, as the argument takes them."""
    shown: list[str] = []
    for key in keys:
        if sum(map(len, shown)) + len(key) > _MOST_OF_KEYS:
            break
        shown.append(key)
    return json.dumps(shown, separators=(",", ":"))


def _not_found(missing: list[str], result: Evaluation) -> str:
    known = list(result.definitions.flags) if result.definitions else []
    near = {name for key in missing for name in difflib.get_close_matches(key, known, n=2)}
    similar = f" Similar keys: {', '.join(sorted(near))}." if near else ""
    return f"There is no such flag: {', '.join(missing)}.{similar} list_flags shows every key."


def _row(verdict: Verdict, *, explain: bool) -> list[Any]:
    where = f"{verdict.where}, for browsers only" if verdict.runtime == "client" else verdict.where
    row = [verdict.key, verdict.value, verdict.reason, verdict.payload, where]
    return [*row, "\n".join(verdict.how)] if explain else row


async def _have_explained(ctx: Context, subject: Subject, result: Evaluation) -> None:
    """Have PostHog walk the conditions of what it decided; it does so with what it stored, and only that."""
    if subject.person_properties or subject.group_properties:
        return
    remote = [verdict for verdict in result.verdicts.values() if verdict.where == "remote"]
    project = await ctx.token_project() if remote else None
    if project is None:
        return
    body = {"distinct_id": subject.distinct_id, "groups": subject.groups}
    for verdict in remote[:_MOST_TESTS]:
        try:
            tested = await ctx.api.post(_TEST, body, project_id=project.id, id=verdict.flag_id)
        except NotFound:
            return  # an older PostHog does not offer it
        except PostHogError as error:
            result.notes.append(f"PostHog did not explain its own decisions: {error.what} {error.why}")
            return
        verdict.how = told_by_posthog(tested.get("conditions") or []) or verdict.how
        if tested.get("person_properties") == {} and _UNKNOWN not in result.notes:
            result.notes.append(_UNKNOWN)


async def _send_events(ctx: Context, subject: Subject, result: Evaluation) -> str:
    called = [verdict for verdict in result.verdicts.values() if verdict.value is not None]
    name, who = "$feature_flag_called", subject.distinct_id
    try:
        events = [outbox.made(name, who, _called(verdict, subject, result), ctx.now()) for verdict in called]
        if events:
            await ctx.outbox().append(events)
    except (outbox.OutboxFull, outbox.OutboxUnusable, ValueError) as error:
        # What the flags are is still worth telling.
        return f"{name} was not recorded: {error}"
    return f"{name} recorded for {len(events)} flag{'' if len(events) == 1 else 's'}."


def _called(verdict: Verdict, subject: Subject, result: Evaluation) -> Json:
    """The event's properties, as PostHog's own SDKs write them."""
    local = verdict.where == "local"
    properties: Json = {
        "$feature_flag": verdict.key,
        "$feature_flag_response": verdict.value,
        "$feature_flag_reason": verdict.reason,
        "locally_evaluated": local,
    }
    known: Json = {
        "$feature_flag_id": verdict.flag_id,
        "$feature_flag_version": verdict.version,
        "$groups": subject.groups,
    }
    if verdict.has_experiment is not None:
        properties["$feature_flag_has_experiment"] = verdict.has_experiment
    if local and result.definitions:
        known["$feature_flag_definitions_loaded_at"] = round(result.definitions.confirmed_at * 1000)
    elif result.answer:
        known["$feature_flag_request_id"] = result.answer.request_id
        known["$feature_flag_evaluated_at"] = result.answer.evaluated_at
    if not (local and _minimal(verdict, result)):
        properties[f"$feature/{verdict.key}"] = verdict.value
        known["$feature_flag_payload"] = verdict.payload_text
    return properties | {name: value for name, value in known.items() if value}


def _minimal(verdict: Verdict, result: Evaluation) -> bool:
    """Whether PostHog wants short events for this flag: it says so, and no experiment counts them."""
    asked = result.definitions is not None and result.definitions.body.get("minimal_flag_called_events")
    return asked is True and verdict.has_experiment is False
