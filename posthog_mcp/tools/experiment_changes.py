"""Experiments changed: what they measure, their state, and a variant shipped."""

from typing import Any, Literal

from pydantic import Field, model_validator

from posthog_mcp.render import Record
from posthog_mcp.render.flags import conditions, variants
from posthog_mcp.tool import Access, Context, Project, ToolFailure, tool
from posthog_mcp.tool.difference import difference
from posthog_mcp.tool.experiment_metrics import METRICS, Metric, Metrics, metric_name, posthog_metric
from posthog_mcp.tool.experiments import (
    ONE,
    OneExperiment,
    exposure_config,
    find_experiment,
    flag_of,
    launch_problems,
    shares_of,
    state_of,
    whole,
)

Json = dict[str, Any]
Conclusion = Literal["won", "lost", "inconclusive", "stopped_early", "invalid"]


class UpdateExperiment(OneExperiment):
    """Arguments of update_experiment."""

    name: str = Field("", max_length=400, description="New name.")
    description: str | None = Field(None, max_length=3_000, description='New hypothesis; "" clears.')
    add_metrics: Metrics = Field(default_factory=list[Metric], description=f"Metrics to add: {METRICS}")
    remove_metrics: list[str] = Field(
        default_factory=list[str], max_length=20, description="Names or uuids of metrics to take out."
    )
    exposure_event: str | None = Field(
        None, max_length=200, description='Exposes; "" for the flag call again.'
    )
    test_accounts: Literal["count", "leave_out"] | None = Field(None, description="Internal users.")
    several_variants: Literal["exclude", "first_seen"] | None = Field(
        None, description="People who saw several variants: none of them, or the first."
    )
    statistics: Literal["bayesian", "frequentist"] | None = Field(None, description="Method.")
    conclusion: Conclusion | None = Field(None, description="How it ended.")
    comment: str | None = Field(None, max_length=4_000, description='On the conclusion; "" clears.')
    allow_unknown_events: bool = Field(default=False, description="New event names are no slip.")
    dry_run: bool = Field(default=False, description="Show the request and what differs, send nothing.")


@tool(
    area="experiments",
    access=Access.WRITE,
    title="Change an experiment",
    scopes=("experiment:write",),
    idempotent=False,
    default=False,
)
async def update_experiment(ctx: Context, args: UpdateExperiment) -> Record:
    """Change what an experiment is called, measures or counts; everything not named stays as it is.

    Variants, shares and conditions are its flag's: update_flag. Its state: change_experiment_state.
    """
    project = await ctx.project(args)
    experiment = await find_experiment(ctx, project, args.experiment)
    body = _changes(experiment, args)
    changed = difference({name: experiment.get(name) for name in body}, body)
    if args.dry_run:
        return Record(_dry("PATCH", ONE, project, experiment, body) | {"would_change": changed})
    if not changed:
        return Record({"changed": "nothing: it is so already"} | whole(ctx, project, experiment))
    # Events that stay were accepted when they came; only a new name can be a slip.
    accepted = args.allow_unknown_events or not (args.add_metrics or args.exposure_event)
    sent = body | ({"allow_unknown_events": True} if accepted else {})
    after = await ctx.api.patch(ONE, sent, project_id=project.id, id=experiment["id"])
    return Record({"changed": changed} | whole(ctx, project, after))


def _changes(experiment: Json, args: UpdateExperiment) -> Json:
    """The fields to send: each whole, with what it held and what was asked for."""
    body: Json = {}
    if args.name:
        body["name"] = args.name
    if args.description is not None:
        body["description"] = args.description
    if args.add_metrics or args.remove_metrics:
        body |= _metrics(experiment, args)
    criteria: Json = {**(experiment.get("exposure_criteria") or {})}
    if args.exposure_event is not None:
        criteria["exposure_config"] = exposure_config(args.exposure_event)
    if args.test_accounts is not None:
        criteria["filterTestAccounts"] = args.test_accounts == "leave_out"
    if args.several_variants is not None:
        criteria["multiple_variant_handling"] = args.several_variants
    if criteria != (experiment.get("exposure_criteria") or {}):
        body["exposure_criteria"] = criteria
    if args.statistics is not None:
        body["stats_config"] = {**(experiment.get("stats_config") or {}), "method": args.statistics}
    if args.conclusion is not None:
        body["conclusion"] = args.conclusion
    if args.comment is not None:
        body["conclusion_comment"] = args.comment
    return body


def _metrics(experiment: Json, args: UpdateExperiment) -> Json:
    kept: dict[str, list[Json]] = {
        name: [*(experiment.get(name) or [])] for name in ("metrics", "metrics_secondary")
    }
    for wanted in args.remove_metrics:
        found = [
            (name, metric)
            for name, listed in kept.items()
            for metric in listed
            if wanted in (metric.get("uuid"), metric_name(metric))
        ]
        if len(found) != 1:
            names = ", ".join(
                f"{metric_name(each)} ({each.get('uuid')})" for own in kept.values() for each in own
            )
            raise ToolFailure(
                f"Nothing was changed: {'several metrics are' if found else 'no metric is'} `{wanted}`.",
                f"The experiment has {names or 'none of its own'}.",
                "Name each by its uuid. Shared metrics are taken out in PostHog.",
            )
        kept[found[0][0]].remove(found[0][1])
    for metric in args.add_metrics:
        kept["metrics_secondary" if metric.secondary else "metrics"].append(posthog_metric(metric))
    return {name: listed for name, listed in kept.items() if listed != (experiment.get(name) or [])}


