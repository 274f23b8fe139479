"""Questions of surveys: as tools take them, as PostHog keeps them, and in words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from posthog_mcp.tool.arguments import Input
from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.filter_rows import AS_TEXT, listed_as

SCALES = (3, 5, 7, 10)
_NPS = 10
_FOR = {
    "choices": ("single_choice", "multiple_choice"),
    "open_choice": ("single_choice", "multiple_choice"),
    "labels": ("rating",),
    "link": ("link",),
}
_SHOWN = ("id", "type", "question", "description", "choices", "scale", "link")
Json = dict[str, Any]


class Question(Input):
    """One question."""

    type: Literal["open", "rating", "single_choice", "multiple_choice", "link"] = Field(
        description="How it is answered."
    )
    question: str = Field(min_length=1, description="The text.")
    choices: list[str] = Field(default_factory=list[str], description="2 to 20.")
    open_choice: bool = Field(default=False, description="The last choice is free text.")
    scale: int = Field(10, description="Of a rating: 3, 5, 7, or 10 for NPS (0-10).")
    labels: list[str] = Field(default_factory=list[str], description="Of its lowest, of its highest.")
    link: str = Field("", description="https or mailto.")
    optional: bool = Field(default=False, description="May be skipped.")

    @model_validator(mode="after")
    def _fits(self) -> Question:
        for name, types in _FOR.items():
            if getattr(self, name) and self.type not in types:
                raise ValueError(f"`{name}` goes with {' and '.join(types)}, not with {self.type}")
        if self.type in _FOR["choices"] and len(self.choices) < 2:  # noqa: PLR2004 - something to choose
            raise ValueError(f"a {self.type} question needs at least two `choices`")
        if self.type == "rating" and self.scale not in SCALES:
            raise ValueError("`scale` must be 3, 5, 7 or 10")
        if len(self.labels) not in (0, 2):
            raise ValueError("`labels` are two: for the lowest and the highest")
        if self.type == "link" and not self.link.startswith(("https://", "mailto:")):
            raise ValueError("a link question needs a `link` that begins with https:// or mailto:")
        return self


QuestionRows = Annotated[list[Question], listed_as('[{"type": "open", "question": "Why?"}]'), AS_TEXT]
"""An argument of questions: in the schema JSON text; a real list is taken as well."""


def posthog_question(row: Question) -> Json:
    """The row as PostHog's own question."""
    made: Json = {"type": row.type, "question": row.question}
    if row.optional:
        made["optional"] = True
    if row.type == "rating":
        made |= {"display": "number", "scale": row.scale}
        if row.labels:
            made |= {"lowerBoundLabel": row.labels[0], "upperBoundLabel": row.labels[1]}
        if row.scale == _NPS:
            made["isNpsQuestion"] = True
    if row.choices:
        made["choices"] = row.choices
    if row.open_choice:
        made["hasOpenChoice"] = True
    if row.link:
        made["link"] = row.link
    return made


def in_words(question: Json) -> Json:
    """What matters of PostHog's question."""
    shown = {name: question[name] for name in _SHOWN if question.get(name)}
    labels = [question.get("lowerBoundLabel"), question.get("upperBoundLabel")]
    return shown | {
        **({"labels": labels} if any(labels) else {}),
        **({"emoji": True} if question.get("display") == "emoji" else {}),
        **({"open_choice": True} if question.get("hasOpenChoice") else {}),
        **({"optional": True} if question.get("optional") else {}),
    }


def is_nps(question: Json) -> bool:
    """Whether its answers make a net promoter score; a scale of 10 does unless it says otherwise."""
    return (
        question.get("type") == "rating"
        and question.get("scale") == _NPS
        and question.get("isNpsQuestion") is not False
    )


def changed_questions(
    questions: list[Json], *, change: Json, remove: list[str], add: list[Question]
) -> list[Json]:
    """The questions after an update; those it does not name stay as they are, with their ids.

    Args:
        questions: PostHog's own, as they are.
        change: PostHog's fields to set, by the id or the text of a question; null takes a field out.
        remove: Ids or texts.
        add: Put at the end.

    Raises:
        ToolFailure: A question is named that is not there, or none would be left.
    """
    after = [{**one} for one in questions]
    for named, fields in change.items():
        found = _named(after, named)
        if not isinstance(fields, dict) or "id" in fields:
            raise ToolFailure(
                "Nothing was changed.",
                f"`change_questions` must give an object of fields for `{named}`, and the id stays.",
                'Write {"<id>": {"question": "New text"}}.',
            )
        merge(found, fields)  # pyright: ignore[reportUnknownArgumentType]
    for named in remove:
        after.remove(_named(after, named))
    after += [posthog_question(one) for one in add]
    if not after:
        raise ToolFailure(
            "Nothing was changed.",
            "No question would be left.",
            "Add one in the same call, or delete the survey with delete_survey.",
        )
    return after


def merge(into: Json, fields: Json) -> None:
    """Set fields of an object; null takes one out."""
    for name, value in fields.items():
        if value is None:
            into.pop(name, None)
        else:
            into[name] = value


def _named(questions: list[Json], named: str) -> Json:
    found = [one for one in questions if named in (one.get("id"), one.get("question"))]
    if len(found) == 1:
        return found[0]
    there = "; ".join(f"{one.get('question')} ({one.get('id')})" for one in questions)
    raise ToolFailure(
        f"Nothing was changed: {'several questions are' if found else 'no question is'} `{named}`.",
        f"The survey has {there or 'none'}.",
        "Name each by its id.",
    )
