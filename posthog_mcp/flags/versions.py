"""Semantic versions as PostHog's flags compare them: three numbers, no pre-release."""

from __future__ import annotations

from functools import lru_cache

Version = tuple[int, int, int]


def parse_version(value: object, *, leading_zeros: bool = False) -> Version:
    """The three numbers of a version; missing parts are 0, further ones and suffixes are dropped.

    Args:
        value: Text, or a number that is read as its text.
        leading_zeros: Accept `3.08` as 3.8, which the server does and local evaluation does not.

    Raises:
        ValueError: When a part is not a number.
    """
    return _parse(value if isinstance(value, str) else str(value), leading_zeros)


@lru_cache(maxsize=1_024)
def _parse(text: str, leading_zeros: bool) -> Version:
    # A person's version is read again by every flag that asks for it.
    text = text.strip().lstrip("vV").split("-")[0].split("+")[0]
    first, *rest = text.split(".")
    minor, patch = (*rest[:2], "", "")[:2]
    return (
        _number(first, leading_zeros),
        _number(minor, leading_zeros) if minor else 0,
        _number(patch, leading_zeros) if patch else 0,
    )


def _number(part: str, leading_zeros: bool) -> int:
    if not part.isdigit():
        raise ValueError(f"{part!r} is not a version number")
    if part[0] == "0" and len(part) > 1 and not leading_zeros:
        raise ValueError(f"{part!r} has a leading zero")
    return int(part)


def version_range(operator: str, value: object, *, leading_zeros: bool = False) -> tuple[Version, Version]:
    """The half-open range of `semver_tilde`, `semver_caret` or `semver_wildcard`.

    Raises:
        ValueError: When the value is not a version, or not a wildcard one.
    """
    if operator == "semver_wildcard":
        return _wildcard_range(str(value), leading_zeros)
    major, minor, patch = lower = parse_version(value, leading_zeros=leading_zeros)
    if operator == "semver_tilde" or (major == 0 and minor > 0):
        return lower, (major, minor + 1, 0)
    if major > 0:
        return lower, (major + 1, 0, 0)
    return lower, (0, 0, patch + 1)


def _wildcard_range(text: str, leading_zeros: bool) -> tuple[Version, Version]:
    kept = text.strip().lstrip("vV").replace("*", "").split(".")
    numbers = [_number(part, leading_zeros) for part in [part for part in kept if part][:3]]
    match numbers:
        case [major]:
            return (major, 0, 0), (major + 1, 0, 0)
        case [major, minor]:
            return (major, minor, 0), (major, minor + 1, 0)
        case [major, minor, patch]:
            return (major, minor, patch), (major, minor, patch + 1)
        case _:
            raise ValueError(f"{text!r} names no version")