class ChangeExperimentState(OneExperiment):
    """Arguments of change_experiment_state."""

    action: Literal["launch", "pause", "resume", "end", "archive", "unarchive", "reset"] = Field(
        description="launch and resume put the flag on, pause off; end leaves it; reset makes a draft again."
    )
    conclusion: Conclusion | None = Field(None, description="For end.")
    comment: str = Field("", max_length=4_000, description="For end: why.")
    anyway: bool = Field(default=False, description="Launch in spite of what speaks against it.")
    dry_run: bool = Field(default=False, description="Show the request and what speaks against it.")

    @model_validator(mode="after")
    def _fits(self) -> "ChangeExperimentState":
        if self.action != "end" and (self.conclusion or self.comment):
            raise ValueError("`conclusion` and `comment` go with `action` end")
        return self


@tool(
    area="experiments",
    access=Access.WRITE,
    title="Launch, pause or end an experiment",
    scopes=("experiment:write", "feature_flag:write"),
    idempotent=False,
)
async def change_experiment_state(ctx: Context, args: ChangeExperimentState) -> Record:
    """Launch, pause, resume, end (with a conclusion), archive or reset an experiment.

    A launch is refused without a metric, at 0 %, and where another experiment runs on the flag.
    """
    project = await ctx.project(args)
    experiment = await find_experiment(ctx, project, args.experiment)
    begins = args.action == "launch" and state_of(experiment) == "draft"
    problems = await launch_problems(ctx, project, experiment) if begins else []
    path = f"{ONE}{args.action}/"
    given = {"conclusion": args.conclusion, "conclusion_comment": args.comment}
    body: Json = {name: value for name, value in given.items() if value}
    if args.dry_run:
        return Record(
            _dry("POST", path, project, experiment, body)
            | {"state": state_of(experiment)}
            | ({"against_it": problems} if problems else {})
        )
    if problems and not args.anyway:
        raise ToolFailure(
            f"{experiment['name']} was not launched.",
            " ".join(problems),
            "Mend it with update_experiment or update_flag, or call again with anyway.",
        )
    after = await ctx.api.post(path, body, project_id=project.id, id=experiment["id"])
    await ctx.flags_changed()
    told: Json = {"was": state_of(experiment), "launched_in_spite_of": problems}
    if args.action == "end":
        told["next"] = "The flag still gives its variants to people: ship_experiment_variant ends that."
    return Record({name: value for name, value in told.items() if value} | whole(ctx, project, after))


class ShipExperimentVariant(OneExperiment):
    """Arguments of ship_experiment_variant."""

    variant: str = Field(min_length=1, max_length=200, description="Its key.")
    to_everyone: bool = Field(
        default=False, description="To all people, not only those the flag's conditions reach."
    )
    conclusion: Conclusion | None = Field(None, description="How it ended.")
    comment: str = Field("", max_length=4_000, description="Why.")
    dry_run: bool = Field(default=False, description="Show the request and what would change.")


@tool(
    area="experiments",
    access=Access.FULL,
    title="Ship a variant of an experiment",
    scopes=("experiment:write", "feature_flag:write"),
    destructive=True,
    idempotent=True,
    default=False,
)
async def ship_experiment_variant(ctx: Context, args: ShipExperimentVariant) -> Record:
    """Give one variant to everybody the flag reaches, or to all people, and end the experiment.

    A person must agree: what people see changes at once, and the split is gone.
    """
    project = await ctx.project(args)
    experiment = await find_experiment(ctx, project, args.experiment)
    flag, shares = flag_of(experiment), shares_of(experiment)
    if state_of(experiment) == "draft" or args.variant not in shares:
        raise ToolFailure(
            f"`{args.variant}` was not shipped.",
            f"{experiment['name']} is a draft."
            if state_of(experiment) == "draft"
            else f"The flag {flag.get('key')} has {', '.join(shares)}.",
            "list_experiments shows states and variants.",
        )
    path = f"{ONE}ship_variant/"
    given = {"conclusion": args.conclusion, "conclusion_comment": args.comment}
    body: Json = {"variant_key": args.variant, "release_to_everyone": args.to_everyone}
    body |= {name: value for name, value in given.items() if value}
    reach = "all people" if args.to_everyone else "; ".join(conditions(flag.get("filters") or {})) or "nobody"
    if args.dry_run:
        split = variants(flag.get("filters") or {})
        change = {"variants": f"{args.variant} 100 %", "instead_of": split, "who_gets_it": reach}
        return Record(_dry("POST", path, project, experiment, body) | {"would_change": change})
    await ctx.consent(
        f"Ship {args.variant} of the experiment {experiment['name']} of project {project}: the flag "
        f"{flag.get('key')} gives it to {reach}, and the experiment ends.",
        str(experiment["name"]),
    )
    after = await ctx.api.post(path, body, project_id=project.id, id=experiment["id"])
    await ctx.flags_changed()
    return Record({"shipped": args.variant} | whole(ctx, project, after))


def _dry(method: str, path: str, project: Project, experiment: Json, body: Json) -> Json:
    request = f"{method} {path.format(project_id=project.id, id=experiment['id'])}"
    return {"dry_run": True, "experiment": experiment["name"], "request": request, "body": body}
