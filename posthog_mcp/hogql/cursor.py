"""Where a parser stands in the tokens, and how it complains."""

from __future__ import annotations

from typing import NoReturn

from posthog_mcp.hogql.errors import MAX_DEPTH, MAX_TREE_DEPTH, HogQLSyntaxError
from posthog_mcp.hogql.lexer import NAMES, Token, tokenize, unquote

RESERVED = frozenset({"true", "false", "null", "team_id"})
"""What cannot be an alias: PostHog keeps these for itself."""

OPERATORS = frozenset({
    "*", "/", "%", "||", "+", "-", "=", "==", "!=", "<>", "<", "<=", ">", ">=", "<=>", "=~", "!~", "=~*",
    "!~*", "~", "~*", "??", "?", "?.", ".", ",", ":", "::", ")", "]", "}", "f}", "'f", ";", "eof",
    "and", "or", "like", "ilike", "between", "is", "in",
})  # fmt: skip
"""Kinds that carry on after an expression or end it; those that may also start one: `+`, `-`, `*`."""

_LONGEST_QUOTE = 40

CLAUSES = {
    "from": "FROM", "prewhere": "PREWHERE", "where": "WHERE", "group": "GROUP BY", "having": "HAVING",
    "qualify": "QUALIFY", "window": "WINDOW", "order": "ORDER BY", "limit": "LIMIT", "offset": "OFFSET",
}  # fmt: skip
"""First words of the clauses after the columns, in the order they must come."""


class Cursor:
    """Tokens, a place among them, and the limits."""

    __slots__ = ("_closings", "chained", "depth", "i", "kinds", "text", "tokens")

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[Token] = tokenize(text)
        self.kinds: list[str] = [token[0] for token in self.tokens]
        self.i: int = 0
        self.depth: int = 0
        self.chained: int = 0
        self._closings: dict[int, int] | None = None

    @property
    def start(self) -> int:
        """Offset of the next token."""
        return self.tokens[self.i][2]

    @property
    def end(self) -> int:
        """Offset after the last token taken."""
        return self.tokens[self.i - 1][3]

    def accept(self, kind: str) -> bool:
        """Take the next token if it is of this kind."""
        if self.kinds[self.i] == kind:
            self.i += 1
            return True
        return False

    def accept_words(self, *kinds: str) -> bool:
        """Take the next tokens if they are of these kinds."""
        if self.kinds[self.i : self.i + len(kinds)] == list(kinds):
            self.i += len(kinds)
            return True
        return False

    def expect(self, kind: str, expected: str = "") -> None:
        """Take the next token, which must be of this kind."""
        if self.kinds[self.i] != kind:
            self.fail(expected or f"`{kind}`")
        self.i += 1

    def name(self, expected: str) -> str:
        """Take a name: an identifier, a quoted one, or a keyword used as one."""
        token = self.tokens[self.i]
        if token[0] not in NAMES:
            self.fail(expected)
        self.i += 1
        return unquote(token, self.text) if token[0] == "quoted" else token[1]

    def names(self, expected: str) -> list[str]:
        """Take `(a, b)`."""
        self.expect("(")
        found = [self.name(expected)]
        while self.accept(","):
            found.append(self.name(expected))
        self.expect(")")
        return found

    def alias(self) -> str:
        """Take what may follow AS."""
        token = self.tokens[self.i]
        if token[0] == "string":
            self.i += 1
            alias = unquote(token, self.text)
        else:
            alias = self.name("a name after AS")
        if token[0] != "quoted" and alias.lower() in RESERVED:
            message = f"`{alias}` cannot be an alias, PostHog reserves it: choose another name"
            raise HogQLSyntaxError(message, self.text, token[2], token[3], "another name")
        return alias

    def enter(self) -> None:
        """Go one level deeper; `depth` is taken back by whoever called."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail_depth(f"nested more than {MAX_DEPTH} levels deep")

    def chain(self, length: int) -> None:
        """Count a link of a chain whose every link holds the one before."""
        self.chained += 1
        if length > MAX_TREE_DEPTH:
            self.fail_depth(f"a chain of more than {MAX_TREE_DEPTH} operators or joins")

    def closing(self, opening: int) -> int:
        """Index of the token that closes the bracket at an index, or one near the end if none does."""
        if self._closings is None:
            self._closings, stack = {}, list[int]()
            for index, kind in enumerate(self.kinds):
                if kind in ("(", "[", "{"):
                    stack.append(index)
                elif kind in (")", "]", "}") and stack:
                    self._closings[stack.pop()] = index
        return self._closings.get(opening, len(self.tokens) - 2)

    def starts_expression(self, index: int) -> bool:
        """Whether the token at an index can start an expression other than by being an odd name."""
        kind = self.kinds[index]
        return kind not in OPERATORS or kind in ("+", "-", "*")

    def starts_clause(self) -> bool:
        """Whether a clause of a SELECT starts here, rather than a name that looks like it."""
        kind, following = self.kinds[self.i], self.kinds[self.i + 1]
        if kind in ("group", "order"):
            return following == "by"
        if kind == "from":
            return following in NAMES or following in ("(", "{")
        if kind == "window":
            return following in NAMES and self.kinds[self.i + 2] == "as"
        if kind in ("union", "except", "intersect"):
            return following in ("all", "distinct", "select", "with", "(")
        return kind in CLAUSES and following in (
            "name",
            "quoted",
            "number",
            "string",
            "{",
            "[",
            "not",
            "timestamp",
        )

    def found(self) -> str:
        """Words for the next token."""
        kind, value, _, _ = self.tokens[self.i]
        if kind == "eof":
            return "the end of the text"
        return f"`{value if len(value) <= _LONGEST_QUOTE else value[:_LONGEST_QUOTE] + '…'}`"

    def fail(self, expected: str) -> NoReturn:
        """Stop: something else was expected here."""
        _, _, start, end = self.tokens[self.i]
        raise HogQLSyntaxError(f"expected {expected}, found {self.found()}", self.text, start, end, expected)

    def fail_depth(self, what: str) -> NoReturn:
        """Stop: a limit of ours."""
        _, _, start, end = self.tokens[self.i]
        message = f"the query is too deep to be read: {what}; split it with WITH, lists or array functions"
        raise HogQLSyntaxError(message, self.text, start, end, "a flatter query")

    def unsupported(self, what: str, instead: str, *, width: int = 1) -> NoReturn:
        """Stop: PostHog's grammar has this, but it is not supported; say what to write instead."""
        start, end = self.start, self.tokens[min(self.i + width, len(self.tokens)) - 1][3]
        raise HogQLSyntaxError(f"{what} is not supported: {instead}", self.text, start, end, instead)
