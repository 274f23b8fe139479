"""Answers that any web page may read: PostHog's public endpoints are called by browsers."""

from starlette.requests import Request
from starlette.responses import Response


def with_cors(request: Request, response: Response) -> Response:
    """Let the page that asks, whichever it is, read the answer, with or without credentials."""
    origin = request.headers.get("origin")
    if origin:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
        response.headers["Vary"] = "Origin"
        if wanted := request.headers.get("access-control-request-headers"):
            response.headers["Access-Control-Allow-Headers"] = wanted
    return response
