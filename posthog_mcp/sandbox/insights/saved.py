"""Saved insights: their documents, where they stand on dashboards, and their results as last computed."""

from __future__ import annotations

import json
import secrets
import string
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from posthog_mcp.flags.values import as_dict, as_list
from posthog_mcp.sandbox.http.errors import invalid, not_found
from posthog_mcp.sandbox.http.times import iso, read_iso
from posthog_mcp.sandbox.queries.kinds import WRAPPERS
from posthog_mcp.sandbox.queries.service import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthog_mcp.sandbox.sandbox import Sandbox

KIND, DASHBOARD, TILE, RESULT = "insight", "dashboard", "dashboard_tile", "insight_result"
Json = dict[str, Any]

_ALPHABET = string.ascii_letters + string.digits
_TYPES = {
    "TrendsQuery": "TRENDS",
    "FunnelsQuery": "FUNNELS",
    "RetentionQuery": "RETENTION",
    "PathsQuery": "PATHS",
    "StickinessQuery": "STICKINESS",
    "LifecycleQuery": "LIFECYCLE",
    "HogQLQuery": "SQL",
}
_COMPUTED = (
    "columns", "types", "hogql", "hasMore", "is_cached", "last_refresh", "cache_target_age",
    "next_allowed_client_refresh", "timezone", "resolved_date_range",
)  # fmt: skip
_FILTERS = frozenset({
    "breakdown_filter", "date_from", "date_to", "explicitDate", "filterTestAccounts", "interval",
    "properties",
})  # fmt: skip
# Of a dashboard's filters those that only some queries have: their name there, and these queries.
_OVER = {
    "breakdown_filter": ("breakdownFilter", ("TrendsQuery", "FunnelsQuery", "RetentionQuery")),
    "interval": ("interval", ("TrendsQuery", "FunnelsQuery", "LifecycleQuery", "StickinessQuery")),
}
_IN_BACKGROUND = ("async", "lazy_async", "force_async")
_ANEW = ("force_async", "force_blocking")


