"""The record of a tool, and the decorator that makes it."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from posthog_mcp.settings import AREAS, Access
from posthog_mcp.tool.arguments import Input
from posthog_mcp.tool.schema import input_schema

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from posthog_mcp.render import Result
    from posthog_mcp.tool.context import Context

Key = Literal["project", "personal", "secret"]
"""Kinds of keys a tool can do its work with: `phc_`, `phx_` (or OAuth), `phs_`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a tool says of itself, without its code. The catalogue filters by these fields, and by no others.

    Attributes:
        name: The coroutine's name: snake_case, verb first, at most 40 characters.
        title: For people, in a client's list.
        description: The coroutine's docstring: for the model.
        area: One of `AREAS`.
        access: The least access a server must have to show it.
        scopes: Scopes its personal key needs, such as `annotation:read`.
        keys: Kinds of keys it can work with; any one will do. Empty: none.
        read_only: Changes nothing at PostHog.
        destructive: Takes away or overwrites what cannot be had back.
        idempotent: A second call with the same arguments changes nothing more.
        default: Listed without asking for its area.
        schema: The JSON schema of all its arguments.
        needs: Arguments that exist only from an access level on, with that level.
        extras: Arguments that exist only with an extra, with its name.
        module: Where its code is.
    """

    name: str
    title: str
    description: str
    area: str
    access: Access
    scopes: tuple[str, ...]
    keys: tuple[Key, ...]
    read_only: bool
    destructive: bool
    idempotent: bool
    default: bool
    schema: dict[str, Any]
    needs: dict[str, Access]
    extras: dict[str, str]
    module: str

    def within(self, access: Access) -> bool:
        """Whether a server of this access may run it."""
        return self.access.within(access)

    def load(self) -> Tool:
        """The tool, with its code: imports its module."""
        return getattr(importlib.import_module(self.module), self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Listing):
    """A tool that can be run.

    Attributes:
        input: The model of its arguments.
        run: The coroutine: `await run(context, arguments)`.
    """

    input: type[Input]
    run: Callable[[Context, Any], Awaitable[Result]]

    def load(self) -> Tool:
        """Itself."""
        return self


def tool(
    *,
    area: str,
    access: Access,
    title: str,
    scopes: tuple[str, ...] = (),
    keys: tuple[Key, ...] = ("personal",),
    destructive: bool = False,
    idempotent: bool | None = None,
    default: bool = True,
) -> Callable[[Callable[[Context, Any], Awaitable[Result]]], Tool]:
    """Makes a `Tool` of a coroutine `async def name(ctx: Context, args: SomeInput) -> Result`.

    Args:
        area: One of `AREAS`.
        access: `Access.READ` tools are read-only, and shown so.
        title: For people.
        scopes: Scopes the personal key needs.
        keys: Kinds of keys it can work with, any one of them.
        destructive: See `Tool`.
        idempotent: Not given: as read-only.
        default: Whether it belongs to the default catalogue.
    """
    if area not in AREAS:
        raise ValueError(f"there is no area {area!r}")

    def make(run: Callable[[Context, Any], Awaitable[Result]]) -> Tool:
        read_only = access is Access.READ
        model = _input_of(run)
        return Tool(
            name=run.__name__,
            title=title,
            description=inspect.cleandoc(run.__doc__ or ""),
            area=area,
            access=access,
            scopes=scopes,
            keys=keys,
            schema=input_schema(model),
            needs=model.needs(),
            extras=model.extras(),
            module=run.__module__,
            input=model,
            run=run,
            read_only=read_only,
            destructive=destructive,
            idempotent=read_only if idempotent is None else idempotent,
            default=default,
        )

    return make


def _input_of(run: Callable[..., Any]) -> type[Input]:
    """The model its second parameter is annotated with, by name where annotations are strings."""
    annotations = [value for name, value in run.__annotations__.items() if name != "return"]
    given = annotations[1]
    model = run.__globals__[given] if isinstance(given, str) else given
    if not (isinstance(model, type) and issubclass(model, Input)):
        raise TypeError(f"{run.__name__} must take a Context and an Input")
    return model
