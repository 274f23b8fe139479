"""The project as the compiler sees it, at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from posthog_mcp.sandbox.compiler.world import Action, Cohort, PersonMode, PropertyType, World
from posthog_mcp.sandbox.http.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from posthog_mcp.sandbox.sandbox import Sandbox

_HAS_OVERRIDES = "SELECT EXISTS (SELECT 1 FROM person_distinct_ids WHERE version > 0 AND NOT is_deleted)"


def world_of(sandbox: Sandbox, modifiers: Mapping[str, Any] | None = None) -> World:
    """The world for one query; `modifiers` are the query's own (`personsOnEventsMode`).

    Raises `ApiError` 400 for a mode PostHog does not have.
    """
    project, ingest = sandbox.project, sandbox.ingest
    cohorts = [one for one in sandbox.store.all("cohort") if not one["deleted"]]
    actions = [one for one in sandbox.store.all("action") if not one["deleted"]]
    (has_overrides,) = sandbox.store.db.execute(_HAS_OVERRIDES).fetchone()
    return World(
        project_id=project.id,
        timezone=project.timezone,
        now=sandbox.clock(),
        property_type=_types(sandbox),
        group_types={one.index: one.type for one in ingest.groups.types()},
        cohorts={
            one["id"]: Cohort(one["id"], one["name"], one["is_static"], one["version"]) for one in cohorts
        },
        actions={one["id"]: Action(one["id"], one["name"], one["steps"]) for one in actions},
        test_account_filters=project.settings["test_account_filters"] or [],
        week_start=project.settings["week_start_day"] or 0,
        person_mode=_mode(modifiers or {}),
        has_overrides=bool(has_overrides),
        moved_issues=ingest.issues.moved(),
    )


def _types(sandbox: Sandbox) -> Callable[[str, str], PropertyType | None]:
    definitions = sandbox.ingest.definitions

    def property_type(kind: str, name: str) -> PropertyType | None:
        if kind.startswith("group_"):
            return definitions.property_type("group", name, int(kind.removeprefix("group_")))
        return definitions.property_type("person" if kind == "person" else "event", name)

    return property_type


def _mode(modifiers: Mapping[str, Any]) -> PersonMode:
    mode = modifiers.get("personsOnEventsMode") or "person_id_override_properties_on_events"
    if mode not in get_args(PersonMode):
        raise invalid(f'"{mode}" is not a valid personsOnEventsMode.', "query__modifiers")
    return cast("PersonMode", mode)
