"""Experiments as the store keeps them and as the private API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from posthog_mcp.flags.values import as_dict, as_list
from posthog_mcp.sandbox.flags.documents import KIND as FLAG
from posthog_mcp.sandbox.flags.documents import conditions_of
from posthog_mcp.sandbox.http.errors import invalid, not_found

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from posthog_mcp.sandbox.flags.documents import Flag
    from posthog_mcp.sandbox.sandbox import Sandbox

KIND, HOLDOUT, SAVED_METRIC = "experiment", "experiment_holdout", "experiment_saved_metric"
Experiment = dict[str, Any]
Status = Literal["draft", "running", "paused", "exposure_frozen", "stopped"]

_OF_FLAG = (
    "id", "name", "key", "filters", "deleted", "active", "ensure_experience_continuity", "version",
    "has_encrypted_payloads", "evaluation_runtime", "bucketing_identifier",
)  # fmt: skip


def find(sandbox: Sandbox, experiment_id: str, *, deleted: bool = False) -> Experiment:
    """The experiment of an id in a path.

    Raises:
        ApiError: 404 when there is none, or it is deleted and `deleted` is not set.
    """
    number = int(experiment_id) if experiment_id.isascii() and experiment_id.isdigit() else 0
    found = sandbox.store.get(KIND, number)
    if found is None or (found["deleted"] and not deleted):
        raise not_found()
    return found


def flag_of(sandbox: Sandbox, experiment: Experiment) -> Flag:
    """The flag it runs on.

    Raises:
        ApiError: 400 when there is none.
    """
    flag = sandbox.store.get(FLAG, experiment["feature_flag_id"])
    if flag is None or flag["deleted"]:
        raise invalid("Experiment does not have a feature flag linked.")
    return flag


def variants_of(flag: Mapping[str, Any], excluded: Sequence[str] | None = None) -> dict[str, float]:
    """The share of each variant of a flag, or of a query's `feature_flag`, in order."""
    variants = as_list(as_dict(as_dict(flag.get("filters")).get("multivariate")).get("variants"))
    return {
        str(one["key"]): float(one.get("rollout_percentage") or 0)
        for one in variants
        if one["key"] not in (excluded or ())
    }


def status(sandbox: Sandbox, experiment: Experiment) -> Status:
    """From its dates; `paused` is running with the flag off, `exposure_frozen` with nobody new."""
    if experiment["start_date"] is None:
        return "draft"
    if experiment["end_date"] is not None:
        return "stopped"
    flag = sandbox.store.get(FLAG, experiment["feature_flag_id"])
    if flag is None:
        return "running"
    if not flag["active"]:
        return "paused"
    return "exposure_frozen" if is_frozen(flag) else "running"


def is_frozen(flag: Flag) -> bool:
    """Whether a flag reaches only those who were exposed when it was frozen."""
    return any(group.get("exposure_frozen") for group in conditions_of(flag))


def shown(sandbox: Sandbox, experiment: Experiment) -> dict[str, Any]:
    """An experiment as the private API answers it."""
    flag = sandbox.store.get(FLAG, experiment["feature_flag_id"]) or {}
    holdout = experiment["holdout_id"] and sandbox.store.get(HOLDOUT, experiment["holdout_id"])
    return experiment | {
        "feature_flag_key": str(flag.get("key", "")).partition(":deleted:")[0],
        "feature_flag": {"team_id": sandbox.project.id, **{name: flag.get(name) for name in _OF_FLAG}},
        "holdout": holdout,
        "exposure_cohort": experiment.get("exposure_cohort"),
        "saved_metrics": _saved_metrics(sandbox, experiment),
        "status": status(sandbox, experiment),
        "resolved_exposure_event": "$feature_flag_called",
        "user_access_level": "manager",
    }


def _saved_metrics(sandbox: Sandbox, experiment: Experiment) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for link in experiment["saved_metrics_ids"]:
        metric = sandbox.store.get(SAVED_METRIC, link["id"])
        if metric is not None:
            found.append(
                {
                    "id": link["id"],
                    "experiment": experiment["id"],
                    "saved_metric": link["id"],
                    "metadata": link.get("metadata") or {"type": "primary"},
                    "name": metric["name"],
                    "query": metric["query"],
                }
            )
    return found
