"""Named changes of a feature flag: each says what it changes, and everything it does not name stays."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from posthog_mcp.tool.arguments import Input, JsonObject
from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.filter_rows import FilterRows
from posthog_mcp.tool.filters import Filter
from posthog_mcp.tool.flags import Share, Variant, Variants, payload_texts, posthog_rows

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

Act = Literal[
    "enable",
    "disable",
    "archive",
    "unarchive",
    "set_rollout",
    "add_condition",
    "remove_condition",
    "set_variants",
    "set_payloads",
    "set_tags",
    "set_description",
]
# What each change must be told, and what it may be told besides.
_OPERANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "enable": ((), ()),
    "disable": ((), ()),
    "archive": ((), ()),
    "unarchive": ((), ()),
    "set_rollout": (("rollout_percentage",), ("condition",)),
    "add_condition": ((), ("condition", "where", "rollout_percentage", "variant")),
    "remove_condition": ((), ("condition",)),
    "set_variants": (("variants",), ()),
    "set_payloads": (("payloads",), ()),
    "set_tags": (("tags",), ()),
    "set_description": (("description",), ()),
}
Json = dict[str, Any]


class FlagChange(Input):
    """One change of a flag."""

    do: Act = Field(description="What to change; each takes only the arguments that name it.")
    condition: int = Field(
        0, ge=0, description="Which of who_gets_it, from 1; the place of one to add. Default the only one."
    )
    rollout_percentage: Share = Field(100, description="Of set_rollout, add_condition.")
    where: FilterRows = Field(
        default_factory=list[Filter],
        description='Of add_condition: rows as in create_flag: [{"property":"plan","value":"pro"}].',
    )
    variant: str = Field("", max_length=200, description="Of add_condition: what all in it get.")
    variants: Variants = Field(
        default_factory=list[Variant],
        description='All of them: [{"key":"control","rollout_percentage":50},…]; [] makes it on or off.',
    )
    payloads: JsonObject = Field(
        default_factory=dict,
        description='By variant, or "true"; others stay, null removes: {"test":{"steps":1}}.',
    )
    tags: list[str] = Field(default_factory=list[str], max_length=50, description="All of them.")
    description: str = Field("", max_length=4_000, description='"" clears it.')

    @model_validator(mode="after")
    def _fits(self) -> FlagChange:
        must, may = _OPERANDS[self.do]
        given = self.model_fields_set - {"do"}
        foreign = sorted(given - {*must, *may})
        if foreign:
            takes = ", ".join((*must, *may)) or "nothing else"
            raise ValueError(f"{self.do} takes {takes}, not `{foreign[0]}`")
        missing = [name for name in must if name not in given]
        if missing:
            raise ValueError(f"{self.do} needs `{missing[0]}`")
        return self


@dataclass(slots=True)
class Draft:
    """A flag on its way from one state to the next.

    Attributes:
        before: The flag as PostHog has it.
        body: The fields that differ, as an update sends them. `filters` is there whole or not at all: an
            older PostHog replaces them.
        touched: Places of the conditions, in the new order, that are new or changed.
    """

    before: Json
    body: Json = field(default_factory=dict[str, Any])
    touched: set[int] = field(default_factory=set[int])

    @property
    def after(self) -> Json:
        """The flag as it would become."""
        return {**self.before, **self.body}

    @property
    def switches_off(self) -> bool:
        """Whether a flag that is on would be off."""
        return self.body.get("active") is False

    @property
    def filters(self) -> Json:
        """The new filters, to be changed in place."""
        if "filters" not in self.body:
            filters: Json = self.before.get("filters") or {}
            self.body["filters"] = deepcopy(filters)
        return self.body["filters"]

    @property
    def groups(self) -> list[Json]:
        """The new release conditions, to be changed in place."""
        groups: list[Json] = self.filters.get("groups") or []
        self.filters["groups"] = groups
        return groups

    def drop_unchanged(self) -> None:
        """Leave out of the body what is as it was."""
        self.body = {name: value for name, value in self.body.items() if value != self.before.get(name)}


async def draft(ctx: Context, project: Project, flag: Json, changes: list[FlagChange]) -> Draft:
    """What an update would send for these changes, one after the other.

    Raises:
        ToolFailure: One of them does not fit the flag.
    """
    made = Draft(flag)
    for change in changes:
        if change.do == "add_condition":
            await _add(ctx, project, made, change)
        else:
            _apply(made, change)
    if any(change.do in ("set_variants", "set_payloads") for change in changes):
        _check_payloads(made)
    made.drop_unchanged()
    return made


def _apply(made: Draft, change: FlagChange) -> None:
    match change.do:
        case "enable" | "disable":
            made.body["active"] = change.do == "enable"
        case "archive":
            # PostHog refuses an archived flag that is on.
            made.body |= {"archived": True, "active": False}
        case "unarchive":
            made.body["archived"] = False
        case "set_rollout":
            place = _place(made, change)
            made.groups[place]["rollout_percentage"] = change.rollout_percentage
            made.touched.add(place)
        case "remove_condition":
            place = _place(made, change)
            del made.groups[place]
            made.touched = {each - (each > place) for each in made.touched if each != place}
        case "set_variants":
            _set_variants(made, change.variants)
        case "set_payloads":
            _set_payloads(made, change.payloads)
        case "set_tags":
            made.body["tags"] = list(change.tags)
        case _:
            made.body["name"] = change.description


async def _add(ctx: Context, project: Project, made: Draft, change: FlagChange) -> None:
    about = made.filters.get("aggregation_group_type_index")
    if change.variant and change.variant not in _variant_keys(made):
        known = ", ".join(_variant_keys(made)) or "none"
        raise _unfit(f"It has no variant `{change.variant}`; its variants: {known}.")
    group: Json = {
        "properties": await posthog_rows(ctx, project, change.where, about),
        "rollout_percentage": change.rollout_percentage,
        "variant": change.variant or None,
    }
    if about is not None:
        group["aggregation_group_type_index"] = about
    place = min(change.condition - 1, len(made.groups)) if change.condition else len(made.groups)
    made.groups.insert(place, group)
    made.touched = {each + (each >= place) for each in made.touched} | {place}


def _place(made: Draft, change: FlagChange) -> int:
    count = len(made.groups)
    if not change.condition and count == 1:
        return 0
    if not count:
        raise _unfit("It has no condition, so nobody gets it: add_condition makes one.")
    if not 1 <= change.condition <= count:
        which = f"there is no condition {change.condition}" if change.condition else "none was named"
        raise _unfit(f"{change.do} needs one of its {count} conditions, and {which}.")
    return change.condition - 1


def _set_variants(made: Draft, variants: list[Variant]) -> None:
    known = {item.get("key"): item for item in _variants(made)}
    new = [
        # what is not named of a variant stays, its description for example
        {
            **known.get(item.key, {"key": item.key, "name": ""}),
            "rollout_percentage": item.rollout_percentage,
            **({"name": item.name} if item.given("name") else {}),
        }
        for item in variants
    ]
    multivariate: Json = made.filters.get("multivariate") or {}
    made.filters["multivariate"] = {**multivariate, "variants": new} if new else None
    keys = {item["key"] for item in new}
    forced = next(
        (group["variant"] for group in made.groups if group.get("variant") not in (None, *keys)), None
    )
    if forced is not None:
        raise _unfit(f"A condition gives everybody in it the variant `{forced}`, which would be gone.")


def _set_payloads(made: Draft, payloads: Json) -> None:
    kept: Json = dict(made.filters.get("payloads") or {})
    kept |= payload_texts({key: value for key, value in payloads.items() if value is not None})
    for key, value in payloads.items():
        if value is None:
            kept.pop(key, None)
    made.filters["payloads"] = kept


def _check_payloads(made: Draft) -> None:
    """PostHog refuses payloads that no value of the flag has, without saying which."""
    keys = _variant_keys(made) or ["true"]
    payloads: Json = made.filters.get("payloads") or {}
    stray = [key for key in payloads if key not in keys and not key.startswith("holdout-")]
    if stray:
        raise _unfit(
            f"There is a payload for `{stray[0]}`, and its values are {', '.join(keys)}: remove it with "
            f'set_payloads and {{"{stray[0]}": null}}, in the same call.'
        )


def _variants(made: Draft) -> list[Json]:
    multivariate: Json = made.filters.get("multivariate") or {}
    return multivariate.get("variants") or []


def _variant_keys(made: Draft) -> list[str]:
    return [str(item.get("key")) for item in _variants(made)]


def _unfit(why: str) -> ToolFailure:
    return ToolFailure("The flag was not changed.", why, "get_flag shows what it is now.")
