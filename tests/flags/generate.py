"""Random flag definitions and subjects that use everything a flag can hold, from a seed."""

from __future__ import annotations

import math
from random import Random

GROUP_TYPES = {"0": "company", "1": "project"}
FLAGS_IN_A_SET = 12

_WORDS = [
    "pro",
    "Pro",
    "PRO",
    "free",
    "",
    "true",
    "False",
    "Éclair",
    "éclair",
    "İstanbul",
    "straße",
    "null",
    "a b",
]
_NUMBERS = [0, 1, 9, 10, -3, 2.5, 1e-07, 1e20, 0.00001, 123456789012345678901]
_NUMERIC_TEXT = ["9", "10", " 10", "1e3", "nan", "+.5", "5.", "1_000", "٣"]
_VERSIONS = [
    "1.2.3",
    "v1.4",
    "0.4.2",
    "0.0.2",
    "1.02.3",
    "2.0.0-beta",
    "x.y",
    "",
    "1.2.3.4",
    2,
    "1.4.*",
    "1.*",
    "*",
]
_DATES = [
    "-7d", "30d", "-1m", "2y", "9999y", "-12h", "3w", "10000d", "5q", "2024-05-01", "2024-05-01T10:00:00Z",
    "2024-05-01 10:00:00 UTC", "2024-05-01 10:00:00 +02:00", "2021", "2033", "last week", "2024-13-01",
]  # fmt: skip
_PATTERNS = [
    "", "^pro$", "pro|free", "[A-Z]+", r"\d{2,3}", "(a+)+", "(?i)pro", "(?:pro|fre+)$", r"\bpro", "[[a]", "(",
    "a{2}", "[]a]",
    r"\w+@\w+\.com", "é", r"\s", "^.*o.*$", "[^a]", "a**", r"\x41", "[a-c&&b]", "x{,3}", "^(a|b)*c", "p(?=r)",
]  # fmt: skip
_VALUES = [
    *_WORDS,
    *_NUMBERS,
    *_NUMERIC_TEXT,
    *_VERSIONS[:8],
    *_DATES[9:16],
    "aab12@acme.com",
    "pro\n",
    "x\x1c",
    "٣٤",
]
_ODD = [None, True, False, ["pro"], [], {"b": 1, "a": [None, 1.5]}, math.nan, ["true"]]

_TEXT = ["icontains", "not_icontains", "starts_with", "not_starts_with", "ends_with", "not_ends_with"]
_SEMVER = ["eq", "neq", "gt", "gte", "lt", "lte", "tilde", "caret", "wildcard"]
_OPERATORS = {
    "equality": ["exact", "is_not", None],
    "presence": ["is_set", "is_not_set"],
    "text": _TEXT,
    "regex": ["regex", "not_regex"],
    "number": ["gt", "gte", "lt", "lte"],
    "date": ["is_date_before", "is_date_after"],
    "semver": [f"semver_{name}" for name in _SEMVER],
    "unknown": ["between", "icontains_multi"],
}
_PROPERTIES = ["plan", "seats", "since", "version", "beta", "email"]
_LIKELY = [0, 5, 25, 33.33, 50, 75, 100, 100, None, None]


