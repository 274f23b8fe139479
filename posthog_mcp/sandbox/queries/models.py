"""Query objects checked by pydantic, refused in its own words as PostHog does."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from posthog_mcp.sandbox.http.errors import ApiError, invalid
from posthog_mcp.sandbox.queries.modifiers import checked


def _refused(value: Any) -> Any:
    # 0 is a value, though it equals False.
    if value is None or value is False or value in ("", [], {}):
        return value
    raise ValueError("the sandbox does not compute this; leave it out")


#: A field that PostHog computes and the sandbox does not: whoever sets it is told, not given other numbers.
NotComputed = Annotated[Any, AfterValidator(_refused)]


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
    modifiers: Annotated[dict[str, Any] | None, AfterValidator(checked)] = None
    tags: dict[str, Any] | None = None
    response: dict[str, Any] | None = None

    @classmethod
    def read(cls, query: dict[str, Any]) -> Self:
        """The object as this kind, or `ApiError` 400."""
        try:
            return cls.model_validate(query)
        except ValidationError as error:
            raise malformed(error, cls.__name__) from error


def whole_group(key: str | None, index: int | None) -> None:
    """Refuse half of a group: its key without its type, or the other way round.

    Raises:
        ApiError: 400.
    """
    if (key is None) != (index is None):
        raise invalid("groupKey and groupTypeIndex belong together.", "groupKey")


def malformed(error: ValidationError, title: str) -> ApiError:
    """400 with pydantic's text, without the values (they are the client's own) and links."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} for {title}"
    lines = [
        f"{'.'.join(str(part) for part in problem['loc'])}\n  {problem['msg']} [type={problem['type']}]"
        for problem in problems
    ]
    return invalid("\n".join([count, *lines]))
