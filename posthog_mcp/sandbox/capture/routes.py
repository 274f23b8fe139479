"""The capture endpoints as routes: they answer when the events are durable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from posthog_mcp.sandbox.capture import body, decode, v1
from posthog_mcp.sandbox.capture.errors import CaptureError
from posthog_mcp.sandbox.http.cors import with_cors
from posthog_mcp.sandbox.ingest import EngineDown, IngestClosed

if TYPE_CHECKING:
    from starlette.requests import Request

    from posthog_mcp.sandbox.ingest import RawEvent

_OK: Final = {"status": "Ok"}
_TRANSIENT: Final = "transient error, please retry"
_NAMELESS: Final = {"/engage": "$identify"}
_V0: Final = ("/batch", "/capture", "/e", "/engage", "/i/v0/ai/batch", "/i/v0/e", "/s", "/track")
_V1: Final = ("/i/v1/analytics/events", "/i/v1/ai/events")


async def capture(request: Request) -> Response:
    """Take events in the older protocol: 200 for all, or one error in plain text for all."""
    if request.method == "OPTIONS":
        return with_cors(request, JSONResponse(_OK))
    try:
        await _capture(request)
    except CaptureError as error:
        return with_cors(request, PlainTextResponse(error.text, error.status))
    except (EngineDown, IngestClosed):
        return with_cors(request, PlainTextResponse(_TRANSIENT, 503))
    except ClientDisconnect:
        return Response(status_code=400)
    if request.query_params.get("beacon") == "1":
        return with_cors(request, Response(status_code=204))
    return with_cors(request, JSONResponse(_OK))


async def _capture(request: Request) -> None:
    received_at = request.app.state.sandbox.clock()
    query = dict(request.query_params)
    text = body.unwrap(
        await body.read(request),
        query=query,
        content_type=request.headers.get("content-type", ""),
        encoding=request.headers.get("content-encoding", ""),
    )
    token, events = decode.decode(
        body.parse(text),
        received_at=received_at,
        ip=_ip(request),
        underscore=query.get("_", ""),
        name=_NAMELESS.get(request.url.path.rstrip("/"), ""),
    )
    await _ingest(request, token, events)


async def capture_v1(request: Request) -> Response:
    """Take events in the newer protocol: a result for each, or one error in JSON for all."""
    if request.method == "OPTIONS":
        return with_cors(request, JSONResponse(_OK))
    try:
        return with_cors(request, await _capture_v1(request))
    except v1.V1Error as error:
        refusal = error
    except CaptureError as error:
        refusal = v1.V1Error(error.status, "payload_too_large", error.text)
    except ClientDisconnect:
        return Response(status_code=400)
    return with_cors(request, JSONResponse(refusal.body(), refusal.status))


async def _capture_v1(request: Request) -> Response:
    received_at = request.app.state.sandbox.clock()
    raw = await body.read(request)
    batch = v1.decode(raw, request.headers, received_at=received_at, ip=_ip(request))
    try:
        await _ingest(request, batch.token, batch.events)
    except (EngineDown, IngestClosed):
        later = {
            uuid: {"result": "retry"} if result["result"] == "ok" else result
            for uuid, result in batch.results.items()
        }
        return JSONResponse({"results": later}, headers={"Retry-After": "1"})
    return JSONResponse({"results": batch.results})


async def _ingest(request: Request, token: str, events: list[RawEvent]) -> None:
    sandbox: Any = request.app.state.sandbox
    # As at PostHog, whose capture knows no projects: events of a token nobody has are taken, and vanish.
    if token == sandbox.project.api_token:
        await sandbox.ingest.accept(events)


def _ip(request: Request) -> str | None:
    forwarded = request.headers.get("x-forwarded-for", "").partition(",")[0].strip()
    return forwarded or (request.client.host if request.client else None)


routes: list[Route] = [
    *(
        Route(f"{path}{end}", capture, methods=["GET", "POST", "OPTIONS"])
        for path in _V0
        for end in ("", "/")
    ),
    *(Route(f"{path}{end}", capture_v1, methods=["POST", "OPTIONS"]) for path in _V1 for end in ("", "/")),
]
