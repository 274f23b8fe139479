"""Changes that several machines share through Redis or Valkey; see `script.lua`.

Imported only where a Redis is configured: the library is the extra `redis`.
"""

import json
from pathlib import Path
from typing import Any

import anyio

from posthog_mcp.journal.change import Change
from posthog_mcp.journal.store import KEPT_SECONDS, MOST, Noted
from posthog_mcp.limits.reach import ANSWER_SECONDS, PREFIX, connect

# The braces put all of them on one node of a cluster.
_KEYS = [
    f"{PREFIX}:{{journal}}:{part}" for part in ("order", "about", "bodies", "undone", "claims", "number")
]
_SCRIPT = Path(__file__).with_name("script.lua")


class RedisStore:
    """The changes on one server. Every method raises `redis.RedisError` or `OSError` where it cannot be used.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
    """

    def __init__(self, url: str) -> None:
        self._client = connect(url)
        self._script = self._client.register_script(_SCRIPT.read_text(encoding="utf-8"))

    async def number(self) -> int:
        """A number that no other change has."""
        return await self._run("number")

    async def put(self, number: int, change: Change, *, confirmed: bool) -> bool:
        """Note a change; one that is there already is replaced only by what is confirmed. Gives true."""
        await self._run(
            "put",
            number,
            body=change.written(),
            at=repr(change.at),
            about=f"{change.host} {change.project_id} {change.kind}",
            undoes=_field(change.undoes) if change.undoes and confirmed else "",
            confirmed=confirmed,
            oldest=repr(change.at - KEPT_SECONDS),
            most=MOST,
        )
        return True

    async def drop(self, number: int) -> bool:
        """Forget it; gives whether it was there."""
        return bool(await self._run("drop", number))

    async def find(self, number: int, host: str, since: float) -> list[Noted]:
        """One change, unless it was made before `since`; none where there is none."""
        found = await self._run("find", number)
        noted = [_noted(number, *found)] if found else []
        return [one for one in noted if one.change.host == host and one.change.at >= since]

    async def changes(
        self, host: str, project_id: int, *, kind: str, since: float, limit: int, skip: int
    ) -> tuple[list[Noted], int]:
        """Changes since then, newest first, and how many there are in all."""
        places = [f"{host} {project_id}", f"{host} 0"]
        total, *found = await self._run(
            "changes", places=places, kind=kind, since=repr(since), limit=limit, skip=skip
        )
        return [_noted(*one) for one in found], total

    async def claim(self, number: int, undone_by: int, seconds: float) -> bool:
        """Take the right to undo a change."""
        seen = _field(undone_by) if undone_by else ""
        return bool(await self._run("claim", number, undone_by=seen, seconds=seconds))

    async def release(self, number: int) -> bool:
        """Give it back; gives true."""
        await self._run("release", number)
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _run(self, operation: str, number: int = 0, body: str = "", **arguments: object) -> Any:
        with anyio.fail_after(ANSWER_SECONDS):
            words = json.dumps({"number": _field(number), **arguments})
            return await self._script(keys=_KEYS, args=[operation, words, body])


def _field(number: int) -> str:
    """A number as Redis has it: padded, so that changes of the same moment keep their order."""
    return f"{number:016d}"


def _noted(number: int | str, confirmed: str, body: str, undone_by: str) -> Noted:
    return Noted(int(number), Change.read(body), confirmed == "1", int(undone_by))
