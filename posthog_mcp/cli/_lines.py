"""Files of events, line by line: JSON lines and CSV, compressed or not, from any line on."""

import csv
import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, NamedTuple, cast
from uuid import UUID

from pydantic_core import from_json

from posthog_mcp.outbox import Event, made, uuid_of
from posthog_mcp.tool.events import check_distinct_id, check_properties

_GZIP = b"\x1f\x8b"
_MOST_LINE = 2 * 1024 * 1024  # more than twice what PostHog takes of one event
_FIELDS = ("event", "distinct_id", "timestamp", "uuid")
_PERSON = ("$set", "$set_once", "$unset")
_FUTURE = timedelta(hours=23)
_MILLISECONDS = 1e11  # as seconds, a time in the year 5138
_LONGEST = 200  # characters of a name or an id


class Rejected(ValueError):  # noqa: N818 - a line, not a fault of the program
    """A line that is no event; the text says why."""


class Line(NamedTuple):
    """One line, or one CSV record.

    Attributes:
        number: Of its first line in the file, from 1.
        last: Of its last line.
        end: Bytes of the file, decompressed, up to and with it.
        raw: As it stands in the file.
        fields: What it says.
        problem: Why it cannot be read.
    """

    number: int
    last: int
    end: int
    raw: bytes
    fields: Mapping[str, Any]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """How lines become events.

    Attributes:
        columns: For CSV: column by field or property; None for JSON lines.
        text: Columns that stay text though they look like numbers.
        event: Name of the events of lines that have none.
        timestamp: Time of lines that have none.
    """

    columns: Mapping[str, str] | None = None
    text: frozenset[str] = frozenset()
    event: str = ""
    timestamp: datetime | None = None


class Source:
    """A file of events.

    Args:
        path: The file; compressed with gzip or not.
        form: How its lines become events.
    """

    def __init__(self, path: Path, form: Form) -> None:
        self.path, self._form = path, form
        self.size = path.stat().st_size
        self._file: IO[bytes] | None = None
        self.ignored: set[str] = set()
        name = path.name.lower().removesuffix(".gz")
        self._csv = form.columns is not None or name.endswith((".csv", ".tsv"))

    def key(self) -> str:
        """The same for the same file, read in the same way."""
        state = self.path.stat()
        given = (str(self.path.resolve()), state.st_size, state.st_mtime_ns, repr(self._form))
        return hashlib.sha256(repr(given).encode()).hexdigest()

    def position(self) -> int:
        """How much of the file on disk has been read."""
        return self._file.tell() if self._file and not self._file.closed else 0

    def lines(self, line: int = 0, offset: int = 0) -> Iterator[Line]:
        """Its lines, after the first `line` of them that end at byte `offset`."""
        with self.path.open("rb") as file:
            self._file = file
            packed = file.read(2) == _GZIP
            file.seek(0)
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file
            reader = _Reader(stream)
            yield from self._records(reader, line, offset) if self._csv else _json_lines(reader, line, offset)

    def _records(self, reader: "_Reader", line: int, offset: int) -> Iterator[Line]:
        csv.field_size_limit(_MOST_LINE)
        head = next(reader, b"").decode("utf-8-sig", "replace")
        delimiter = max(",;\t", key=head.count)
        names = next(iter(csv.reader([head], delimiter=delimiter)), list[str]())
        self._check_columns(names)
        reader.skip_to(line, offset)
        for number, raw, row, problem in _csv_rows(reader, delimiter):
            if problem:
                yield Line(number, reader.number, reader.offset, raw, {}, problem)
            elif row:
                fields = self._fields(names, row)
                short = "" if len(row) == len(names) else f"has {len(row)} columns instead of {len(names)}"
                yield Line(number, reader.number, reader.offset, raw, fields, short)

    def _check_columns(self, names: list[str]) -> None:
        missing = sorted({*(self._form.columns or {}).values(), *self._form.text} - set(names))
        if missing:
            raise Rejected(
                f"{self.path} has no column {', '.join(missing)}; it has {', '.join(names) or 'no header'}."
            )

    def _fields(self, names: list[str], row: list[str]) -> dict[str, Any]:
        """The record as JSON lines would have it: columns that are no field of an event are properties."""
        columns = self._form.columns or {}
        target = {column: name for name, column in columns.items()}
        fields: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        for column, text in zip(names, row, strict=False):
            name = target.get(column, column)
            if name in _FIELDS:
                fields[name] = text
            elif text:
                properties[name] = text if column in self._form.text else _typed(text)
        return {**fields, "properties": properties}

    def event(self, line: Line, now: datetime) -> Event:
        """The event of a line.

        Raises:
            Rejected: It is none.
        """
        if line.problem:
            raise Rejected(line.problem)
        fields = line.fields
        name = fields.get("event") or self._form.event
        if not name:
            named = ", --map event=COLUMN says which column it is" if self._csv else ""
            raise Rejected(f"has no `event`; --event NAME gives one to all that have none{named}")
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST:
            raise Rejected("`event` must be a name of at most 200 characters")
        moment = _moment(fields.get("timestamp"), self._form.timestamp)
        if moment - now > _FUTURE:
            raise Rejected("`timestamp` lies in the future")
        if len(fields) > len(_FIELDS):
            self.ignored |= fields.keys() - {*_FIELDS, *_PERSON, "properties"}
        properties = _properties(fields)
        try:
            uuid = UUID(str(fields["uuid"])) if fields.get("uuid") else _derived(line, moment)
        except ValueError:
            raise Rejected("`uuid` is none") from None
        try:
            check_properties(properties)
            return made(name, _distinct_id(fields.get("distinct_id")), properties, moment, uuid)
        except ValueError as error:
            raise Rejected(f"the event {error}") from None


