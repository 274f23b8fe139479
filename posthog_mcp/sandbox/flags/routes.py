"""`/flags`, and `/decide` before it, as routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from posthog_mcp.sandbox.flags import answers
from posthog_mcp.sandbox.flags.request import FlagsError, Wanted, read
from posthog_mcp.sandbox.http.cors import with_cors

if TYPE_CHECKING:
    from starlette.requests import Request

    from posthog_mcp.flags import Decision

_METHODS: Final = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"]
_ALLOW: Final = {"Allow": "GET, POST, OPTIONS, HEAD"}
_SURVEYS: Final = "survey-targeting-"
_UNKNOWN_TOKEN: Final = (
    "The provided API key is invalid or has expired. Please check your API key and try again."  # noqa: S105
)
_TYPED: Final = 3
_DETAILED: Final = 2


async def flags(request: Request) -> Response:
    """Evaluate flags: 200 with values and reasons, or one error in plain text."""
    if request.method == "OPTIONS":
        return with_cors(request, Response(status_code=204, headers=_ALLOW))
    if request.method in ("GET", "HEAD"):
        return with_cors(request, JSONResponse(answers.empty()))
    if request.method != "POST":
        return Response(status_code=405, headers=_ALLOW)
    try:
        return with_cors(request, JSONResponse(await _answer(request)))
    except FlagsError as error:
        return with_cors(request, PlainTextResponse(error.text, error.status))
    except ClientDisconnect:
        return Response(status_code=400)


async def _answer(request: Request) -> dict[str, Any]:
    sandbox: Any = request.app.state.sandbox
    wanted = await read(request)
    if wanted.token != sandbox.project.api_token:
        raise FlagsError(401, _UNKNOWN_TOKEN)
    decisions = {} if wanted.nothing else await _decisions(request, wanted)
    return {
        "errorsWhileComputingFlags": answers.errors(decisions),
        **_shape(request, decisions),
        "requestId": str(uuid4()),
        "evaluatedAt": int(sandbox.clock().timestamp() * 1000),
    }


async def _decisions(request: Request, wanted: Wanted) -> dict[str, Decision]:
    service = request.app.state.sandbox.flags
    decisions: dict[str, Decision] = await service.evaluate(wanted.subject)
    surveys = request.query_params.get("only_evaluate_survey_feature_flags") in ("true", "1")
    return {
        key: decision
        for key, decision in decisions.items()
        if (wanted.keys is None or key in wanted.keys)
        and decision.runtime in ("all", wanted.runtime)
        and _in_context(service.compiled().definition(key), wanted)
        and (not surveys or key.startswith(_SURVEYS))
    }


def _in_context(source: dict[str, Any], wanted: Wanted) -> bool:
    contexts = source["evaluation_contexts"]
    return not contexts or not wanted.contexts or not wanted.contexts.isdisjoint(contexts)


def _shape(request: Request, decisions: dict[str, Decision]) -> dict[str, Any]:
    query, service = request.query_params, request.app.state.sandbox.flags
    sources = {key: service.compiled().definition(key) for key in decisions}
    version = _number(query.get("v"))
    if request.url.path.startswith("/decide"):
        match version:
            case 2:
                return answers.decide_2(decisions)
            case 3:
                return answers.legacy(decisions)
            case None | 1:
                return answers.decide_1(decisions)
            case _:
                return {"flags": answers.detailed(decisions, sources)}
    with_config = query.get("config") in ("true", "1")
    if version is None and "config" not in query:
        version, with_config = _DETAILED, True
    if version == _TYPED:
        shape: dict[str, Any] = {"flags": answers.typed(decisions, sources)}
    elif version is not None and version >= _DETAILED:
        shape = {"flags": answers.detailed(decisions, sources)}
    else:
        shape = answers.legacy(decisions)
    return {**shape, **answers.config(has_flags=len(service.compiled()) > 0)} if with_config else shape


def _number(text: str | None) -> int | None:
    """The version asked for; what is no number counts as the first, as in PostHog."""
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() else 1


routes: list[Route] = [
    Route(path, flags, methods=_METHODS) for path in ("/flags", "/flags/", "/decide", "/decide/")
]
