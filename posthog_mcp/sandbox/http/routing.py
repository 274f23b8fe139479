"""Handlers of the private API: how they are declared, called and answered.

A handler is a coroutine `async def name(call: Call) -> Reply` under one or more `@route(...)`. Everything
that is the same for all of them happens here, in PostHog's order: key, scope, project, throttle, method.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from posthog_mcp.sandbox.http.errors import ApiError, invalid, parse_error

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from posthog_mcp.sandbox.http.auth import Identity
    from posthog_mcp.sandbox.http.throttles import LimitClass
    from posthog_mcp.sandbox.project import KeyKind
    from posthog_mcp.sandbox.sandbox import Sandbox

_JSON_TYPES = ("application/json", "text/json", "")
# PostHog's DATA_UPLOAD_MAX_MEMORY_SIZE.
_MAX_BODY = 20 * 1024 * 1024


@dataclass(slots=True)
class Reply:
    """An answer: `body` becomes JSON; None is an empty body; bytes go out as they are with `media_type`."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    media_type: str = "application/json"


@dataclass(slots=True)
class Call:
    """One request to a handler: `params` are the path's, `identity` None only on public routes."""

    sandbox: Sandbox
    request: Request
    params: dict[str, str]
    query: QueryParams
    identity: Identity | None

    async def json(self) -> dict[str, Any]:
        """The body as a JSON object; an empty body is an empty object.

        Raises `ApiError` 400 for what is not JSON or not an object, 413 for more than 20 MB, 415 for a type
        PostHog does not read.
        """
        body = await self.json_value()
        if not isinstance(body, dict):
            kind = type(cast("object", body)).__name__
            raise invalid(f"Invalid data. Expected a dictionary, but got {kind}.")
        return cast("dict[str, Any]", body)

    async def json_value(self) -> Any:
        """The body as any JSON value; an empty body is an empty object. Errors as in `json`."""
        raw = await self.request.body()
        if len(raw) > _MAX_BODY:
            raise ApiError(413, "invalid_request", "request_too_large", "The request body is over 20 MB.")
        if not raw:
            return {}
        content_type = self.request.headers.get("content-type", "")
        media = content_type.partition(";")[0].strip().lower()
        if media not in _JSON_TYPES:
            detail = f'Unsupported media type "{content_type}" in request.'
            raise ApiError(415, "invalid_request", "unsupported_media_type", detail)
        try:
            return json.loads(raw)
        except UnicodeDecodeError as error:
            raise parse_error(str(error)) from error
        except ValueError as error:
            raise parse_error(str(error)) from error
        except RecursionError as error:
            raise parse_error("the body is nested too deeply") from error

    def url(self, **query: str | int | None) -> str:
        """This request's URL on the host the client used, with these query values set, or None removed."""
        url = self.request.url.replace(path=self.request.scope.get("client_path", self.request.url.path))
        changed = {name: str(value) for name, value in query.items() if value is not None}
        removed = [name for name, value in query.items() if value is None]
        return str(url.include_query_params(**changed).remove_query_params(removed))


Handler = Callable[[Call], Awaitable[Reply]]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method and path with the rules of its door."""

    method: str
    path: str
    handler: Handler
    scopes: tuple[str, ...]
    bucket: LimitClass | None
    keys: tuple[KeyKind, ...]


def route(
    method: str,
    path: str,
    *,
    scope: str | tuple[str, ...] | None = None,
    bucket: LimitClass | None = "crud",
    keys: tuple[KeyKind, ...] = ("personal",),
) -> Callable[[H], H]:
    """Declare a handler for `method` and `path` (`/api/projects/{project_id}/annotations/`).

    `scope` is what a key needs (several: all of them; None: any key). `bucket` is the class of limits it
    draws on, None for none. `keys` are the kinds of keys that may call it; an empty tuple makes it public,
    and the handler decides on its own. Clients may leave out the slash at the end and may write
    `/api/environments/` for `/api/projects/`.
    """
    scopes = (scope,) if isinstance(scope, str) else scope or ()

    def declare(handler: H) -> H:
        endpoints: list[Endpoint] = handler.__dict__.setdefault("endpoints", [])
        endpoints.append(Endpoint(method, path.rstrip("/") + "/", handler, scopes, bucket, keys))
        return handler

    return declare


def endpoints_of(*modules: ModuleType) -> list[Endpoint]:
    """Everything the modules declare with `@route`."""
    found: list[Endpoint] = []
    for module in modules:
        for value in vars(module).values():
            if callable(value) and getattr(value, "__module__", None) == module.__name__:
                found.extend(getattr(value, "endpoints", ()))
    return found
