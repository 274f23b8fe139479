"""Text to value: how each setting is read. A ValueError says what is valid, without the value itself."""

import difflib
import importlib.util
import math
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

AREAS = (
    "events",
    "flags",
    "experiments",
    "annotations",
    "query",
    "insights",
    "persons",
    "surveys",
    "errors",
    "replay",
    "ai",
    "web",
    "project",
    "api",
)
LIMIT_CLASSES = ("crud", "analytics", "query", "values", "definitions")

_RATE = re.compile(r"(\d{1,9})/(\d{1,9}(?:\.\d{1,3})?)([smh])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}


class Rate(NamedTuple):
    """At most `permits` requests of one limit class within any `seconds`."""

    limit_class: str
    permits: int
    seconds: float


def parse_limits(text: str) -> tuple[Rate, ...] | None:
    """Read `crud=480/60s,4800/3600s;query=240/60s` (units s, m, h), or `off`, which is None.

    Raises:
        ValueError: It says what does not fit.
    """
    if text.strip().lower() == "off":
        return None
    rates: list[Rate] = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        limit_class, equals, listed = (piece.strip() for piece in part.partition("="))
        if not equals or limit_class not in LIMIT_CLASSES:
            raise ValueError(
                f"{part!r} must start with one of {', '.join(LIMIT_CLASSES)} and an equals sign, "
                "as in crud=480/60s,4800/3600s"
            )
        for rate in listed.split(","):
            match = _RATE.fullmatch(rate.strip())
            if match is None or not int(match[1]) or not float(match[2]):
                raise ValueError(f"{rate.strip()!r} must be permits and window above zero, as in 480/60s")
            rates.append(Rate(limit_class, int(match[1]), float(match[2]) * _UNIT_SECONDS[match[3]]))
    return tuple(rates)


def one_of(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    """Read one of the words of an enumeration, whatever its case."""

    def parse(text: str) -> StrEnum:
        try:
            return kind(text.strip().lower())
        except ValueError:
            raise ValueError(f"valid are {', '.join(kind)}") from None

    return parse


def seconds(least: float, most: float) -> Callable[[str], float]:
    """Read a number of seconds within bounds."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise ValueError(f"valid are numbers of seconds from {least:g} to {most:g}")
        return value

    return parse


def count(least: int, most: int) -> Callable[[str], int]:
    """A reader of whole numbers between two bounds."""

    def parse(text: str) -> int:
        digits = text.strip().replace("_", "")
        if not digits.isdecimal() or not least <= int(digits) <= most:
            raise ValueError(f"a whole number from {least:,} to {most:,}")
        return int(digits)

    return parse


def boolean(text: str) -> bool:
    """Read yes or no."""
    word = text.strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError("valid are true and false")


def project(text: str) -> int:
    """Read a project's number."""
    if not re.fullmatch(r"[0-9]{1,12}", text) or not int(text):
        raise ValueError("valid is a project's number, as in https://us.posthog.com/project/12345")
    return int(text)


def names(text: str) -> tuple[str, ...]:
    """Read names with commas or blanks between."""
    return tuple(dict.fromkeys(name for name in re.split(r"[,\s]+", text) if name))


def areas(text: str) -> tuple[str, ...]:
    """Read names of areas, or `all`."""
    given = names(text.lower())
    valid = (*AREAS, "all")
    for name in given:
        if name not in valid:
            near = difflib.get_close_matches(name, valid, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"there is no area {name!r}{hint}; valid are {', '.join(valid)}")
    return given


def tools(text: str) -> tuple[str, ...]:
    """Read `+name,-name`."""
    given = names(text)
    for name in given:
        if not re.fullmatch(r"[+-][a-z][a-z0-9_]*", name):
            raise ValueError(f"{name!r} must be +name to add a tool or -name to take it out")
    return given


def directory(text: str) -> Path:
    """Read an absolute path."""
    path = Path(text).expanduser()
    if not path.is_absolute():
        # the working directory of a server that a desktop application starts is / or undefined
        raise ValueError("valid is an absolute path")
    return path


def file(text: str) -> Path:
    """Read the absolute path of a file that exists."""
    path = directory(text)
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def url(*schemes: str) -> Callable[[str], str]:
    """Read a URL with one of these schemes."""

    def parse(text: str) -> str:
        scheme, separator, rest = text.partition("://")
        if not separator or not rest or scheme.lower() not in schemes:
            raise ValueError(f"valid are URLs that start with {' or '.join(s + '://' for s in schemes)}")
        return text

    return parse


def secret_url(*schemes: str) -> Callable[[str], SecretStr]:
    """Like `url`, for URLs that may hold a password."""
    return lambda text: SecretStr(url(*schemes)(text))


def redis_url(text: str) -> SecretStr:
    """Read the URL of a Redis, which needs its client."""
    if importlib.util.find_spec("redis") is None:
        raise ValueError("it needs the redis extra: pip install 'posthog-mcp[redis]'")
    return secret_url("redis", "rediss", "unix")(text)


def secrets(text: str) -> tuple[SecretStr, ...]:
    """Read secrets with commas or blanks between."""
    return tuple(SecretStr(name) for name in names(text))
