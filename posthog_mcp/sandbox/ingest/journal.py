"""Rows that are committed to SQLite and on their way to the engine, in a file that outlives the process.

Writing here comes before SQLite's commit, so a commit always finds its rows: after a crash those of every
commit are sent to the engine again, which stores a row it has already only once. The file is empty when
nothing is on its way.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Rows = dict[str, bytes]
"""JSON lines by name of the engine's table."""


class Journal:
    """The file; `None` as path keeps nothing, for a store in memory."""

    def __init__(self, path: Path | None) -> None:
        """Open the file, or create it readable by its owner alone."""
        self._path = path
        self._file = None if path is None else os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def size(self) -> int:
        """How many bytes are written: what `cut` goes back to when the commit does not happen."""
        return 0 if self._file is None else os.fstat(self._file).st_size

    def cut(self, size: int) -> None:
        """Forget what was written beyond a size; everything at 0, when all of it has arrived."""
        if self._file is not None:
            os.ftruncate(self._file, size)

    def append(self, number: int, rows: Rows) -> None:
        """Write the rows of a commit before it happens."""
        if self._file is None:
            return
        sizes = [[table, len(lines)] for table, lines in rows.items()]
        left = memoryview(b"".join((json.dumps([number, sizes]).encode(), b"\n", *rows.values())))
        while left:
            left = left[os.write(self._file, left) :]

    def entries(self) -> Iterator[tuple[int, Rows]]:
        """Number and rows of each commit whose rows are complete, oldest first."""
        if self._path is None:
            return
        data = self._path.read_bytes()
        at = 0
        while (end := data.find(b"\n", at)) >= 0:
            number, sizes = _header(data[at:end])
            at = end + 1
            rows: Rows = {}
            for table, size in sizes:
                rows[table] = data[at : at + size]
                at += size
            if at > len(data):
                return  # torn: the process ended while writing, so its commit never came
            yield number, rows

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _header(line: bytes) -> tuple[int, list[Any]]:
    number, sizes = json.loads(line)
    return number, sizes
