"""Asking the human before an act that takes something away, or reaches people unseen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """What a human is asked.

    Attributes:
        act: In plain words, and whether there is a way back: `Delete the feature flag new-checkout of project
            Shop (1). undo_change can restore it.`
        name: What they must type to agree: the name of the object.
    """

    act: str
    name: str

    def __str__(self) -> str:
        return f"{self.act} Type {self.name} to go on."


class AnswerPending(Exception):  # noqa: N818 - a turn of the conversation, not an error
    """The human's answer will come with a later request; the call starts again then."""

    def __init__(self, question: Question) -> None:
        self.question = question
        super().__init__(str(question))
