"""From an answer of PostHog that is an error to the class and the three sentences that fit it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import ceil
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from posthog_mcp.api import errors
from posthog_mcp.api.endpoints import Endpoint, LimitClass
from posthog_mcp.api.hosts import Hosts
from posthog_mcp.api.keys import KeyType, key_page, key_type, key_variable
from posthog_mcp.safety.clean import clean
from posthog_mcp.safety.redact import redact

_SAID_CHARACTERS = 300
_SCOPE = re.compile(r"required scope '([a-z_]+:(?:read|write))'")
_AVAILABLE = re.compile(r"available in (\d+) second")
_ESTIMATED_TOO_LONG = 512
LIMITS = {
    LimitClass.CRUD: "the limit of 480 reads and changes a minute and 4,800 an hour",
    LimitClass.ANALYTICS: "the limit of 240 analytics requests a minute and 1,200 an hour",
    LimitClass.QUERY: "the limit of 240 queries a minute and 2,400 an hour",
    LimitClass.VALUES: "the limit of 60 lookups of values a minute and 300 an hour",
    LimitClass.DEFINITIONS: "the limit of 600 fetches of flag definitions a minute",
    LimitClass.NONE: "a limit of this PostHog",
}
CHEAPER = {
    LimitClass.CRUD: "Ask for more objects in one call instead of one by one",
    LimitClass.ANALYTICS: "One HogQL query often replaces many of these calls and has a limit of its own",
    LimitClass.QUERY: "Combine questions into one query",
    LimitClass.VALUES: "Read the values with a HogQL query instead",
    LimitClass.DEFINITIONS: "Fetch the definitions less often",
    LimitClass.NONE: "Send fewer, larger batches",
}
READ_LESS = "Read fewer days or fewer columns"


@dataclass(frozen=True)
class Asked:
    """One call, as its errors speak of it.

    Attributes:
        endpoint: What was called.
        path: The path with its ids.
        hosts: Where.
        project_id: The project of the path, else empty.
        key: The key it was made with; it is never shown.
        secrets: Texts that no error may repeat.
    """

    endpoint: Endpoint
    path: str
    hosts: Hosts
    project_id: str = ""
    key: str = field(default="", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return f"{self.endpoint.method} {self.path}"

    @property
    def host(self) -> str:
        """The origin that was asked."""
        return self.hosts.public if self.endpoint.public else self.hosts.private

    @property
    def key_kind(self) -> KeyType:
        """The kind of the key, old keys without a prefix counted as what they stand for."""
        kind = key_type(self.key)
        return self.endpoint.keys[0] if kind is KeyType.UNPREFIXED and self.endpoint.keys else kind


class _Problem(NamedTuple):
    detail: str
    code: str = ""
    attr: str = ""
    web_page: bool = False


def error_of(asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> errors.Answered:
    """The error that an answer with any status outside 2xx stands for.

    Args:
        asked: The call.
        status: HTTP status.
        headers: Header fields by lower-case name.
        body: PostHog's JSON error body, a plain text, a web page or nothing.
    """
    problem = _problem(body)
    detail = _shown(problem.detail, asked.secrets)
    make = _MAKERS.get(status)
    if make is None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        make = _server_error
    elif make is None and HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        make = _redirected
    error = (make or _other)(asked, _Answer(status, headers, problem, detail))
    error.status = status
    error.wait = _wait(headers, problem.detail)
    error.code = _shown(problem.code, asked.secrets)
    error.said = detail
    return error


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    problem: _Problem
    detail: str

    @property
    def quoted(self) -> str:
        """PostHog's words as a sentence of ours."""
        if self.problem.web_page:
            return "The answer is a web page, so something in front of PostHog may have given it."
        return f"PostHog says: {_sentence(self.detail)}" if self.detail else "PostHog gives no reason."


def _redirected(asked: Asked, answer: _Answer) -> errors.Answered:
    target = place_of(answer.headers.get("location", ""), asked.secrets)
    return errors.Redirected(
        f"{asked.host} sends {asked} elsewhere ({answer.status}).",
        f"It points to {target}.",
        "Set POSTHOG_HOST to the address PostHog itself answers at; redirects are not followed, "
        "because the key would go along.",
    )


