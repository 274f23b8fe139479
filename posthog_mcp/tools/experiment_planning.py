"""Experiments planned: variants, metrics, exposure, and how many people for how long."""

from typing import Any, Literal

from pydantic import Field, model_validator

from posthog_mcp.render import Record
from posthog_mcp.render.flags import variants
from posthog_mcp.tool import Access, Context, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.experiment_metrics import METRICS, Metric, Metrics, posthog_metric
from posthog_mcp.tool.experiment_sample import Plan, plan_sample
from posthog_mcp.tool.experiments import LIST, exposure_config, flag_of, shares_of, whole
from posthog_mcp.tool.flags import LIST as FLAGS
from posthog_mcp.tool.flags import Share, Variant, Variants

Json = dict[str, Any]
_LONG_DAYS = 90


class CreateExperiment(ProjectInput):
    """Arguments of create_experiment."""

    name: str = Field(min_length=1, max_length=400, description="Name.")
    description: str = Field("", max_length=3_000, description="The hypothesis.")
    flag_key: str = Field(
        min_length=1,
        max_length=400,
        pattern=r"^[a-zA-Z0-9_-]+$",
        description="A new flag's key, or an existing multivariate flag's, taken as it is.",
    )
    variants: Variants = Field(
        default_factory=list[Variant],
        description='[{"key":"control","rollout_percentage":50},…]. Default: control and test, half each.',
    )
    rollout_percentage: Share = Field(100, description="Share of people in it.")
    metrics: Metrics = Field(default_factory=list[Metric], description=f"What it is judged by: {METRICS}")
    exposure_event: str = Field(
        "", max_length=200, description="Exposes, instead of the flag call; has $feature/<key>."
    )
    statistics: Literal["bayesian", "frequentist"] = Field("bayesian", description="Method.")
    minimum_detectable_effect: float = Field(0, ge=0, le=1_000, description="In %, to plan the sample.")
    baseline: float = Field(
        0,
        ge=0,
        description="First metric today: 0.12, or a mean; ratio and retention are measured.",
    )
    exposures_per_day: float = Field(0, ge=0, description="To plan the days.")
    allow_unknown_events: bool = Field(default=False, description="New event names are no slip.")
    dry_run: bool = Field(default=False, description="Show the request, send nothing.")

    @model_validator(mode="after")
    def _fits(self) -> "CreateExperiment":
        keys = [variant.key for variant in self.variants]
        if keys and (len(keys) < 2 or "control" not in keys):  # noqa: PLR2004 - something to compare
            raise ValueError("`variants` must be at least two, one of them `control`")
        metric = _first(self.metrics)
        if self.minimum_detectable_effect and metric is not None:
            _check_baseline(metric, self.baseline)
        return self


def _check_baseline(metric: Metric, baseline: float) -> None:
    if not baseline and metric.type not in ("ratio", "retention"):
        raise ValueError("`minimum_detectable_effect` needs `baseline` to plan with")
    if baseline >= 1 and metric.type in ("funnel", "retention"):
        raise ValueError(f"the `baseline` of a {metric.type} is a share below 1, such as 0.12")


@tool(
    area="experiments",
    access=Access.WRITE,
    title="Create an experiment",
    scopes=("experiment:write", "feature_flag:write"),
)
async def create_experiment(ctx: Context, args: CreateExperiment) -> Record:
    """Create an experiment as a draft: flag (off), metrics, sample size. Then change_experiment_state."""
    project = await ctx.project(args)
    flag = await _existing_flag(ctx, project, args)
    plan = await _plan(ctx, project, args, flag)
    body = _body(args, plan, new_flag=flag is None)
    warnings = _warnings(args, flag, plan)
    said: Json = {"planned_from": plan["planned_from"]} if plan else {}
    if args.dry_run:
        told = {"warnings": warnings} if warnings else {}
        return Record({"dry_run": True, "project": str(project), "would_create": body, **said, **told})
    made = await ctx.api.post(LIST, body, project_id=project.id)
    await ctx.flags_changed()
    wanted = {variant.key: variant.rollout_percentage for variant in args.variants}
    if flag is None and wanted and shares_of(made) != wanted:
        got = variants(flag_of(made).get("filters") or {})
        warnings.append(f"PostHog made the flag with other variants than asked: {got}. Use update_flag.")
    return Record(whole(ctx, project, made) | said | ({"warnings": warnings} if warnings else {}))


