"""Lists of PostHog: what a page holds, and what to ask for the next one, in any of its ways of paging."""

from collections.abc import Mapping
from typing import Any, cast

from posthog_mcp.api.endpoints import Endpoint
from posthog_mcp.api.failures import foreign_link, unusable
from posthog_mcp.api.hosts import same_origin
from posthog_mcp.api.requests import query_of_link


def listed(body: Any, asked: Endpoint) -> tuple[list[Any], int | None]:
    """The objects of one page, and how many there are in all where the endpoint counts.

    Raises:
        BadAnswer: It is no list.
    """
    if isinstance(body, list):
        results = cast("list[Any]", body)
        return results, len(results)
    fields = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    results: Any = fields.get("results")
    if not isinstance(results, list):
        raise unusable(asked, "It holds no list of results.")
    total: Any = fields.get("count", fields.get("total_count"))
    return cast("list[Any]", results), total if isinstance(total, int) else None


def following(
    body: Any, asking: Mapping[str, object], asked: Endpoint, host: str, secrets: tuple[str, ...]
) -> dict[str, object] | None:
    """The query of the next page, or None on the last one.

    Args:
        body: The page, parsed.
        asking: The query it was asked for with.
        asked: The endpoint.
        host: The private host; a link must lead there.
        secrets: Texts that must not appear in an error.

    Raises:
        ForeignLink: The link leads to another host.
    """
    if not isinstance(body, dict):
        return None
    fields = cast("dict[str, Any]", body)
    link: Any = fields.get("next")
    if isinstance(link, str) and link:
        if link.startswith("/") and not link.startswith("//"):
            link = host + link
        if not same_origin(link, host):
            raise foreign_link(asked, host, link, secrets)
        # only its query is taken over: the path stays the one that was allowed
        return query_of_link(link)
    if not (fields.get("has_next") or fields.get("hasMore")):
        return None
    cursor: Any = fields.get("next_cursor")
    others = {name: value for name, value in asking.items() if name != "offset"}
    if cursor:
        return {**others, "after": cursor}
    given = len(cast("list[Any]", fields.get("results") or []))
    return {**others, "offset": _number(asking.get("offset")) + given}


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else 0
