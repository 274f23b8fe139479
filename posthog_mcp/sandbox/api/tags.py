"""Tags of several objects changed at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from collections.abc import Iterable


class TagChange(BaseModel):
    """Tags to add to objects, take from them, or set."""

    ids: Annotated[list[int], Field(max_length=500)]
    action: Literal["add", "remove", "set"]
    tags: Annotated[list[Annotated[str, Field(max_length=255)]], Field(max_length=100)]

    def applied(self, has: Iterable[str]) -> list[str]:
        """The tags of an object that has these."""
        match self.action:
            case "add":
                return sorted({*has, *self.tags})
            case "remove":
                return sorted(set(has) - set(self.tags))
            case "set":
                return sorted(set(self.tags))
