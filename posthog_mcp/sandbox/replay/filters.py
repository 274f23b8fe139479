"""What the filters of recordings stand for, as HogQL conditions on `session_replay_events`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler import CompileError
from posthog_mcp.sandbox.compiler.actions import action_condition, find_action
from posthog_mcp.sandbox.compiler.filters import check_names, property_filters
from posthog_mcp.sandbox.compiler.operators import condition
from posthog_mcp.sandbox.compiler.trees import all_of, compare, field
from posthog_mcp.sandbox.experiments.trees import between, constant, expr, query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from posthog_mcp.sandbox.compiler.world import World

Filter = dict[str, Any]

_MARGIN = timedelta(days=1)  # a session's events may be older or newer than the period of its start
_DURATION = "dateDiff('second', start_time, end_time)"
_ON_RECORDINGS = ("person", "person_metadata", "cohort", "session")
# Seconds and counts that a recording is filtered and ordered by.
MEASURES: Mapping[str, str] = {
    "duration": _DURATION,
    "recording_duration": _DURATION,
    "active_seconds": "active_milliseconds / 1000",
    "inactive_seconds": f"{_DURATION} - active_milliseconds / 1000",
    "start_time": "start_time",
    "click_count": "click_count",
    "keypress_count": "keypress_count",
    "mouse_activity_count": "mouse_activity_count",
    "console_log_count": "console_log_count",
    "console_warn_count": "console_warn_count",
    "console_error_count": "console_error_count",
    # PostHog's own formula is not public: here the active share and what was done count the same.
    "activity_score": (
        f"least(50, 50 * active_milliseconds / (1000 * greatest({_DURATION}, 1)))"
        " + least(50, click_count + keypress_count + mouse_activity_count / 100)"
    ),
}
_TEXTS: Mapping[str, str] = {
    "snapshot_source": "snapshot_source",
    "snapshot_library": "snapshot_library",
    "start_url": "first_url",
}


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions on the recordings that started within a period."""

    world: World
    start: datetime
    end: datetime

    def event(self, wanted: Filter) -> ast.Expr:
        """An event of that name and with those properties happened in the session; any without a name."""
        name = wanted.get("id")
        conditions = [compare("==", field("event"), constant(str(name)))] if name is not None else []
        return self._happened([*conditions, property_filters(wanted.get("properties") or [])])

    def action(self, wanted: Filter) -> ast.Expr:
        """An action was done in the session."""
        found = action_condition(find_action(self.world, cast("Any", wanted.get("id")), ast.Node()))
        return self._happened([found, property_filters(wanted.get("properties") or [])])

    def property(self, wanted: Filter) -> ast.Expr:
        """What a property filter of any type stands for."""
        kind = wanted.get("type")
        if kind == "recording":
            return self.measure(wanted)
        if kind == "log_entry":
            return self.console(wanted)
        if kind in _ON_RECORDINGS:
            return property_filters([wanted])
        return self._happened([property_filters([wanted])])

    def measure(self, wanted: Filter) -> ast.Expr:
        """A number or a text of the recording itself."""
        check_names(wanted)
        key, operator = str(wanted.get("key")), str(wanted.get("operator") or "exact")
        if key == "visited_page":
            visited = condition(field("url"), operator, wanted.get("value"), key)
            return ast.Call(
                name="arrayExists", args=[ast.Lambda(args=["url"], expr=visited), field("all_urls")]
            )
        told = MEASURES.get(key) or _TEXTS.get(key)
        if told is None:
            raise CompileError(f"Recordings cannot be filtered by '{key}' in the sandbox.")
        return condition(expr(told), operator, wanted.get("value"), key)

    def console(self, wanted: Filter) -> ast.Expr:
        """A console line of that level, or with those words."""
        check_names(wanted)
        key = str(wanted.get("key"))
        if key not in ("level", "message"):
            raise CompileError(f"Console lines have a level and a message, not '{key}'.")
        found = condition(field(key), str(wanted.get("operator") or "exact"), wanted.get("value"), key)
        lines = query("SELECT log_source_id FROM log_entries WHERE {found}", found=found)
        return compare("in", field("session_id"), lines)

    def internal_users(self) -> list[ast.Expr]:
        """The conditions that leave out the project's own people."""
        if not self.world.test_account_filters:
            return []
        return [self._happened([property_filters(self.world.test_account_filters)])]

    def _happened(self, conditions: Sequence[ast.Expr]) -> ast.Expr:
        sessions = query(
            "SELECT $session_id FROM events WHERE {when} AND {what}",
            when=between(self.start - _MARGIN, self.end + _MARGIN),
            what=all_of(list(conditions)),
        )
        return compare("in", field("session_id"), sessions)
