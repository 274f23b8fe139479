"""Handles: a query in the background, and the call that asked it, in one signed word."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from posthog_mcp.tool.context import ToolFailure

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

LONGEST = 2_000  # characters; a model has to repeat it without a mistake
_WHERE, _WHEN = struct.Struct(">Q16s"), struct.Struct(">d")
_MARK_BYTES, _SIGNATURE_BYTES = 6, 16
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a handle stands for.

    Attributes:
        project_id: Where the query runs.
        query_id: Its id at PostHog.
        tool: The tool that asked it; empty where the rows of the query are the whole answer.
        arguments: What the tool was called with.
        moment: When it was called, in seconds since 1970: its relative dates count from there.
        mark: Tells the query from the others that the tool asks; see `mark_of`.
    """

    project_id: int
    query_id: str
    tool: str = ""
    arguments: Json = field(default_factory=dict[str, Any])
    moment: float = 0.0
    mark: str = ""


def mark_of(project: Project, query: Json) -> str:
    """Eight characters that another query, or the same one of another project, does not have."""
    text = json.dumps([project.id, query], sort_keys=True)
    return _text(hashlib.sha256(text.encode()).digest()[:_MARK_BYTES])


def handle_of(ctx: Context, ticket: Ticket) -> str:
    """The handle for a ticket; empty where it would be longer than can be repeated."""
    packed = _WHERE.pack(ticket.project_id, UUID(ticket.query_id).bytes)
    if ticket.tool:
        call = json.dumps(
            [ticket.mark, ticket.tool, ticket.arguments], ensure_ascii=False, separators=(",", ":")
        )
        packed += _WHEN.pack(ticket.moment) + zlib.compress(call.encode(), 9, -zlib.MAX_WBITS)
    handle = _text(packed + _signature(ctx, packed))
    return handle if len(handle) <= LONGEST else ""


def opened(ctx: Context, handle: str) -> Ticket:
    """What a handle stands for.

    Raises:
        ToolFailure: It is not one that a server with the same key has given out, or is of another project.
    """
    data = _data(handle.strip())
    packed, signature = data[:-_SIGNATURE_BYTES], data[-_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(ctx, packed)):
        raise ToolFailure(
            "That handle finds no query.",
            "It is not one that this server, or one with the same personal API key, has given out.",
            "Pass it exactly as the tool answered it, or call that tool again.",
        )
    ticket = _unpacked(packed)
    pinned = ctx.settings.pinned_project_id
    if pinned and ticket.project_id != pinned:
        raise ToolFailure(
            "That handle finds no query.",
            f"It is of project {ticket.project_id}, and this server is bound to project {pinned}.",
            "Ask again.",
        )
    return ticket


def _unpacked(packed: bytes) -> Ticket:
    project_id, query_id = _WHERE.unpack_from(packed)
    where = project_id, str(UUID(bytes=query_id))
    if len(packed) == _WHERE.size:
        return Ticket(*where)
    (moment,) = _WHEN.unpack_from(packed, _WHERE.size)
    call = zlib.decompress(packed[_WHERE.size + _WHEN.size :], -zlib.MAX_WBITS)
    mark, tool, arguments = json.loads(call)
    return Ticket(*where, tool, arguments, moment, mark)


def _signature(ctx: Context, packed: bytes) -> bytes:
    """What only a server with the same key can write: any replica can check it, no other caller make it."""
    held = ctx.settings.personal_api_key
    # The number is the form's: what another version packed differently is none of ours.
    label = b"posthog-mcp query handle 2"
    key = hmac.digest(held.get_secret_value().encode() if held else b"", label, "sha256")
    return hmac.digest(key, ctx.api.hosts.private.encode() + b"\n" + packed, "sha256")[:_SIGNATURE_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _data(text: str) -> bytes:
    """The bytes that `_text` wrote; none for what it cannot have written."""
    try:
        return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), b"-_", validate=True)
    except ValueError:
        return b""