class _Reader:
    """Physical lines with their numbers and places; one that is too long is cut to what tells it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.number = self.offset = 0
        self.too_long = False

    def skip_to(self, line: int, offset: int) -> None:
        if offset > self.offset:
            self._stream.seek(offset)
            self.number, self.offset = line, offset

    def __iter__(self) -> "_Reader":
        return self

    def __next__(self) -> bytes:
        line = self._stream.readline(_MOST_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        self.offset += len(line)
        rest, self.too_long = line, False
        while len(rest) == _MOST_LINE and not rest.endswith(b"\n"):
            rest, self.too_long = self._stream.readline(_MOST_LINE), True
            self.offset += len(rest)
        return line


def _json_lines(reader: _Reader, line: int, offset: int) -> Iterator[Line]:
    reader.skip_to(line, offset)
    for found in reader:
        raw = found.strip()
        if reader.number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        if not raw:
            continue
        fields, problem = _parsed(raw) if not reader.too_long else ({}, "is longer than 2 MiB")
        yield Line(reader.number, reader.number, reader.offset, raw, fields, problem)


def _parsed(raw: bytes) -> tuple[dict[str, Any], str]:
    try:
        value: Any = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        return {}, f"is no JSON: {error}"
    return (cast("dict[str, Any]", value), "") if isinstance(value, dict) else ({}, "is no JSON object")


def _csv_rows(reader: _Reader, delimiter: str) -> Iterator[tuple[int, bytes, list[str], str]]:
    """Records with the number of their first line; a record may stretch over several lines."""
    taken: list[bytes] = []

    def texts() -> Iterator[str]:
        for raw in reader:
            taken.append(raw)
            yield raw.decode()

    rows = csv.reader(texts(), delimiter=delimiter, strict=True)
    while True:
        taken.clear()
        problem = ""
        row: list[str] = []
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            problem = f"is no CSV: {error}"
        except UnicodeDecodeError:
            problem = "is not UTF-8"
            rows = csv.reader(texts(), delimiter=delimiter, strict=True)  # the old one ended with its input
        yield reader.number - len(taken) + 1, b"".join(taken), row, problem


def _typed(text: str) -> Any:
    """A number or a truth where the text is exactly how JSON writes one; 007 and 1e999 stay text."""
    if text in ("true", "false"):
        return text == "true"
    if not (text[0] == "-" or text[0].isdecimal()) or len(text) > len("-9007199254740991"):
        return text
    try:
        value: Any = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float) and abs(value) < float("inf") else text


def _distinct_id(given: Any) -> str:
    text = str(given) if isinstance(given, int | float) and not isinstance(given, bool) else given
    if not isinstance(text, str):
        raise ValueError("has no `distinct_id`")  # noqa: TRY004 - one kind for all that is wrong with a line
    if len(text) > _LONGEST:
        raise ValueError("has a `distinct_id` of more than 200 characters")
    try:
        return check_distinct_id(text)
    except ValueError as error:
        raise ValueError(f"has a `distinct_id` that {error}") from None


def _moment(given: Any, default: datetime | None) -> datetime:
    if given in (None, ""):
        if default is None:
            raise Rejected("has no `timestamp`; --timestamp TIME gives one to all that have none")
        return default
    try:
        if isinstance(given, str) and not given.isdecimal():
            moment = datetime.fromisoformat(given)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = float(given)
        return datetime.fromtimestamp(seconds / 1000 if seconds > _MILLISECONDS else seconds, UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        raise Rejected("has a `timestamp` that is no time: write 2026-03-01T10:00:00Z") from None


def _properties(fields: Mapping[str, Any]) -> dict[str, Any]:
    given: Any = fields.get("properties") or {}
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            given = None
    if not isinstance(given, dict):
        raise Rejected("`properties` must be a JSON object")
    properties = cast("dict[str, Any]", given)
    person = {name: fields[name] for name in _PERSON if name in fields}
    return {**properties, **person} if person else properties


def _derived(line: Line, moment: datetime) -> UUID:
    digest = hashlib.blake2b(b"%d:%b" % (line.number, line.raw), digest_size=10).digest()
    return uuid_of(int(moment.timestamp() * 1000), int.from_bytes(digest, "big"))
