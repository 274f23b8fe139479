"""Experiments made and changed, with the flag they run on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from posthog_mcp.flags.values import as_dict
from posthog_mcp.sandbox.api.activity_log import record
from posthog_mcp.sandbox.experiments.checks import check, check_variants
from posthog_mcp.sandbox.experiments.documents import HOLDOUT, KIND, Experiment, flag_of
from posthog_mcp.sandbox.experiments.schema import NOT_KEPT, ExperimentFields, Parameters
from posthog_mcp.sandbox.experiments.settings import CONTROL
from posthog_mcp.sandbox.flags import writing as flags
from posthog_mcp.sandbox.flags.documents import by_key
from posthog_mcp.sandbox.http.errors import invalid, required
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from posthog_mcp.sandbox.flags.documents import Flag
    from posthog_mcp.sandbox.sandbox import Sandbox

SCOPE = "Experiment"
_METRICS = ("metrics", "metrics_secondary")
_LISTS = (*_METRICS, "saved_metrics_ids", "excluded_variants")
_NOT_COMPARED = ("updated_at",)
Json = dict[str, Any]


def create(sandbox: Sandbox, body: Json) -> Experiment:
    """Make an experiment of a request's body, and its flag where there is none of that key.

    Raises:
        ApiError: 400 for what PostHog does not take.
    """
    fields = checked(ExperimentFields, body)
    for name in ("name", "feature_flag_key"):
        if not getattr(fields, name):
            raise required(name)
    now = iso(sandbox.clock())
    experiment: Experiment = {
        **_defaults(),
        **_with_uuids(fields.given()),
        "id": 0,
        "feature_flag_id": 0,
        "created_at": now,
        "created_by": sandbox.project.user.basic(),
        "updated_at": now,
    }
    check(sandbox, experiment, fields)
    with sandbox.store.transaction():
        flag = by_key(sandbox, fields.feature_flag_key) or _new_flag(sandbox, fields, experiment)
        check_variants(flag, experiment["stats_config"])
        experiment = sandbox.store.create(KIND, {**experiment, "feature_flag_id": flag["id"]})
        hold_out(sandbox, experiment)
        record(sandbox, "created", SCOPE, experiment["id"], name=experiment["name"])
    return experiment


def change(sandbox: Sandbox, before: Experiment, body: Json) -> Experiment:
    """Change the fields a request's body gives; a start date puts its flag on.

    Raises:
        ApiError: 400 for what PostHog does not take.
    """
    fields = checked(ExperimentFields, body)
    after: Experiment = {**before, **_with_uuids(fields.given())}
    check(sandbox, after, fields)
    flag = None if after["deleted"] or before["deleted"] else flag_of(sandbox, before)
    if fields.feature_flag_key and flag and fields.feature_flag_key != flag["key"]:
        raise invalid("Can't update keys: feature_flag_key on Experiment", "feature_flag_key")
    with sandbox.store.transaction():
        if flag is not None:
            flag = _change_flag(sandbox, flag, fields, before)
            if after["start_date"] and not before["start_date"]:
                check_variants(flag, after["stats_config"])
                flags.switch(sandbox, flag, active=True)
            if after["holdout_id"] != before["holdout_id"]:
                hold_out(sandbox, after)
        return save(sandbox, before, after)


def save(sandbox: Sandbox, before: Experiment, after: Experiment) -> Experiment:
    """Store an experiment, with an entry in the activity log; unless nothing differs."""
    fields = [name for name in after if name not in _NOT_COMPARED and before.get(name) != after[name]]
    if not fields:
        return before
    after = {**after, "updated_at": iso(sandbox.clock())}
    activity = "updated"
    if before["deleted"] != after["deleted"]:
        activity = "deleted" if after["deleted"] else "restored"
    with sandbox.store.transaction():
        sandbox.store.put(KIND, after["id"], after)
        was, now = ({name: one.get(name) for name in fields} for one in (before, after))
        record(sandbox, activity, SCOPE, after["id"], name=after["name"], before=was, after=now)
    return after


def hold_out(sandbox: Sandbox, experiment: Experiment) -> None:
    """Let its flag leave out the people of the experiment's holdout, or no longer.

    Raises:
        ApiError: 400 when there is no flag.
    """
    holdout = experiment["holdout_id"] and sandbox.store.get(HOLDOUT, experiment["holdout_id"])
    wanted = None
    if holdout:
        share = holdout["filters"][0]["rollout_percentage"]
        wanted = {"id": holdout["id"], "exclusion_percentage": share}
    flag = flag_of(sandbox, experiment)
    if flag["filters"].get("holdout") != wanted:
        flags.change(sandbox, flag, {"filters": {"holdout": wanted}})


def _defaults() -> Json:
    values = ExperimentFields().model_dump(exclude=NOT_KEPT)
    values |= {name: [] for name in _LISTS}
    return values | {name: {} for name in ("parameters", "filters", "stats_config", "exposure_criteria")}


def _with_uuids(given: Json) -> Json:
    """Lists that are null are empty, and every metric has a uuid and its kind."""
    for name in _LISTS:
        if name in given:
            given[name] = given[name] or []
    for name in _METRICS:
        for metric in given.get(name, []):
            metric["kind"] = "ExperimentMetric"
            metric["uuid"] = metric.get("uuid") or str(uuid4())
    return given


def _new_flag(sandbox: Sandbox, fields: ExperimentFields, experiment: Experiment) -> Flag:
    filters = _asked_filters(fields) or {}
    filters.setdefault("multivariate", {"variants": _halves()})
    filters.setdefault("groups", [{"properties": [], "rollout_percentage": 100}])
    flag = as_dict(fields.feature_flag)
    body = {
        "key": fields.feature_flag_key,
        "name": f"Feature Flag for Experiment {experiment['name']}",
        "active": experiment["start_date"] is not None,
        "filters": filters,
        "creation_context": "experiments",
        "ensure_experience_continuity": flag.get("ensure_experience_continuity") or False,
    }
    check_variants({"filters": filters}, experiment["stats_config"])
    return flags.create(sandbox, body)


def _change_flag(sandbox: Sandbox, flag: Flag, fields: ExperimentFields, before: Experiment) -> Flag:
    filters = _asked_filters(fields)
    if not filters or all(flag["filters"].get(name) == value for name, value in filters.items()):
        return flag
    if before["start_date"] and not fields.update_feature_flag_params:
        raise invalid(
            "The feature flag of a launched experiment is changed only with update_feature_flag_params.",
            "feature_flag",
        )
    check_variants({"filters": {**flag["filters"], **filters}}, before["stats_config"])
    return flags.change(sandbox, flag, {"filters": filters})


def _asked_filters(fields: ExperimentFields) -> Json | None:
    """The flag's filters that a request gives, in the newer form or the older; None when it gives none."""
    if fields.feature_flag is not None:
        return dict(as_dict(fields.feature_flag.get("filters")))
    asked = fields.parameters or Parameters()
    filters: Json = {}
    if asked.feature_flag_variants is not None:
        variants: list[Json] = []
        for one in asked.feature_flag_variants:
            share = one.rollout_percentage if one.split_percent is None else one.split_percent
            key = CONTROL if one.key.lower() == CONTROL else one.key
            variants.append({"key": key, "name": one.name or "", "rollout_percentage": share or 0})
        filters["multivariate"] = {"variants": variants}
    if asked.rollout_percentage is not None:
        filters["groups"] = [{"properties": [], "rollout_percentage": asked.rollout_percentage}]
    if asked.aggregation_group_type_index is not None:
        filters["aggregation_group_type_index"] = asked.aggregation_group_type_index
    return filters or None


def _halves() -> list[Json]:
    return [{"key": key, "name": "", "rollout_percentage": 50} for key in (CONTROL, "test")]
