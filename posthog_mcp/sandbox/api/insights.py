"""Saved insights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from posthog_mcp.sandbox.api.activity_log import entries, numbered, record
from posthog_mcp.sandbox.api.event_definitions import json_list
from posthog_mcp.sandbox.http.errors import hard_delete_refused
from posthog_mcp.sandbox.http.paging import limit_offset, links
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.http.validate import checked
from posthog_mcp.sandbox.insights import saved

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.sandbox import Sandbox

_LIST = "/api/projects/{project_id}/insights/"
_ONE = "/api/projects/{project_id}/insights/{id}/"
_SCOPE = "Insight"
_TEXT = Field(max_length=400)
_TIMES = ("last_modified_at", "last_viewed_at", "created_at")
Json = dict[str, Any]


class InsightFields(BaseModel):
    """What can be written; what is absent keeps its value."""

    name: Annotated[str, _TEXT] | None = None
    derived_name: Annotated[str, _TEXT] | None = None
    description: Annotated[str, _TEXT] | None = None
    query: dict[str, Any] | None = None
    dashboards: list[int] = []
    tags: list[str] = []
    favorited: bool = False
    saved: bool = False
    deleted: bool = False

    def given(self) -> Json:
        """The fields that the request has, dashboards left aside."""
        return {name: getattr(self, name) for name in self.model_fields_set if name != "dashboards"}


@route("GET", _LIST, scope="insight:read", bucket="analytics")
async def list_insights(call: Call) -> Reply:
    """Insights that are not deleted, each with the result kept of it unless `basic` is set."""
    found = [one for one in call.sandbox.store.all(saved.KIND) if _wanted(call, one)]
    order = call.query.get("order", "")
    if order.removeprefix("-") in _TIMES:
        found.sort(key=lambda one: one[order.removeprefix("-")] or "", reverse=order.startswith("-"))
    limit, offset = limit_offset(call)
    basic = call.query.get("basic", "").lower() == "true"
    results = [await _answer(call, one, basic=basic) for one in found[offset : offset + limit]]
    page = links(call, limit, offset, more=offset + limit < len(found))
    return Reply({"count": len(found), **page, "results": results})


@route("POST", _LIST, scope="insight:write", bucket="analytics")
async def create_insight(call: Call) -> Reply:
    """Save one, and put it on its dashboards."""
    fields = checked(InsightFields, await call.json())
    values = fields.model_dump(exclude={"dashboards"})
    with call.sandbox.store.transaction():
        insight = saved.new(call.sandbox, values)
        saved.place(call.sandbox, insight, fields.dashboards)
        record(call.sandbox, "created", _SCOPE, insight["id"], name=insight["name"] or "")
    return Reply(saved.shown(call.sandbox, insight), 201)


@route("GET", _ONE, scope="insight:read", bucket="analytics")
async def get_insight(call: Call) -> Reply:
    """One, by id or short id; `refresh` decides whether its result is computed."""
    return Reply(await _answer(call, saved.find(call.sandbox, call.params["id"])))


@route("PATCH", _ONE, scope="insight:write", bucket="analytics")
@route("PUT", _ONE, scope="insight:write", bucket="analytics")
async def update_insight(call: Call) -> Reply:
    """Change what is given; `deleted` hides it with its tiles, and brings it back."""
    body = await call.json()
    before = saved.find(call.sandbox, call.params["id"], deleted=body.get("deleted") is False)
    fields = checked(InsightFields, body)
    given = {"saved": True} | fields.given()
    now, user = iso(call.sandbox.clock()), call.sandbox.project.user.basic()
    after: Json = {
        **before,
        **given,
        "updated_at": now,
        "last_modified_at": now,
        "last_modified_by": user,
    }
    with call.sandbox.store.transaction():
        call.sandbox.store.put(saved.KIND, after["id"], after)
        if after["deleted"]:
            saved.place(call.sandbox, after, [])
        elif "dashboards" in fields.model_fields_set:
            saved.place(call.sandbox, after, fields.dashboards)
        _note(call.sandbox, before, after, given)
    return Reply(saved.shown(call.sandbox, after))


@route("DELETE", _ONE, scope="insight:write", bucket="analytics")
async def delete_insight(call: Call) -> Reply:
    """Refused, as in PostHog."""
    saved.find(call.sandbox, call.params["id"])
    raise hard_delete_refused()


@route("GET", _ONE + "activity/", scope="activity_log:read", bucket="analytics")
async def list_activity_of_insight(call: Call) -> Reply:
    """Who changed this insight."""
    insight = saved.find(call.sandbox, call.params["id"], deleted=True)
    return Reply(numbered(call, entries(call.sandbox, [_SCOPE], str(insight["id"]))))


@route("GET", _LIST + "activity/", scope="activity_log:read", bucket="analytics")
async def list_activity_of_insights(call: Call) -> Reply:
    """Who changed insights."""
    return Reply(numbered(call, entries(call.sandbox, [_SCOPE])))


async def _answer(call: Call, insight: Json, *, basic: bool = False) -> Json:
    if basic or call.query.get("basic", "").lower() == "true":
        return saved.shown(call.sandbox, insight)
    filters = saved.read_filters(call.query.get("filters_override"), "filters_override")
    refresh = call.query.get("refresh", "force_cache")
    query_id = call.query.get("client_query_id", "")
    result = await saved.computed(call.sandbox, insight, _mode(refresh), filters, query_id=query_id)
    return saved.shown(call.sandbox, insight, result)


def _mode(refresh: str) -> str:
    """Older clients say true and false."""
    return {"true": "blocking", "false": "force_cache"}.get(refresh.lower(), refresh)


def _wanted(call: Call, one: Json) -> bool:
    query = call.query
    words = query.get("search", "").lower()
    texts = (one["name"], one["derived_name"], one["description"], *one["tags"])
    searched = " ".join(text for text in texts if text)
    tiles = {tile["dashboard_id"] for tile in saved.tiles_of(call.sandbox, insight=one["id"])}
    on = {int(number) for number in json_list(call, "dashboards") if number.isdigit()}
    flags = all(
        query.get(name) is None or one[name] == (query[name].lower() in ("true", "1", ""))
        for name in ("saved", "favorited")
    )
    return (
        not one["deleted"]
        and words in searched.lower()
        and query.get("short_id") in (None, one["short_id"])
        and query.get("insight") in (None, saved.type_of(one))
        and query.get("created_by") in (None, str(one["created_by"]["id"]))
        and on <= tiles
        and set(json_list(call, "tags")) <= set(one["tags"])
        and flags
    )


def _note(sandbox: Sandbox, before: Json, after: Json, given: Json) -> None:
    activity = "updated"
    if before["deleted"] != after["deleted"]:
        activity = "deleted" if after["deleted"] else "restored"
    was = {name: before.get(name) for name in given}
    record(sandbox, activity, _SCOPE, after["id"], name=after["name"] or "", before=was, after=given)
