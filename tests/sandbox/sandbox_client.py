"""A client of a sandbox's app in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

from posthog_mcp.sandbox.http.app import build

if TYPE_CHECKING:
    from posthog_mcp.sandbox.sandbox import Sandbox

BASE = "http://sandbox.test"


def client(sandbox: Sandbox, key: str | None) -> httpx2.AsyncClient:
    """A client that sends the key; None sends none."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(build(sandbox)), base_url=BASE, headers=headers, timeout=60
    )
