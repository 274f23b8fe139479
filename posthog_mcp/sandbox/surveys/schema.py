"""What a client may write about a survey; fields that are absent keep their value."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import BaseModel, Field, field_validator, model_validator

from posthog_mcp.sandbox.http.times import iso, read_iso

MatchType = Literal["regex", "not_regex", "exact", "is_not", "icontains", "not_icontains"]
Json = dict[str, Any]
# Said about the request, and not kept.
NOT_KEPT = {"targeting_flag_filters", "remove_targeting_flag"}
_SCALES = (2, 3, 5, 7, 10)
_MOST_CHOICES = 20


class Question(BaseModel, extra="allow"):
    """One question; what only some types have is checked by type."""

    id: str = Field(default_factory=lambda: str(uuid4()))
    type: Literal["open", "link", "rating", "single_choice", "multiple_choice"]
    question: Annotated[str, Field(min_length=1)]
    description: str | None = None
    optional: bool | None = None
    buttonText: str | None = None  # noqa: N815 - PostHog's names, here and below
    link: str | None = None
    display: Literal["number", "emoji"] | None = None
    scale: int | None = None
    lowerBoundLabel: str | None = None  # noqa: N815
    upperBoundLabel: str | None = None  # noqa: N815
    isNpsQuestion: bool | None = None  # noqa: N815
    choices: list[str] | None = None
    hasOpenChoice: bool | None = None  # noqa: N815
    shuffleOptions: bool | None = None  # noqa: N815
    branching: Json | None = None

    @model_validator(mode="after")
    def _fits_its_type(self) -> Question:
        if self.link and not self.link.startswith(("https://", "mailto:")):
            raise ValueError("Link must be a URL to resource with one of these schemes [https, mailto]")
        if self.type == "rating" and self.scale not in _SCALES:
            raise ValueError(f"Rating questions need a scale out of {', '.join(map(str, _SCALES))}.")
        if self.type.endswith("_choice") and not 2 <= len(self.choices or []) <= _MOST_CHOICES:  # noqa: PLR2004 - as few
            raise ValueError(f"Choice questions need 2 to {_MOST_CHOICES} choices.")
        return self


class Conditions(BaseModel, extra="allow"):
    """When and where it is shown."""

    url: str | None = None
    urlMatchType: MatchType | None = None  # noqa: N815
    selector: str | None = None
    seenSurveyWaitPeriodInDays: Annotated[int | float, Field(ge=0)] | None = None  # noqa: N815
    deviceTypes: list[Literal["Desktop", "Mobile", "Tablet"]] | None = None  # noqa: N815
    deviceTypesMatchType: MatchType | None = None  # noqa: N815
    linkedFlagVariant: str | None = None  # noqa: N815
    events: Json | None = None
    actions: Json | None = None


class SurveyFields(BaseModel):
    """The body of a create or an update."""

    name: Annotated[str, Field(min_length=1, max_length=400)] = ""
    description: str = ""
    type: Literal["popover", "widget", "external_survey", "api"] | None = None
    schedule: Literal["once", "recurring", "always"] | None = "once"
    linked_flag_id: int | None = None
    linked_insight_id: int | None = None
    targeting_flag_id: int | None = None
    targeting_flag_filters: Json | None = None
    remove_targeting_flag: bool | None = None
    questions: list[Question] | None = None
    conditions: Conditions | None = None
    appearance: Json | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    archived: bool = False
    responses_limit: Annotated[int, Field(ge=0)] | None = None
    iteration_count: Annotated[int, Field(ge=1, le=500)] | None = None
    iteration_frequency_days: Annotated[int, Field(ge=1, le=365)] | None = None
    response_sampling_start_date: datetime | None = None
    response_sampling_interval_type: Literal["day", "week", "month", ""] | None = None
    response_sampling_interval: Annotated[int, Field(ge=0)] | None = None
    response_sampling_limit: Annotated[int, Field(ge=0)] | None = None
    response_sampling_daily_limits: Any = None
    enable_partial_responses: bool | None = False
    enable_iframe_embedding: bool | None = False
    base_language: Annotated[str, Field(max_length=20)] | None = None
    translations: Any = None
    form_content: Any = None

    @field_validator("start_date", "end_date", "response_sampling_start_date")
    @classmethod
    def _aware(cls, moment: datetime | None) -> datetime | None:
        return read_iso(moment.isoformat()) if moment else None

    def given(self) -> Json:
        """The fields the client sent, as they are stored: of questions and conditions what was given."""
        values = self.model_dump(exclude_unset=True, exclude=NOT_KEPT)
        for name, value in values.items():
            if isinstance(value, datetime):
                values[name] = iso(value)
        if self.questions is not None:
            # A made id counts as given.
            values["questions"] = [
                {"id": one.id, **one.model_dump(exclude_unset=True)} for one in self.questions
            ]
        return values
