"""The only place that touches chdb: opening a data directory and running one statement.

Every function takes a fresh connection, because after a query that failed while writing its output, the next
result on the same connection starts with the failed query's rows. All of them are called from threads other
than the main one, where a running statement would hold back signals.
"""

import importlib
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, cast

from posthog_mcp.sandbox.engine import errors, schema

Settings = Mapping[str, str | int | float]
Parameters = Mapping[str, str | int | float]

# Loaded by chdb when present, used by nothing here: a third of the start and 40 MiB.
_UNUSED: Final = ("pandas", "pyarrow", "numpy")

READ: Final[Settings] = {
    "max_memory_usage": 1_000_000_000,
    "max_result_rows": 50_001,
    "max_result_bytes": 256_000_000,
    "max_threads": 2,
    # Compiled SQL is some times longer than the HogQL it comes from.
    "max_query_size": 8_000_000,
    "session_timezone": "UTC",
    "date_time_output_format": "iso",
    "output_format_json_escape_forward_slashes": 0,
}

WRITE: Final[Settings] = {
    "session_timezone": "UTC",
    "mutations_sync": 2,
    # An acknowledged insert is in the table, not in a queue.
    "async_insert": 0,
    # A field that the schema lacks is a mistake of the sandbox, not something to lose silently.
    "input_format_skip_unknown_fields": 0,
    # A lone surrogate in one distinct id must not fail the whole insert.
    "input_format_json_throw_on_bad_escape_sequence": 0,
}

# ClickHouse reads a String parameter as a tab-separated field.
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


class _Inserter(Protocol):
    def append(self, data: bytes) -> None: ...
    def finish(self) -> Any: ...


class Session(Protocol):
    """The part of chdb.session.Session that is used."""

    def query(self, sql: str, fmt: str = "CSV", *, params: dict[str, Any] | None = None) -> Any:
        """Run one statement."""
        ...

    def send_insert(self, query: str, fmt: str) -> _Inserter:
        """Begin an INSERT whose rows follow."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


def load() -> None:
    """Import chdb; raises EngineMissing where it is not installed."""
    for name in _UNUSED:
        sys.modules[name] = cast("Any", None)
    try:
        importlib.import_module("chdb.session")
    except ImportError as error:
        raise errors.EngineMissing from error


class Database:
    """One data directory, open for as long as this object lives (one per process: chdb's rule)."""

    def __init__(self, path: Path) -> None:
        """Open `path`, creating the directory's tables where they do not exist."""
        self._path = str(path)
        # Idle, but while it is open the engine is not shut down between two statements.
        self._keeper = self._open()
        for statement in schema.statements():
            self.write(statement)

    def close(self) -> None:
        """Shut the engine down; no statement may be running."""
        self._keeper.close()

    def read(self, sql: str, parameters: Parameters, *, seconds: float, tag: str, extra: Settings) -> bytes:
        """Run one SELECT, readonly.

        Args:
            sql: SQL printed by the compiler, never a user's own text.
            parameters: Values of its `{name:Type}` placeholders.
            seconds: Time limit; over it the error is 159.
            tag: What `kill` finds it by.
            extra: Further ClickHouse settings of this query.

        Returns:
            ClickHouse's JSONCompact: meta, data, statistics.
        """
        limits: Settings = {**READ, **extra, "max_execution_time": seconds, "log_comment": tag, "readonly": 1}
        values = {name: _parameter(value) for name, value in parameters.items()}
        with self._connection(limits) as connection:
            return connection.query(sql, "JSONCompact", params=values).bytes()

    def write(self, sql: str, parameters: Parameters | None = None, *, tag: str = "") -> None:
        """Run one statement of the sandbox's own that changes something, to its end."""
        values = {name: _parameter(value) for name, value in (parameters or {}).items()}
        with self._connection({**WRITE, "log_comment": tag}) as connection:
            connection.query(sql, params=values)

    def insert(self, table: str, rows: bytes) -> int:
        """Append JSON lines to a table of the schema; durable against a killed process when it returns.

        Returns:
            The number of rows written.
        """
        with self._connection(WRITE) as connection:
            inserter = connection.send_insert(f"INSERT INTO {schema.DATABASE}.{table}", "JSONEachRow")
            inserter.append(rows)
            return int(inserter.finish().rows_written)

    def kill(self, tag: str) -> None:
        """Ask the engine to stop the statements with this tag; returns without waiting for their end."""
        with self._connection({}) as connection:
            connection.query(
                "KILL QUERY WHERE Settings['log_comment'] = {tag:String} ASYNC",
                params={"tag": _parameter(tag)},
            )

    def _open(self) -> Session:
        module = importlib.import_module("chdb.session")
        try:
            return cast("Session", module.Session(self._path))
        except RuntimeError as error:
            raise errors.from_chdb(str(error)) from error

    @contextmanager
    def _connection(self, settings: Settings) -> Generator[Session]:
        session = self._open()
        try:
            if settings:
                session.query(
                    "SET " + ", ".join(f"{name}={_literal(value)}" for name, value in settings.items())
                )
            yield session
        except RuntimeError as error:
            raise errors.from_chdb(str(error)) from error
        finally:
            session.close()


def _parameter(value: str | float) -> str | float:
    return value.translate(_ESCAPES) if isinstance(value, str) else value


def _literal(value: str | float) -> str:
    return "'" + value.translate(_ESCAPES).replace("'", "\\'") + "'" if isinstance(value, str) else str(value)
