"""HogQL text to tokens: one compiled expression, one pass, never back.

Which escapes, comments and characters are allowed follows PostHog's own lexer (the tests compare them).
"""

from __future__ import annotations

import re

from posthog_mcp.hogql.errors import MAX_TOKENS, HogQLSyntaxError

Token = tuple[str, str, int, int]
"""Kind, text as written, start, end.

The kind of a keyword is the keyword in lower case, that of an operator the operator. Others: `name`, `quoted`
(an identifier in quotes), `string`, `number` (digits), `float` (with exponent), `hex`, `binary`, `octal`,
`eof`; in an f-string `f'`, `text`, `f{`, `f}`, `'f`.
"""

WORDS = frozenset({
    "all", "and", "anti", "any", "array", "as", "asc", "ascending", "asof", "between", "both", "by",
    "case", "cast", "catch", "cohort", "collate", "columns", "cross", "cube", "current", "date", "day",
    "desc", "descending", "distinct", "else", "end", "except", "exclude", "extract", "false", "fill",
    "filter", "final", "finally", "first", "fn", "following", "for", "from", "full", "fun", "group",
    "grouping", "having", "hour", "id", "if", "ignore", "ilike", "in", "include", "inf", "infinity",
    "inner", "interpolate", "intersect", "interval", "is", "join", "key", "lambda", "last", "leading",
    "left", "let", "like", "limit", "local", "materialized", "minute", "month", "name", "nan", "natural",
    "not", "null", "nulls", "offset", "on", "or", "order", "outer", "over", "partition", "pivot",
    "positional", "preceding", "prewhere", "qualify", "quarter", "range", "recursive", "replace",
    "return", "right", "rollup", "row", "rows", "sample", "second", "select", "semi", "sets", "settings",
    "step", "substring", "then", "throw", "ties", "time", "timestamp", "to", "top", "totals", "trailing",
    "trim", "true", "truncate", "try", "try_cast", "unbounded", "union", "unpivot", "using", "values",
    "week", "when", "where", "while", "window", "with", "year", "zone",
})  # fmt: skip
"""Keywords; each may be a name as well, those of `NEVER_NAMES` aside."""

NEVER_NAMES = frozenset({
    "catch", "except", "finally", "fn", "fun", "inf", "infinity", "intersect", "let", "materialized",
    "nan", "null", "throw", "try", "while",
})  # fmt: skip
"""Words that are no name without quotes, wherever they stand."""

NAMES = WORDS - NEVER_NAMES | {"name", "quoted"}
"""Kinds of token that can be a name."""

_KINDS = {word: word for word in WORDS}

_BLANK = r"""(?>
    [\t\n\v\f\r\ \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+
    |--[^\n]*|//[^\n]*|\#[^\n]*|/\*(?s:.)*?\*/)*+"""
