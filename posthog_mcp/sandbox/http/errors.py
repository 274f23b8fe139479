"""PostHog's error bodies: `{type, code, detail, attr}`, only the first problem."""

from __future__ import annotations

import math
from typing import Any


class ApiError(Exception):
    """An answer that is an error; every error of the private API has this shape."""

    def __init__(
        self, status: int, kind: str, code: str, detail: str, attr: str | None = None, **headers: str
    ) -> None:
        """Take PostHog's words: `kind` becomes `type`, `retry_after="3"` a `Retry-After` header."""
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.code = code
        self.detail = detail
        self.attr = attr
        self.headers = {name.replace("_", "-").title(): value for name, value in headers.items()}

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {"type": self.kind, "code": self.code, "detail": self.detail, "attr": self.attr}


def invalid(detail: str, attr: str | None = None, code: str = "invalid_input") -> ApiError:
    """400 for a value PostHog does not take; `attr` is the field, nested names joined by `__`."""
    return ApiError(400, "validation_error", code, detail, attr)


def required(attr: str) -> ApiError:
    """400 for a field that is missing."""
    return invalid("This field is required.", attr, "required")


def parse_error(detail: str) -> ApiError:
    """400 for a body that is not JSON."""
    return ApiError(400, "invalid_request", "parse_error", f"JSON parse error - {detail}")


def not_authenticated() -> ApiError:
    """401 without any credential."""
    return ApiError(
        401,
        "authentication_error",
        "not_authenticated",
        "Authentication credentials were not provided.",
        www_authenticate="Bearer",
    )


def authentication_failed(detail: str) -> ApiError:
    """401 for a credential nobody has."""
    return ApiError(401, "authentication_error", "authentication_failed", detail, www_authenticate="Bearer")


def forbidden(detail: str) -> ApiError:
    """403."""
    return ApiError(403, "authentication_error", "permission_denied", detail)


def not_found(detail: str = "Not found.") -> ApiError:
    """404."""
    return ApiError(404, "invalid_request", "not_found", detail)


def method_not_allowed(method: str) -> ApiError:
    """405."""
    return ApiError(405, "invalid_request", "method_not_allowed", f'Method "{method}" not allowed.')


def hard_delete_refused() -> ApiError:
    """405 for the kinds PostHog only marks as deleted."""
    detail = 'Hard delete of this model is not allowed. Use a patch API call to set "deleted" to true'
    return ApiError(405, "invalid_request", "method_not_allowed", detail)


def throttled(wait: float) -> ApiError:
    """429 with whole seconds in `Retry-After`, as Django REST Framework words it."""
    seconds = max(1, math.ceil(wait))
    unit = "second" if seconds == 1 else "seconds"
    detail = f"Request was throttled. Expected available in {seconds} {unit}."
    return ApiError(429, "throttled_error", "throttled", detail, retry_after=str(seconds))


def server_error() -> ApiError:
    """500, which says nothing about its cause."""
    return ApiError(500, "server_error", "error", "A server error occurred.")
