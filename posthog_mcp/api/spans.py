"""A span for each request to PostHog, after OpenTelemetry's conventions for HTTP clients.

Without its SDK, which whoever runs the program installs and sets up, nothing is recorded.
"""

from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

from opentelemetry.trace import Span, SpanKind, StatusCode, get_tracer

from posthog_mcp import __version__
from posthog_mcp.api.refusals import Asked
from posthog_mcp.api.transport import TransportError

_PORTS = {"https": 443, "http": 80}
_tracer = get_tracer("posthog-mcp", __version__)


@contextmanager
def request_span(asked: Asked, attempt: int, waited: float) -> Generator[Span]:
    """Inside, one attempt of a call is sent; `answered` tells the span what came back.

    Args:
        asked: What is called.
        attempt: The first is 1.
        waited: Seconds that went into waiting for limits before it.

    Ids and query parameters are people's and agents' words: only the template of the path is recorded. The
    trace is not passed on to PostHog, which is another party's.
    """
    method, template = asked.endpoint.method, asked.endpoint.path
    host = urlsplit(asked.host)
    attributes: dict[str, str | float] = {
        "http.request.method": method,
        "server.address": host.hostname or "",
        "server.port": host.port or _PORTS[host.scheme],
        "url.full": asked.host + template,
        "url.template": template,
        "posthog_mcp.waited_seconds": round(waited, 3),
    }
    if attempt > 1:
        attributes["http.request.resend_count"] = attempt - 1
    with _tracer.start_as_current_span(
        f"{method} {template}",
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,  # its words may hold addresses with what is in them
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            _failed(span, error.kind if isinstance(error, TransportError) else type(error).__name__)
            raise


def answered(span: Span, status: int) -> None:
    """Note the status that PostHog answered with."""
    span.set_attribute("http.response.status_code", status)
    if status >= HTTPStatus.BAD_REQUEST:
        _failed(span, str(status))


def _failed(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