_TOKEN = re.compile(
    _BLANK
    + r"""
    (?:([A-Za-z_$][A-Za-z0-9_$]*+)
    |((?:\d++\.\d*+|\.\d++|\d++)[eE][-+]?\d++)
    |(=~\*|!~\*|<=>|->|::|:=|\?\?|\?\.|\|\||==|=~|!=|!~|<>|<=|>=|~\*
     |[-+*%(),.\[\]{}:;?=<>~]|/(?!\*))
    |('(?:[^'\\]|\\.|'')*+')
    |(0[xX][0-9a-fA-F]++)
    |(0[bB][01]++)
    |(0[oO][0-7]++)
    |(\d++)
    |(`(?:[^`\\]|\\.|``)*+`|"(?:[^"\\]|\\.|"")*+")
    |(\Z)
    |(.))
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD, _OPERATOR, _UNREADABLE = 1, 3, 11
_GROUP_KINDS = ("", "name", "float", "", "string", "hex", "binary", "octal", "number", "quoted", "eof")

_TEMPLATE = re.compile(r"(?:[^'\\{]|\\.|'')*+", re.DOTALL)

_ESCAPE = re.compile(r"\\(?:[xX][0-9a-fA-F]{2}|(.))|''|\"\"|``", re.DOTALL)
_DECODED = {"b": "\b", "f": "\f", "r": "\r", "n": "\n", "t": "\t", "a": "\a", "v": "\v", "0": "", "\\": "\\"}
_KEPT = frozenset("ABFNRTV")


def tokenize(text: str) -> list[Token]:
    """Split text into tokens, ended by four of kind `eof` so that a parser may look ahead freely.

    Raises:
        HogQLSyntaxError: A character, comment or quote that HogQL does not have.
    """
    tokens: list[Token] = []
    templates: list[int] = []  # of each f-string being read: braces open within its current {…}
    place = 0
    while place >= 0:
        place = _read(text, place, tokens, templates)
    tokens += [tokens[-1]] * 3
    return tokens


def _read(text: str, place: int, tokens: list[Token], templates: list[int]) -> int:
    """Read tokens to the end (then -1), or to the text of an f-string and over it (then where to go on)."""
    append, words = tokens.append, _KINDS
    for match in _TOKEN.finditer(text, place):
        group = match.lastindex or 0
        value = match[group]
        start, end = match.span(group)
        if group == _WORD:
            if value == "f" and text[end : end + 1] == "'":
                append(("f'", "f'", start, end + 1))
                return _template(text, end + 1, tokens, templates)
            append((words.get(value.lower(), "name"), value, start, end))
        elif group == _OPERATOR:
            if templates and value in "{}":
                templates[-1] += 1 if value == "{" else -1
                if templates[-1] == 0:
                    templates.pop()
                    append(("f}", value, start, end))
                    return _template(text, end, tokens, templates)
            append((value, value, start, end))
        elif group == _UNREADABLE:
            raise _unreadable(text, start)
        else:
            append((_GROUP_KINDS[group], value, start, end))
        if len(tokens) > MAX_TOKENS:
            limit = f"more than {MAX_TOKENS:,} words and signs"
            message = f"the query has {limit}: shorten it, or pass long lists as values"
            raise HogQLSyntaxError(message, text, start, end, "a shorter query")
    return -1


def _template(text: str, start: int, tokens: list[Token], templates: list[int]) -> int:
    """Read the text of an f-string up to `{` or its end; return where to go on."""
    match = _TEMPLATE.match(text, start)
    end = match.end() if match else start
    if end > start:
        tokens.append(("text", text[start:end], start, end))
    closing = text[end : end + 1]
    if closing == "{":
        templates.append(1)
        tokens.append(("f{", "{", end, end + 1))
    elif closing == "'":
        tokens.append(("'f", "'", end, end + 1))
    else:
        message = "the f-string that starts here has no closing quote"
        raise HogQLSyntaxError(message, text, start, end, "'")
    return end + 1


def _unreadable(text: str, start: int) -> HogQLSyntaxError:
    """Say what stands where no token could be read."""
    char = text[start]
    if text.startswith("/*", start):
        return HogQLSyntaxError(
            "the comment that starts here has no end: add `*/`", text, start, start + 2, "*/"
        )
    if char in "'\"`":
        message = f"the quote {char} that opens here is never closed"
        return HogQLSyntaxError(message, text, start, start + 1, char)
    message = f"unexpected character {char!r} (U+{ord(char):04X})"
    if char.isalpha():
        message += "; put names with such letters in backquotes: `" + char + "…`"
    elif char in "&|":
        message += "; write `and`, `or`, or `||` to join texts"
    elif char == "!":
        message += "; write `not`, or `!=`"
    return HogQLSyntaxError(message, text, start, start + 1)


def unquote(token: Token, text: str) -> str:
    """Decode a `string`, `quoted` or `text` token as PostHog does.

    Raises:
        HogQLSyntaxError: An escape that HogQL does not have.
    """
    kind, value, start, _ = token
    quote = "'" if kind == "text" else value[0]
    body = value if kind == "text" else value[1:-1]
    if "\\" not in body and quote not in body:
        return body

    def decode(match: re.Match[str]) -> str:
        whole, char = match[0], match[1]
        if char is None:
            return (quote if whole[0] == quote else whole) if whole[0] != "\\" else whole
        if (char == quote and quote != "`") or (char == "{" and kind == "text"):
            return char
        if char in _DECODED:
            return _DECODED[char]
        if char in _KEPT or (char == "'" and quote == "`"):
            return whole
        at = start + match.start() + (kind != "text")
        message = f"HogQL has no escape `{whole}`; write `\\\\{char}` for a backslash itself"
        raise HogQLSyntaxError(message, text, at, at + 2, "\\\\")

    return _ESCAPE.sub(decode, body)
