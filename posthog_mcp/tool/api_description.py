"""What an instance says of its own API, kept on disk for a day for all processes of the machine."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from posthog_mcp.api import PostHogError, endpoint
from posthog_mcp.api.errors import NotFound
from posthog_mcp.api.openapi import Field, Operation, operations_of
from posthog_mcp.tool.context import ToolFailure

if TYPE_CHECKING:
    from posthog_mcp.api import Answer
    from posthog_mcp.tool.context import Context

_log = logging.getLogger(__name__)

_FORM = 1
"""Of the file; one of another form is fetched anew."""
_FRESH_SECONDS = 86_400.0
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """The operations of one instance, as they are kept.

    Attributes:
        operations: All of them.
        etag: The instance's tag of the document.
        confirmed_at: When it last said that this is current, in seconds since 1970.
    """

    operations: tuple[Operation, ...]
    etag: str = ""
    confirmed_at: float = 0.0

    def dumps(self) -> str:
        """Everything as JSON text."""
        return json.dumps({"form": _FORM, **asdict(self)}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def loads(cls, text: bytes) -> Kept:
        """The same from the text.

        Raises:
            ValueError: It is not what `dumps` writes.
        """
        try:
            parts: Json = json.loads(text)
            if parts.pop("form") != _FORM:
                raise ValueError("of another form")
            return cls(tuple(map(_operation, parts.pop("operations"))), **parts)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"no kept operations: {error}") from None


def _operation(parts: Json) -> Operation:
    query, body = (tuple(Field(**one) for one in parts.pop(name)) for name in ("query", "body"))
    others: Json = {**parts, "scopes": tuple(parts["scopes"])}
    return Operation(query=query, body=body, **others)


async def operations(ctx: Context) -> tuple[Operation, ...]:
    """What the instance's API offers.

    Raises:
        ToolFailure: The instance does not describe its API.
        PostHogError: It could not be asked, and nothing is kept.
    """
    host = hashlib.sha256(ctx.api.hosts.private.encode()).hexdigest()[:16]
    file = ctx.settings.data_dir / f"api-{host}.json"
    kept = await anyio.to_thread.run_sync(_load, file)
    now = ctx.now().timestamp()
    if kept.operations and 0 <= now - kept.confirmed_at < _FRESH_SECONDS:
        return kept.operations
    try:
        asked = {"If-None-Match": kept.etag} if kept.operations and kept.etag else {}
        answer = await ctx.api.call(endpoint("GET", "/api/schema/"), query={"format": "json"}, headers=asked)
        fresh = await anyio.to_thread.run_sync(_read, answer, kept)
    except PostHogError as error:
        if kept.operations:
            _log.info("the description of the API is kept on: %s", error.what)
            return kept.operations
        if isinstance(error, NotFound):
            raise _undescribed(ctx, "There is nothing at /api/schema/.") from None
        raise
    if not fresh.operations:
        raise _undescribed(ctx, "What is at /api/schema/ names no endpoint.")
    await anyio.to_thread.run_sync(_save, file, replace(fresh, confirmed_at=now))
    return fresh.operations


def _read(answer: Answer, kept: Kept) -> Kept:
    if answer.status == HTTPStatus.NOT_MODIFIED:
        return kept
    return Kept(tuple(operations_of(answer.body)), answer.headers.get("etag", ""))


def _undescribed(ctx: Context, why: str) -> ToolFailure:
    return ToolFailure(
        f"{ctx.api.hosts.private} does not describe its API.",
        why,
        "Use the tools made for the task; describe_schema and query_hogql read most of what there is.",
    )


def _load(file: Path) -> Kept:
    try:
        return Kept.loads(file.read_bytes())
    except (OSError, ValueError):
        # It can be had again from PostHog, so whatever is wrong with it ends with the next answer.
        return Kept(())


def _save(file: Path, kept: Kept) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes files of mode 0600
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(kept.dumps())
        Path(name).replace(file)
    except OSError as error:
        _log.warning("the description of the API is not kept: %s", error.strerror)
