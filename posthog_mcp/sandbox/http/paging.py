"""Pages as PostHog cuts them: by limit and offset, with absolute links on the host the client used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from posthog_mcp.sandbox.http.routing import Call

PAGE_SIZE = 100


def limit_offset(call: Call, default: int = PAGE_SIZE, most: int | None = None) -> tuple[int, int]:
    """The `limit` and `offset` asked for; what is not a positive number falls back, as in Django."""
    limit = _positive(call.query.get("limit"), default) or default
    return min(limit, most) if most else limit, _positive(call.query.get("offset"), 0)


def counted(
    call: Call,
    items: Sequence[Any],
    show: Callable[[Any], Any] = lambda item: item,
    default: int = PAGE_SIZE,
    most: int | None = None,
) -> dict[str, Any]:
    """`{count, next, previous, results}`: one page of all the items, each shown by `show`."""
    limit, offset = limit_offset(call, default, most)
    results = [show(item) for item in items[offset : offset + limit]]
    return {
        "count": len(items),
        **links(call, limit, offset, more=offset + limit < len(items)),
        "results": results,
    }


def links(call: Call, limit: int, offset: int, *, more: bool) -> dict[str, str | None]:
    """The `next` and `previous` of a page."""
    before: str | None = None
    if offset > 0:
        before = call.url(limit=limit, offset=offset - limit if offset > limit else None)
    return {"next": call.url(limit=limit, offset=offset + limit) if more else None, "previous": before}


def _positive(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else otherwise
