"""PostHog's property operators: a filter's value becomes a test of a property's value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NamedTuple

from posthog_mcp.flags import dates, patterns, values, versions
from posthog_mcp.flags.call import Call, Rules
from posthog_mcp.flags.values import NotTextError

Test = Callable[[Any, Call], bool]

EQUALITY = frozenset({"exact", "is_not"})
PRESENCE = frozenset({"is_set", "is_not_set"})
TEXT = frozenset(
    {"icontains", "not_icontains", "starts_with", "not_starts_with", "ends_with", "not_ends_with"}
)
REGEX = frozenset({"regex", "not_regex"})
NUMERIC = frozenset({"gt", "gte", "lt", "lte"})
DATE = frozenset({"is_date_before", "is_date_after"})
SEMVER_COMPARE = frozenset({"semver_eq", "semver_neq", "semver_gt", "semver_gte", "semver_lt", "semver_lte"})
SEMVER_RANGE = frozenset({"semver_tilde", "semver_caret", "semver_wildcard"})
SEMVER = SEMVER_COMPARE | SEMVER_RANGE

# Up to here a whole number and the float it is compared as are the same.
_EXACT = 2**53
# From this `property_matching_version` on, the words true and false are compared as text.
_TEXT_ONLY = 2
SERVER_ALIASES = {"min": "gte", "max": "lte"}

# On the server a person without the property passes these.
TRUE_WHEN_ABSENT = frozenset(
    {
        "is_not",
        "is_not_set",
        "not_icontains",
        "not_icontains_multi",
        "not_starts_with",
        "not_ends_with",
        "not_regex",
    }
)
# A property that is given but null is false for these, whatever the filter says.
FALSE_WHEN_NULL = DATE | SEMVER | {"is_date_exact"}


class UnusableFilterError(ValueError):
    """No value of the property could be tested against this filter."""


class UnreadableValueError(ValueError):
    """The property's value is of a kind the operator cannot compare."""


def compile_test(operator: str, value: object, rules: Rules) -> Test:
    """The test of a given property value; presence was tested before.

    The test raises `UnreadableValueError` or `NotTextError` for a value it cannot compare,
    `UnsharedPatternError` for a text on which the regular expression engines differ, and
    `UnusableFilterError` for a date that does not exist this year.

    Raises:
        UnusableFilterError: When the operator is unknown, or cannot use the filter's value.
    """
    operator = SERVER_ALIASES.get(operator, operator) if rules.served else operator
    try:
        if operator in EQUALITY:
            return equality(value, rules, expected=operator == "exact").test
        if operator in TEXT:
            return _text(operator, value)
        if operator in REGEX:
            return _regex(str(value), rules, expected=operator == "regex")
        if operator in NUMERIC:
            return _numeric(operator, value)
        if operator in DATE or (operator == "is_date_exact" and rules.served):
            return _date(operator, str(value))
        if operator in SEMVER:
            return _semver(operator, value, rules)
        if operator in ("icontains_multi", "not_icontains_multi") and rules.served:
            return _any_contained(value, expected=operator == "icontains_multi")
    except NotTextError as problem:
        raise UnusableFilterError(f"the filter's value cannot be compared as text: {problem}") from None
    raise UnusableFilterError(f"the operator {operator!r} is unknown")


class Equality(NamedTuple):
    """An `exact` or `is_not` filter: the lower-case texts it names, and whether naming one is a match."""

    texts: frozenset[str]
    outcome: bool
    by_truth: bool

    def test(self, given: object, _call: Call) -> bool:
        """Whether a property's value passes.

        Raises:
            NotTextError: When the value has no text.
        """
        text = values.text_of(given)
        named = values.is_truthy(given) if self.by_truth else text.lower() in self.texts
        return named is self.outcome


def equality(value: object, rules: Rules, *, expected: bool) -> Equality:
    """The filter behind `exact` (`expected` true) and `is_not`.

    Raises:
        NotTextError: When a wanted value has no text.
    """
    if value == [] or (rules.matching_version != _TEXT_ONLY and values.is_truth_word(value)):
        return Equality(frozenset({"true"}), values.is_truthy(value) is expected, by_truth=True)
    wanted = value if values.is_list(value) else [value]
    texts = frozenset(values.text_of(item).lower() for item in wanted)
    return Equality(texts, expected, by_truth=False)


