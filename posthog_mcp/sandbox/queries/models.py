"""Query objects checked by pydantic, refused in its own words as PostHog does."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from posthog_mcp.sandbox.http.errors import ApiError, invalid


class Model(BaseModel):
    """Unknown fields are refused, as in PostHog's generated schema."""

    model_config = ConfigDict(extra="forbid")


class ActionStep(BaseModel):
    """One way to do an action, saved or not."""

    event: str | None = None
    properties: list[dict[str, Any]] | None = None
    selector: str | None = None
    selector_regex: str | None = None
    tag_name: str | None = None
    text: str | None = None
    text_matching: str | None = None
    href: str | None = None
    href_matching: str | None = None
    url: str | None = None
    url_matching: str | None = None


class QueryModel(Model):
    """What every query object may carry."""

    version: int | float | None = None
    modifiers: dict[str, Any] | None = None
    tags: dict[str, Any] | None = None
    response: dict[str, Any] | None = None

    @classmethod
    def read(cls, query: dict[str, Any]) -> Self:
        """The object as this kind, or `ApiError` 400."""
        try:
            return cls.model_validate(query)
        except ValidationError as error:
            raise malformed(error, cls.__name__) from error


def malformed(error: ValidationError, title: str) -> ApiError:
    """400 with pydantic's text, without the values (they are the client's own) and links."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} for {title}"
    lines = [
        f"{'.'.join(str(part) for part in problem['loc'])}\n  {problem['msg']} [type={problem['type']}]"
        for problem in problems
    ]
    return invalid("\n".join([count, *lines]))
