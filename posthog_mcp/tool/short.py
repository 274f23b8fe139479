"""Texts and lists of sensible length, whose limits are told to whoever exceeds them.

In the list of tools each limit would cost more than it tells: nobody comes near it by chance.
"""

from typing import Annotated

from pydantic import AfterValidator

_LONGEST, _MOST = 400, 20


def _short(text: str) -> str:
    if len(text) > _LONGEST:
        raise ValueError(f"is too long: at most {_LONGEST} characters")
    return text


def _few(names: list[str]) -> list[str]:
    if len(names) > _MOST:
        raise ValueError(f"has too many: at most {_MOST}")
    return [_short(name) for name in names]


Short = Annotated[str, AfterValidator(_short)]
"""A text of at most 400 characters, as long as PostHog's names and ids can be."""
Names = Annotated[list[str], AfterValidator(_few)]
"""At most 20 of them."""
