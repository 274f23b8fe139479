"""Experiments: which there are, and what they found."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from posthog_mcp.api.errors import Invalid, ServerError
from posthog_mcp.render import Record, Table
from posthog_mcp.render.experiments import COLUMNS, MISMATCH, Results, chart, mismatch, read, rows, sentence
from posthog_mcp.render.flags import variants
from posthog_mcp.tool import Access, Context, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.charts import Charted, with_chart
from posthog_mcp.tool.experiment_metrics import metric_name, metrics_of
from posthog_mcp.tool.experiments import (
    LIST,
    OneExperiment,
    days_run,
    find_experiment,
    flag_of,
    shares_of,
    state_of,
    whole,
)
from posthog_mcp.tool.queries import answer_of
from posthog_mcp.tool.selecting import freshness
from posthog_mcp.tool.times import iso

Json = dict[str, Any]


class ListExperiments(ProjectInput):
    """Arguments of list_experiments."""

    search: str = Field("", max_length=200, description="Part of the name.")
    state: Literal["any", "draft", "running", "paused", "stopped", "archived"] = Field(
        "any", description="Archived ones are only in archived."
    )
    limit: int = Field(50, ge=1, le=200, description="How many.")
    offset: int = Field(0, ge=0, description="How many to skip.")


@tool(area="experiments", access=Access.READ, title="List experiments", scopes=("experiment:read",))
async def list_experiments(ctx: Context, args: ListExperiments) -> Table:
    """List the project's experiments with state, flag, metrics and conclusion, newest first."""
    project = await ctx.project(args)
    query: Json = {
        "limit": args.limit,
        "offset": args.offset,
        "search": args.search or None,
        "status": None if args.state in ("any", "archived") else args.state,
        "archived": True if args.state == "archived" else None,
    }
    page = await ctx.api.get(LIST, query=query, project_id=project.id)
    return Table(
        about=[f"Experiments of project {project}."],
        columns=["id", "name", "state", "flag", "variants", "metrics", "started", "ended", "conclusion"],
        rows=[_row(one) for one in page["results"]],
        total=page.get("count"),
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(page.get("next")),
        empty=["Leave out the filters to see all, or create one with create_experiment."],
    )


def _row(one: Json) -> list[Any]:
    flag = flag_of(one)
    metrics = ", ".join(metric_name(metric) for metric, _ in metrics_of(one))
    return [
        one["id"],
        one["name"],
        state_of(one),
        one.get("feature_flag_key") or flag.get("key"),
        variants(flag.get("filters") or {}),
        metrics,
        one.get("start_date"),
        one.get("end_date"),
        one.get("conclusion"),
    ]


class GetExperiment(OneExperiment):
    """Arguments of get_experiment."""


@tool(
    area="experiments",
    access=Access.READ,
    title="Get an experiment",
    scopes=("experiment:read",),
    default=False,
)
async def get_experiment(ctx: Context, args: GetExperiment) -> Record:
    """One experiment whole: state, flag, metrics, exposure, plan. Its numbers: get_experiment_results."""
    project = await ctx.project(args)
    return Record(whole(ctx, project, await find_experiment(ctx, project, args.experiment)))


class GetExperimentResults(OneExperiment):
    """Arguments of get_experiment_results."""

    metric: str = Field("", max_length=400, description="Only the metric of this name.")
    chart: Charted = False


