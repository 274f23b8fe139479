"""What well-known language models cost, for the sandbox; PostHog's own table is longer and kept up to date.

Source: the makers' public price lists, as of 2025; US dollars for a million tokens, read and written.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_MILLION: Final = 1_000_000


class Price(NamedTuple):
    """US dollars for one token.

    Attributes:
        model: The name it stands under.
        input: For a token that is read.
        output: For a token that is written.
    """

    model: str
    input: float
    output: float


_PER_MILLION: Final = {
    "gpt-4o": (2.5, 10.0),
    "gpt-4o-mini": (0.15, 0.6),
    "gpt-4.1": (2.0, 8.0),
    "gpt-4.1-mini": (0.4, 1.6),
    "gpt-4.1-nano": (0.1, 0.4),
    "gpt-5": (1.25, 10.0),
    "gpt-5-mini": (0.25, 2.0),
    "o3": (2.0, 8.0),
    "o4-mini": (1.1, 4.4),
    "claude-3-5-haiku": (0.8, 4.0),
    "claude-3-5-sonnet": (3.0, 15.0),
    "claude-3-7-sonnet": (3.0, 15.0),
    "claude-sonnet-4": (3.0, 15.0),
    "claude-opus-4": (15.0, 75.0),
    "gemini-2.0-flash": (0.1, 0.4),
    "gemini-2.5-flash": (0.3, 2.5),
    "gemini-2.5-pro": (1.25, 10.0),
    "text-embedding-3-small": (0.02, 0.0),
    "text-embedding-3-large": (0.13, 0.0),
}


def price_of(model: str) -> Price | None:
    """The price of a model, by the longest known name that its own begins with; None where none is known.

    Args:
        model: As the client sent it; a maker before a slash does not count.
    """
    name = model.lower().rpartition("/")[2]
    known = max((known for known in _PER_MILLION if name.startswith(known)), key=len, default=None)
    if known is None:
        return None
    read, written = _PER_MILLION[known]
    return Price(known, read / _MILLION, written / _MILLION)
