"""Cohorts as the store keeps them and as the private API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.cohorts.filters import leaves
from posthog_mcp.sandbox.http.times import iso

if TYPE_CHECKING:
    from posthog_mcp.sandbox.sandbox import Sandbox
    from posthog_mcp.sandbox.store import Document

_HIDDEN = ("version",)


def new(sandbox: Sandbox, **fields: Any) -> Document:
    """A cohort whose members are not found yet."""
    return {
        "name": "",
        "description": "",
        "filters": None,
        "groups": [],
        "query": None,
        "deleted": False,
        "is_static": False,
        **fields,
        "is_calculating": False,
        "count": None,
        "version": 0,
        "last_calculation": None,
        "errors_calculating": 0,
        "created_at": iso(sandbox.clock()),
        "created_by": sandbox.project.user.basic(),
    }


def shown(cohort: Document) -> Document:
    """A cohort as the API shows it."""
    return {
        **{name: value for name, value in cohort.items() if name not in _HIDDEN},
        "cohort_type": kind_of(cohort),
        "experiment_set": [],
    }


def kind_of(cohort: Document) -> str:
    """By what its members are decided: `static`, `behavioral` or `person_property`."""
    if cohort["is_static"]:
        return "static"
    kinds = {leaf.get("type") for leaf in leaves(cohort["filters"] or {})}
    return "behavioral" if "behavioral" in kinds else "person_property"
