"""Answers to a survey's questions: counted, and in words. Anybody can send any text as one."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from math import inf
from typing import Any

Json = dict[str, Any]
COLUMNS = ["question", "answer", "count", "share", "at"]
_CHOICES = ("single_choice", "multiple_choice")
_NPS_SCALE = 10  # the only one that begins at 0
_PROMOTES, _DETRACTS = 9, 6  # from the one up, from the other down


@dataclass(frozen=True, slots=True)
class Given:
    """One answer: the texts it consists of (several only for several choices), and when it was given."""

    texts: list[str]
    at: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with its answers, latest first, of `of` responses.

    Attributes:
        number: Its place, from 1.
        question: PostHog's question.
        given: One for each response that answers it.
        of: How many responses there are.
        nps: Whether the answers make a net promoter score.
    """

    number: int
    question: Json
    given: list[Given]
    of: int
    nps: bool = False


def read(text: Any, question: Json) -> list[str]:
    """An answer as the query hands it out, as the texts it consists of; none for no answer."""
    if text in (None, "", []):
        return []
    if isinstance(text, str) and question.get("type") == "multiple_choice" and text.startswith("["):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return [text]  # a text of one's own may begin with a bracket
        return [str(item) for item in value]
    return [str(item) for item in text] if isinstance(text, list) else [str(text)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def sentence(one: Answered) -> str:
    """How many answered, and what it comes to: the average, the score."""
    kind = str(one.question.get("type"))
    scale = one.question.get("scale")
    how = kind.replace("_", " ")
    if kind == "rating":
        how = f"rating {0 if scale == _NPS_SCALE else 1}-{scale}"
    told = [f"{len(one.given)} of {one.of} answered"]
    scores = _scores(one)
    if scores:
        told.append(f"average {sum(scores) / len(scores):.2f}")
        if one.nps:
            told.append(_nps(scores))
    if kind == "rating" and len(scores) < len(one.given):
        told.append(f"{len(one.given) - len(scores)} outside the scale left out")
    return f"{one.number}. {one.question.get('question')} ({how}): {', '.join(told)}."


def rows(one: Answered, texts: int) -> list[list[Any]]:
    """Rows under `COLUMNS`: each rating or choice with its count and share; of free texts the latest."""
    kind = one.question.get("type")
    if kind == "rating":
        counted = Counter(_scores(one))
        return [_row(one, f"{score:g}", counted[score]) for score in sorted(counted)]
    if kind in _CHOICES:
        return _choices(one, texts)
    return [[one.number, text, None, None, given.at] for given in one.given[:texts] for text in given.texts]


def _choices(one: Answered, texts: int) -> list[list[Any]]:
    choices: list[str] = one.question.get("choices") or []
    counted = Counter(text for given in one.given for text in given.texts)
    own = [(text, given.at) for given in one.given for text in given.texts if text not in choices]
    listed = [_row(one, choice, counted[choice]) for choice in choices]
    if not own:
        return listed
    return [
        *listed,
        _row(one, "(other)", len(own)),
        *([one.number, text, None, None, at] for text, at in own[:texts]),
    ]


def _row(one: Answered, answer: str, count: int) -> list[Any]:
    share = f"{100 * count / len(one.given):.1f} %" if one.given else None
    return [one.number, answer, count, share, None]


def _scores(one: Answered) -> list[float]:
    """The ratings that the scale has."""
    if one.question.get("type") != "rating":
        return []
    scale = one.question.get("scale")
    lowest, highest = 0 if scale == _NPS_SCALE else 1, scale or inf
    numbers = [_number(text) for given in one.given for text in given.texts]
    return [number for number in numbers if number is not None and lowest <= number <= highest]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _nps(scores: list[float]) -> str:
    promoters = sum(score >= _PROMOTES for score in scores)
    detractors = sum(score <= _DETRACTS for score in scores)
    everybody = len(scores)
    shares = (promoters, everybody - promoters - detractors, detractors)
    named = zip(shares, ("promoters", "passives", "detractors"), strict=True)
    split = ", ".join(f"{100 * share / everybody:.0f} % {name}" for share, name in named)
    return f"NPS {100 * (promoters - detractors) / everybody:.1f} ({split})"
