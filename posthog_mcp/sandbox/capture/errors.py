"""Refusals of the capture endpoints, in PostHog's words."""

from __future__ import annotations


class CaptureError(Exception):
    """A request that is refused whole: the HTTP status, and the text that is the body of the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def undecodable(why: str) -> CaptureError:
    """The body is not in the encoding it should be in."""
    return CaptureError(400, f"failed to decode request: {why}")


def unparsable(why: str) -> CaptureError:
    """The body is no JSON, or not of the shape and types of events."""
    return CaptureError(400, f"failed to parse request: {why}")


def too_big(limit: int) -> CaptureError:
    """The body is larger than a request may be, before or after decompression."""
    return CaptureError(
        413, f"maximum event size exceeded: a request may have {limit} bytes, decompressed too"
    )


def no_event() -> CaptureError:
    """An empty batch."""
    return CaptureError(400, "request holds no event")


def no_name() -> CaptureError:
    """An event without a name."""
    return CaptureError(400, "event submitted with an empty event name")


def no_distinct_id() -> CaptureError:
    """An event of nobody."""
    return CaptureError(400, "event submitted without a distinct_id")


def no_token() -> CaptureError:
    """No project token anywhere."""
    return CaptureError(401, "event submitted without an api_key")


def several_tokens() -> CaptureError:
    """Events for different projects in one request."""
    return CaptureError(401, "batch submitted with inconsistent api_key values")


def bad_token(reason: str) -> CaptureError:
    """A token that no project can have."""
    return CaptureError(401, f"API key is not valid: {reason}")
