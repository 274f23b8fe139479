"""Feature flags as tools read and write them: found by key or id, shown whole, their conditions in words."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from posthog_mcp.api.errors import NotFound, PostHogError
from posthog_mcp.render.flags import conditions
from posthog_mcp.tool.arguments import Input
from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.filter_rows import AS_TEXT, listed_as
from posthog_mcp.tool.filters import Filter, posthog_filter
from posthog_mcp.tool.group_types import group_types, number_of

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

LIST = "/api/projects/{project_id}/feature_flags/"
ONE = LIST + "{id}/"
WHOLE = 100.0
_CLOSE = 0.01
_NUMERIC = ("gt", "gte", "lt", "lte")
_PATTERNS = ("regex", "not_regex")
_SEVERAL = ("exact", "is_not")
_RANGES = ("semver_tilde", "semver_caret", "semver_wildcard")
_SHOWN = (
    "id",
    "key",
    "active",
    "archived",
    "tags",
    "version",
    "filters",
    "evaluation_runtime",
    "bucketing_identifier",
    "ensure_experience_continuity",
    "is_remote_configuration",
    "has_encrypted_payloads",
    "status",
    "created_at",
    "updated_at",
    "last_called_at",
)
Json = dict[str, Any]


def _plain(share: float) -> float:
    return int(share) if share == int(share) else share


Share = Annotated[float, Field(ge=0, le=100), AfterValidator(_plain)]
"""A percentage; whole ones as PostHog's own pages write them: 25, not 25.0."""


class Variant(Input):
    """One variant of a flag."""

    key: str = Field(min_length=1, max_length=200, description="What the application gets.")
    rollout_percentage: Share = Field(description="Its share.")
    name: str = Field("", max_length=400, description="For people.")


_VARIANTS = '[{"key":"control","rollout_percentage":50},{"key":"test","rollout_percentage":50}]'


def check_shares(variants: list[Variant]) -> list[Variant]:
    """Refuse variants that do not share everybody out; gives them back.

    Raises:
        ValueError: With words for the caller.
    """
    if variants and abs(sum(item.rollout_percentage for item in variants) - WHOLE) > _CLOSE:
        raise ValueError("the shares of `variants` must add up to 100")
    keys = [item.key for item in variants]
    if len(set(keys)) < len(keys):
        raise ValueError("two of `variants` have the same key")
    return variants


Variants = Annotated[list[Variant], listed_as(_VARIANTS), AfterValidator(check_shares), AS_TEXT]
"""An argument of variants, whose shares add up: in the schema JSON text; a real list is taken as well."""


def payload_texts(payloads: Json) -> dict[str, str]:
    """Payloads as PostHog keeps them: JSON text each."""
    return {key: json.dumps(value, ensure_ascii=False) for key, value in payloads.items()}


async def find_flag(ctx: Context, project: Project, name: str) -> Json:
    """The flag with this key or id, archived or not, as PostHog has it now.

    Raises:
        ToolFailure: There is none; the text names the nearest keys.
    """
    if name.isascii() and name.isdigit():
        try:
            return await ctx.api.get(ONE, project_id=project.id, id=name)
        except NotFound:
            pass  # a key may be a number as well
    seen: list[str] = []
    for archived in (None, True):
        # An older PostHog does not know `key` and narrows by `search` alone.
        query = {"key": name, "search": name[:200], "archived": archived, "limit": 100}
        page = await ctx.api.get(LIST, query=query, project_id=project.id)
        found = next((flag for flag in page["results"] if flag["key"] == name), None)
        if found:
            return await ctx.api.get(ONE, project_id=project.id, id=found["id"])
        seen += [flag["key"] for flag in page["results"]]
    page = await ctx.api.get(LIST, query={"limit": 200}, project_id=project.id)
    near = difflib.get_close_matches(name, {*seen, *(flag["key"] for flag in page["results"])}, cutoff=0.5)
    raise ToolFailure(
        f"There is no flag `{name}` in project {project}.",
        f"Similar keys: {', '.join(near)}." if near else "No key resembles it; keys are case-sensitive.",
        "list_flags shows every key.",
    )


async def posthog_rows(
    ctx: Context, project: Project, rows: list[Filter], group_index: int | None
) -> list[Json]:
    """Filter rows as a flag's condition has them: dependencies by id, group properties with their type.

    Args:
        ctx: The call.
        project: Where the flag is.
        rows: What must hold.
        group_index: The type of group the condition is about; None for persons.

    Raises:
        ToolFailure: A row is about what a flag cannot see, or names a flag that is not there.
    """
    return [await _row(ctx, project, row, group_index) for row in rows]


