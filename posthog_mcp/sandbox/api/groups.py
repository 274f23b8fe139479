"""Groups and the types of groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BaseModel, Field

from posthog_mcp.sandbox.api.property_definitions import definitions
from posthog_mcp.sandbox.http.errors import invalid, not_found, required
from posthog_mcp.sandbox.http.paging import limit_offset
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.ingest import Group

_TYPES = "/api/projects/{project_id}/groups_types/"
_GROUPS = "/api/projects/{project_id}/groups/"
_FURTHEST = (1 << 63) - 1  # that SQLite takes


class NewGroup(BaseModel):
    """A group written by hand rather than by an event."""

    group_type_index: Annotated[int, Field(ge=0, le=4)]
    group_key: Annotated[str, Field(min_length=1, max_length=400)]
    group_properties: dict[str, Any] | None = None


@route("GET", _TYPES, scope="group:read")
async def list_group_types(call: Call) -> Reply:
    """The types, by index."""
    return Reply(_types(call))


@route("PATCH", _TYPES + "update_metadata/", scope="group:write")
async def update_group_types(call: Call) -> Reply:
    """Say how people call one and several groups of a type."""
    given = await call.json_value()
    if not isinstance(given, list):
        raise invalid("Expected a list of items.", None, "not_a_list")
    groups = call.sandbox.ingest.groups
    known = {one.index for one in groups.types()}
    with call.sandbox.store.transaction():
        for item in cast("list[Any]", given):
            if (
                not isinstance(item, dict)
                or cast("dict[str, Any]", item).get("group_type_index") not in known
            ):
                raise not_found()
            names = cast("dict[str, Any]", item)
            groups.rename(names["group_type_index"], names.get("name_singular"), names.get("name_plural"))
    return Reply(_types(call))


@route("GET", _GROUPS, scope="group:read", bucket="analytics")
async def list_groups(call: Call) -> Reply:
    """Groups of one type, newest first, by cursor."""
    index = _index(call)
    limit, _ = limit_offset(call)
    cursor = call.query.get("cursor", "")
    start = min(int(cursor), _FURTHEST) if cursor.isdecimal() else 0
    found, total = call.sandbox.ingest.groups.search(
        index, call.query.get("search", ""), limit=limit, offset=start
    )
    more = start + limit < total
    return Reply(
        {
            "next": call.url(cursor=start + limit) if more else None,
            "previous": call.url(cursor=max(0, start - limit)) if start else None,
            "results": [_shown(one) for one in found],
        }
    )


@route("POST", _GROUPS, scope="group:write", bucket="analytics")
async def create_group(call: Call) -> Reply:
    """Write a group, or properties into it."""
    fields = checked(NewGroup, await call.json())
    _check_type(call, fields.group_type_index)
    ingest = call.sandbox.ingest
    group = await ingest.set_group_properties(
        fields.group_type_index, fields.group_key, fields.group_properties or {}
    )
    return Reply(_shown(group), 201)


@route("GET", _GROUPS + "find/", scope="group:read", bucket="analytics")
async def find_group(call: Call) -> Reply:
    """The group of a type and key."""
    return Reply(_shown(_find(call)))


@route("POST", _GROUPS + "update_property/", scope="group:write", bucket="analytics")
async def update_group_property(call: Call) -> Reply:
    """Write one property of a group."""
    group, body = _find(call), await call.json()
    for name in ("key", "value"):
        if name not in body:
            raise required(name)
    ingest = call.sandbox.ingest
    return Reply(
        _shown(await ingest.set_group_properties(group.index, group.key, {body["key"]: body["value"]}))
    )


@route("POST", _GROUPS + "delete_property/", scope="group:write", bucket="analytics")
async def delete_group_property(call: Call) -> Reply:
    """Remove one property of a group."""
    group, body = _find(call), await call.json()
    if not isinstance(body.get("$unset"), str):
        raise required("$unset")
    changed = await call.sandbox.ingest.set_group_properties(group.index, group.key, {}, [body["$unset"]])
    return Reply(_shown(changed))


@route("GET", _GROUPS + "property_definitions/", scope="group:read")
async def list_group_properties(call: Call) -> Reply:
    """Names of the properties of each type: `{"0": [{name, count}]}`."""
    by_index: dict[str, list[dict[str, Any]]] = {}
    for one in definitions(call.sandbox, "group"):
        by_index.setdefault(str(one["group_type_index"]), []).append({"name": one["name"], "count": 1})
    return Reply(by_index)


@route("GET", _GROUPS + "property_values/", scope="group:read", bucket="analytics")
async def list_group_property_values(call: Call) -> Reply:
    """Values that groups of a type have for `key`, most frequent first."""
    index, key = _index(call), call.query.get("key")
    if not key:
        raise required("key")
    wanted = call.query.get("value", "").lower()
    rows = call.sandbox.store.db.execute(
        "SELECT value, count(*) AS n FROM groups, json_each(groups.properties) "
        "WHERE type_index = ? AND json_each.key = ? AND json_each.type NOT IN ('null', 'object', 'array') "
        "AND instr(lower(value), ?) GROUP BY value ORDER BY n DESC, value LIMIT 20",
        (index, key, wanted),
    )
    return Reply([{"name": value, "count": count} for value, count in rows])


def _types(call: Call) -> list[dict[str, Any]]:
    return [
        {
            "group_type": one.type,
            "group_type_index": one.index,
            "name_singular": one.name_singular,
            "name_plural": one.name_plural,
            "detail_dashboard": None,
            "default_columns": None,
            "created_at": iso(one.created_at),
        }
        for one in call.sandbox.ingest.groups.types()
    ]


def _shown(group: Group) -> dict[str, Any]:
    return {
        "group_type_index": group.index,
        "group_key": group.key,
        "group_properties": group.properties,
        "created_at": iso(group.created_at),
    }


def _index(call: Call) -> int:
    text = call.query.get("group_type_index", "")
    if not text:
        raise required("group_type_index")
    if not text.isdecimal():
        raise invalid("A valid integer is required.", "group_type_index")
    return int(text)


def _check_type(call: Call, index: int) -> None:
    if all(one.index != index for one in call.sandbox.ingest.groups.types()):
        raise invalid(f"Group type with index {index} does not exist.", "group_type_index", "does_not_exist")


def _find(call: Call) -> Group:
    index, key = _index(call), call.query.get("group_key")
    if not key:
        raise required("group_key")
    group = call.sandbox.ingest.groups.get(index, key)
    if group is None:
        raise not_found()
    return group
