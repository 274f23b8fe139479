"""What becomes of a field of a query: it changes the answer, is refused, or rightly changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
ABSENT: Any = object()
NAMES_THE_KIND = "names the kind"
DRAWN = "says how to draw"
LABEL = "a label"
LEFT_ASIDE = "PostHog leaves it aside"
SAMPLE = "a sample is an estimate of what is counted whole"
HOW = "says how to compute, not what"
SERVES = "serves another field"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a value of a field does.

    Attributes:
        value: It.
        other: What the answer is compared with; without the field when absent.
        given: Fields beside it.
        around: Fields of the query around the object.
        status: What is answered.
        why: Nothing changes, for this reason.
    """

    value: Any
    other: Any = ABSENT
    given: Json = field(default_factory=dict[str, Any])
    around: Json = field(default_factory=dict[str, Any])
    status: int = 200
    why: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The verdicts on the fields of a definition, and how an object of it becomes a query."""

    query: Callable[[Json], Json]
    base: Json
    fields: dict[str, Verdict]


def to(value: Any, other: Any = ABSENT, /, *, around: Json | None = None, **given: Any) -> Verdict:
    """The field is computed: with the value the answer is another one."""
    return Verdict(value, other, given, around or {})


def no(value: Any, /, **given: Any) -> Verdict:
    """The field is refused by its name."""
    return Verdict(value, given=given, status=400)


def same(why: str, *names: str, value: Any = ABSENT) -> dict[str, Verdict]:
    """These fields are accepted and rightly change nothing."""
    return {name: Verdict(value, why=why) for name in names}


OBJECT = {**same(NAMES_THE_KIND, "kind"), **same("of the object itself", "version", value=1)}
COMMON = {**OBJECT, **same("for PostHog's logs", "tags", value={"name": "n"})}
