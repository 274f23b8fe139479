"""The guides as resources, for clients that let a person pick what a model reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp import MCPError
from mcp.types import (
    INVALID_PARAMS,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from posthog_mcp.tool import guides

if TYPE_CHECKING:
    from mcp.server import ServerRequestContext
    from mcp.types import PaginatedRequestParams, ReadResourceRequestParams

_SCHEME = "posthog://guides/"
_MARKDOWN = "text/markdown"


async def on_list(
    context: ServerRequestContext[Any], params: PaginatedRequestParams | None
) -> ListResourcesResult:
    """Every guide, with its title and size in bytes."""
    del context, params
    return ListResourcesResult(resources=[_resource(name) for name in guides.names()])


async def on_templates(
    context: ServerRequestContext[Any], params: PaginatedRequestParams | None
) -> ListResourceTemplatesResult:
    """The address of a guide: clients ask for templates wherever there are resources."""
    del context, params
    guide = ResourceTemplate(
        uri_template=_SCHEME + "{name}",
        name="guide",
        title="A guide",
        description=f"How to use PostHog in an application: {', '.join(guides.names())}.",
        mime_type=_MARKDOWN,
    )
    return ListResourceTemplatesResult(resource_templates=[guide])


async def on_read(
    context: ServerRequestContext[Any], params: ReadResourceRequestParams
) -> ReadResourceResult:
    """One guide.

    Raises:
        MCPError: There is none at that address.
    """
    del context
    uri = params.uri
    name = uri.removeprefix(_SCHEME)
    if not uri.startswith(_SCHEME) or name not in guides.names():
        known = ", ".join(_SCHEME + guide for guide in guides.names())
        raise MCPError(INVALID_PARAMS, f"There is no such resource; there are {known}.", {"uri": uri})
    text = TextResourceContents(uri=uri, mime_type=_MARKDOWN, text=guides.read(name))
    return ReadResourceResult(contents=[text])


def _resource(name: str) -> Resource:
    text = guides.read(name)
    return Resource(
        uri=_SCHEME + name,
        name=name,
        title=text.splitlines()[0].lstrip("# "),
        mime_type=_MARKDOWN,
        size=len(text.encode()),
    )