def _text(operator: str, value: object) -> Test:
    wanted = values.folded(value)
    expected = not operator.startswith("not_")

    # ASCII text is by far the commonest value, and needs no more than this.
    def contains(given: Any, _: Call) -> bool:
        if given.__class__ is str and given.isascii():
            return (wanted in given.lower()) is expected
        return (wanted in values.folded(given)) is expected

    def starts(given: Any, _: Call) -> bool:
        if given.__class__ is str and given.isascii():
            return given.lower().startswith(wanted) is expected
        return values.folded(given).startswith(wanted) is expected

    def ends(given: Any, _: Call) -> bool:
        if given.__class__ is str and given.isascii():
            return given.lower().endswith(wanted) is expected
        return values.folded(given).endswith(wanted) is expected

    return {"icontains": contains, "starts_with": starts, "ends_with": ends}[operator.removeprefix("not_")]


def _any_contained(value: object, *, expected: bool) -> Test:
    items = value if values.is_list(value) else [value]
    wanted = [values.folded(item) for item in items]

    def contained(given: object, _: Call) -> bool:
        text = values.folded(given)
        return any(item in text for item in wanted) is expected

    return contained


def _regex(pattern: str, rules: Rules, *, expected: bool) -> Test:
    if not pattern:
        return lambda given, _: bool(values.text_of(given) or True) is expected
    if rules.served:

        def as_served(given: object, _: Call) -> bool:
            found = patterns.search_as_server(pattern, values.text_of(given))
            return found is not None and found is expected

        return as_served
    try:
        patterns.check(pattern)
    except patterns.UnsharedPatternError as problem:
        raise UnusableFilterError(f"the pattern needs PostHog's own engine: {problem}") from None

    regex: patterns.SharedPattern | None = None

    def search(given: Any, _: Call) -> bool:
        nonlocal regex
        if regex is None:
            # Compiled at the first use: most flags of a set are never asked about this property.
            regex = patterns.shared(pattern)
        if given.__class__ is str and len(given) <= regex.quick and given.isascii() and given.isprintable():
            return (regex.find(given) is not None) is expected
        text = values.text_of(given)
        return regex.search(text) is expected if regex.valid else False

    return search


def _numeric(operator: str, value: object) -> Test:
    limit = values.number_of(value)
    if limit is None:
        raise UnusableFilterError("the filter's value is not a number")
    bound = limit
    compare = _COMPARISONS[operator]

    def test(given: Any, _: Call) -> bool:
        if given.__class__ is int and -_EXACT <= given <= _EXACT:
            return compare(given, bound)
        number = values.number_of(given)
        return number is not None and compare(number, bound)

    return test


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": gt,
    "gte": ge,
    "lt": lt,
    "lte": le,
    "eq": eq,
    "neq": ne,
    "is_date_before": lt,
    "is_date_after": gt,
    "is_date_exact": eq,
}


def _date(operator: str, text: str) -> Test:
    try:
        moment = dates.compile_date(text)
    except (ValueError, OverflowError):
        raise UnusableFilterError(f"the filter's value {text!r} is not a date") from None
    compare = _COMPARISONS[operator]

    def test(given: object, call: Call) -> bool:
        now = call.clock()
        try:
            wanted = moment(now)
        except (ValueError, OverflowError):
            raise UnusableFilterError(f"the filter's date {text!r} does not exist") from None
        if isinstance(given, str):
            try:
                return compare(dates.parse_moment(given, now), wanted)
            except (ValueError, OverflowError):
                raise UnreadableValueError("its text is not an ISO date or time") from None
        if isinstance(given, datetime):
            return compare(dates.aware(given), wanted)
        if isinstance(given, date):
            return compare(given, wanted.date())
        raise UnreadableValueError("it is not a date")

    return test


def _semver(operator: str, value: object, rules: Rules) -> Test:
    zeros = rules.served
    try:
        if operator in SEMVER_RANGE:
            lower, upper = versions.version_range(operator, value, leading_zeros=zeros)
            return lambda given, _: lower <= _version(given, leading_zeros=zeros) < upper
        wanted = versions.parse_version(value, leading_zeros=zeros)
    except ValueError:
        raise UnusableFilterError(f"the filter's value {str(value)!r} is not a version") from None
    compare = _COMPARISONS[operator.removeprefix("semver_")]
    return lambda given, _: compare(_version(given, leading_zeros=zeros), wanted)


def _version(given: object, *, leading_zeros: bool) -> versions.Version:
    try:
        return versions.parse_version(given, leading_zeros=leading_zeros)
    except ValueError:
        raise UnreadableValueError("it is not a version") from None
