"""A survey that members see once they have created a project: some answer, some close it, most do neither."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID, uuid5
from zlib import crc32

from posthog_mcp.sandbox.ingest import RawEvent

_EVENTS: Final = UUID("7be0b0c6-6f0b-5f0e-9d0a-2a6f7d1c4e58")
NAME: Final = "Would you recommend Trellis?"
#: The event that shows it, one of each member who gets as far.
SHOWN_BY: Final = "project_created"
_SCORE, _USES, _WHY = "recommend", "uses", "why"
_CHOICES: Final = ("Planning projects", "Tracking tasks", "Reporting")
QUESTIONS: Final[tuple[dict[str, Any], ...]] = (
    {
        "id": _SCORE,
        "type": "rating",
        "question": "How likely are you to recommend Trellis to a colleague?",
        "display": "number",
        "scale": 10,
        "isNpsQuestion": True,
    },
    {
        "id": _USES,
        "type": "multiple_choice",
        "question": "What do you use it for?",
        "choices": list(_CHOICES),
        "optional": True,
    },
    {"id": _WHY, "type": "open", "question": "What could be better?", "optional": True},
)
#: A survey that is still being written.
DRAFT: Final[dict[str, Any]] = {
    "name": "Why did you cancel?",
    "type": "popover",
    "questions": [{"id": "reason", "type": "open", "question": "What made you leave?"}],
    "conditions": {"events": {"values": [{"name": "subscription_cancelled"}]}},
}
_SCORES: Final = (10, 9, 7, 10, 8, 9, 3, 10, 9, 6, 8, 10, 9, 1, 7)
_BETTER: Final = ("Faster reports", "Reports do not open in Safari", "More templates", "A calendar view", "")
_OF: Final = 10
_ANSWER, _CLOSE = 4, 6  # of ten: the first four answer, two more close it


def score(distinct_id: str) -> int | None:
    """What a member who is shown the survey answers to its first question; None for who does not answer."""
    drawn = crc32(distinct_id.encode())
    return _SCORES[drawn // _OF % len(_SCORES)] if drawn % _OF < _ANSWER else None


def surveyed(events: Iterable[RawEvent], survey: str) -> Iterator[RawEvent]:
    """The events, and behind each that shows the survey what became of it.

    Args:
        events: In order of time.
        survey: Its id.
    """
    for event in events:
        yield event
        if event.event == SHOWN_BY:
            yield _event(event, survey, 1, "survey shown")
            drawn = crc32(event.distinct_id.encode())
            if drawn % _OF < _ANSWER:
                yield _event(event, survey, 9, "survey sent", **_answers(event, drawn // _OF))
            elif drawn % _OF < _CLOSE:
                yield _event(event, survey, 3, "survey dismissed")


def _answers(event: RawEvent, drawn: int) -> dict[str, Any]:
    uses = [choice for number, choice in enumerate(_CHOICES) if drawn >> number & 1]
    given = {
        _SCORE: str(score(event.distinct_id)),
        _USES: uses or None,
        _WHY: _BETTER[drawn % len(_BETTER)] or None,
    }
    told = {f"$survey_response_{name}": value for name, value in given.items() if value is not None}
    submission = str(uuid5(_EVENTS, f"{event.uuid} submission"))
    return {"$survey_submission_id": submission, "$survey_completed": True, **told}


def _event(shown_by: RawEvent, survey: str, seconds: int, name: str, **properties: Any) -> RawEvent:
    page = {key: value for key, value in shown_by.properties.items() if key.startswith("$")}
    return RawEvent(
        name,
        shown_by.distinct_id,
        {**page, "$survey_id": survey, "$survey_name": NAME, **properties},
        uuid=str(uuid5(_EVENTS, f"{shown_by.uuid} {name}")),
        timestamp=cast("datetime", shown_by.timestamp) + timedelta(seconds=seconds),
    )
