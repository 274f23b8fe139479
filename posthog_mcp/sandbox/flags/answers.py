"""The shapes of `/flags` and of `/decide` before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.flags import Code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthog_mcp.flags import Decision

Decisions = dict[str, "Decision"]
Source = dict[str, Any]
_WORDS = {
    Code.NO_CONDITION_MATCH: "No matching condition set",
    Code.OUT_OF_ROLLOUT_BOUND: "Out of rollout bound",
    Code.NO_GROUP_TYPE: "No group type",
    Code.SUPER_CONDITION_VALUE: "Super condition value",
    Code.HOLDOUT_CONDITION_VALUE: "Holdout condition value",
    Code.FLAG_DISABLED: "Feature flag is disabled",
    Code.MISSING_DEPENDENCY: "Flag cannot be evaluated due to missing dependency",
}
_CONFIG: dict[str, Any] = {
    "supportedCompression": ["gzip", "gzip-js"],
    "config": {"enable_collect_everything": True},
    "toolbarParams": {},
    "isAuthenticated": False,
    "defaultIdentifiedOnly": True,
    "siteApps": [],
    "sessionRecording": False,
    "surveys": False,
    "heatmaps": False,
    "capturePerformance": False,
    "autocaptureExceptions": False,
    "autocapture_opt_out": False,
    "analytics": {"endpoint": "/i/v0/e/"},
    "elementsChainAsString": True,
}


def description(decision: Decision) -> str:
    """Why a flag has its value, in PostHog's words."""
    if decision.code is Code.CONDITION_MATCH:
        return f"Matched condition set {(decision.condition_index or 0) + 1}"
    return decision.detail if decision.code is None else _WORDS[decision.code]


def config(*, has_flags: bool) -> dict[str, Any]:
    """What `config=true` adds for the browser's library."""
    return {**_CONFIG, "hasFeatureFlags": has_flags}


def empty() -> dict[str, Any]:
    """The answer to a GET, which evaluates nothing."""
    return {"errorsWhileComputingFlags": False, "flags": {}}


def detailed(decisions: Decisions, sources: Mapping[str, Source]) -> dict[str, Any]:
    """`flags` of version 2 and 4: a record for each flag."""
    return {
        key: {
            "key": key,
            "enabled": bool(decision.value),
            "variant": decision.variant,
            **_failed(decision),
            "reason": _reason(decision),
            "metadata": _metadata(decision, sources[key]),
        }
        for key, decision in decisions.items()
    }


def typed(decisions: Decisions, sources: Mapping[str, Source]) -> dict[str, Any]:
    """`flags` of version 3: each value as it is."""
    return {
        key: {
            "key": key,
            "value": bool(decision.value) if decision.variant is None else decision.variant,
            **_failed(decision),
            "reason": _reason(decision),
            "metadata": {
                **_metadata(decision, sources[key]),
                "config_version": 1,
                "variant_key": decision.variant,
            },
        }
        for key, decision in decisions.items()
    }


def legacy(decisions: Decisions) -> dict[str, Any]:
    """Version 1: values and payloads by key."""
    return {
        "featureFlags": {key: decision.value or False for key, decision in decisions.items()},
        "featureFlagPayloads": {
            key: decision.payload_text
            for key, decision in decisions.items()
            if decision.value and decision.payload_text is not None
        },
    }


def decide_1(decisions: Decisions) -> dict[str, Any]:
    """The first `/decide`: the keys of what is on."""
    return {"featureFlags": [key for key, decision in decisions.items() if decision.value]}


def decide_2(decisions: Decisions) -> dict[str, Any]:
    """The second `/decide`: the values of what is on."""
    return {"featureFlags": {key: decision.value for key, decision in decisions.items() if decision.value}}


def errors(decisions: Decisions) -> bool:
    """Whether some flag has no value, which only a malformed definition can cause here."""
    return any(not decision.decided for decision in decisions.values())


def _failed(decision: Decision) -> dict[str, Any]:
    return {} if decision.decided else {"failed": True}


def _reason(decision: Decision) -> dict[str, Any]:
    return {
        "code": decision.code or "unknown",
        "condition_index": decision.condition_index,
        "description": description(decision),
    }


def _metadata(decision: Decision, source: Source) -> dict[str, Any]:
    return {
        "id": decision.flag_id,
        "version": decision.version,
        "description": None,
        "payload": decision.payload_text if decision.value else None,
        "has_experiment": source["has_experiment"],
    }
