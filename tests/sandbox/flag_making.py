"""Flags made and read through the private API, for the tests of flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from httpx2 import AsyncClient

FLAGS = "/api/projects/1/feature_flags/"
EVERYBODY: dict[str, Any] = {"groups": [{"properties": [], "rollout_percentage": 100}]}


async def make(
    api: AsyncClient, key: str, filters: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    reply = await api.post(FLAGS, json={"key": key, "filters": filters or EVERYBODY, **fields})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def change(api: AsyncClient, flag: dict[str, Any], status: int = 200, **fields: Any) -> dict[str, Any]:
    reply = await api.patch(f"{FLAGS}{flag['id']}/", json=fields)
    assert reply.status_code == status, reply.text
    return reply.json()


async def keys(api: AsyncClient, **query: Any) -> list[str]:
    reply = await api.get(FLAGS, params=query)
    assert reply.status_code == 200, reply.text
    return [flag["key"] for flag in reply.json()["results"]]


def conditions(*properties: dict[str, Any]) -> dict[str, Any]:
    return {"groups": [{"properties": list(properties)}]}


def variants(*shares: tuple[str, float]) -> dict[str, Any]:
    return {"variants": [{"key": key, "rollout_percentage": share} for key, share in shares]}


def depends_on(flag: dict[str, Any], value: Any = True) -> dict[str, Any]:
    return {"key": str(flag["id"]), "type": "flag", "operator": "flag_evaluates_to", "value": value}