def _invalid(asked: Asked, answer: _Answer) -> errors.Answered:
    attr = _shown(answer.problem.attr, asked.secrets)
    where = (
        f"PostHog says about {attr}: {_sentence(answer.detail)}" if attr and answer.detail else answer.quoted
    )
    check = f"; check too that project {asked.project_id} is the right one" if asked.project_id else ""
    error = errors.Invalid(
        f"PostHog refused {asked} as invalid (400).", where, f"Correct {attr or 'the request'}{check}."
    )
    error.attr = attr
    return error


def _not_authenticated(asked: Asked, answer: _Answer) -> errors.Answered:
    kind = asked.key_kind
    wanted = " or ".join(dict.fromkeys(wanted.value for wanted in asked.endpoint.keys)) or "key"
    region = (
        "; the key may belong to the other region, so check POSTHOG_HOST too" if asked.hosts.region else ""
    )
    return errors.NotAuthenticated(
        f"{asked.host} does not know the {kind} that {asked} was made with (401).",
        f"It takes a {wanted}, and this one is mistyped, deleted or expired. {answer.quoted}",
        f"Check {key_variable(kind)} at {key_page(kind, asked.hosts)}{region}.",
    )


def _quota(asked: Asked, answer: _Answer) -> errors.Answered:
    return errors.QuotaExceeded(
        f"The plan or billing limit of this PostHog does not cover {asked} (402).",
        answer.quoted,
        f"Look at {asked.hosts.private}/organization/billing.",
    )


def _forbidden(asked: Asked, answer: _Answer) -> errors.Answered:
    scope = _SCOPE.search(answer.problem.detail)
    page = key_page(KeyType.PERSONAL, asked.hosts)
    what = f"The key may not do {asked} (403)."
    if scope:
        error = errors.MissingScope(
            what,
            f"It lacks the scope {scope[1]}.",
            f"Add {scope[1]} to the key at {page}, or use another key.",
        )
        error.scope = scope[1]
        return error
    project = "project" in answer.problem.detail.lower() and asked.project_id
    return errors.Forbidden(
        what,
        answer.quoted,
        f"Check whether {asked.project_id} is the right project, or give the key access to it at {page}."
        if project
        else f"Check the key's scopes and projects at {page}, and the rights of its owner.",
    )


def _not_found(asked: Asked, answer: _Answer) -> errors.Answered:
    where = f" in project {asked.project_id}" if asked.project_id else ""
    return errors.NotFound(
        f"PostHog finds nothing for {asked} (404).",
        f"There is no such object{where}, or the key cannot see it. {answer.quoted}",
        f"Check the id{' and the project' if where else ''}; an older PostHog may also lack the call.",
    )


def _method_not_allowed(asked: Asked, answer: _Answer) -> errors.Answered:
    return errors.MethodNotAllowed(
        f"PostHog does not offer {asked} (405).",
        answer.quoted,
        "Most objects are deleted by setting deleted to true instead.",
    )


def _conflict(asked: Asked, answer: _Answer) -> errors.Answered:
    return errors.Conflict(
        f"{asked} collides with another change (409).",
        answer.quoted,
        "Read the object again and repeat the change on what it is now; if it wants approval, ask for it.",
    )


def _too_large(asked: Asked, answer: _Answer) -> errors.Answered:
    return errors.TooLarge(
        f"The body of {asked} is larger than PostHog takes (413).", answer.quoted, "Send less at once."
    )


def _throttled(asked: Asked, answer: _Answer) -> errors.Answered:
    wait = _wait(answer.headers, answer.problem.detail)
    spent = "requests"
    limit = LIMITS[asked.endpoint.limit]
    if answer.problem.code == "api_queries_budget_exceeded":
        spent, limit = "bytes", "the project's hourly budget of bytes read by queries"
    elif "concurren" in answer.problem.detail.lower():
        spent, limit = "concurrency", "the number of queries that may run at once"
    later = f"Try again in {in_seconds(wait)}" if wait is not None else "Try again a little later"
    cheaper = READ_LESS if spent == "bytes" else CHEAPER[asked.endpoint.limit]
    error = errors.RateLimited(
        f"PostHog put off {asked} (429): {limit} is spent.",
        "The whole organization shares it, people using PostHog included."
        if spent == "requests"
        else answer.quoted,
        f"{later}. {cheaper}.",
    )
    error.limit_class, error.spent = asked.endpoint.limit.value, spent
    return error


