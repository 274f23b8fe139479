"""Where PostHog's hash puts a subject between 0 and 1.

The place is the first 15 hexadecimal digits of a SHA-1, over the largest such number. Flags compare the
digests themselves with a bound that was computed from the same division, which decides the same way in
half the time.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from hashlib import sha1

_PLACES = 2**60
_SCALE = float(_PLACES - 1)
_BEYOND_ALL = b"\xff" * 21
_PLACE_BYTES = 8


def encoded(subject: str) -> bytes:
    """A subject's id as it is hashed, even when it holds half a surrogate pair, which is not UTF-8."""
    try:
        return subject.encode()
    except UnicodeEncodeError:
        return subject.encode("utf-8", "surrogatepass")


def place(hashed: bytes) -> float:
    """The place of a hashed text, from 0 to 1 with both ends possible."""
    return (int.from_bytes(sha1(hashed).digest()[:_PLACE_BYTES]) >> 4) / _SCALE  # noqa: S324 PostHog's hash


def rollout_text(flag_key: str, subject: bytes) -> bytes:
    """What is hashed to tell whether a subject is inside a rollout percentage."""
    return encoded(f"{flag_key}.") + subject


def variant_text(flag_key: str, subject: bytes) -> bytes:
    """What is hashed to tell a subject's variant."""
    return encoded(f"{flag_key}.") + subject + b"variant"


def holdout_text(subject: bytes) -> bytes:
    """What is hashed to tell whether a subject is held out, the same for every flag."""
    return b"holdout-" + subject


@lru_cache(maxsize=4_096)
def bound(share: float, *, inclusive: bool) -> bytes:
    """The bytes below which a SHA-1 digest lies inside a share of the places.

    Args:
        share: The end of the share, 0 to 1.
        inclusive: Whether the end itself is inside, as it is for rollouts and not for variants.
    """
    outside = share.__lt__ if inclusive else share.__le__
    count = bisect_left(range(_PLACES), True, key=lambda at: outside(at / _SCALE))
    return _BEYOND_ALL if count == _PLACES else (count << 4).to_bytes(_PLACE_BYTES)
