"""Flags as the store keeps them and as the private API shows them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from posthog_mcp.flags.values import as_dict, as_list
from posthog_mcp.sandbox.http.errors import not_found
from posthog_mcp.sandbox.http.times import iso, read_iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from posthog_mcp.sandbox.sandbox import Sandbox

KIND = "feature_flag"
Flag = dict[str, Any]
EVERYBODY = 100
_STALE = timedelta(days=30)
_HIDDEN = ("changed_in",)
_LAST_CALLS = (
    "SELECT JSONExtractString(properties, '$feature_flag') AS flag, max(timestamp) FROM ph.events "
    "WHERE event = '$feature_flag_called' GROUP BY flag"
)


def flags_of(sandbox: Sandbox) -> list[Flag]:
    """The flags that are not deleted, oldest first."""
    return [flag for flag in sandbox.store.all(KIND) if not flag["deleted"]]


def find(sandbox: Sandbox, flag_id: str, *, deleted: bool = False) -> Flag:
    """The flag of an id in a path.

    Raises:
        ApiError: 404 when there is none, or it is deleted and `deleted` is not set.
    """
    flag = sandbox.store.get(KIND, int(flag_id)) if flag_id.isascii() and flag_id.isdigit() else None
    if flag is None or (flag["deleted"] and not deleted):
        raise not_found()
    return flag


def by_key(sandbox: Sandbox, key: str) -> Flag | None:
    """The flag with that key among those not deleted."""
    return next((flag for flag in flags_of(sandbox) if flag["key"] == key), None)


def conditions_of(flag: Flag) -> list[dict[str, Any]]:
    """The release conditions."""
    return as_list(flag["filters"].get("groups"))


def variants_of(flag: Flag) -> list[dict[str, Any]]:
    """The variants of a multivariate flag."""
    return as_list(as_dict(flag["filters"].get("multivariate")).get("variants"))


def properties_of(flag: Flag) -> Iterator[dict[str, Any]]:
    """Every filter of every release condition."""
    for group in conditions_of(flag):
        yield from as_list(group.get("properties"))


def dependencies_of(flag: Flag) -> list[str]:
    """The ids, as text, of the flags this one asks for."""
    return [str(each["key"]) for each in properties_of(flag) if each.get("type") == "flag"]


def dependents_of(sandbox: Sandbox, flag: Flag) -> list[Flag]:
    """The active flags that ask for this one."""
    wanted = str(flag["id"])
    return [one for one in flags_of(sandbox) if one["active"] and wanted in dependencies_of(one)]


def experiments_of(sandbox: Sandbox, flag: Flag) -> list[dict[str, Any]]:
    """The experiments that run on this flag."""
    return [
        one
        for one in sandbox.store.all("experiment")
        if one.get("feature_flag_id") == flag["id"] and not one.get("deleted")
    ]


async def last_calls(sandbox: Sandbox) -> dict[str, str]:
    """When each flag's key was last seen in a `$feature_flag_called` event."""
    rows = await sandbox.engine.query(_LAST_CALLS)
    return {key: iso(read_iso(at)) for key, at in rows.rows}


def shown(sandbox: Sandbox, flag: Flag, calls: Mapping[str, str]) -> dict[str, Any]:
    """A flag as the private API answers it."""
    groups = conditions_of(flag)
    simple = len(groups) == 1 and not groups[0].get("properties") and not variants_of(flag)
    surveys = [one for one in sandbox.store.all("survey") if one.get("linked_flag_id") == flag["id"]]
    body = {name: value for name, value in flag.items() if name not in _HIDDEN}
    body["last_called_at"] = calls.get(flag["key"])
    return body | {
        "is_simple_flag": simple,
        "rollout_percentage": groups[0].get("rollout_percentage") if simple else None,
        "experiment_set": [one["id"] for one in experiments_of(sandbox, flag)],
        "surveys": [{"id": one["id"], "name": one.get("name")} for one in surveys],
        "features": [],
        "usage_dashboard": None,
        "has_enriched_analytics": False,
        "can_edit": True,
        "user_access_level": "manager",
        "status": status(sandbox, flag, calls)[0].upper(),
    }


def minimal(sandbox: Sandbox, flag: Flag) -> dict[str, Any]:
    """The short form of `my_flags`."""
    names = (
        "id", "name", "key", "filters", "deleted", "active", "ensure_experience_continuity",
        "has_encrypted_payloads", "version", "evaluation_runtime", "bucketing_identifier",
    )  # fmt: skip
    return {"team_id": sandbox.project.id, **{name: flag[name] for name in names}}


def rollout(flag: Flag) -> dict[str, Any]:
    """How far a flag is rolled out, whatever its state."""
    groups = conditions_of(flag)
    shares = [EVERYBODY if g.get("rollout_percentage") is None else g["rollout_percentage"] for g in groups]
    open_to_all = [share for group, share in zip(groups, shares, strict=True) if not group.get("properties")]
    return {
        "effectively_full_rollout": EVERYBODY in open_to_all,
        "has_targeting_conditions": any(group.get("properties") for group in groups),
        "max_rollout_percentage": max(shares, default=None),
        "is_multivariate": bool(variants_of(flag)),
    }


def status(sandbox: Sandbox, flag: Flag, calls: Mapping[str, str]) -> tuple[str, str]:
    """`active`, `stale`, `archived` or `deleted`, and why."""
    if flag["deleted"]:
        return "deleted", "Flag has been deleted"
    if flag["archived"]:
        return "archived", "Flag has been archived"
    called = calls.get(flag["key"])
    long_ago = sandbox.clock() - _STALE
    if called is not None:
        if read_iso(called) < long_ago:
            return "stale", "Flag has not been called in the last 30 days"
        return "active", "Flag was called in the last 30 days"
    full = rollout(flag)["effectively_full_rollout"]
    if full and flag["active"] and read_iso(flag["created_at"]) < long_ago:
        return "stale", "Flag has been rolled out to everybody for 30 days and there is no record of calls"
    return "active", "Flag is not stale"