def _server_error(asked: Asked, answer: _Answer) -> errors.Answered:
    return errors.ServerError(
        f"PostHog failed at {asked} ({answer.status}).",
        answer.quoted,
        "Try again in a minute; if it stays, look at https://status.posthog.com."
        if asked.hosts.region
        else f"Try again in a minute; if it stays, look at the logs of {asked.host}.",
    )


def _query_timeout(asked: Asked, answer: _Answer) -> errors.Answered:
    return errors.QueryTimeout(
        f"PostHog gave up on {asked} ({answer.status}): it took too much time or memory.",
        answer.quoted,
        "Narrow the time range, select fewer columns, aggregate more, or run the query asynchronously.",
    )


def _other(asked: Asked, answer: _Answer) -> errors.Answered:
    return errors.Answered(
        f"PostHog answered {asked} with status {answer.status}.", answer.quoted, "Check the request."
    )


_MAKERS = {
    400: _invalid,
    401: _not_authenticated,
    402: _quota,
    403: _forbidden,
    404: _not_found,
    405: _method_not_allowed,
    409: _conflict,
    413: _too_large,
    429: _throttled,
    504: _query_timeout,
    _ESTIMATED_TOO_LONG: _query_timeout,
}


def _problem(body: bytes) -> _Problem:
    """What the body says: PostHog's JSON form, one of its hand-written ones, or plain text."""
    text = body[:65536].decode("utf-8", "replace").strip()
    if text.startswith("<"):
        return _Problem("", web_page=True)
    try:
        parsed: Any = json.loads(body)
    except (ValueError, RecursionError):
        return _Problem(text)
    if isinstance(parsed, list):
        first = cast("list[Any]", parsed)[:1]
        return _Problem(str(first[0]) if first else "")
    if not isinstance(parsed, dict):
        return _Problem(text)
    fields = cast("dict[str, Any]", parsed)
    status: Any = fields.get("query_status")
    if isinstance(status, dict):
        fields = {"detail": cast("dict[str, Any]", status).get("error_message"), **fields}
    detail = next(
        (
            value
            for value in (
                fields.get("detail"),
                fields.get("error_description"),
                fields.get("error"),
                fields.get("message"),
            )
            if isinstance(value, str) and value
        ),
        "" if "detail" in fields else text,
    )
    code, attr = str(fields.get("code") or ""), str(fields.get("attr") or "")
    if " " in code:
        # some hand-written answers of PostHog have code and detail the wrong way round
        code, detail = detail, code
    return _Problem(detail, code, attr)


def _shown(text: str, secrets: tuple[str, ...]) -> str:
    """PostHog's words on one line, without keys, cut to what an error can carry."""
    text = " ".join(clean(redact(text, secrets)).split())
    return text if len(text) <= _SAID_CHARACTERS else text[:_SAID_CHARACTERS].rstrip() + "…"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else text + "."


def _wait(headers: Mapping[str, str], detail: str) -> float | None:
    """Seconds until there is room: `Retry-After` as seconds or as a date, else the number in the text."""
    given = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,7}", given):
        return float(given)
    if given:
        try:
            return max(0.0, (parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds())
        except (TypeError, ValueError):
            given = ""  # neither form: the text may still say it
    said = _AVAILABLE.search(detail)
    return float(said[1]) if said else None


def place_of(link: str, secrets: tuple[str, ...]) -> str:
    """Scheme and host of a link, the only parts of it that are fit to be shown."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return "another place"
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        return "another place"
    return _shown(f"{parts.scheme}://{parts.hostname}", secrets)


def in_seconds(wait: float | None) -> str:
    """A wait in words, rounded up."""
    if wait is None:
        return "an unknown time"
    count = max(1, ceil(wait))
    return "1 second" if count == 1 else f"{count} seconds"