async def _existing_flag(ctx: Context, project: Project, args: CreateExperiment) -> Json | None:
    query = {"key": args.flag_key, "search": args.flag_key[:200], "limit": 100}
    page = await ctx.api.get(FLAGS, query=query, project_id=project.id)
    flag = next((one for one in page["results"] if one["key"] == args.flag_key), None)
    if flag is None:
        return None
    there = shares_of({"feature_flag": flag})
    wanted = {variant.key: variant.rollout_percentage for variant in args.variants}
    if len(there) < 2 or (wanted and wanted != there):  # noqa: PLR2004 - something to compare
        raise ToolFailure(
            f"`{args.flag_key}` cannot carry this experiment.",
            f"The flag exists with {variants(flag.get('filters') or {}) or 'no variants'}, and an experiment "
            "takes a flag as it is.",
            "Give another flag_key, leave out `variants`, or change the flag with update_flag first.",
        )
    return flag


def _body(args: CreateExperiment, plan: Json, *, new_flag: bool) -> Json:
    criteria: Json = {"filterTestAccounts": True}
    if exposure := exposure_config(args.exposure_event):
        criteria["exposure_config"] = exposure
    body: Json = {
        "name": args.name,
        "description": args.description,
        "feature_flag_key": args.flag_key,
        "type": "product",
        "metrics": [posthog_metric(metric) for metric in args.metrics if not metric.secondary],
        "metrics_secondary": [posthog_metric(metric) for metric in args.metrics if metric.secondary],
        "exposure_criteria": criteria,
        "stats_config": {"method": args.statistics},
        "allow_unknown_events": args.allow_unknown_events,
    }
    if new_flag:
        listed = args.variants or [
            Variant(key="control", rollout_percentage=50, name=""),
            Variant(key="test", rollout_percentage=50, name=""),
        ]
        filters: Json = {
            "groups": [{"properties": [], "rollout_percentage": args.rollout_percentage}],
            "multivariate": {"variants": [variant.model_dump() for variant in listed]},
        }
        body["feature_flag"] = {"filters": filters}
    if args.minimum_detectable_effect:
        planned = {
            "minimum_detectable_effect": args.minimum_detectable_effect,
            "recommended_sample_size": plan.get("recommended_sample_size"),
            "recommended_running_time": plan.get("recommended_running_time_days"),
        }
        body["running_time_calculation"] = {name: value for name, value in planned.items() if value}
    return body


async def _plan(ctx: Context, project: Project, args: CreateExperiment, flag: Json | None) -> Json:
    """The sample of the first primary metric; empty where none was asked for."""
    metric = _first(args.metrics)
    if not args.minimum_detectable_effect or metric is None:
        return {}
    count = len(args.variants or shares_of({"feature_flag": flag})) or 2
    wanted = Plan(metric, args.minimum_detectable_effect, args.baseline, count, args.exposures_per_day)
    return await plan_sample(ctx, project, wanted)


def _first(metrics: list[Metric]) -> Metric | None:
    return next((metric for metric in metrics if not metric.secondary), None)


def _warnings(args: CreateExperiment, flag: Json | None, plan: Json) -> list[str]:
    warnings: list[str] = []
    if not args.metrics:
        warnings.append("It has no metric: add one with update_experiment before the launch.")
    if (plan.get("recommended_running_time_days") or 0) > _LONG_DAYS:
        days = plan["recommended_running_time_days"]
        warnings.append(f"It would take {days} days: look for a larger effect, or decide by another metric.")
    if flag is not None and flag.get("active"):
        warnings.append("Its flag is on already: people get variants before the launch.")
    if flag is not None and flag.get("experiment_set"):
        warnings.append(f"Its flag belongs to other experiments too: {flag['experiment_set']}.")
    return warnings
