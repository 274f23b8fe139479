"""What ingestion adds to an `$exception`: its kinds, places, fingerprint and issue.

Source: PostHog's `rust/cymbal`. An issue's id is made of its fingerprint, where PostHog draws one at random,
so that the same exception is the same issue in every sandbox.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, cast
from uuid import UUID, uuid5

from posthog_mcp.sandbox.ingest.properties import JSON

_ISSUES: Final = UUID("6f1c2a3e-52a4-5e6f-9d3b-3a5a1f0c7b21")
_LONGEST_MESSAGE: Final = 10_000
_LONGEST_FINGERPRINT: Final = 64
_RESOLVED_PLATFORMS: Final = ("python", "ruby", "go", "php", "java", "custom")


def describe_exception(properties: JSON, project_id: int) -> None:
    """Add to the properties of an `$exception` what PostHog adds; without a usable list they stay as is."""
    exceptions = [_shortened(exception) for exception in _objects(properties.get("$exception_list"))]
    if not exceptions:
        return
    frames = [frame for exception in exceptions for frame in _frames(exception) if _in_app(frame)]
    mechanism = cast("JSON", exceptions[0].get("mechanism") or {})
    fingerprint = _given_fingerprint(properties) or automatic_fingerprint(exceptions)
    properties |= {
        "$exception_list": exceptions,
        "$exception_types": _distinct(exception.get("type") for exception in exceptions),
        "$exception_values": _distinct(exception.get("value") for exception in exceptions),
        "$exception_sources": _distinct(frame.get("filename") for frame in frames),
        "$exception_functions": _distinct(frame.get("function") for frame in frames),
        "$exception_handled": mechanism.get("handled") is True,
        "$exception_fingerprint": fingerprint,
        "$exception_issue_id": str(uuid5(_ISSUES, f"{project_id}:{fingerprint}")),
    }


def automatic_fingerprint(exceptions: list[JSON]) -> str:
    """SHA-512 over kinds and places: the same error at the same place is the same, whatever its message."""
    text = ""
    for exception in exceptions:
        frames = _frames(exception)
        text += _text(exception.get("type"))
        if not any(map(_resolved, frames)):
            text += _text(exception.get("value"))
        text += "".join(map(_place, _telling(frames)))
    return hashlib.sha512(text.encode("utf-8", "surrogatepass")).hexdigest()


def _shortened(exception: JSON) -> JSON:
    value = exception.get("value")
    if isinstance(value, str) and len(value) > _LONGEST_MESSAGE:
        return {**exception, "value": f"{value[:_LONGEST_MESSAGE]}..."}
    return exception


def _given_fingerprint(properties: JSON) -> str:
    given = properties.get("$exception_fingerprint")
    if not isinstance(given, str):
        return ""
    return given if len(given) <= _LONGEST_FINGERPRINT else hashlib.sha512(given.encode()).hexdigest()


def _telling(frames: list[JSON]) -> list[JSON]:
    """The frames that tell one error from another."""
    own = [frame for frame in frames if _in_app(frame)]
    if not own:
        return frames[:1]
    return [frame for frame in own if _resolved(frame)] or own


def _place(frame: JSON) -> str:
    names = ["filename", "module", "function"]
    if not _resolved(frame):
        names += ["lineno", "colno", "platform"]
    return "".join(_text(frame.get(name)) for name in names)


def _resolved(frame: JSON) -> bool:
    """Frames of these platforms carry their names; others (minified JavaScript) need a source map."""
    return frame.get("platform", "python") in _RESOLVED_PLATFORMS


def _in_app(frame: JSON) -> bool:
    return frame.get("in_app") is not False


def _frames(exception: JSON) -> list[JSON]:
    return _objects(cast("JSON", exception.get("stacktrace") or {}).get("frames"))


def _distinct(values: Any) -> list[str]:
    return list(dict.fromkeys(value for value in values if isinstance(value, str) and value))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _objects(value: Any) -> list[JSON]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("JSON", item) for item in items if isinstance(item, dict)]
