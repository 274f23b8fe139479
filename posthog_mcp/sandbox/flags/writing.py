"""Flags made and changed: the one way, whoever asks (the API, an experiment, a survey)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.api.activity_log import record
from posthog_mcp.sandbox.flags.checks import check, check_unused, check_version
from posthog_mcp.sandbox.flags.documents import KIND, Flag, experiments_of
from posthog_mcp.sandbox.flags.schema import FlagFields
from posthog_mcp.sandbox.http.errors import ApiError, required
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from posthog_mcp.sandbox.sandbox import Sandbox

_SCOPE = "FeatureFlag"
_NOT_COMPARED = ("changed_in", "updated_at", "last_modified_by", "version")
_EVERYBODY_OUT: dict[str, Any] = {"groups": [{"properties": [], "rollout_percentage": 0}]}


def create(sandbox: Sandbox, body: dict[str, Any]) -> Flag:
    """Make a flag of a request's body.

    Raises:
        ApiError: 400 for what PostHog does not take.
    """
    fields = checked(FlagFields, body)
    if not fields.key:
        raise required("key")
    now, user = iso(sandbox.clock()), sandbox.project.user.basic()
    values = fields.model_dump(exclude={"version", "filters"})
    filters = fields.filters.model_dump(exclude_unset=True) if "filters" in body else dict(_EVERYBODY_OUT)
    flag: Flag = {
        **values,
        "id": 0,
        "deleted": False,
        "filters": {"groups": [], **filters},
        "bucketing_identifier": fields.bucketing_identifier or "distinct_id",
        "evaluation_runtime": fields.evaluation_runtime or "all",
        "created_at": now,
        "created_by": user,
        "updated_at": now,
        "last_modified_by": user,
        "version": 1,
        "last_called_at": None,
        "changed_in": {},
    }
    check(sandbox, flag, body)
    with sandbox.store.transaction():
        flag = sandbox.store.create(KIND, flag)
        record(sandbox, "created", _SCOPE, flag["id"], name=flag["key"])
    return flag


def change(sandbox: Sandbox, before: Flag, body: dict[str, Any]) -> Flag:
    """Change the fields a request's body gives; one that changes nothing leaves the version.

    `filters` are merged by their top-level keys, as the newest servers do.

    Raises:
        ApiError: 400 for what PostHog does not take, 409 when somebody else changed the same fields.
    """
    given = checked(FlagFields, body).given()
    check_version(before, body)
    given.pop("creation_context", None)
    if "filters" in given:
        given["filters"] = {**before["filters"], **given["filters"]}
    after: Flag = {**before, **given}
    if after["deleted"] and not before["deleted"]:
        check_unused(sandbox, before, "delete")
    elif before["active"] and not after["active"]:
        check_unused(sandbox, before, "disable")
    check(sandbox, after, body)
    if after["deleted"] and not before["deleted"] and experiments_of(sandbox, before):
        # The key is free again; the experiment keeps the flag by its id.
        after["key"] = f"{before['key']}:deleted:{before['id']}"
    return save(sandbox, before, after)


def switch(sandbox: Sandbox, before: Flag, **state: bool) -> Flag:
    """Set `active` and `archived` and nothing else; repeating it is no change.

    Raises:
        ApiError: 400 for a deleted flag, or when active flags depend on one to be switched off.
    """
    if before["deleted"]:
        raise ApiError(400, "validation_error", "invalid_input", "The feature flag has been deleted.")
    after: Flag = {**before, **state}
    if before["active"] and not after["active"]:
        check_unused(sandbox, before, "archive" if after["archived"] else "disable")
    check(sandbox, after, {})
    return save(sandbox, before, after)


def save(sandbox: Sandbox, before: Flag, after: Flag) -> Flag:
    """Store a flag as its next version, with an entry in the activity log; unless nothing differs."""
    fields = [name for name in after if name not in _NOT_COMPARED and before.get(name) != after[name]]
    if not fields:
        return before
    version = before["version"] + 1
    after |= {
        "version": version,
        "updated_at": iso(sandbox.clock()),
        "last_modified_by": sandbox.project.user.basic(),
        "changed_in": {**before["changed_in"], **dict.fromkeys(fields, version)},
    }
    activity = "updated"
    if before["deleted"] != after["deleted"]:
        activity = "deleted" if after["deleted"] else "restored"
    with sandbox.store.transaction():
        sandbox.store.put(KIND, after["id"], after)
        was, now = ({name: flag[name] for name in fields} for flag in (before, after))
        record(sandbox, activity, _SCOPE, after["id"], name=after["key"], before=was, after=now)
    return after
