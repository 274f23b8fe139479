"""How far pages were scrolled, and how long they were open: told by the event that came after the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.sandbox.compiler.trees import all_of
from posthog_mcp.sandbox.experiments.trees import query
from posthog_mcp.sandbox.web.breakdowns import path_value
from posthog_mcp.sandbox.web.visits import in_visits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.web.visits import Asked

_PATH, _LEFT = "$pathname", "$prev_pageview_pathname"
_CONTENT = "properties.$prev_pageview_max_content_percentage"
_DAY = 86_400
_FAR = 0.8


def pages_left(asked: Asked, cleaning: Sequence[dict[str, Any]], *, hosts: bool) -> ast.SelectQuery:
    """`value, scrolled, far, seconds` of each page that was left.

    `scrolled` is the mean share of the page that was seen, `far` how often more than 80 % of its content was,
    `seconds` the 90th percentile of the time it was open: PostHog's average time on page.

    Raises:
        CompileError: A filter cannot be run.
    """
    # A filter of the page is about the page that was left, not about the one that came after it.
    filters = [{**one, "key": _LEFT} if one.get("key") == _PATH else one for one in asked.model.properties]
    return query(
        "SELECT {value} AS value, avg(toFloat(properties.$prev_pageview_max_scroll_percentage)) AS scrolled,"  # noqa: S608 - numbers of ours
        f" avg(if(isNull({_CONTENT}), NULL, toFloat({_CONTENT}) > {_FAR})) AS far,"
        f" quantile(0.9)(least(toFloat(properties.$prev_pageview_duration), {_DAY})) AS seconds"
        " FROM events WHERE event IN ('$pageview', '$screen', '$pageleave')"
        f" AND isNotNull(properties.{_LEFT}) AND {{conditions}} GROUP BY value",
        value=path_value(f"properties.{_LEFT}", "properties.$host" if hosts else None, cleaning),
        conditions=all_of(in_visits(asked, filters)),
    )
