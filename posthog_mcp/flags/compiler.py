"""Definitions into flags that can be evaluated."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from posthog_mcp.flags.buckets import bound, encoded
from posthog_mcp.flags.call import Absence, Call, Rules
from posthog_mcp.flags.decision import Code, Decision, Reason, Unknown
from posthog_mcp.flags.filters import FilterCompiler, compile_property
from posthog_mcp.flags.flag import (
    CompiledFlag,
    Condition,
    Decide,
    Flag,
    Locate,
    Subject,
    Variants,
    closure,
    fixed,
)
from posthog_mcp.flags.flagset import FlagSet
from posthog_mcp.flags.values import as_dict, as_list

_PERSON = "person_properties"
_TURN = 20  # flags: a millisecond; a turn given away costs a tenth of one


class MalformedFlagError(ValueError):
    """A definition is not of the shape PostHog documents."""


def compile_flags(
    definitions: dict[str, Any],
    *,
    absence: Absence = Absence.UNKNOWN,
    ignore_super_groups: bool = False,
) -> FlagSet:
    """Compile the body of PostHog's `/flags/definitions`.

    A flag whose definition is malformed does not fail the set: it is undecided, and says why.

    Args:
        definitions: `flags`, `group_type_mapping`, `cohorts` and `property_matching_version`.
        absence: `UNKNOWN` for a caller, who may not know every property; `KNOWN` for PostHog's server.
        ignore_super_groups: Decide flags of the old early-access form by their release conditions alone,
            as PostHog's own packages do. By default they are undecided, since the server decides otherwise.

    Returns:
        The flags, ready to be evaluated. Compiling 500 takes tens of milliseconds: do it off the event
        loop when there are more.
    """
    rules = Rules(absence, int(definitions.get("property_matching_version") or 1), ignore_super_groups)
    return _SetCompiler(definitions, rules).compile()


class _SetCompiler:
    def __init__(self, definitions: dict[str, Any], rules: Rules) -> None:
        self._rules = rules
        self._mapping = {
            str(k): str(v) for k, v in as_dict(definitions.get("group_type_mapping")).items() if v
        }
        self._sources = {
            str(source["key"]): source
            for source in map(as_dict, as_list(definitions.get("flags")))
            if source.get("key")
        }
        cohorts = {str(k): v for k, v in as_dict(definitions.get("cohorts")).items()}
        self._filters = FilterCompiler(cohorts, frozenset(self._sources), rules)
        self._warnings: list[str] = []

    def compile(self) -> FlagSet:
        flags: dict[str, CompiledFlag] = {}
        for key, source in self._sources.items():
            flags[key] = self._flag(key, source)
            if len(flags) % _TURN == 0:
                time.sleep(0)  # compiled in a thread, hundreds of flags would keep an event loop waiting
        return FlagSet(flags, tuple(self._warnings))

    def _flag(self, key: str, source: dict[str, Any]) -> CompiledFlag:
        flag = Flag(key, source, _template(key, source))
        flag.nobody = flag.decided(False, Code.NO_GROUP_TYPE)
        try:
            return CompiledFlag(flag, self._decide(flag, as_dict(source.get("filters"))))
        except MalformedFlagError as problem:
            self._warnings.append(f"Flag {key!r} cannot be evaluated: {problem}.")
            unknown = Unknown(Reason.UNSUPPORTED_DEFINITION, f"its definition is malformed: {problem}")
            return CompiledFlag(flag, fixed(flag.undecided(unknown)))

    def _decide(self, flag: Flag, filters: dict[str, Any]) -> Decide:
        """Fill in what the definition says, and make the closure."""
        flag.payloads = _payloads(flag.source, filters)
        flag.active = bool(flag.source.get("active"))
        if not flag.active:
            return fixed(flag.decided(False, Code.FLAG_DISABLED))
        served = self._rules.served
        if flag.source.get("ensure_experience_continuity") and not served:
            detail = "it keeps people on their first answer, which only PostHog remembers"
            return fixed(flag.undecided(Unknown(Reason.EXPERIENCE_CONTINUITY, detail)))
        flag.variants = _variants(filters)
        flag.holdout = _holdout(filters)
        flag.early_exit = bool(filters.get("early_exit"))
        self._fill_conditions(flag, filters)
        self._fill_subject(flag, filters)
        flag.special = self._early_access(flag, filters)
        if served and flag.unusable:
            # Whatever else the server cannot use is no match; only a dependency that is gone stops a flag.
            return fixed(flag.decided(False, Code.MISSING_DEPENDENCY))
        return closure(flag)

    def _fill_conditions(self, flag: Flag, filters: dict[str, Any]) -> None:
        own = filters.get("aggregation_group_type_index")
        sources = [as_dict(source) for source in as_list(filters.get("groups"))]
        flag.subjects = frozenset([own, *(s.get("aggregation_group_type_index", own) for s in sources)])
        names = [variant for _, variant in flag.variants]
        conditions: list[Condition] = []
        for index, source in enumerate(sources):
            subject = source.get("aggregation_group_type_index", own)
            mixed = subject is not None and subject != own
            # A dependency is handed the flag's own subject: in a condition about another it has none.
            allowed = frozenset[int | None]() if mixed else frozenset([own])
            owner = self._owner(subject if mixed else own)
            properties = as_list(source.get("properties"))
            compiled = tuple(self._filters.compile(each, owner, allowed) for each in properties)
            flag.unusable |= any(each.unusable for each in compiled)
            flag.depends |= any(each.depends for each in compiled)
            forced = source.get("variant")
            conditions.append(
                Condition(
                    index,
                    source,
                    compiled,
                    _share(source.get("rollout_percentage")),
                    forced if forced in names else None,
                    self._group(subject, whole_flag=False) if mixed else None,
                )
            )
        flag.conditions = tuple(conditions)

    def _owner(self, index: object) -> str:
        return _PERSON if index is None else f"group_properties.{self._mapping.get(str(index), index)}"

    def _fill_subject(self, flag: Flag, filters: dict[str, Any]) -> None:
        index = filters.get("aggregation_group_type_index")
        bucketing = flag.source.get("bucketing_identifier") or filters.get("bucketing_identifier")
        if index is not None:
            flag.locate = self._group(index, whole_flag=True)
        elif bucketing == "device_id":
            flag.locate = self._device(flag)
        elif flag.source.get("ensure_experience_continuity"):
            flag.locate = _remembered(flag.key)

    def _group(self, index: object, *, whole_flag: bool) -> Locate:
        name = self._mapping.get(str(index))
        if name is None:
            detail = f"its group type {index} is not in the definitions' mapping"
            # The server knows its group types: one that is not mapped is one nobody can pass.
            unmapped = whole_flag and not self._rules.served
            unknown = Unknown(Reason.UNSUPPORTED_DEFINITION, detail) if unmapped else None
            return lambda _call: unknown
        need = f"group_properties.{name}"
        missing = Unknown(Reason.MISSING_CONTEXT, f"{need} was not passed", (need,))
        served = self._rules.served

        def group(call: Call) -> Subject | Unknown | None:
            subject = call.groups.get(name)
            if subject is None:
                return None
            properties = call.group_properties.get(name)
            if properties is None:
                return ({}, subject) if served else missing
            return properties, subject

        return group

    def _device(self, flag: Flag) -> Locate:
        missing: Unknown | None = None
        if self._rules.served:
            last = len(flag.conditions) - 1 if flag.conditions else None
            flag.nobody = flag.decided(False, Code.OUT_OF_ROLLOUT_BOUND, last)
        else:
            reason = Reason.UNSUPPORTED_DEFINITION if flag.unusable else Reason.MISSING_CONTEXT
            missing = Unknown(
                reason, "device_id was not passed, and it is what the flag hashes", ("device_id",)
            )
        return lambda call: (call.person, encoded(call.device_id)) if call.device_id else missing

    def _early_access(
        self, flag: Flag, filters: dict[str, Any]
    ) -> Callable[[Call], bool | Unknown | None] | None:
        if filters.get("feature_enrollment") is True:
            return self._enrollment(flag, filters)
        groups = [as_dict(group) for group in as_list(filters.get("super_groups"))]
        if not groups or self._rules.ignore_super_groups:
            return None
        if self._rules.served:
            return self._super_group(groups[0])
        self._warnings.append(f"Flag {flag.key!r} has the old early-access form, which only PostHog decides.")
        unknown = Unknown(
            Reason.UNSUPPORTED_DEFINITION,
            "it has the old early-access form, which only PostHog decides",
            server=True,
        )
        return lambda _call: unknown

    def _enrollment(self, flag: Flag, filters: dict[str, Any]) -> Callable[[Call], bool | Unknown | None]:
        name = f"$feature_enrollment/{flag.key}"
        need = f"{_PERSON}.{name}"
        missing: bool | Unknown = Unknown(Reason.MISSING_CONTEXT, f"{need} was not passed", (need,))
        if self._rules.served:
            missing = False
        elif filters.get("aggregation_group_type_index") is not None:
            detail = "it is about a group, but early access is a person's choice"
            unknown = Unknown(Reason.UNSUPPORTED_DEFINITION, detail)
            return lambda _call: unknown

        def enrolled(call: Call) -> bool | Unknown:
            if name not in call.person:
                return missing
            return call.person[name] is True or call.person[name] == "true"

        return enrolled

    def _super_group(self, source: dict[str, Any]) -> Callable[[Call], bool | Unknown | None]:
        properties = [as_dict(each) for each in as_list(source.get("properties"))]
        matchers = [compile_property(each, _PERSON, self._rules).matches for each in properties]
        names = [each.get("key") for each in properties]

        def early(call: Call) -> bool | None:
            if not any(name in call.person for name in names):
                return None
            return all(matches(call.person, call) is True for matches in matchers)

        return early


def _remembered(key: str) -> Locate:
    """The id PostHog stored for this person and flag when they were first seen, else the one at hand."""
    return lambda call: (call.person, encoded(call.hash_keys.get(key, call.distinct_id)))


def _template(key: str, source: dict[str, Any]) -> Decision:
    flag_id, version = source.get("id"), source.get("version")
    return Decision(
        key,
        None,
        flag_id=flag_id if isinstance(flag_id, int) else 0,
        version=version if isinstance(version, int) else 0,
        runtime=str(source.get("evaluation_runtime") or "all"),
    )


def _payloads(source: dict[str, Any], filters: dict[str, Any]) -> dict[str, str]:
    if source.get("has_encrypted_payloads"):
        return {}
    stored = as_dict(filters.get("payloads"))
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in stored.items()
        if value is not None
    }


def _variants(filters: dict[str, Any]) -> Variants:
    variants: list[tuple[bytes, str]] = []
    end = 0.0
    for variant in map(as_dict, as_list(as_dict(filters.get("multivariate")).get("variants"))):
        end += _share(variant.get("rollout_percentage")) or 0.0
        variants.append((bound(end, inclusive=False), str(variant.get("key"))))
    return tuple(variants)


def _holdout(filters: dict[str, Any]) -> tuple[str, float] | None:
    holdout = as_dict(filters.get("holdout"))
    excluded, identifier = _share(holdout.get("exclusion_percentage")), holdout.get("id")
    if excluded is None or identifier is None:
        return None
    return str(identifier), min(max(excluded, 0.0), 1.0)


def _share(percentage: object) -> float | None:
    """A percentage as a fraction, divided as PostHog divides it so that borders fall the same way."""
    if percentage is None:
        return None
    if isinstance(percentage, bool) or not isinstance(percentage, (int, float)):
        raise MalformedFlagError(f"the percentage {percentage!r} is not a number")
    return percentage / 100
