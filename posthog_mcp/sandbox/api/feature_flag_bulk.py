"""Many flags at once: their keys, their tags, their end."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import QueryParams

from posthog_mcp.flags.values import as_list, is_dict, is_list
from posthog_mcp.sandbox.api.feature_flags import LIST, matching
from posthog_mcp.sandbox.api.tags import TagChange
from posthog_mcp.sandbox.flags.documents import Flag, flags_of, last_calls, rollout
from posthog_mcp.sandbox.flags.writing import change, save
from posthog_mcp.sandbox.http.errors import ApiError
from posthog_mcp.sandbox.http.routing import Call, Reply, route
from posthog_mcp.sandbox.http.validate import checked

_FILTERS = frozenset(
    {
        "active", "created_by_id", "search", "type", "evaluation_runtime", "excluded_properties", "tags",
        "excluded_tags", "has_evaluation_contexts", "archived",
    }
)  # fmt: skip


@route("GET", LIST + "matching_ids/", scope="feature_flag:read")
async def list_matching_ids(call: Call) -> Reply:
    """The ids of what the list's filters find."""
    ids = [flag["id"] for flag in matching(call, await last_calls(call.sandbox))]
    return Reply({"ids": ids, "total": len(ids)})


@route("POST", LIST + "bulk_keys/", scope="feature_flag:read")
async def list_keys(call: Call) -> Reply:
    """The keys of ids, which may come as text; the others are named in `warning`."""
    body = await call.json()
    given = [str(item) for item in as_list(body.get("ids"))]
    ids = [item for item in given if item.isascii() and item.isdigit()]
    if not ids:
        return Reply({"error": "No valid flag IDs provided"}, 400)
    keys = {str(flag["id"]): flag["key"] for flag in flags_of(call.sandbox) if str(flag["id"]) in ids}
    wrong = [item for item in given if item not in ids]
    answer: dict[str, Any] = {"keys": keys}
    if wrong:
        answer["warning"] = f"Invalid flag IDs ignored: {', '.join(wrong)}"
    return Reply(answer)


@route("POST", LIST + "bulk_delete/", scope="feature_flag:write")
async def delete_flags(call: Call) -> Reply:
    """Delete by `ids` or by the list's `filters`; each refusal is reported, with status 200."""
    body = await call.json()
    by_ids, by_filters = is_list(body.get("ids")), is_dict(body.get("filters"))
    if by_ids == by_filters:
        return Reply({"error": "Provide either ids or filters, not both"}, 400)
    if by_filters:
        unknown = sorted(set(body["filters"]) - _FILTERS)
        if unknown:
            return Reply({"error": f"Unknown filters: {', '.join(unknown)}"}, 400)
        chosen = await _by_filters(call, body["filters"])
    else:
        chosen = [flag for flag in flags_of(call.sandbox) if flag["id"] in body["ids"]]
    found = {flag["id"] for flag in chosen}
    errors: list[dict[str, Any]] = [
        {"id": item, "reason": "Flag not found"} for item in body.get("ids") or () if item not in found
    ]
    deleted: list[dict[str, Any]] = []
    for flag in chosen:
        try:
            change(call.sandbox, flag, {"deleted": True})
        except ApiError as refusal:
            errors.append({"id": flag["id"], "key": flag["key"], "reason": refusal.detail})
        else:
            deleted.append({"id": flag["id"], "key": flag["key"], **rollout(flag)})
    return Reply({"deleted": deleted, "errors": errors})


@route("POST", LIST + "bulk_update_tags/", scope="feature_flag:write")
async def update_tags(call: Call) -> Reply:
    """Add tags, take them away, or set them."""
    wanted = checked(TagChange, await call.json())
    updated: list[dict[str, Any]] = []
    for flag in flags_of(call.sandbox):
        if flag["id"] in wanted.ids:
            tags = wanted.applied(flag["tags"])
            save(call.sandbox, flag, {**flag, "tags": tags})
            updated.append({"id": flag["id"], "tags": tags})
    done = {one["id"] for one in updated}
    skipped = [{"id": item, "reason": "Not found"} for item in wanted.ids if item not in done]
    return Reply({"updated": updated, "skipped": skipped})


async def _by_filters(call: Call, filters: dict[str, Any]) -> list[Flag]:
    query = QueryParams([(name, _text(value)) for name, value in filters.items()])
    return matching(
        Call(call.sandbox, call.request, call.params, query, call.identity), await last_calls(call.sandbox)
    )


def _text(value: object) -> str:
    if is_list(value):
        return ",".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
