"""What a flag must fulfil beyond its fields' types, in PostHog's words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from posthog_mcp.flags import dates
from posthog_mcp.flags.values import as_dict, as_list, is_dict
from posthog_mcp.sandbox.flags.definitions import Chains, by_properties
from posthog_mcp.sandbox.flags.documents import (
    Flag,
    by_key,
    conditions_of,
    dependents_of,
    experiments_of,
    flags_of,
    properties_of,
    variants_of,
)
from posthog_mcp.sandbox.http.errors import ApiError, invalid

if TYPE_CHECKING:
    from posthog_mcp.sandbox.sandbox import Sandbox

_KEY: Final = re.compile(r"[a-zA-Z0-9_-]+")
_DATES: Final = ("is_date_exact", "is_date_after", "is_date_before")
_WHOLE: Final = 100
_CLOSE: Final = 0.01
_PERSON_TYPES: Final = ("person", "cohort", "flag")


def check(sandbox: Sandbox, flag: Flag, body: dict[str, Any]) -> None:
    """Refuse a flag as it would become.

    Args:
        sandbox: Where it would be kept.
        flag: The whole flag; its id is 0 when it is new.
        body: What the client sent.

    Raises:
        ApiError: 400 for the first problem.
    """
    if flag["deleted"]:
        return
    _check_key(sandbox, flag)
    _check_switches(flag)
    filters = body.get("filters")
    if is_dict(filters) and "version" in filters:
        raise invalid("filters.version is reserved.", "filters", "reserved_config_version")
    if filters is not None:
        _check_variants(flag)
        _check_payloads(flag)
        _check_properties(sandbox, flag)


def check_unused(sandbox: Sandbox, flag: Flag, doing: str) -> None:
    """Refuse to delete, disable or archive a flag that others need.

    Raises:
        ApiError: 400 that names them.
    """
    if doing == "delete":
        running = [
            one for one in experiments_of(sandbox, flag) if one.get("start_date") and not one.get("end_date")
        ]
        if running:
            ids = ", ".join(str(one["id"]) for one in running)
            raise invalid(f"Cannot delete a feature flag that is linked to running experiments (ID {ids}).")
    dependents = dependents_of(sandbox, flag)
    if dependents:
        names = ", ".join(f"{one['key']} (ID: {one['id']})" for one in dependents)
        raise invalid(f"Cannot {doing} this feature flag because other flags depend on it: {names}")


def check_version(flag: Flag, body: dict[str, Any]) -> None:
    """Refuse a change of fields that somebody else changed since the client read the flag.

    Raises:
        ApiError: 409.
    """
    seen = body.get("version")
    if not isinstance(seen, int) or isinstance(seen, bool) or seen < 0:
        return
    changed: dict[str, int] = flag["changed_in"]
    if any(changed.get(name, 0) > seen for name in body):
        who = as_dict(flag["last_modified_by"]).get("email", "another user")
        detail = (
            f"The feature flag was updated by {who} since you started editing it. "
            "Please refresh and try again."
        )
        raise ApiError(409, "server_error", "conflict", detail)


def _check_key(sandbox: Sandbox, flag: Flag) -> None:
    if not _KEY.fullmatch(flag["key"]):
        detail = "Only letters, numbers, hyphens (-) & underscores (_) are allowed."
        raise invalid(detail, "key", "invalid_key")
    other = by_key(sandbox, flag["key"])
    if other is not None and other["id"] != flag["id"]:
        raise invalid("There is already a feature flag with this key.", "key", "unique")


def _check_switches(flag: Flag) -> None:
    if flag["archived"] and flag["active"]:
        raise invalid("An archived feature flag cannot be active.", "archived")
    if flag["ensure_experience_continuity"] and flag["bucketing_identifier"] == "device_id":
        detail = "Experience continuity cannot be used together with device_id bucketing."
        raise invalid(detail, "ensure_experience_continuity")
    if flag["has_encrypted_payloads"] and not flag["is_remote_configuration"]:
        detail = "Encrypted payloads are only available for remote configuration flags."
        raise invalid(detail, "has_encrypted_payloads")


def _check_variants(flag: Flag) -> None:
    variants = variants_of(flag)
    keys = [variant["key"] for variant in variants]
    if len(keys) != len(set(keys)):
        raise invalid("Invalid variant definitions: Variant keys must be unique.", "filters")
    if variants and abs(sum(variant["rollout_percentage"] for variant in variants) - _WHOLE) > _CLOSE:
        detail = "Invalid variant definitions: Variant rollout percentages must sum to 100."
        raise invalid(detail, "filters")


def _check_payloads(flag: Flag) -> None:
    variants = [variant["key"] for variant in variants_of(flag)]
    for key, payload in as_dict(flag["filters"].get("payloads")).items():
        if variants and key not in variants:
            raise invalid("Payload keys must match a variant key for multivariate flags", "filters")
        if not variants and key != "true":
            raise invalid("Payload keys must be 'true' for boolean flags", "filters")
        try:
            json.loads(payload)
        except (ValueError, RecursionError):
            raise invalid("Payload value is not valid JSON", "filters") from None


def _check_properties(sandbox: Sandbox, flag: Flag) -> None:
    own = flag["filters"].get("aggregation_group_type_index")
    for group in conditions_of(flag):
        about_group = group.get("aggregation_group_type_index", own) is not None
        for each in as_list(group.get("properties")):
            _check_subject(each, about_group=about_group)
            if each.get("operator") in _DATES:
                _check_date(each.get("value"))
            if each.get("type") == "cohort":
                _check_cohort(sandbox, each)
    known = {str(one["id"]) for one in flags_of(sandbox)}
    for each in properties_of(flag):
        if each.get("type") == "flag":
            _check_dependency(each, known)
    circle = Chains(flags_of(sandbox)).circle(flag)
    if circle:
        raise invalid(f"Circular dependency detected: {' -> '.join(circle)}", "filters")


def _check_subject(each: dict[str, Any], *, about_group: bool) -> None:
    kind = each.get("type", "person")
    if about_group and kind not in ("group", "flag"):
        raise invalid("Filters are not valid (can only use group properties)", "filters")
    if not about_group and kind not in _PERSON_TYPES:
        detail = "Filters are not valid (can only use person, cohort, and flag properties)"
        raise invalid(detail, "filters")


def _check_date(value: object) -> None:
    try:
        dates.compile_date(str(value))
    except (ValueError, OverflowError):
        raise invalid(f"Invalid date value: {value}", "filters", "invalid_date") from None


def _check_cohort(sandbox: Sandbox, each: dict[str, Any]) -> None:
    if each.get("operator") not in (None, "exact", "in", "not_in"):
        raise invalid(f"Invalid operator {each['operator']} for a cohort filter", "filters")
    value = str(each.get("value"))
    cohort = sandbox.store.get("cohort", int(value)) if value.isascii() and value.isdigit() else None
    if cohort is None or cohort["deleted"]:
        raise invalid(f"Cohort with id {value} does not exist", "filters", "cohort_does_not_exist")
    if not cohort["is_static"] and not by_properties(cohort):
        detail = f"Cohort '{cohort['name']}' with filters on events cannot be used in feature flags."
        raise invalid(detail, "filters", "behavioral_cohort_found")


def _check_dependency(each: dict[str, Any], known: set[str]) -> None:
    if each.get("operator") != "flag_evaluates_to":
        raise invalid("Flag dependencies must use the operator flag_evaluates_to", "filters")
    if not isinstance(each.get("value"), (bool, str)):
        raise invalid("A flag dependency's value must be true, false or a variant's key", "filters")
    if str(each["key"]) not in known:
        raise invalid(f"Flag dependency references a flag that does not exist: {each['key']}", "filters")