class Generator:
    """One stream of definitions and subjects; the same seed gives the same stream."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def definitions(self) -> dict:
        """A body of `/flags/definitions`."""
        keys = [f"flag-{index}" for index in range(FLAGS_IN_A_SET)]
        self._cohort_ids = [str(number) for number in range(1, 6)]
        self._chains: dict[str, list[str]] = {}
        cohorts = {cohort: self._group(depth=0, below=int(cohort)) for cohort in self._cohort_ids}
        flags = [self._flag(index, key, keys[:index]) for index, key in enumerate(keys)]
        return {
            "flags": flags,
            "group_type_mapping": GROUP_TYPES,
            "cohorts": cohorts,
            "property_matching_version": self.random.choice([1, 1, 2]),
        }

    def subject(self) -> dict:
        """The arguments of an evaluation."""
        random = self.random
        groups = {
            name: random.choice(["acme", "initech", "ünï"]) for name in self._some(GROUP_TYPES.values())
        }
        return {
            "distinct_id": f"u-{random.randrange(10_000)}" if random.random() < 0.95 else "ü-\U0001f600",
            "groups": groups,
            "person_properties": self._properties(),
            "group_properties": {name: self._properties() for name in groups if random.random() < 0.8},
            "device_id": random.choice(["", f"device-{random.randrange(1000)}"]),
        }

    def _some(self, items) -> list:
        return [item for item in items if self.random.random() < 0.6]

    def _properties(self) -> dict:
        given = {name: self._value() for name in _PROPERTIES if self.random.random() < 0.75}
        if self.random.random() < 0.3:
            key = f"$feature_enrollment/flag-{self.random.randrange(FLAGS_IN_A_SET)}"
            given[key] = self.random.choice([True, "true", False, "yes"])
        return given

    def _value(self):
        return self.random.choice(_ODD if self.random.random() < 0.15 else _VALUES)

    def _flag(self, index: int, key: str, before: list[str]) -> dict:
        random = self.random
        group = random.choice([None, None, None, None, 0, 1, 9]) if random.random() < 0.6 else None
        self._chains[key] = []
        filters = {
            "groups": [self._condition(key, before, group) for _ in range(random.choice([0, 1, 1, 2, 3]))],
            "aggregation_group_type_index": group,
            "payloads": {"true": '{"a": 1}', "test": "[1]", "control": "not json"},
        }
        if random.random() < 0.4:
            shares = random.choice([[50, 50], [33.33, 33.33, 33.34], [10, 20], [100, 0]])
            names = ["control", "test", "third"]
            filters["multivariate"] = {
                "variants": [{"key": n, "rollout_percentage": s} for n, s in zip(names, shares, strict=False)]
            }
        if random.random() < 0.15:
            excluded = random.choice([0, 10, 50, 100, 140, None])
            filters["holdout"] = {"id": random.choice([3, 4]), "exclusion_percentage": excluded}
        if random.random() < 0.1:
            filters["early_exit"] = True
        if random.random() < 0.05:
            filters["feature_enrollment"] = True
        return {
            "id": index + 1,
            "key": key,
            "active": random.random() < 0.93,
            "ensure_experience_continuity": random.random() < 0.04,
            "bucketing_identifier": random.choice(["distinct_id", None, None, "device_id"]),
            "version": 1,
            "filters": filters,
        }

    def _condition(self, key: str, before: list[str], group: int | None) -> dict:
        random = self.random
        filters = [self._filter(key, before) for _ in range(random.choice([0, 0, 1, 1, 1, 2, 3]))]
        condition = {
            "properties": filters or random.choice([[], None]),
            "rollout_percentage": random.choice(_LIKELY),
            "variant": random.choice([None, None, None, "test", "no-such-variant"]),
        }
        if group is None and random.random() < 0.12:
            condition["aggregation_group_type_index"] = random.choice([0, 1, 9, None])
        return condition

    def _filter(self, key: str, before: list[str]) -> dict:
        roll = self.random.random()
        if roll < 0.12:
            return self._cohort_filter(int(self._cohort_ids[-1]) + 1)
        if roll < 0.3 and before:
            return self._dependency(key, before)
        return self._property()

    def _cohort_filter(self, below: int) -> dict:
        """A reference to an earlier cohort, now and then to one that is not there."""
        known = [str(number) for number in range(1, below)]
        cohort = (
            self.random.choice([*known, "77"])
            if self.random.random() < 0.3 or not known
            else self.random.choice(known)
        )
        operator = self.random.choice(["in", "in", "not_in", "exact", None, "gt"])
        return {"key": "id", "type": "cohort", "value": int(cohort), "operator": operator}

    def _dependency(self, key: str, before: list[str]) -> dict:
        random = self.random
        wanted = random.choice([True, True, False, "test", "control", "Test", None])
        on = "gone" if random.random() < 0.05 else random.choice(before)
        chain = [*self._chains.get(on, []), on]
        self._chains[key] += [member for member in chain if member not in self._chains[key]]
        dependency = {
            "key": on,
            "type": "flag",
            "operator": "exact" if random.random() < 0.05 else "flag_evaluates_to",
            "value": wanted,
            "dependency_chain": chain,
        }
        if random.random() < 0.06:
            broken = random.choice([[], "flag-1", None])
            if broken is None:
                del dependency["dependency_chain"]
            else:
                dependency["dependency_chain"] = broken
        return dependency

    def _property(self) -> dict:
        random = self.random
        kind = (
            random.choice([*_OPERATORS, "equality", "text", "number"])
            if random.random() < 0.97
            else "unknown"
        )
        operator = random.choice(_OPERATORS[kind])
        value = {
            "equality": lambda: random.choice(
                [random.choice(_WORDS), random.sample(_WORDS, 2), self._value(), ["true"]]
            ),
            "presence": lambda: None,
            "regex": lambda: random.choice(_PATTERNS),
            "number": lambda: random.choice([*_NUMBERS, *_NUMERIC_TEXT]),
            "date": lambda: random.choice(_DATES),
            "semver": lambda: random.choice(_VERSIONS),
        }.get(kind, self._value)()
        key = random.choice([*_PROPERTIES, "plan", "plan", "distinct_id", "$group_key"])
        return {"key": key, "type": random.choice(["person", "group"]), "operator": operator, "value": value}

    def _group(self, depth: int, below: int) -> dict | str:
        random = self.random
        if random.random() < 0.04:
            return random.choice([{}, "broken", {"type": "XOR", "values": []}, {"type": "AND", "values": []}])
        entries: list = []
        for _ in range(random.choice([1, 1, 2, 3])):
            roll = random.random()
            if roll < 0.25 and depth < 2:
                entries.append(self._group(depth + 1, below))
            elif roll < 0.35 and below > 1:
                entries.append({**self._cohort_filter(below), "negation": random.random() < 0.3})
            else:
                entries.append({**self._property(), "negation": random.random() < 0.2})
        return {"type": random.choice(["AND", "OR"]), "values": entries}
