"""The tables that HogQL is compiled to.

Events are truth here. Persons, their ids and groups are a mirror of the sandbox's SQLite store, and every
table is a ReplacingMergeTree: a row written again replaces the one before, at reads with FINAL.

Measured on 1,000,000 events: no partitions (with months, an import that spans 100 of them is refused whole,
and an insert is only atomic within one), LZ4 rather than ZSTD (reads a fifth faster, 100 instead of 78 MiB),
`event` a plain String (the type the API reports; with FINAL no slower than LowCardinality).
"""

from typing import Final

DATABASE: Final = "ph"

_TIME = "DateTime64(6, 'UTC')"

_REPLAY_COUNTS: Final = (
    "click_count", "keypress_count", "mouse_activity_count", "active_milliseconds", "console_log_count",
    "console_warn_count", "console_error_count", "size", "event_count", "message_count",
)  # fmt: skip

_COLUMNS: Final[dict[str, dict[str, str]]] = {
    "events": {
        "uuid": "UUID",
        "event": "String",
        "timestamp": f"{_TIME} CODEC(Delta, LZ4)",
        "distinct_id": "String",
        "person_id": "UUID",
        "properties": "String",
        "person_properties": "String",
        "person_created_at": _TIME,
        "person_mode": "LowCardinality(String)",
        "elements_chain": "String",
        "$session_id": "String",
        "$window_id": "String",
        **{f"$group_{index}": "String" for index in range(5)},
        "created_at": _TIME,
        "inserted_at": f"{_TIME} DEFAULT now64(6)",
    },
    "persons": {
        "id": "UUID",
        "created_at": _TIME,
        "properties": "String",
        "is_identified": "Bool",
        "version": "Int64",
        "is_deleted": "UInt8",
        "last_seen_at": f"Nullable({_TIME})",
    },
    "person_distinct_ids": {
        "distinct_id": "String",
        "person_id": "UUID",
        "version": "Int64",
        "is_deleted": "UInt8",
    },
    "person_distinct_id_overrides": {"distinct_id": "String", "person_id": "UUID", "version": "Int64"},
    "groups": {
        "index": "UInt8",
        "key": "String",
        "created_at": _TIME,
        "updated_at": _TIME,
        "properties": "String",
        "version": "Int64",
    },
    "cohort_people": {"cohort_id": "Int64", "person_id": "UUID", "version": "Int64"},
    # What each message of a recording adds to it.
    "session_replay_blocks": {
        "session_id": "String",
        "block_id": "String",
        "distinct_id": "String",
        "first_timestamp": _TIME,
        "last_timestamp": _TIME,
        "first_url": "String",
        "all_urls": "Array(String)",
        **dict.fromkeys(_REPLAY_COUNTS, "UInt64"),
        "snapshot_source": "LowCardinality(String)",
        "snapshot_library": "String",
    },
    "log_entries": {
        "log_source": "LowCardinality(String)",
        "log_source_id": "String",
        "instance_id": "String",
        "timestamp": _TIME,
        "level": "LowCardinality(String)",
        "message": "String",
    },
}

# A duplicate event is one of the same day, name, distinct id and uuid (posthog-ingestion 2.2).
_STORAGE: Final = {
    "events": "(inserted_at) ORDER BY (toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid))",
    "persons": "(version) ORDER BY id",
    "person_distinct_ids": "(version) ORDER BY distinct_id",
    "person_distinct_id_overrides": "(version) ORDER BY distinct_id",
    "groups": "(version) ORDER BY (index, key)",
    # Members of an older version stay readable until the sandbox deletes them.
    "cohort_people": "(version) ORDER BY (cohort_id, version, person_id)",
    # Rows never change: written again they are the same.
    "session_replay_blocks": "() ORDER BY (session_id, block_id)",
    "log_entries": "() ORDER BY (log_source_id, timestamp, instance_id)",
}

TABLES: Final = frozenset(_COLUMNS)


def columns(table: str) -> list[str]:
    """Return the names of a table's columns in order; KeyError for a table that does not exist."""
    return list(_COLUMNS[table])


def statements() -> list[str]:
    """Return the statements that create the database and its tables where they do not exist yet."""
    return [f"CREATE DATABASE IF NOT EXISTS {DATABASE}", *(_create(table) for table in _COLUMNS)]


def _create(table: str) -> str:
    declared = ", ".join(f"`{name}` {kind}" for name, kind in _COLUMNS[table].items())
    storage = f"ReplacingMergeTree{_STORAGE[table]}"
    return f"CREATE TABLE IF NOT EXISTS {DATABASE}.{table} ({declared}) ENGINE = {storage}"