@tool(
    area="experiments",
    access=Access.READ,
    title="Get the results of an experiment",
    scopes=("experiment:read", "query:read"),
)
async def get_experiment_results(ctx: Context, args: GetExperimentResults) -> Table:
    """What an experiment found: people exposed, each variant's value by metric, intervals, a conclusion.

    Says when the split of people cannot be chance, and when it is too early to tell.
    """
    project = await ctx.project(args)
    experiment = await find_experiment(ctx, project, args.experiment)
    state, days = state_of(experiment), days_run(experiment, ctx.now())
    if state == "draft":
        raise ToolFailure(
            f"{experiment['name']} has no results.",
            "It is a draft: nobody was exposed.",
            "Start it with change_experiment_state.",
        )
    wanted = args.metric.lower()
    chosen = [each for each in metrics_of(experiment) if not wanted or metric_name(each[0]).lower() == wanted]
    if args.metric and not chosen:
        names = ", ".join(metric_name(metric) for metric, _ in metrics_of(experiment))
        raise ToolFailure(f"There is no metric `{args.metric}`.", f"There are: {names}.", "Give one of them.")
    config: Json = experiment.get("stats_config") or {}
    page = ctx.link(project, f"experiments/{experiment['id']}")
    started = iso(datetime.fromisoformat(experiment["start_date"]).replace(microsecond=0))
    since = f"{state}, begun {started}, {days:.0f} days of exposure"
    about = [
        f"{experiment['name']} ({experiment['id']}) of project {project}: {since}. Page: {page}",
        *await _exposures(ctx, project, experiment),
    ]
    found: list[Results] = []
    answers: list[Json] = []
    for done, (metric, primary) in enumerate(chosen):
        await ctx.progress(done, len(chosen), metric_name(metric))
        name = metric_name(metric) + ("" if primary else " (secondary)")
        try:
            answer = await _metric(ctx, project, experiment, metric)
        except (Invalid, ServerError, ToolFailure) as error:
            said = getattr(error, "said", "") or error.why
            about.append(f"{name}: PostHog cannot compute it: {said}")
            continue
        answers.append(answer)
        found.append(read(answer, metric, name, config))
        about.append(sentence(found[-1]))
    if answers:
        about.append(freshness(min(answers, key=lambda each: each.get("last_refresh") or "")).strip())
    told = [row for results in found for row in rows(results)]
    table = Table(about=about, columns=COLUMNS, rows=told, empty=["The experiment has no metric to show."])
    if not args.chart:
        return table
    drawn = chart(found, experiment["name"], f"Project {project}, {since}.") if found else None
    if drawn and len(drawn.places) < len(found):
        about.append("The chart leaves out metrics whose changes have another unit.")
    return with_chart(table, drawn)


async def _metric(ctx: Context, project: Project, experiment: Json, metric: Json) -> Json:
    query = {"kind": "ExperimentQuery", "experiment_id": experiment["id"], "metric": metric}
    return await answer_of(ctx, project, query)


async def _exposures(ctx: Context, project: Project, experiment: Json) -> list[str]:
    """Sentences on who was exposed: counts, whether the split is as it should be, how far the plan is."""
    query: Json = {
        "kind": "ExperimentExposureQuery",
        "experiment_id": experiment["id"],
        "experiment_name": experiment["name"],
        "feature_flag": flag_of(experiment),
        "start_date": experiment["start_date"],
        "end_date": experiment.get("end_date"),
        "exposure_criteria": experiment.get("exposure_criteria") or {},
    }
    answer = await answer_of(ctx, project, query)
    totals: dict[str, int] = answer.get("total_exposures") or {}
    shares = shares_of(experiment)
    counted = {key: int(totals.get(key, 0)) for key in shares}
    people = sum(counted.values())
    told = [f"Exposed: {', '.join(f'{key} {count}' for key, count in counted.items())}; {people} in all."]
    if not people:
        told.append(_nobody(experiment))
    if several := totals.get("$multiple"):
        told[0] += f" {several} more saw several variants and are left out."
    chance = mismatch(counted, shares, answer.get("sample_ratio_mismatch"))
    if chance is not None and chance < MISMATCH:
        told.append(
            f"Sample-ratio mismatch (p {chance:.2g}): people are not split as the flag's shares say, and "
            "that is no chance. Trust no result before the cause is found: bots, redirects, a variant that "
            "fails, shares changed meanwhile."
        )
    elif chance is not None:
        told.append(f"The split fits the flag's shares (p {chance:.2g}).")
    plan: Json = experiment.get("running_time_calculation") or experiment.get("parameters") or {}
    wanted = plan.get("recommended_sample_size")
    if wanted and people < wanted:
        share = 100 * people / wanted
        told.append(f"Of the {wanted} people planned {share:.0f} % are there: read it as preliminary.")
    return told


def _nobody(experiment: Json) -> str:
    """What would expose people, where nobody was."""
    flag = flag_of(experiment)
    criteria: Json = experiment.get("exposure_criteria") or {}
    config: Json = criteria.get("exposure_config") or {}
    event = config.get("event") or "$feature_flag_called"
    if flag.get("active") is False:
        return "Nobody is exposed while the flag is off: change_experiment_state resumes it."
    return (
        f"Nobody was exposed yet: the application must ask for the flag {flag.get('key')} and send {event}. "
        "evaluate_flags with send_event tries that."
    )
