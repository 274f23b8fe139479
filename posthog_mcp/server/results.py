"""Tools and answers in the words of the protocol."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent, Tool, ToolAnnotations

if TYPE_CHECKING:
    from posthog_mcp.server.catalog import Catalogue
    from posthog_mcp.server.dispatch import Answer


def definitions(catalogue: Catalogue) -> list[Tool]:
    """The tools as `tools/list` shows them, without output schemas: clients pay for those in tokens."""
    return [
        Tool(
            name=tool.name,
            title=tool.title,
            description=tool.description,
            input_schema=catalogue.schema(tool),
            annotations=ToolAnnotations(
                title=tool.title,
                read_only_hint=tool.read_only,
                destructive_hint=tool.destructive,
                idempotent_hint=tool.idempotent,
                open_world_hint=True,
            ),
        )
        for tool in catalogue.tools
    ]


def result(answer: Answer) -> CallToolResult:
    """An answer as `tools/call` gives it: objects in both halves, since clients show one or the other."""
    content: list[ContentBlock] = [TextContent(type="text", text=answer.text)]
    if answer.picture is not None:
        picture = base64.b64encode(answer.picture).decode()
        content.append(ImageContent(type="image", data=picture, mime_type="image/png"))
    return CallToolResult(
        content=content,
        structured_content=answer.structured,
        is_error=answer.is_error,
    )
