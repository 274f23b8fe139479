"""What flags answer: for a person, for the key's owner, for everybody a condition would reach."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from posthog_mcp.flags.values import as_dict, as_list, is_dict
from posthog_mcp.sandbox.api.feature_flags import LIST, ONE
from posthog_mcp.sandbox.flags.answers import description
from posthog_mcp.sandbox.flags.documents import find, flags_of, minimal, variants_of
from posthog_mcp.sandbox.flags.reach import reach
from posthog_mcp.sandbox.flags.schema import Group
from posthog_mcp.sandbox.flags.service import Subject
from posthog_mcp.sandbox.http.errors import invalid, not_found, required
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from posthog_mcp.flags import ConditionReport, FilterReport
    from posthog_mcp.sandbox.http.routing import Call

_READ = "feature_flag:read"


@route("GET", LIST + "evaluation_reasons/", scope=_READ)
async def get_evaluation_reasons(call: Call) -> Reply:
    """The value of each flag for a person, and why; flags that are off have the reason `disabled`."""
    distinct_id = call.query.get("distinct_id")
    if not distinct_id:
        raise required("distinct_id")
    decisions = await call.sandbox.flags.evaluate(Subject(distinct_id, groups=_groups(call)))
    keys = _keys(call)
    answer: dict[str, Any] = {}
    for flag in flags_of(call.sandbox):
        key = flag["key"]
        if keys and key not in keys:
            continue
        decision = decisions.get(key)
        if decision is None:
            answer[key] = {"value": False, "evaluation": {"reason": "disabled", "condition_index": None}}
            continue
        evaluation = {
            "reason": decision.code,
            "condition_index": decision.condition_index,
            "description": description(decision),
        }
        answer[key] = {"value": decision.value or False, "evaluation": evaluation}
    return Reply(answer)


@route("GET", LIST + "my_flags/", scope=_READ)
async def list_my_flags(call: Call) -> Reply:
    """Every flag's value for the user behind the key."""
    user = call.sandbox.project.user
    decisions = await call.sandbox.flags.evaluate(Subject(user.distinct_id, groups=_groups(call)))
    keys = _keys(call)
    return Reply(
        [
            {
                "feature_flag": minimal(call.sandbox, flag),
                "value": (decisions[flag["key"]].value or False) if flag["key"] in decisions else False,
            }
            for flag in flags_of(call.sandbox)
            if not keys or flag["key"] in keys
        ]
    )


@route("GET", "/api/projects/{project_id}/flag_value/values/", scope=_READ)
async def list_flag_values(call: Call) -> Reply:
    """The values the flag with the id `key` can have, besides false."""
    flag = find(call.sandbox, call.query.get("key", ""))
    return Reply([{"name": True}, *({"name": variant["key"]} for variant in variants_of(flag))])


@route("POST", LIST + "user_blast_radius/", scope=_READ)
async def get_blast_radius(call: Call) -> Reply:
    """How many persons, or groups of a type, a condition fits, of how many. The rollout does not count."""
    body = await call.json()
    if not is_dict(body.get("condition")):
        raise invalid("Missing condition for which to get blast radius")
    condition = checked(Group, body["condition"]).model_dump(exclude_unset=True)
    affected, total = await reach(call.sandbox, condition, body.get("group_type_index"))
    return Reply({"affected": affected, "total": total, "users_affected": affected, "total_users": total})


@route("POST", ONE + "test_evaluation/", scope=_READ, bucket="analytics")
async def run_test_evaluation(call: Call) -> Reply:
    """One flag for one person, condition by condition."""
    flag = find(call.sandbox, call.params["id"])
    body = await call.json()
    subject, distinct_id = _tested(call, body)
    explanation = await call.sandbox.flags.explain(flag["key"], subject)
    decision = explanation.decision
    return Reply(
        {
            "flag_key": flag["key"],
            "result": decision.value or False,
            "reason": decision.code,
            "reason_description": description(decision),
            "condition_index": decision.condition_index,
            "payload": decision.payload if decision.value else None,
            "person_properties": call.sandbox.flags.person_properties(subject),
            "evaluation_distinct_id": distinct_id,
            "conditions": [_condition(each) for each in explanation.conditions],
        }
    )


def _tested(call: Call, body: dict[str, Any]) -> tuple[Subject, str | None]:
    """Whom a body names: by distinct id, or by person id."""
    distinct_id, person_id = body.get("distinct_id"), body.get("person_id")
    if bool(distinct_id) is bool(person_id):
        raise invalid("Provide exactly one of distinct_id and person_id.")
    if body.get("timestamp"):
        raise invalid(
            "This sandbox keeps no past states of flags and persons: leave timestamp out.", "timestamp"
        )
    groups = {name: str(key) for name, key in as_dict(body.get("groups")).items()}
    if distinct_id:
        return Subject(str(distinct_id), groups=groups), str(distinct_id)
    people = call.sandbox.ingest.people
    person = people.get(str(person_id).lower())
    if person is None:
        raise not_found("Person not found.")
    return Subject(people.distinct_ids(person.uuid)[0], groups=groups), None


def _condition(report: ConditionReport) -> dict[str, Any]:
    return {
        "index": report.index,
        "matched": report.outcome == "match",
        "properties_matched": report.outcome in ("match", "outside_rollout"),
        "explanation": report.why,
        "rollout_percentage": report.rollout_percentage,
        "rollout_excluded": report.outcome == "outside_rollout",
        "variant": report.variant,
        "properties": [_filter(each) for each in report.filters],
    }


def _filter(report: FilterReport) -> dict[str, Any]:
    return {
        "key": report.key,
        "operator": report.operator,
        "value": report.wanted,
        "type": report.kind,
        "actual_value": report.given,
        "matched": bool(report.matched),
        "explanation": report.why,
    }


def _groups(call: Call) -> dict[str, str]:
    try:
        value: object = json.loads(call.query.get("groups") or "{}")
    except ValueError as error:
        raise invalid(f"groups must be a JSON object: {error}", "groups") from error
    return {name: str(key) for name, key in as_dict(value).items()}


def _keys(call: Call) -> frozenset[str]:
    """`flag_keys`: repeated, or a JSON list."""
    values = call.query.getlist("flag_keys")
    if len(values) == 1 and values[0].startswith("["):
        try:
            return frozenset(str(item) for item in as_list(json.loads(values[0])))
        except ValueError as error:
            raise invalid(f"flag_keys must be a JSON list: {error}", "flag_keys") from error
    return frozenset(values)
