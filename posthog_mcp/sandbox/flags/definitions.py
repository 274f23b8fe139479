"""The body of `/flags/definitions`: flags with their dependencies by key, group types, cohorts."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from posthog_mcp.flags.values import as_dict, as_list
from posthog_mcp.sandbox.flags.documents import Flag, dependencies_of, properties_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from posthog_mcp.sandbox.sandbox import Sandbox

Definitions = dict[str, Any]
_KINDS = "SELECT kind, id, body FROM documents WHERE kind IN ('feature_flag', 'cohort', 'experiment')"
# PostHog's `property_matching_version`: the words true and false are truth.
_MATCHING_VERSION = 1


def snapshot(sandbox: Sandbox) -> tuple[Any, ...]:
    """All that definitions are made of, unread: equal snapshots give equal definitions."""
    types = [(each.index, each.type) for each in sandbox.ingest.groups.types()]
    return (*sandbox.store.db.execute(_KINDS), *types)


def build(sandbox: Sandbox) -> Definitions:
    """Everything the project's flags need to be evaluated, encrypted ones included."""
    return _body(sandbox, [flag for flag in sandbox.store.all("feature_flag") if not flag["deleted"]])


def _body(sandbox: Sandbox, flags: list[Flag]) -> Definitions:
    experiments = {
        one.get("feature_flag_id") for one in sandbox.store.all("experiment") if not one.get("deleted")
    }
    chains = Chains(flags)
    return {
        "flags": [_definition(sandbox, flag, chains, flag["id"] in experiments) for flag in flags],
        "group_type_mapping": {str(each.index): each.type for each in sandbox.ingest.groups.types()},
        "cohorts": _cohorts(sandbox, flags),
        "property_matching_version": _MATCHING_VERSION,
    }


def with_flag(sandbox: Sandbox, flag: dict[str, Any]) -> Definitions:
    """The definitions with one more flag, of which only key, id and filters are given."""
    plain: Flag = {
        "name": "", "active": True, "deleted": False, "ensure_experience_continuity": False, "version": 1,
        "evaluation_runtime": "all", "bucketing_identifier": "distinct_id", "evaluation_contexts": [],
        "has_encrypted_payloads": False, **flag,
    }  # fmt: skip
    flags = [one for one in sandbox.store.all("feature_flag") if not one["deleted"]]
    return _body(sandbox, [*flags, plain])


def for_clients(definitions: Definitions) -> Definitions:
    """What leaves the server: without the flags whose payloads are encrypted."""
    return {
        **definitions,
        "flags": [flag for flag in definitions["flags"] if not flag["has_encrypted_payloads"]],
    }


def etag(body: Definitions) -> str:
    """The tag of a body, without quotes."""
    return sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


class Chains:
    """Which flags must be evaluated, in which order, before a dependency can be."""

    def __init__(self, flags: Iterable[Flag]) -> None:
        self._by_id = {str(flag["id"]): flag for flag in flags}

    def key_of(self, flag_id: str) -> str:
        """The key of a flag's id; of one that is gone the id itself."""
        flag = self._by_id.get(flag_id)
        return flag["key"] if flag else flag_id

    def of(self, flag_id: str) -> list[str]:
        """The keys in evaluation order, the flag itself last; empty when they go in a circle."""
        order: list[str] = []
        return order if self._visit(flag_id, order, set()) else []

    def circle(self, flag: Flag) -> list[str]:
        """The keys of a circle through this flag, which may not be stored yet; empty when there is none."""
        start = str(flag["id"])
        known = {**self._by_id, start: flag}
        paths = [[start]]
        while paths:
            path = paths.pop()
            for following in dependencies_of(known[path[-1]]):
                if following == start:
                    return [known[each]["key"] for each in [*path, start]]
                if following in known and following not in path:
                    paths.append([*path, following])
        return []

    def _visit(self, flag_id: str, order: list[str], above: set[str]) -> bool:
        if flag_id in above:
            return False
        flag = self._by_id.get(flag_id)
        below = dependencies_of(flag) if flag else []
        if not all(self._visit(each, order, above | {flag_id}) for each in below):
            return False
        key = self.key_of(flag_id)
        if key not in order:
            order.append(key)
        return True


def _definition(sandbox: Sandbox, flag: Flag, chains: Chains, has_experiment: bool) -> dict[str, Any]:
    return {
        "id": flag["id"],
        "team_id": sandbox.project.id,
        "name": flag["name"],
        "key": flag["key"],
        "filters": {
            **flag["filters"],
            "groups": [_condition(each, chains) for each in flag["filters"]["groups"]],
        },
        "active": flag["active"],
        "deleted": False,
        "ensure_experience_continuity": flag["ensure_experience_continuity"],
        "version": flag["version"],
        "evaluation_runtime": flag["evaluation_runtime"] or "all",
        "bucketing_identifier": flag["bucketing_identifier"] or "distinct_id",
        "evaluation_contexts": flag["evaluation_contexts"],
        "has_encrypted_payloads": bool(flag["has_encrypted_payloads"]),
        "has_experiment": has_experiment,
    }


def _condition(group: dict[str, Any], chains: Chains) -> dict[str, Any]:
    properties = [_property(each, chains) for each in as_list(group.get("properties"))]
    return {**group, "properties": properties}


def _property(source: dict[str, Any], chains: Chains) -> dict[str, Any]:
    if source.get("type") != "flag":
        return source
    flag_id = str(source["key"])
    return {**source, "key": chains.key_of(flag_id), "dependency_chain": chains.of(flag_id)}


def _cohorts(sandbox: Sandbox, flags: list[Flag]) -> dict[str, Any]:
    """The property groups of the cohorts that flags, or such cohorts, name, where properties decide."""
    known = {str(one["id"]): one for one in sandbox.store.all("cohort") if not one["deleted"]}
    waiting = [
        str(each.get("value"))
        for flag in flags
        for each in properties_of(flag)
        if each.get("type") == "cohort"
    ]
    groups: dict[str, Any] = {}
    while waiting:
        cohort = known.get(waiting.pop())
        if cohort is None or str(cohort["id"]) in groups or not by_properties(cohort):
            continue
        group = as_dict(as_dict(cohort.get("filters")).get("properties"))
        groups[str(cohort["id"])] = group
        waiting += [str(leaf.get("value")) for leaf in leaves(group) if leaf.get("type") == "cohort"]
    return groups


def listed_cohorts(sandbox: Sandbox) -> list[tuple[int, int]]:
    """Id and version of the cohorts whose members are kept as a list: static ones, and those by behaviour."""
    return [
        (int(one["id"]), int(one["version"]))
        for one in sandbox.store.all("cohort")
        if not one["deleted"] and not by_properties(one)
    ]


def by_properties(cohort: dict[str, Any]) -> bool:
    """Whether properties alone decide who is in a cohort: it is not static, and asks for no behaviour."""
    group = as_dict(as_dict(cohort.get("filters")).get("properties"))
    return not cohort["is_static"] and all(leaf.get("type") != "behavioral" for leaf in leaves(group))


def leaves(group: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The filters of a cohort's nested groups."""
    for entry in map(as_dict, as_list(group.get("values"))):
        if "values" in entry:
            yield from leaves(entry)
        else:
            yield entry
