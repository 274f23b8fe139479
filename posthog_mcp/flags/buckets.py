"""Where PostHog's hash puts a subject between 0 and 1."""

from __future__ import annotations

from hashlib import sha1

_SCALE = float(2**60 - 1)


def bucket(text: str) -> float:
    """The place of a hashed text, from 0 to 1 with both ends possible.

    The first 15 hexadecimal digits of its SHA-1, over the largest such number.
    """
    # A lone surrogate is not UTF-8, but a caller's odd id must not end the evaluation.
    return (int.from_bytes(sha1(text.encode("utf-8", "surrogatepass")).digest()[:8]) >> 4) / _SCALE  # noqa: S324 PostHog's hash


def rollout_bucket(flag_key: str, subject: str) -> float:
    """The place that decides whether a subject is inside a rollout percentage."""
    return bucket(f"{flag_key}.{subject}")


def variant_bucket(flag_key: str, subject: str) -> float:
    """The place that decides a subject's variant."""
    return bucket(f"{flag_key}.{subject}variant")


def holdout_bucket(subject: str) -> float:
    """The place that decides whether a subject is held out, the same for every flag."""
    return bucket(f"holdout-{subject}")
