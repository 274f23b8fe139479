"""Dashboards and the tiles on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field

from posthog_mcp.sandbox.api.activity_log import record
from posthog_mcp.sandbox.http.errors import hard_delete_refused, invalid, not_found, required
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.http.validate import checked
from posthog_mcp.sandbox.insights import saved

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call

_LIST = "/api/projects/{project_id}/dashboards/"
_ONE = "/api/projects/{project_id}/dashboards/{id}/"
_SCOPE = "Dashboard"
_LONGEST_SEARCH = 200
Json = dict[str, Any]


class TileFields(BaseModel):
    """A tile in an update: an existing one by its id, or a text without one."""

    id: int | None = None
    layouts: dict[str, Any] | None = None
    color: str | None = None
    deleted: bool | None = None
    text: dict[str, Any] | None = None


class Tiles(BaseModel):
    """The tiles of an update."""

    tiles: list[TileFields]


class DashboardFields(BaseModel):
    """What can be written; what is absent keeps its value."""

    name: Annotated[str, Field(max_length=400)] | None = None
    description: str = ""
    pinned: bool = False
    tags: list[str] = []
    filters: dict[str, Any] = {}
    variables: dict[str, Any] | None = None
    restriction_level: Literal[21, 37] = 21
    deleted: bool = False


class TextTile(BaseModel):
    """The body of a new text."""

    body: Annotated[str, Field(min_length=1, max_length=4_000)]
    layouts: dict[str, Any] | None = None
    color: str | None = None


class TileId(BaseModel):
    """Names a tile."""

    tile_id: int


@route("GET", _LIST, scope="dashboard:read")
async def list_dashboards(call: Call) -> Reply:
    """Dashboards without tiles, pinned ones first, then by name."""
    words = call.query.get("search", "")
    if len(words) > _LONGEST_SEARCH:
        raise invalid("Ensure this field has no more than 200 characters.", "search", "max_length")
    pinned = call.query.get("pinned")
    found = [
        one
        for one in call.sandbox.store.all(saved.DASHBOARD)
        if not one["deleted"]
        and words.lower() in f"{one['name'] or ''} {one['description']}".lower()
        and (pinned is None or one["pinned"] == (pinned.lower() == "true"))
    ]
    found.sort(key=lambda one: (not one["pinned"], one["name"] or "", one["id"]))
    return Reply(counted(call, found, lambda one: _shown(call, one)))


@route("POST", _LIST, scope="dashboard:write")
async def create_dashboard(call: Call) -> Reply:
    """Make an empty one."""
    body = await call.json()
    fields = checked(DashboardFields, body)
    if not fields.name:
        raise required("name")
    for name in ("use_template", "use_dashboard"):
        if body.get(name):
            raise invalid(f"The sandbox makes no dashboards from another: {name}.", name)
    now = iso(call.sandbox.clock())
    dashboard = call.sandbox.store.create(
        saved.DASHBOARD,
        fields.model_dump()
        | {
            "created_at": now,
            "created_by": call.sandbox.project.user.basic(),
            "last_accessed_at": None,
            "is_shared": False,
            "creation_mode": "default",
            "breakdown_colors": [],
            "data_color_theme_id": None,
        },
    )
    record(call.sandbox, "created", _SCOPE, dashboard["id"], name=dashboard["name"])
    return Reply(_shown(call, dashboard) | {"tiles": []}, 201)


@route("GET", _ONE, scope="dashboard:read")
async def get_dashboard(call: Call) -> Reply:
    """One with its tiles; `refresh` decides whether their results are computed."""
    return Reply(await _whole(call, _find(call)))


@route("PATCH", _ONE, scope="dashboard:write")
@route("PUT", _ONE, scope="dashboard:write")
async def update_dashboard(call: Call) -> Reply:
    """Change what is given, tiles included; `deleted` hides it and brings it back."""
    body = await call.json()
    before = _find(call, deleted=body.get("deleted") is False)
    fields = checked(DashboardFields, body)
    given = {name: getattr(fields, name) for name in fields.model_fields_set}
    after: Json = {**before, **given}
    tiles = checked(Tiles, {"tiles": body.get("tiles") or []}).tiles
    with call.sandbox.store.transaction():
        call.sandbox.store.put(saved.DASHBOARD, after["id"], after)
        for tile in tiles:
            _write_tile(call, after["id"], tile)
        if after["deleted"]:
            _clear(call, after["id"], insights=bool(body.get("delete_insights")))
        activity = "deleted" if after["deleted"] and not before["deleted"] else "updated"
        was = {name: before.get(name) for name in given}
        name = after["name"] or ""
        record(call.sandbox, activity, _SCOPE, after["id"], name=name, before=was, after=given)
    return Reply(await _whole(call, after))


@route("DELETE", _ONE, scope="dashboard:write")
async def delete_dashboard(call: Call) -> Reply:
    """Refused, as in PostHog."""
    _find(call)
    raise hard_delete_refused()


@route("GET", _ONE + "run_insights/", scope="query:read")
async def run_insights(call: Call) -> Reply:
    """The insights of its tiles with their results."""
    whole = await _whole(call, _find(call))
    results = [
        {"id": tile["id"], "insight": tile["insight"], "order": place}
        for place, tile in enumerate(whole["tiles"])
        if tile["insight"]
    ]
    return Reply({"results": results})


@route("POST", _ONE + "create_text_tile/", scope="dashboard:write")
async def create_text_tile(call: Call) -> Reply:
    """Put a text below the other tiles."""
    dashboard = _find(call)
    fields = checked(TextTile, await call.json())
    given = {name: value for name, value in fields.model_dump(exclude={"body"}).items() if value}
    tile = saved.new_tile(call.sandbox, dashboard["id"], text={"body": fields.body}, **given)
    return Reply(await _tile(call, call.sandbox.store.create(saved.TILE, tile), "force_cache", None), 201)


@route("POST", _ONE + "delete_tile/", scope="dashboard:write")
async def delete_tile(call: Call) -> Reply:
    """Take a tile off; its insight stays."""
    dashboard = _find(call)
    fields = checked(TileId, await call.json())
    _write_tile(call, dashboard["id"], TileFields(id=fields.tile_id, deleted=True))
    return Reply(None, 204)


def _find(call: Call, *, deleted: bool = False) -> Json:
    number = call.params["id"]
    found = call.sandbox.store.get(saved.DASHBOARD, int(number)) if number.isdigit() else None
    if found is None or (found["deleted"] and not deleted):
        raise not_found()
    return found


def _shown(call: Call, dashboard: Json) -> Json:
    return dashboard | {
        "team_id": call.sandbox.project.id,
        "effective_restriction_level": dashboard["restriction_level"],
        "effective_privilege_level": 37,
        "user_access_level": "manager",
        "access_control_version": "v2",
        "last_refresh": None,
        "persisted_filters": dashboard["filters"],
        "persisted_variables": dashboard["variables"],
    }


async def _whole(call: Call, dashboard: Json) -> Json:
    override = saved.read_filters(call.query.get("filters_override"), "filters_override")
    filters = {**dashboard["filters"], **(override or {})}
    refresh = call.query.get("refresh", "force_cache")
    tiles = [
        await _tile(call, tile, refresh, filters or None)
        for tile in saved.tiles_of(call.sandbox, dashboard=dashboard["id"])
    ]
    return _shown(call, dashboard) | {"filters": filters, "tiles": tiles}


async def _tile(call: Call, tile: Json, refresh: str, filters: Json | None) -> Json:
    insight = None
    if tile["insight_id"] is not None:
        document = saved.find(call.sandbox, str(tile["insight_id"]), deleted=True)
        query_id = call.query.get("client_query_id", "")
        result = await saved.computed(call.sandbox, document, refresh, filters, query_id=query_id)
        insight = saved.shown(call.sandbox, document, result)
    shown = {name: value for name, value in tile.items() if name not in ("dashboard_id", "insight_id")}
    return shown | {
        "insight": insight,
        "is_cached": bool(insight and insight["is_cached"]),
        "last_refresh": insight and insight["last_refresh"],
    }


def _write_tile(call: Call, dashboard: int, fields: TileFields) -> None:
    given = {name: getattr(fields, name) for name in fields.model_fields_set if name != "id"}
    if fields.id is None:
        text = fields.text or {}
        if not text.get("body"):
            raise required("tiles")
        tile = saved.new_tile(call.sandbox, dashboard, **{**given, "text": {"body": str(text["body"])}})
        call.sandbox.store.create(saved.TILE, tile)
        return
    found = call.sandbox.store.get(saved.TILE, fields.id)
    if found is None or found["dashboard_id"] != dashboard:
        raise not_found()
    call.sandbox.store.put(saved.TILE, found["id"], {**found, **given, "deleted": bool(given.get("deleted"))})


def _clear(call: Call, dashboard: int, *, insights: bool) -> None:
    """A deleted dashboard takes its tiles with it, and its insights where that was asked for."""
    for tile in saved.tiles_of(call.sandbox, dashboard=dashboard):
        call.sandbox.store.put(saved.TILE, tile["id"], {**tile, "deleted": True})
        if insights and tile["insight_id"] is not None:
            found = call.sandbox.store.get(saved.KIND, tile["insight_id"])
            if found is not None:
                call.sandbox.store.put(saved.KIND, found["id"], {**found, "deleted": True})
