"""From arguments to the parts of a request: nothing a caller passes can change what is called."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from posthog_mcp.api.endpoints import Endpoint
from posthog_mcp.api.errors import NotSendable

_NAME = re.compile(r"\{(\w+)\}")
# Numbers, UUIDs, short ids, flag keys, query ids. A leading dot could climb up the path.
_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.:-]{0,199}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_SHOWN = 60


def path_of(endpoint: Endpoint, params: Mapping[str, object]) -> str:
    """Fill a path template.

    Args:
        endpoint: Its template names the parameters.
        params: A text or a number for each of them.

    Raises:
        NotSendable: A value is no id; `project_id` must be a number.
        TypeError: A parameter is missing or is not in the template; a mistake of the program.
    """
    names = _NAME.findall(endpoint.path)
    if set(names) != set(params):
        raise TypeError(f"{endpoint} takes {names or 'no parameters'}, given were {sorted(params)}")
    return _NAME.sub(lambda match: _segment(endpoint, match[1], params[match[1]]), endpoint.path)


def query_of(query: Mapping[str, object] | None) -> str:
    """Write a query string: None and empty lists are left out, lists and objects become JSON."""
    pairs: list[tuple[str, str]] = []
    for name, value in (query or {}).items():
        if value is None or value == []:
            continue
        if isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif isinstance(value, list | tuple | dict):
            pairs.append((name, body_of(value).decode()))  # pyright: ignore[reportUnknownArgumentType]
        else:
            pairs.append((name, str(value)))
    try:
        return urlencode(pairs, quote_via=quote)
    except UnicodeEncodeError:
        raise _half_characters("A query value") from None


def query_of_link(link: str) -> dict[str, object]:
    """The query of a `next` link, ready for `query_of`."""
    return dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))


def body_of(body: Any) -> bytes:
    """Write a JSON body.

    Raises:
        NotSendable: A value has no JSON form: a NaN, half a character, an object of the program.
    """
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise _half_characters("The body") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise NotSendable(
            "The body cannot be written as JSON.", f"{str(error)[:200]}.", "Correct that value."
        ) from error


def _segment(endpoint: Endpoint, name: str, value: object) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    pattern = _NUMBER if name == "project_id" else _ID
    if not pattern.fullmatch(text):
        shown = repr(value)
        raise NotSendable(
            f"{endpoint} cannot be called with {name} {shown[:_SHOWN]}{'…' if len(shown) > _SHOWN else ''}.",
            "A project id is a number."
            if pattern is _NUMBER
            else "An id has letters, digits, hyphens, underscores, dots and colons only.",
            f"Pass the {name} as PostHog shows it.",
        )
    return quote(text, safe="")


def _half_characters(what: str) -> NotSendable:
    return NotSendable(
        f"{what} cannot be sent.", "It holds half of a character (a lone surrogate).", "Correct that text."
    )
