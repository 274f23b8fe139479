"""Rows that are committed to SQLite and on their way to the engine, in a file that outlives the process.

Writing here comes before SQLite's commit, so a commit always finds its rows: after a crash those of every
commit are sent to the engine again, which stores a row it has already only once. What has arrived is
dropped, so the file is empty when nothing is on its way.
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
        self._file = None if path is None else _opened(path)

    def size(self) -> int:
        """How many bytes are written: what `cut` goes back to when the commit does not happen."""
        return 0 if self._file is None else os.fstat(self._file).st_size

    def cut(self, size: int) -> None:
        """Forget what was written beyond a size."""
        if self._file is not None:
            os.ftruncate(self._file, size)

    def drop(self, size: int) -> None:
        """Forget the first `size` bytes, which end with a commit: they have arrived.

        What came after them moves to a new file, which takes the old one's place at once or not at all.

        Raises:
            OSError: The disk has no room for that; nothing is forgotten then.
        """
        if self._path is None or self._file is None:
            return
        with self._path.open("rb") as file:
            file.seek(size)
            rest = file.read()
        if not rest:
            os.ftruncate(self._file, 0)
            return
        draft = self._path.with_suffix(".draft")
        successor = _opened(draft, os.O_TRUNC)
        try:
            _write(successor, rest)
            draft.replace(self._path)
        except OSError:
            os.close(successor)
            raise
        os.close(self._file)
        self._file = successor

    def append(self, number: int, rows: Rows) -> None:
        """Write the rows of a commit before it happens."""
        if self._file is None:
            return
        sizes = [[table, len(lines)] for table, lines in rows.items()]
        _write(self._file, b"".join((json.dumps([number, sizes]).encode(), b"\n", *rows.values())))

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


def _opened(path: Path, flags: int = 0) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | flags, 0o600)


def _write(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _header(line: bytes) -> tuple[int, list[Any]]:
    number, sizes = json.loads(line)
    return number, sizes
