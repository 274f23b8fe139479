"""The sandbox's own pages, `/_sandbox/`: health, the log of requests, faults. From this machine only."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from ipaddress import ip_address
from typing import TYPE_CHECKING

from pydantic import ValidationError

from posthog_mcp.sandbox.http.errors import forbidden, invalid
from posthog_mcp.sandbox.http.faults import Fault
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import iso

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call


@route("GET", "/_sandbox/status/", keys=())
async def status(call: Call) -> Reply:
    """Whether the engine answers, which versions run, and what ingestion warned about."""
    _local(call)
    sandbox = call.sandbox
    rows = await sandbox.engine.query("SELECT version()")
    warnings = [
        {"type": one.type, "at": iso(one.at), "details": one.details} for one in sandbox.ingest.warnings
    ]
    return Reply(
        {
            "ok": True,
            "version": version("posthog-mcp"),
            "engine": rows.rows[0][0],
            "throttled": sandbox.throttles.refused,
            "ingestion_warnings": warnings,
        }
    )


@route("GET", "/_health/", keys=())
@route("GET", "/_readyz/", keys=())
async def health(_call: Call) -> Reply:
    """That requests are answered."""
    return Reply({"status": "ok"})


@route("GET", "/_preflight/", keys=())
async def preflight(_call: Call) -> Reply:
    """What PostHog tells about an instance without a key."""
    parts = ("django", "redis", "plugins", "celery", "clickhouse", "kafka", "db", "initiated")
    return Reply({**dict.fromkeys(parts, True), "cloud": False, "region": None, "realm": "hosted-clickhouse"})


@route("GET", "/_sandbox/requests/", keys=())
async def requests(call: Call) -> Reply:
    """The last requests served and how many there were of each status."""
    _local(call)
    served = list(call.sandbox.requests)
    statuses: dict[str, int] = {}
    for one in served:
        statuses[str(one.status)] = statuses.get(str(one.status), 0) + 1
    return Reply({"statuses": statuses, "requests": [asdict(one) for one in served]})


@route("DELETE", "/_sandbox/requests/", keys=())
async def forget_requests(call: Call) -> Reply:
    """Empty the log of requests."""
    _local(call)
    call.sandbox.requests.clear()
    return Reply(None, 204)


@route("POST", "/_sandbox/faults/", keys=())
async def add_fault(call: Call) -> Reply:
    """Take a fault (`http.faults.Fault`) and answer it as understood."""
    _local(call)
    try:
        fault = Fault.model_validate(await call.json())
    except ValidationError as error:
        first = error.errors()[0]
        raise invalid(first["msg"], "__".join(str(part) for part in first["loc"])) from error
    call.sandbox.faults.waiting.append(fault)
    return Reply(fault.model_dump(), 201)


@route("GET", "/_sandbox/faults/", keys=())
async def list_faults(call: Call) -> Reply:
    """The faults still waiting."""
    _local(call)
    return Reply([fault.model_dump() for fault in call.sandbox.faults.waiting])


@route("DELETE", "/_sandbox/faults/", keys=())
async def clear_faults(call: Call) -> Reply:
    """Forget all faults."""
    _local(call)
    call.sandbox.faults.waiting.clear()
    return Reply(None, 204)


def _local(call: Call) -> None:
    client = call.request.client
    try:
        local = client is not None and ip_address(client.host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise forbidden("The sandbox's own pages answer this machine only.")