def short_id() -> str:
    """Eight letters and digits, as PostHog's links have."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def find(sandbox: Sandbox, named: str, *, deleted: bool = False) -> Json:
    """The insight of an id or a short id.

    Raises:
        ApiError: 404 when there is none, or it is deleted and `deleted` is not set.
    """
    found = sandbox.store.get(KIND, int(named)) if named.isascii() and named.isdigit() else None
    found = found or next((one for one in sandbox.store.all(KIND) if one["short_id"] == named), None)
    if found is None or (found["deleted"] and not deleted):
        raise not_found()
    return found


def type_of(insight: Mapping[str, Any]) -> str:
    """TRENDS, FUNNELS, ...; JSON for what is none of them."""
    query = as_dict(insight["query"])
    source = as_dict(query.get("source")) if query.get("kind") in WRAPPERS else query
    return _TYPES.get(str(source.get("kind")), "JSON")


def tiles_of(sandbox: Sandbox, *, insight: int | None = None, dashboard: int | None = None) -> list[Json]:
    """Tiles of an insight, or of a dashboard, that are not deleted."""
    return [
        tile
        for tile in sandbox.store.all(TILE)
        if not tile["deleted"]
        and insight in (None, tile["insight_id"])
        and dashboard in (None, tile["dashboard_id"])
    ]


def place(sandbox: Sandbox, insight: Json, dashboards: list[int]) -> None:
    """Have the insight stand on exactly these dashboards.

    Raises:
        ApiError: 400 for a dashboard that does not exist.
    """
    for number in dashboards:
        found = sandbox.store.get(DASHBOARD, number)
        if found is None or found["deleted"]:
            raise invalid(f'Invalid pk "{number}" - object does not exist.', "dashboards", "does_not_exist")
    tiles = {tile["dashboard_id"]: tile for tile in tiles_of(sandbox, insight=insight["id"])}
    for number, tile in tiles.items():
        if number not in dashboards:
            sandbox.store.put(TILE, tile["id"], {**tile, "deleted": True})
    for number in dict.fromkeys(dashboards):
        if number not in tiles:
            sandbox.store.create(TILE, new_tile(sandbox, number, insight_id=insight["id"]))


def new_tile(sandbox: Sandbox, dashboard: int, **fields: Any) -> Json:
    """A tile below those that the dashboard has."""
    row = len(tiles_of(sandbox, dashboard=dashboard)) * 5
    tile: Json = {
        "dashboard_id": dashboard,
        "insight_id": None,
        "text": None,
        "layouts": {"sm": {"x": 0, "y": row, "w": 6, "h": 5}},
        "color": None,
        "order": None,
        "show_description": None,
        "filters_overrides": {},
        "deleted": False,
    }
    return tile | fields


async def computed(
    sandbox: Sandbox, insight: Json, refresh: str, filters: Json | None = None, *, query_id: str = ""
) -> Json:
    """The fields of an insight's result: kept from before, computed now, or to come.

    Args:
        sandbox: The sandbox.
        insight: The insight.
        refresh: PostHog's: `force_cache` never computes, `blocking` does unless what is kept is fresh.
        filters: A dashboard's, over the insight's own; such results are not kept.
        query_id: What the caller cancels it by.

    Raises:
        ApiError: The query cannot be run.
    """
    kept = None if filters else sandbox.store.get(RESULT, insight["id"])
    if kept and kept["query"] != insight["query"]:
        kept = None
    if not insight["query"] or refresh == "force_cache":
        return _shown(kept, cached=True)
    if kept and refresh not in _ANEW and _fresh(sandbox, kept):
        return _shown(kept, cached=True)

    def keep(answer: Json) -> Json:
        body = {"answer": answer, "query": insight["query"]}
        if not filters:
            sandbox.store.put(RESULT, insight["id"], body)
        return body

    request = Request(with_filters(insight["query"], filters), query_id or uuid4().hex)
    if refresh not in _ANEW and (answer := sandbox.queries.kept(request)) is not None:
        return _shown(keep(answer), cached=True)
    if refresh in _IN_BACKGROUND:
        job = sandbox.queries.start(request, keep)
        return _shown(kept, cached=True) | {"query_status": job.status()}
    return _shown(keep((await sandbox.queries.run(request)).body), cached=False)


def _fresh(sandbox: Sandbox, kept: Json) -> bool:
    until = kept["answer"].get("cache_target_age")
    return bool(until) and read_iso(until) > sandbox.clock()


def _shown(kept: Json | None, *, cached: bool) -> Json:
    answer: Json = kept["answer"] if kept else {}
    fields: Json = {name: answer.get(name) for name in _COMPUTED}
    return fields | {
        "result": answer.get("results"),
        "is_cached": bool(kept) and cached,
        "query_status": None,
    }


def with_filters(query: Json, filters: Json | None) -> Json:
    """The query with a dashboard's period over its own, and the dashboard's properties besides its own.

    Raises:
        ApiError: 400 for a filter that dashboards do not have.
    """
    if not filters:
        return query
    if query.get("kind") in WRAPPERS:
        return {**query, "source": with_filters(as_dict(query.get("source")), filters)}
    if query.get("kind") == "HogQLQuery":
        return {**query, "filters": _merged(as_dict(query.get("filters")), filters)}
    merged = _merged(query, filters)
    for name, (field, kinds) in _OVER.items():
        if filters.get(name) and query.get("kind") in kinds:
            merged[field] = filters[name]
    return merged


def _merged(own: Json, filters: Json) -> Json:
    if unknown := filters.keys() - _FILTERS:
        raise invalid(f"A dashboard has no filter {', '.join(sorted(unknown))}.", "filters_override")
    merged = dict(own)
    if dates := {name: filters[name] for name in ("date_from", "date_to") if filters.get(name)}:
        explicit = {"explicitDate": bool(filters.get("explicitDate"))}
        merged["dateRange"] = {**as_dict(own.get("dateRange")), "date_to": None, **dates, **explicit}
    if filters.get("filterTestAccounts") is not None:
        merged["filterTestAccounts"] = filters["filterTestAccounts"]
    if properties := as_list(filters.get("properties")):
        before: Any = own.get("properties")
        if isinstance(before, dict):
            merged["properties"] = {"type": "AND", "values": [before, {"type": "AND", "values": properties}]}
        else:
            merged["properties"] = [*as_list(before), *properties]
    return merged


def read_filters(text: str | None, name: str) -> Json | None:
    """Filters that come as JSON text.

    Raises:
        ApiError: 400 for what is no JSON object.
    """
    if not text:
        return None
    try:
        value: Any = json.loads(text)
    except ValueError as error:
        raise invalid("Invalid JSON in overrides.", name) from error
    if not isinstance(value, dict):
        raise invalid("Overrides must be a JSON object.", name)
    return cast("Json", value)


def shown(sandbox: Sandbox, insight: Json, result: Json | None = None) -> Json:
    """An insight as the private API answers it; without a result for lists that are basic."""
    tiles = tiles_of(sandbox, insight=insight["id"])
    return {
        **insight,
        **(_shown(None, cached=False) if result is None else result),
        "filters": {},
        "dashboards": [tile["dashboard_id"] for tile in tiles],
        "dashboard_tiles": [
            {"id": tile["id"], "dashboard_id": tile["dashboard_id"], "deleted": False} for tile in tiles
        ],
        "is_sample": False,
        "effective_restriction_level": 21,
        "effective_privilege_level": 37,
        "user_access_level": "manager",
        "alerts": [],
    }


def new(sandbox: Sandbox, fields: Json) -> Json:
    """A new insight, saved as a document."""
    now, user = iso(sandbox.clock()), sandbox.project.user.basic()
    return sandbox.store.create(
        KIND,
        {
            "short_id": short_id(),
            **fields,
            "created_at": now,
            "created_by": user,
            "updated_at": now,
            "last_modified_at": now,
            "last_modified_by": user,
            "last_viewed_at": None,
            "order": None,
        },
    )
