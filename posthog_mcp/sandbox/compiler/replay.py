"""The tables of session replay: one row for each recording, the blocks it is made of, and console lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.sandbox.compiler.tables import PERSON, Column, Join, Table, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

_COUNTS = (
    "click_count", "keypress_count", "mouse_activity_count", "active_milliseconds", "console_log_count",
    "console_warn_count", "console_error_count", "size", "event_count", "message_count",
)  # fmt: skip
_FIRST = ("distinct_id", "snapshot_source", "snapshot_library")
_URLS_IN_ORDER = "arrayMap(block -> block.2, arraySort(groupArray((first_timestamp, all_urls))))"
_PERSON_OF = "(SELECT distinct_id, person_id FROM ph.person_distinct_ids FINAL WHERE is_deleted = 0)"


def _recordings() -> str:
    """Each recording with its person, as a subquery of plain columns: joins and filters come after it."""
    folded = ", ".join([
        *(f"argMin({name}, first_timestamp) AS {name}_" for name in _FIRST),
        "min(first_timestamp) AS start_time", "max(last_timestamp) AS end_time",
        "argMinIf(first_url, first_timestamp, first_url != '') AS first_url_",
        f"arrayDistinct(arrayFlatten({_URLS_IN_ORDER})) AS all_urls_",
        *(f"toInt64(sum({name})) AS {name}_" for name in _COUNTS),
    ])  # fmt: skip
    names = ", ".join(f"r.{name}_ AS {name}" for name in (*_FIRST, *_COUNTS, "first_url", "all_urls"))
    return (
        f"(SELECT r.session_id AS session_id, r.start_time AS start_time, r.end_time AS end_time, {names},"  # noqa: S608 - names of ours
        " p.person_id AS person_id FROM"
        f" (SELECT session_id, {folded} FROM ph.session_replay_blocks FINAL GROUP BY session_id) AS r"
        f" LEFT JOIN {_PERSON_OF} AS p ON r.distinct_id_ = p.distinct_id) AS {{t}}"
    )


def _numbers(names: Sequence[str]) -> dict[str, Column]:
    return {name: plain(name, "Number") for name in names}


REPLAY_TABLES: dict[str, Table] = {
    "session_replay_events": Table(
        _recordings(),
        {
            "session_id": plain("session_id"),
            "distinct_id": plain("distinct_id"),
            "person_id": plain("person_id", "UUID"),
            "start_time": plain("start_time", "DateTime"),
            "end_time": plain("end_time", "DateTime"),
            "first_url": plain("first_url"),
            "all_urls": plain("all_urls", "Array"),
            **_numbers(_COUNTS),
            "snapshot_source": plain("snapshot_source"),
            "snapshot_library": plain("snapshot_library", hidden=True),
        },
        joins={"person": PERSON, "session": Join("sessions", "session_id", "session_id")},
    ),
    "raw_session_replay_events": Table(
        "ph.session_replay_blocks AS {t} FINAL",
        {
            "session_id": plain("session_id"),
            "distinct_id": plain("distinct_id"),
            "min_first_timestamp": Column("{t}.`first_timestamp`", "DateTime"),
            "max_last_timestamp": Column("{t}.`last_timestamp`", "DateTime"),
            "first_url": plain("first_url"),
            "all_urls": plain("all_urls", "Array"),
            **_numbers(_COUNTS),
            "snapshot_source": plain("snapshot_source"),
        },
    ),
    **dict.fromkeys(
        ("log_entries", "console_logs_log_entries"),
        Table(
            "ph.log_entries AS {t} FINAL",
            {
                "log_source": plain("log_source"),
                "log_source_id": plain("log_source_id"),
                "instance_id": plain("instance_id"),
                "timestamp": plain("timestamp", "DateTime"),
                "level": plain("level"),
                "message": plain("message"),
            },
        ),
    ),
}
