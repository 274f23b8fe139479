"""Faults on request, for tests of clients: a status, a delay, a dropped connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import anyio
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

TRANSPORT = "sandbox.transport"


class ConnectionDropped(Exception):  # noqa: N818 - it is an event, and no caller ever sees it over a socket
    """A fault dropped the connection and there is no socket to cut (the app is called in process)."""


class Fault(BaseModel):
    """What to do to requests whose path matches.

    `route` is a glob over the path (`/batch/`, `/api/projects/*/query/`); `times` is how many requests it
    hits (None: all). `delay` seconds pass first. `drop` cuts the connection: `before` the request is
    handled, or `after`, when the work is done and the answer is lost. With `status` the request is answered
    with it (and `body`, and `Retry-After: retry_after`) and not handled.
    """

    model_config = ConfigDict(extra="forbid")

    route: str
    method: str | None = None
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    body: Any = None
    delay: Annotated[float, Field(ge=0, le=600)] = 0.0
    drop: Literal["before", "after"] | None = None
    retry_after: Annotated[int, Field(ge=0)] | None = None
    times: Annotated[int, Field(ge=1)] | None = None

    def matches(self, method: str, path: str) -> bool:
        """Whether it is meant for this request; a slash at the end makes no difference."""
        if self.method is not None and self.method.upper() != method:
            return False
        return fnmatchcase(path.rstrip("/"), self.route.rstrip("/"))


@dataclass(slots=True)
class Faults:
    """The faults asked for, first one first."""

    waiting: list[Fault] = field(default_factory=list[Fault])

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for this request, counted down."""
        fault = next((one for one in self.waiting if one.matches(method, path)), None)
        if fault is not None and fault.times is not None:
            fault.times -= 1
            if fault.times == 0:
                self.waiting.remove(fault)
        return fault


class FaultMiddleware:
    """Apply faults around the whole app; needs `TRANSPORT` in the scope to cut connections."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        fault = None
        if scope["type"] == "http" and not scope["path"].startswith("/_sandbox/"):
            fault = self._faults.take(scope["method"], scope["path"])
        if fault is None:
            await self._app(scope, receive, send)
            return
        await anyio.sleep(fault.delay)
        if fault.drop == "before":
            await _drop(scope)
        elif fault.drop == "after":
            await self._app(scope, receive, _swallow)
            await _drop(scope)
        elif fault.status is not None:
            await _answer(fault)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _answer(fault: Fault) -> Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    status = cast("int", fault.status)
    if isinstance(fault.body, str):
        return Response(fault.body, status, headers, media_type="text/plain")
    body = fault.body
    if body is None:
        body = {"type": "server_error", "code": "error", "detail": "A fault on request.", "attr": None}
    return JSONResponse(body, status, headers)


async def _swallow(_message: Any) -> None:
    """Take the answer and send it nowhere."""


def transport_of(send: Send) -> Any:
    """The socket's transport, or None in process: uvicorn keeps it on the object whose method `send` is."""
    return getattr(getattr(send, "__self__", None), "transport", None)


async def _drop(scope: Scope) -> None:
    transport = scope.get(TRANSPORT)
    if transport is None:
        raise ConnectionDropped
    transport.abort()
    # The server learns of the loss in its next turn; before that it would report an answer left out.
    await anyio.lowlevel.checkpoint()
    await anyio.sleep(0.01)
