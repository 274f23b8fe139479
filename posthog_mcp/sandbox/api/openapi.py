"""The sandbox's own OpenAPI document, made from its routes."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from posthog_mcp.sandbox.http.routing import Reply, route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posthog_mcp.sandbox.http.routing import Call, Endpoint, Handler

_NAME = re.compile(r"\{(\w+)\}")
_COMPONENTS = "#/components/schemas/{model}"


@route("GET", "/api/schema/", bucket=None, keys=())
async def get_schema(call: Call) -> Reply:
    """The document; 304 where the caller has this one."""
    document = document_of(call.request.app.state.endpoints)
    text = json.dumps(document, separators=(",", ":"))
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    if call.request.headers.get("if-none-match") == etag:
        return Reply(None, 304, {"ETag": etag})
    return Reply(document, 200, {"ETag": etag})


def document_of(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The OpenAPI document of the endpoints under `/api/`."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {}
    for endpoint in endpoints:
        if endpoint.path.startswith("/api/"):
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "PostHog sandbox", "version": "1.0.0"},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"PersonalAPIKeyAuth": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    model = _body(endpoint.handler) if endpoint.method in ("POST", "PATCH", "PUT") else None
    described: dict[str, Any] = {
        "operationId": getattr(endpoint.handler, "__name__", ""),
        "description": inspect.cleandoc(endpoint.handler.__doc__ or ""),
        "parameters": [
            {"in": "path", "name": name, "required": True, "schema": {"type": "string"}}
            for name in _NAME.findall(endpoint.path)
        ],
        "security": [{"PersonalAPIKeyAuth": list(endpoint.scopes)}],
        "responses": {"200": {"description": ""}},
    }
    if model is not None:
        schema = model.model_json_schema(ref_template=_COMPONENTS)
        schemas.update(schema.pop("$defs", {}))
        if endpoint.method == "PATCH":
            schema.pop("required", None)
        schemas[_title(endpoint, model)] = schema
        reference = {"$ref": f"#/components/schemas/{_title(endpoint, model)}"}
        described["requestBody"] = {"content": {"application/json": {"schema": reference}}}
    return described


def _title(endpoint: Endpoint, model: type[BaseModel]) -> str:
    return f"Patched{model.__name__}" if endpoint.method == "PATCH" else model.__name__


def _body(handler: Handler) -> type[BaseModel] | None:
    """The model that a handler checks its body with: the one it names, since each checks it by hand."""
    code: Any = getattr(handler, "__code__", None)
    known: dict[str, Any] = getattr(handler, "__globals__", {})
    for name in code.co_names if code else ():
        model = known.get(name)
        if isinstance(model, type) and issubclass(model, BaseModel):
            return model
    return None
