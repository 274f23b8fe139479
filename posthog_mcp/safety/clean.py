"""Removes characters that a person reading the text would not see.

Anyone who holds a project's public key can write events, so names and values read back may hide instructions
in characters that no screen shows: control characters, bidirectional overrides, zero-width and tag
characters, fillers that render as nothing. Joiners inside emoji and inside scripts that need them stay, as do
the tags that spell a regional flag.
"""

import re
from typing import Any, cast

# Removed wherever they stand. Tab and newline are not here: the renderer escapes them.
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, fillers
    "\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u206f"  # zero width, direction
    "\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"  # blanks that look like nothing, byte order mark, annotations
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # formats, tags, variation supplements
)
_REGIONAL_FLAG = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f"
# A joiner is visible work only between two characters that it can join; elsewhere it is a place to hide.
_JOINER = "(?<=[^\x00-\u02ff\u2000-\u200f])[\u200c\u200d](?=[^\x00-\u02ff\u2000-\u200f])"
# One variation selector after a visible character chooses its form; a run of them spells bytes.
_SELECTOR = "(?<=[^\x00-\x22\x24-\x29\x2b-\x2f\x3a-\u00a8\ufe00-\ufe0f])[\ufe00-\ufe0f](?![\ufe00-\ufe0f])"
_SUSPECT = re.compile(
    f"(?P<keep>{_REGIONAL_FLAG}|{_JOINER}|{_SELECTOR})|[{_HIDDEN}\u200c\u200d\ufe00-\ufe0f]|(?P<surrogate>[\ud800-\udfff])",
)


def _replace(match: re.Match[str]) -> str:
    if match["keep"]:
        return match["keep"]
    return "\ufffd" if match["surrogate"] else ""


def clean(text: str) -> str:
    """`text` without hidden characters; lone surrogates become U+FFFD. Clean text comes back unchanged."""
    if text.isascii() and text.isprintable():
        return text
    return _SUSPECT.sub(_replace, text)


def clean_value(value: Any) -> Any:
    """A JSON value with every text in it cleaned, keys included."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(key)): clean_value(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [clean_value(item) for item in cast("list[Any]", value)]
    return value
