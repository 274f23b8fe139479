"""The rest of PostHog's API: searched by words, called by its name in the instance's own description."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from posthog_mcp.api import Effect
from posthog_mcp.api.described import endpoint_of
from posthog_mcp.tool.api_description import operations
from posthog_mcp.tool.arguments import ProjectInput
from posthog_mcp.tool.context import Context, ToolFailure

if TYPE_CHECKING:
    from posthog_mcp.api import Endpoint
    from posthog_mcp.api.openapi import Operation

__all__ = ["Asked", "asked", "endpoint_of", "named", "only_asks", "operations", "search"]

_WORD = re.compile(r"[a-z0-9]+")
_NAME = re.compile(r"\{(\w+)\}")
_HOLDER = re.compile(r"/api/(?:(?:projects|environments|organizations)/\{\w+\}/)?")
_CALL = re.compile(r"(?:(GET|POST|PUT|PATCH|DELETE)\s+)?(/\S+)", re.IGNORECASE)
_VERBS = {
    "list": "GET",
    "get": "GET",
    "read": "GET",
    "show": "GET",
    "create": "POST",
    "add": "POST",
    "make": "POST",
    "update": "PATCH",
    "change": "PATCH",
    "edit": "PATCH",
    "delete": "DELETE",
    "remove": "DELETE",
}
_SHORT = 3  # characters of a word that loses no s
Json = dict[str, Any]


def search(known: tuple[Operation, ...], words: str) -> list[Operation]:
    """Those that the words are about, the nearest first: what is in the path counts most."""
    said = [_stem(word) for word in _WORD.findall(words.lower())]
    methods = {_VERBS[word] for word in said if word in _VERBS}
    things = [word for word in said if word not in _VERBS] or said
    scored = [(_score(one, things, methods), one) for one in known]
    hits = sorted(
        (pair for pair in scored if pair[0] > 0), key=lambda pair: (-pair[0], len(pair[1].path), str(pair[1]))
    )
    return [one for _, one in hits]


def _score(operation: Operation, things: list[str], methods: set[str]) -> int:
    path = {_stem(word) for word in _WORD.findall(_NAME.sub("", _HOLDER.sub("", operation.path)))}
    named = {_stem(word) for word in _WORD.findall(f"{operation.name} {operation.summary}".lower())}
    score = 0
    for word in things:
        if word in path:
            score += 4
        elif any(part.startswith(word) for part in path):
            score += 2
        else:
            score += 1 if word in named else -1
    return score + (1 if score > 0 and operation.method in methods else 0)


def _stem(word: str) -> str:
    return word[:-1] if len(word) > _SHORT and word.endswith("s") and not word.endswith("ss") else word


@dataclass(frozen=True, slots=True)
class Asked:
    """A call to make.

    Attributes:
        endpoint: What, with its effect and limits.
        params: What fills its path.
        only_asks: It changes nothing, and is a GET or a POST.
        project: The project of its path, in words; empty where it has none.
    """

    endpoint: Endpoint
    params: Json
    only_asks: bool
    project: str = ""


def only_asks(operation: Operation) -> bool:
    """Whether it changes nothing, and is a GET or a POST."""
    return operation.method in ("GET", "POST") and endpoint_of(operation).effect is Effect.READ


def named(known: tuple[Operation, ...], call: str) -> Operation | None:
    """The operation that `GET /api/projects/{project_id}/actions/` names; GET where it says no method."""
    parts = _CALL.fullmatch(call.strip())
    if not parts:
        return None
    method, path = (parts[1] or "GET").upper(), f"{parts[2].rstrip('/')}/"
    alike = [path, path.replace("/api/environments/", "/api/projects/", 1)]
    return next((one for one in known if one.method == method and one.path in alike), None)


async def asked(ctx: Context, call: str, ids: Json, project_id: int | None) -> Asked:
    """The call that a text names, with what fills its path.

    Raises:
        ToolFailure: There is no such endpoint, an id is missing, or it is out of the project's bounds.
    """
    known = await operations(ctx)
    operation = named(known, call)
    if operation is None:
        near = difflib.get_close_matches(call.strip(), map(str, known), n=3, cutoff=0.5)
        raise ToolFailure(
            f"There is no endpoint `{call[:100]}`.",
            f"Similar: {', '.join(f'`{one}`' for one in near)}." if near else "",
            "Write it as find_endpoint does, with its {…}.",
        )
    names = _NAME.findall(operation.path)
    wanted = [name for name in names if name != "project_id"]
    if set(ids) != set(wanted):
        raise ToolFailure(
            f"{operation} was not called.",
            f"`ids` must hold {', '.join(wanted) or 'nothing'}; it holds {', '.join(ids) or 'nothing'}.",
            "project_id is an argument of its own.",
        )
    if "project_id" in names:
        project = await ctx.project(ProjectInput(project_id=project_id))
        params = {**ids, "project_id": project.id}
        return Asked(endpoint_of(operation), params, only_asks(operation), str(project))
    if ctx.settings.pinned_project_id:
        raise ToolFailure(
            f"{operation} was not called.",
            f"It is of no project, and this server is bound to project {ctx.settings.pinned_project_id}.",
            "Have a person do it in PostHog.",
        )
    return Asked(endpoint_of(operation), ids, only_asks(operation))
