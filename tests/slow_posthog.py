"""A PostHog whose queries take long, and a server whose calls have little time."""

from typing import Any

import anyio
import httpx2

from posthog_mcp.server.app import App
from posthog_mcp.server.dispatch import Answer

TOO_LONG = {
    "route": "/api/projects/*/query/",
    "method": "POST",
    "status": 504,
    "times": 1,
    "body": {"type": "server_error", "code": "error", "detail": "Query has hit the max execution time."},
}
RUNNING = {
    "route": "/api/projects/*/query/*/",
    "method": "GET",
    "status": 202,
    "body": {"query_status": {"complete": False, "query_progress": {"rows_read": 12345}}},
}


class Control:
    """The sandbox's own pages."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def fault(self, *faults: dict[str, Any]) -> None:
        for fault in faults:
            (await self._client.post("/_sandbox/faults", json=fault)).raise_for_status()

    async def clear(self) -> None:
        (await self._client.delete("/_sandbox/faults")).raise_for_status()

    async def forget(self) -> None:
        """Empty the log of requests."""
        (await self._client.delete("/_sandbox/requests")).raise_for_status()

    async def served(self, method: str) -> None:
        """Wait until a query was asked about (GET) or ended (DELETE)."""
        with anyio.fail_after(10):
            while not await self.count(method):  # noqa: ASYNC110 - the sandbox tells nobody
                await anyio.sleep(0.05)

    async def taken(self) -> None:
        """Wait until every fault has met its request."""
        with anyio.fail_after(10):
            while (await self._client.get("/_sandbox/faults")).json():  # noqa: ASYNC110 - see above
                await anyio.sleep(0.02)

    async def count(self, method: str) -> int:
        served = (await self._client.get("/_sandbox/requests")).json()["requests"]
        return sum(one["method"] == method and "/query/" in one["path"] for one in served)


async def called(app: App, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """The structured half of an answer that is no error."""
    answer = await app.dispatcher.call(tool, arguments)
    assert not answer.is_error, answer.text
    assert answer.structured is not None, answer.text
    return answer.structured


async def refused(app: App, tool: str, /, **arguments: Any) -> str:
    answer: Answer = await app.dispatcher.call(tool, arguments)
    assert answer.is_error, answer.text
    return answer.text


async def told(app: App, tool: str, /, **arguments: Any) -> str:
    """The text of an answer that is no error."""
    answer = await app.dispatcher.call(tool, arguments)
    assert not answer.is_error, answer.text
    return answer.text
