"""Filters of a release condition as closures: properties, cohorts, other flags."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from posthog_mcp.flags import operators
from posthog_mcp.flags.call import Call, Matcher, Properties, Rules
from posthog_mcp.flags.decision import Reason, Unknown, merge
from posthog_mcp.flags.patterns import UnsharedPatternError
from posthog_mcp.flags.values import NotTextError, as_dict, as_list, is_dict, is_list

_ABSENT: Any = object()
_COHORT_OPERATORS = ("exact", "in", "not_in")


@dataclass(frozen=True, slots=True)
class Filter:
    """One compiled filter.

    Attributes:
        matches: The closure: true, false, or why it cannot be told.
        source: The filter as PostHog defines it.
        unusable: Nothing a caller could pass would let it be decided; this alone makes a flag undecidable.
        depends: It asks for another flag's value.
    """

    matches: Matcher
    source: dict[str, Any]
    unusable: bool = False
    depends: bool = False


class FilterCompiler:
    """Compiles the filters of one set of definitions.

    Args:
        cohorts: Property groups by the cohort's id as text.
        flags: The set's flags by key; filled while the set compiles, read when it evaluates.
        defined: The keys of all flags of the set.
        rules: How absence and equality are read.
    """

    def __init__(self, cohorts: dict[str, Any], defined: frozenset[str], rules: Rules) -> None:
        self._cohorts = cohorts
        self._defined = defined
        self._rules = rules
        self._compiled: dict[tuple[str, str], Filter] = {}

    def compile(self, source: object, owner: str, subjects: frozenset[int | None]) -> Filter:
        """One filter.

        Args:
            source: `{key, value, operator, type}`.
            owner: Where its properties are passed, for the advice: `person_properties`.
            subjects: What the flag is about: the group type index, or `None` for persons.
        """
        if not is_dict(source):
            return self._settled(_unusable({}, "a filter is not an object"))
        match source.get("type"):
            case "cohort":
                return self._cohort(source, owner, subjects)
            case "flag":
                return self._dependency(source, subjects)
            case _:
                return compile_property(source, owner, self._rules)

    def _cohort(self, source: dict[str, Any], owner: str, subjects: frozenset[int | None]) -> Filter:
        cohort = str(source.get("value"))
        operator = source.get("operator") or "exact"
        negated = operator == "not_in"
        if cohort not in self._cohorts:
            return self._absent_cohort(source, cohort, negated=negated)
        if operator not in _COHORT_OPERATORS:
            return self._settled(_unusable(source, f"the operator {operator!r} is unknown for a cohort"))
        group = self._compiled.get((cohort, owner))
        if group is None:
            # Found in here while it is being compiled, a cohort is part of itself.
            self._compiled[cohort, owner] = self._settled(
                _needs_server({}, f"cohort {cohort} contains itself")
            )
            group = self._group(self._cohorts[cohort], owner, subjects)
            if self._rules.served:
                group = _of_the_person(group)
            self._compiled[cohort, owner] = group
        return replace(group, source=source, matches=_negated(group.matches) if negated else group.matches)

    def _absent_cohort(self, source: dict[str, Any], cohort: str, *, negated: bool) -> Filter:
        if self._rules.served:
            return Filter(lambda _, call: (cohort in call.cohorts) is not negated, source)
        return _needs_server(
            source, f"cohort {cohort} is not in the definitions (it is static or behavioural, or gone)"
        )

    def _group(self, source: object, owner: str, subjects: frozenset[int | None]) -> Filter:
        if source == {}:
            return Filter(lambda _properties, _call: True, {})
        group = as_dict(source)
        kind, entries = group.get("type"), group.get("values")
        if kind not in ("AND", "OR") or not is_list(entries):
            return self._settled(_needs_server(group, "a cohort's definition is malformed"))
        parts = [self._entry(entry, owner, subjects) for entry in entries]
        if not parts:
            return Filter(lambda _properties, _call: True, group)
        matches = _combined([part.matches for part in parts], all_of=kind == "AND")
        unusable, depends = any(part.unusable for part in parts), any(part.depends for part in parts)
        return Filter(matches, group, unusable, depends)

    def _entry(self, source: object, owner: str, subjects: frozenset[int | None]) -> Filter:
        if not is_dict(source):
            return self._settled(_needs_server({}, "an entry of a cohort is not an object"))
        if not source or "values" in source or source.get("type") in ("AND", "OR"):
            return self._group(source, owner, subjects)
        part = self.compile(source, owner, subjects)
        return replace(part, matches=_negated(part.matches)) if source.get("negation") else part

    def _settled(self, filter_: Filter) -> Filter:
        """On the server a filter nobody can use is one that does not match."""
        return Filter(lambda _properties, _call: False, filter_.source) if self._rules.served else filter_

    def _dependency(self, source: dict[str, Any], subjects: frozenset[int | None]) -> Filter:
        key, wanted = source.get("key"), source.get("value")
        if source.get("operator", "exact") != "flag_evaluates_to" or not key or wanted is None:
            return Filter(lambda _properties, _call: False, source)
        chain = [str(member) for member in as_list(source.get("dependency_chain"))]
        if not chain:
            return _unusable(source, f"the dependency on flag {key!r} has no chain, or goes in a circle")
        gone = [member for member in chain if member not in self._defined]
        dependency = _Dependency(source, chain, gone)
        dependency.subjects = None if self._rules.served else subjects
        return Filter(dependency.matches, source, unusable=bool(gone), depends=True)


def compile_property(source: dict[str, Any], owner: str, rules: Rules) -> Filter:
    """A filter on a property of the person or group."""
    key, operator = source.get("key"), source.get("operator") or "exact"
    if not isinstance(key, str) or not isinstance(operator, str):
        return _settled_if_served(_unusable(source, "a filter has no property"), rules)
    missing: bool | Unknown = operator in operators.TRUE_WHEN_ABSENT
    if not rules.served:
        need = f"{owner}.{key}"
        missing = Unknown(Reason.MISSING_CONTEXT, f"{need} was not passed", (need,))
    if operator in operators.PRESENCE:
        present = operator == "is_set"
        return Filter(lambda properties, _: present if key in properties else missing, source)
    value = source.get("value")
    try:
        if operator in operators.EQUALITY:
            equality = operators.equality(value, rules, expected=operator == "exact")
            return Filter(_equality_matcher(key, equality, owner, rules, missing), source)
        test = operators.compile_test(operator, value, rules)
    except (operators.UnusableFilterError, NotTextError) as problem:
        detail = f"the filter on {key!r} cannot be used: {problem}"
        unusable = _unusable(source, detail, null_for=key if operator in operators.FALSE_WHEN_NULL else None)
        return _settled_if_served(unusable, rules)
    if operator in operators.FALSE_WHEN_NULL:
        test = _false_when_null(test)
    return Filter(_tested_matcher(key, test, owner, rules, missing), source)


def _equality_matcher(
    key: str, equality: operators.Equality, owner: str, rules: Rules, missing: bool | Unknown
) -> Matcher:
    texts, outcome, _ = equality
    general = _tested_matcher(key, equality.test, owner, rules, missing)

    def matches(properties: Properties, call: Call) -> bool | Unknown:
        given: Any = properties.get(key)
        # Text is by far the commonest, and needs neither the test nor its guard.
        if given.__class__ is str:
            return (given.lower() in texts) is outcome
        return general(properties, call)

    return matches


def _tested_matcher(
    key: str, test: operators.Test, owner: str, rules: Rules, missing: bool | Unknown
) -> Matcher:
    need = f"{owner}.{key}"

    def matches(properties: Properties, call: Call) -> bool | Unknown:
        given = properties.get(key, _ABSENT)
        if given is _ABSENT:
            return missing
        try:
            return test(given, call)
        except (operators.UnreadableValueError, NotTextError) as problem:
            return rules.served is False and Unknown(
                Reason.MISSING_CONTEXT, f"{need} cannot be compared: {problem}", (need,)
            )
        except (operators.UnusableFilterError, UnsharedPatternError) as problem:
            return rules.served is False and Unknown(
                Reason.UNSUPPORTED_DEFINITION, f"the filter on {key!r} needs PostHog's own engine: {problem}"
            )

    return matches


def _false_when_null(test: operators.Test) -> operators.Test:
    return lambda given, call: given is not None and test(given, call)


def _unusable(source: dict[str, Any], detail: str, null_for: str | None = None) -> Filter:
    unknown = Unknown(Reason.UNSUPPORTED_DEFINITION, detail)
    if null_for is None:
        return Filter(lambda _properties, _call: unknown, source, unusable=True)
    return Filter(
        lambda properties, _: False if properties.get(null_for, _ABSENT) is None else unknown,
        source,
        unusable=True,
    )


def _settled_if_served(filter_: Filter, rules: Rules) -> Filter:
    return Filter(lambda _properties, _call: False, filter_.source) if rules.served else filter_


def _of_the_person(group: Filter) -> Filter:
    """On the server cohorts hold persons, whatever the flag is about."""
    matches = group.matches

    def of_the_person(_properties: Properties, call: Call) -> bool | Unknown:
        return matches(call.person, call)

    return replace(group, matches=of_the_person)


def _needs_server(source: dict[str, Any], detail: str) -> Filter:
    unknown = Unknown(Reason.UNSUPPORTED_DEFINITION, detail, server=True)
    return Filter(lambda _properties, _call: unknown, source, unusable=True)


def _negated(matches: Matcher) -> Matcher:
    def negated(properties: Properties, call: Call) -> bool | Unknown:
        found = matches(properties, call)
        return found if isinstance(found, Unknown) else not found

    return negated


def _combined(parts: list[Matcher], *, all_of: bool) -> Matcher:
    """AND or OR: one entry decides, but what needs the server wins, so every entry is looked at."""

    def matches(properties: Properties, call: Call) -> bool | Unknown:
        decided = False
        unknown: Unknown | None = None
        for part in parts:
            found = part(properties, call)
            if found is all_of:
                continue
            if found is not True and found is not False:
                if found.server:
                    return found
                unknown = merge(unknown, found)
            else:
                decided = True
        if decided:
            return not all_of
        return all_of if unknown is None else unknown

    return matches if len(parts) > 1 else parts[0]


class _Dependency:
    """A filter on another flag's value: the chain is evaluated in its order, then the last one compared."""

    def __init__(self, source: dict[str, Any], chain: list[str], gone: list[str]) -> None:
        self._key = str(source.get("key"))
        self._wanted = source.get("value")
        self._chain = chain
        self._gone = gone
        self.subjects: frozenset[int | None] | None = None
        self._undefined = Unknown(
            Reason.UNSUPPORTED_DEFINITION, f"the flag {self._key!r}, or one it depends on, is not defined"
        )
        self._undecided = f"it depends on flag {self._key!r}, which is undecided"

    def matches(self, _properties: Properties, call: Call) -> bool | Unknown:
        tried = call.tried
        if tried is None:
            tried = call.tried = {}
        for member in self._gone:
            if member not in tried:
                tried[member] = None
                return self._undefined
        for member in self._chain:
            failure = None if member in tried else self._try(member, call, tried)
            if failure is not None:
                return failure
        actual = tried.get(self._key)
        if actual is not None:
            return fits(self._wanted, actual)
        if self._key in call.flags and self._key in tried:
            return Unknown(Reason.UNRESOLVED_DEPENDENCY, self._undecided)
        return self._undefined

    def _try(self, key: str, call: Call, tried: dict[str, bool | str | None]) -> Unknown | None:
        """Evaluate a member of the chain once; an undecided one is not tried again in the same evaluation."""
        compiled = call.flags[key]
        if self.subjects is not None and not compiled.flag.subjects <= self.subjects:
            detail = f"it depends on flag {key!r}, which is about another subject"
            return Unknown(Reason.UNRESOLVED_DEPENDENCY, detail, server=True)
        # A circle meets itself as undecided.
        tried[key] = None
        decision = compiled.decide(call)
        tried[key] = decision.value
        if decision.value is not None:
            return None
        if decision.needs_server:
            del tried[key]
        detail = f"{self._undecided}: {decision.detail}"
        return Unknown(Reason.UNRESOLVED_DEPENDENCY, detail, decision.needs, decision.needs_server)


def fits(wanted: object, actual: bool | str) -> bool:
    """Whether a flag's value is the one a dependency wants: `true` takes any variant."""
    if isinstance(wanted, bool):
        return bool(actual) is wanted
    return isinstance(wanted, str) and actual == wanted
