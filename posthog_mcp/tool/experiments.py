"""Experiments as tools find, show and judge them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from posthog_mcp.api.errors import NotFound
from posthog_mcp.render.flags import conditions, variants
from posthog_mcp.tool.arguments import ProjectInput
from posthog_mcp.tool.experiment_metrics import metric_words, metrics_of
from posthog_mcp.tool.flags import conditions_of
from posthog_mcp.tool.naming import only, unknown

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

LIST = "/api/projects/{project_id}/experiments/"
ONE = LIST + "{id}/"
RUNNING_TIME = LIST + "calculate_running_time/"
_PAGE = 200
_CALLED = "$feature_flag_called"
_SHOWN = (
    "id",
    "name",
    "description",
    "type",
    "start_date",
    "end_date",
    "conclusion",
    "conclusion_comment",
    "archived",
    "tags",
    "holdout_id",
    "excluded_variants",
    "exposure_criteria",
    "running_time_calculation",
)
Json = dict[str, Any]


class OneExperiment(ProjectInput):
    """The argument that names an experiment."""

    experiment: str = Field(min_length=1, max_length=400, description="Its id, or its name.")


async def find_experiment(ctx: Context, project: Project, name: str) -> Json:
    """The experiment with this id or name, archived or not, as PostHog has it now.

    Raises:
        ToolFailure: There is none, or several of that name; the text names those that come near.
    """
    if name.isascii() and name.isdigit():
        try:
            return await ctx.api.get(ONE, project_id=project.id, id=name)
        except NotFound:
            pass  # a name may be a number as well
    same = [
        one
        for archived in (None, True)
        for one in await _listed(ctx, project, search=name.strip()[:200], archived=archived)
        if str(one["name"]).lower() == name.strip().lower()
    ]
    experiment = only("experiment", name, same, project)
    if experiment is None:
        raise unknown("experiment", name, [str(one["name"]) for one in await _listed(ctx, project)], project)
    return await ctx.api.get(ONE, project_id=project.id, id=experiment["id"])


async def _listed(ctx: Context, project: Project, **query: Any) -> list[Json]:
    page = await ctx.api.get(LIST, query={"limit": _PAGE, **query}, project_id=project.id)
    results: list[Json] = page["results"]
    return results


def flag_of(experiment: Json) -> Json:
    """The flag an experiment runs on, as its answer holds it; empty where there is none."""
    flag: Json = experiment.get("feature_flag") or {}
    return flag


def shares_of(experiment: Json) -> dict[str, float]:
    """The share of each variant, without those the experiment leaves out."""
    filters: Json = flag_of(experiment).get("filters") or {}
    multivariate: Json = filters.get("multivariate") or {}
    listed: list[Json] = multivariate.get("variants") or []
    left_out: list[str] = experiment.get("excluded_variants") or []
    return {
        str(one["key"]): float(one.get("rollout_percentage") or 0)
        for one in listed
        if one["key"] not in left_out
    }


def state_of(experiment: Json) -> str:
    """draft, running, paused or stopped, whatever the server's age."""
    if not experiment.get("start_date"):
        return "draft"
    if experiment.get("end_date"):
        return "stopped"
    if experiment.get("status") == "exposure_frozen":
        return "exposure_frozen"
    flag = flag_of(experiment)
    return "paused" if flag and flag.get("active") is False else "running"


def exposure_config(event: str) -> Json | None:
    """What exposes people, as PostHog keeps it; None for the call of the flag."""
    if not event or event == _CALLED:
        return None
    return {"kind": "ExperimentEventExposureConfig", "event": event, "properties": []}


def days_run(experiment: Json, now: datetime) -> float:
    """Days from its start to its end, or to now; 0 for a draft."""
    if not experiment.get("start_date"):
        return 0.0
    start = datetime.fromisoformat(experiment["start_date"])
    end = datetime.fromisoformat(experiment["end_date"]) if experiment.get("end_date") else now
    return max((end - start).total_seconds() / 86_400, 0.0)


def whole(ctx: Context, project: Project, experiment: Json) -> Json:
    """An experiment as tools show it: state, flag, metrics in words, plan, its page."""
    flag = flag_of(experiment)
    filters: Json = flag.get("filters") or {}
    config: Json = experiment.get("stats_config") or {}
    shown = {
        name: experiment[name] for name in _SHOWN if experiment.get(name) not in (None, "", [], {}, False)
    }
    return {
        **shown,
        "state": state_of(experiment),
        "flag": {
            "key": experiment.get("feature_flag_key") or flag.get("key"),
            "id": flag.get("id"),
            "active": flag.get("active"),
            "variants": variants(filters),
            "who_gets_it": conditions(filters),
        },
        "metrics": [metric_words(metric, primary=primary) for metric, primary in metrics_of(experiment)],
        "statistics": config.get("method") or "bayesian",
        "project": str(project),
        "url": ctx.link(project, f"experiments/{experiment['id']}"),
    }


async def launch_problems(ctx: Context, project: Project, experiment: Json) -> list[str]:
    """Why a launch would bring nothing, or harm another experiment; one sentence each."""
    problems: list[str] = []
    flag, shares = flag_of(experiment), shares_of(experiment)
    if not metrics_of(experiment):
        problems.append("It has no metric, so nothing could be concluded.")
    if all(condition.get("rollout_percentage") == 0 for condition in conditions_of(flag)):
        problems.append("Its flag reaches 0 % of people: nobody would be exposed.")
    if empty := [key for key, share in shares.items() if share == 0]:
        problems.append(f"Nobody would get {', '.join(empty)}: a share of 0 %.")
    others = await running_on(ctx, project, flag, experiment.get("id"))
    if others:
        problems.append(f"Its flag carries another running experiment: {', '.join(others)}.")
    return problems


async def running_on(ctx: Context, project: Project, flag: Json, own: int | None) -> list[str]:
    """The names of the other experiments that run on a flag."""
    return [
        f"{one['name']} ({one['id']})"
        for one in await experiments_on(ctx, project, flag)
        if one["id"] != own and state_of(one) == "running"
    ]


async def experiments_on(ctx: Context, project: Project, flag: Json) -> list[Json]:
    """The experiments on a flag, without archived ones."""
    found = await _listed(ctx, project, feature_flag_id=flag.get("id"))
    # An older PostHog does not know the filter and lists all.
    return [one for one in found if flag_of(one).get("id") == flag.get("id")]
