"""Prompts: jobs that take several tools, in the words that a person picks in their client.

A prompt is shown where all its tools are: on a server that only reads, nobody is asked to change anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp import MCPError
from mcp.types import (
    INVALID_PARAMS,
    GetPromptResult,
    ListPromptsResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

from posthog_mcp.safety import clean
from posthog_mcp.server.traces import unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.server import ServerRequestContext
    from mcp.types import GetPromptRequestParams, PaginatedRequestParams

    from posthog_mcp.server.catalog import Catalogue

_LONGEST = 500
_NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Template:
    """One prompt.

    Attributes:
        name: snake_case.
        title: For people.
        description: What comes of it.
        arguments: What each stands for; those that end with `?` may be left out.
        tools: What it uses.
        text: What the model is told; `{name}` is an argument.
        without: Said in place of an argument that was left out.
    """

    name: str
    title: str
    description: str
    arguments: Mapping[str, str]
    tools: tuple[str, ...]
    text: str
    without: str = ""


TEMPLATES = (
    Template(
        "who_hit_this_error",
        "Who hit this error?",
        "Whom an error hit, since when, and whether a flag or a release is behind it.",
        {"error": "Its name, message or id.", "flag?": "A feature flag that is suspected."},
        ("list_errors", "get_error", "find_persons", "list_annotations"),
        "Find the error {error} with list_errors (last 7 days, then 30 if there is none) and read it with"
        " get_error. Say how many people and sessions it hit, since when, in which versions, and what "
        "they have in common. {flag} Compare its first occurrence with the releases in list_annotations. "
        "Name the people most hit with find_persons. End with the likeliest cause, how sure it is and "
        "what would settle it. Change nothing.",
        without="Look which feature flags those people had.",
    ),
    Template(
        "read_experiment",
        "Read an experiment",
        "What an experiment found, whether it can be trusted, and what to decide.",
        {"experiment": "Its name, id or flag key."},
        ("list_experiments", "get_experiment_results"),
        "Find the experiment {experiment} with list_experiments and read its results with "
        "get_experiment_results. Say in plain words: who took part and for how long, whether the split "
        "between the variants is what was planned, what each metric shows with its interval, and which "
        "metrics show nothing yet. Then say what can be decided now, what would be too early, and how "
        "many more days it takes. Do not ship or end it.",
    ),
    Template(
        "plan_flag_rollout",
        "Plan a flag's rollout",
        "Steps from the first users to everyone, each with whom it reaches and what stops it.",
        {"flag": "Its key.", "goal?": "Who should have it in the end, and by when."},
        ("get_flag", "preview_flag_change", "query_hogql"),
        "Read the feature flag {flag} with get_flag. {goal} Plan its rollout in three to five steps. For "
        "each step use preview_flag_change to say how many people it reaches and who switches, and name a"
        " number to watch with the query_hogql query that gives it, the threshold that stops the rollout,"
        " and how to go back. Show the plan and wait: change nothing until I agree to a step.",
        without="The goal is everyone.",
    ),
    Template(
        "why_did_it_change",
        "Why did this number change?",
        "What changed with a metric, where it comes from, and what happened at that time.",
        {"metric": "An event or a number, such as `order placed`.", "when?": "When it changed."},
        ("query_hogql", "describe_schema", "list_annotations"),
        "Find out why {metric} changed. {when} Check its name with describe_schema. With query_hogql "
        "compare the period with the one before: first the total, then by the properties that could "
        "explain it (country, browser, version, page, flags), until most of the difference is in one "
        "place. Look into list_annotations for releases at that time. Tell what is certain apart from "
        "what is likely, and give the queries.",
        without="First find when, by day over the last 30 days.",
    ),
)


class Prompts:
    """The prompts of one server.

    Args:
        catalogue: Its tools.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        there = {tool.name for tool in catalogue.tools}
        self._shown = {one.name: one for one in TEMPLATES if there.issuperset(one.tools)}

    async def on_list(
        self, context: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListPromptsResult:
        """Every prompt with its arguments."""
        del context, params
        return ListPromptsResult(
            prompts=[
                Prompt(name=one.name, title=one.title, description=one.description, arguments=_arguments(one))
                for one in self._shown.values()
            ]
        )

    async def on_get(
        self, context: ServerRequestContext[Any], params: GetPromptRequestParams
    ) -> GetPromptResult:
        """One prompt with its arguments filled in.

        Raises:
            MCPError: There is none of that name, or its arguments do not fit.
        """
        del context
        template = self._shown.get(params.name)
        if template is None:
            unknown("prompts/get", "gen_ai.prompt.name")
            known = ", ".join(self._shown) or "none"
            raise _wrong(f"There is no prompt `{params.name[:64]}`; there are {known}.")
        text = filled(template, params.arguments or {})
        message = PromptMessage(role="user", content=TextContent(type="text", text=text))
        return GetPromptResult(description=template.description, messages=[message])


def filled(template: Template, given: Mapping[str, str]) -> str:
    """The text of a prompt with its arguments in place, each in quotes and on one line.

    Raises:
        MCPError: One is missing, or is none of the prompt's.
    """
    values = {
        argument.removesuffix("?"): _value(template, argument, given) for argument in template.arguments
    }
    for name in given:
        if name not in values:
            raise _wrong(f"`{name[:64]}` is no argument of {template.name}; it takes {', '.join(values)}.")
    return _NAME.sub(lambda match: values[match[1]], template.text)


def _arguments(template: Template) -> list[PromptArgument]:
    return [
        PromptArgument(name=name.removesuffix("?"), description=description, required=not name.endswith("?"))
        for name, description in template.arguments.items()
    ]


def _value(template: Template, argument: str, given: Mapping[str, str]) -> str:
    name = argument.removesuffix("?")
    value = " ".join(clean(given.get(name, "")).split())[:_LONGEST]
    if not argument.endswith("?"):
        if not value:
            raise _wrong(f"{template.name} needs `{name}`: {template.arguments[argument]}")
        return f'"{value}"'
    return f'My {name}: "{value}".' if value else template.without


def _wrong(words: str) -> MCPError:
    return MCPError(INVALID_PARAMS, words)