async def _row(ctx: Context, project: Project, row: Filter, group_index: int | None) -> Json:
    filter_ = posthog_filter(row)
    subject = "group" if group_index is not None else "person"
    if row.on == "flag":
        needed = await find_flag(ctx, project, row.property)
        return {**filter_, "key": str(needed["id"]), "label": needed["key"]}
    if row.on not in (subject, "cohort") or (row.on == "cohort" and subject == "group"):
        raise ToolFailure(
            f"The condition on `{row.property}` cannot be used.",
            f"This flag is about {subject}s, and the row is on `{row.on}`: it can look at {subject} "
            f"properties{', cohorts' if subject == 'person' else ''} and other flags.",
            f"Give `on` as {subject}{'' if subject == 'group' else ', or create the flag for a group_type'}.",
        )
    _check_value(row)
    return {**filter_, "group_type_index": group_index} if row.on == "group" else filter_


def _check_value(row: Filter) -> None:
    """Refuse what PostHog would keep and then never match.

    Raises:
        ToolFailure: A comparison of numbers or versions with none, of text with several, or a pattern that is
            no regular expression.
    """
    from posthog_mcp.flags.patterns import UnsharedPatternError, shared  # noqa: PLC0415 - few calls need it
    from posthog_mcp.flags.values import number_of  # noqa: PLC0415 - see above

    why = ""
    if row.operator not in _SEVERAL and isinstance(posthog_filter(row)["value"], list):
        why = f"{row.operator} compares with one text; regex with a|b fits several."
    elif row.operator.startswith("semver") and not _is_version(row):
        why = f"{row.operator} compares versions, and `{row.value}` is none."
    elif row.operator in _NUMERIC and number_of(row.value) is None:
        why = f"{row.operator} compares numbers, and `{row.value}` is none."
    elif row.operator in _PATTERNS:
        try:
            why = "" if shared(row.value).valid else f"`{row.value}` is no regular expression."
        except UnsharedPatternError:
            return  # PostHog's engine may well read it
    if why:
        raise ToolFailure(f"The condition on `{row.property}` cannot be used.", why, "Correct its value.")


def _is_version(row: Filter) -> bool:
    from posthog_mcp.flags.versions import parse_version, version_range  # noqa: PLC0415 - few calls need it

    try:
        parse_version(row.value) if row.operator not in _RANGES else version_range(row.operator, row.value)
    except ValueError:
        return False
    return True


def conditions_of(flag: Json) -> list[Json]:
    """The release conditions of a flag."""
    filters: Json = flag.get("filters") or {}
    groups: list[Json] = filters.get("groups") or []
    return groups


def rows_of(condition: Json) -> list[Json]:
    """The filters of a release condition."""
    rows: list[Json] = condition.get("properties") or []
    return rows


async def group_index(ctx: Context, project: Project, name: str) -> int:
    """PostHog's number of a group type.

    Raises:
        ToolFailure: There is none of that name.
    """
    return number_of(await group_types(ctx, project), name, project)


def is_about_groups(flag: Json) -> bool:
    """Whether a flag, or one of its conditions, is about groups."""
    filters: Json = flag.get("filters") or {}
    about = [each.get("aggregation_group_type_index") for each in (filters, *conditions_of(flag))]
    return any(index is not None for index in about)


async def names_of_groups(ctx: Context, project: Project, *flags: Json) -> dict[int, str]:
    """What the project calls its types of groups, by number; empty where no flag is about any."""
    if not any(is_about_groups(flag) for flag in flags):
        return {}
    try:
        types = await group_types(ctx, project)
    except PostHogError:
        return {}  # whoever may not read groups sees their numbers
    return {index: name for name, index in types.items()}


async def whole(ctx: Context, project: Project, flag: Json) -> Json:
    """A flag as tools show it: what matters of PostHog's object, who gets it in words, its page."""
    types = await names_of_groups(ctx, project, flag)
    shown = {name: flag[name] for name in _SHOWN if flag.get(name) or name == "active"}
    return {
        **shown,
        "description": flag.get("name") or "",
        "who_gets_it": conditions(flag.get("filters") or {}, types) or ["nobody: it has no condition"],
        "project": str(project),
        "url": ctx.link(project, f"feature_flags/{flag['id']}"),
    }
