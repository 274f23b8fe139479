"""What is refused before it is sent to PostHog, with what failed, why, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from posthog_mcp.hogql import ast
from posthog_mcp.hogql.errors import MAX_TEXT_BYTES, HogQLSyntaxError
from posthog_mcp.hogql.lexer import tokenize
from posthog_mcp.hogql.parser import parse
from posthog_mcp.hogql.placeholders import SERVER_NAMES, placeholder_names
from posthog_mcp.hogql.walk import walk

Reason = Literal["too long", "not a select", "several statements", "syntax", "offset", "placeholder"]


class QueryRefusedError(Exception):
    """A query that is not worth sending; `str()` is what, why and next, one sentence each.

    Attributes:
        reason: Which rule refused it.
        what: What failed.
        why: Why.
        next: What to do.
        cause: Where in the text, for a mistake of syntax.
    """

    def __init__(
        self, reason: Reason, what: str, why: str, advice: str, cause: HogQLSyntaxError | None = None
    ) -> None:
        self.reason = reason
        self.what = what
        self.why = why
        self.next = advice
        self.cause = cause
        super().__init__(f"{what} {why} {advice}")


def refuse(
    text: str, values: Mapping[str, object] | None = None, *, unchecked: bool = False
) -> ast.Query | None:
    """Read a query and refuse what PostHog would refuse, or what should not be sent at all.

    Args:
        text: The query.
        values: The values sent with it, by the names of placeholders.
        unchecked: Let text pass that our grammar cannot read: PostHog's may be newer. The other rules stay.

    Returns:
        The tree; None if the text could not be read and `unchecked` let it pass.

    Raises:
        QueryRefusedError: It should not be sent.
    """
    if len(text.encode(errors="replace")) > MAX_TEXT_BYTES:
        raise _too_long()
    try:
        query = parse(text)
    except HogQLSyntaxError as error:
        refusal = _unreadable(text, error)
        if unchecked and refusal.reason == "syntax":
            return None
        raise refusal from error
    _refuse_offset(query)
    _refuse_placeholders(query, values or {})
    return query


def _too_long() -> QueryRefusedError:
    return QueryRefusedError(
        "too long",
        "The query is too long.",
        f"At most {MAX_TEXT_BYTES // 1024} kB are sent.",
        "Pass long lists in `values` and refer to them as {name}, or split the query.",
    )


def _unreadable(text: str, error: HogQLSyntaxError) -> QueryRefusedError:
    try:
        tokens = tokenize(text)
    except HogQLSyntaxError:
        return _syntax(error)
    kinds = [token[0] for token in tokens]
    if ";" in kinds and kinds[kinds.index(";") + 1] != "eof":
        return QueryRefusedError(
            "several statements",
            "The text holds more than one statement.",
            "PostHog runs one SELECT per request.",
            "Send them one at a time, or combine them with UNION ALL.",
            error,
        )
    if kinds[0] not in ("select", "with", "(", "{", "<", "eof"):
        return QueryRefusedError(
            "not a select",
            f"The query starts with `{tokens[0][1][:40]}` and is no SELECT.",
            "HogQL only reads: PostHog refuses INSERT, UPDATE, DELETE and DDL.",
            "Write a SELECT (or WITH … SELECT); change data with the tools made for it.",
            error,
        )
    return _syntax(error)


def _syntax(error: HogQLSyntaxError) -> QueryRefusedError:
    return QueryRefusedError(
        "syntax",
        f"The query could not be read: {error}.",
        "It was not sent, since PostHog would most likely refuse it too.",
        "Correct it; if you are sure that PostHog takes it, send it again with `unchecked: true`.",
        error,
    )


def _refuse_offset(query: ast.Query) -> None:
    if any(_has_offset(node) for node in walk(query)):
        raise QueryRefusedError(
            "offset",
            "The query uses OFFSET.",
            "PostHog refuses OFFSET (`LIMIT n, m` too, and in LIMIT BY) from personal API keys.",
            "Go on from the last row instead, such as `WHERE (timestamp, uuid) < ({last_time}, {last_uuid})"
            " ORDER BY timestamp DESC, uuid DESC LIMIT 1000` with its values; LIMIT may be up to 50000.",
        )


def _has_offset(node: ast.Node) -> bool:
    if isinstance(node, ast.SelectQuery | ast.SelectSetQuery):
        return node.offset is not None
    return isinstance(node, ast.LimitByExpr) and node.offset_value is not None


def _refuse_placeholders(query: ast.Query, values: Mapping[str, object]) -> None:
    missing = [name for name in placeholder_names(query) if not _has_value(name, values)]
    if missing:
        written = ", ".join(f"{{{name}}}" for name in missing)
        raise QueryRefusedError(
            "placeholder",
            f"There is no value for {written}.",
            "PostHog refuses a query with a placeholder that nothing fills.",
            f'Pass it in `values`, as in {{"{missing[0]}": …}}, or write it into the query.',
        )


def _has_value(name: str, values: Mapping[str, object]) -> bool:
    first = name.partition(".")[0]
    return first in SERVER_NAMES or name in values or first in values
