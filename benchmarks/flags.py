"""Local flag evaluation against the official packages: the same flags, the same people, one thread, one run.

python benchmarks/flags.py

Prints decisions a second for 50 and for 500 flags, the ratio, and how many decisions differ (must be 0).
Both are asked through their public calls, and both answer with value, reason and payload: all flags of a
person at once (`evaluate_flags`, `evaluate_all`) and one flag at a time (`get_feature_flag`, `evaluate`).
The wanted ratio is that of the first, which both recommend; the second shows what a single call costs.
"""

from __future__ import annotations

import gc
import json
import logging
import shutil
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from posthog import Client

from posthog_mcp.flags import compile_flags

RATIO_WANTED = 8.0
COMPILE_SECONDS = 0.100
PEOPLE = 200
TIMED = 30
TURNS = 7


def product_flags(count: int, random: Random) -> dict[str, Any]:
    """Flags as products have them: the team first, then some customers, then a share of everybody."""
    flags = [_flag(number, random) for number in range(count)]
    cohort = {
        "type": "OR",
        "values": [
            {
                "type": "AND",
                "values": [_person("plan", "exact", ["pro", "team"]), _person("seats", "gte", 10)],
            }
        ],
    }
    return {"flags": flags, "group_type_mapping": {"0": "company"}, "cohorts": {"1": cohort}}


def _person(key: str, operator: str, value: object) -> dict[str, Any]:
    return {"key": key, "type": "person", "operator": operator, "value": value}


TEAM = _person("email", "icontains", "@initech.com")
TARGETS = [
    [],
    [_person("plan", "exact", ["pro", "team"])],
    [_person("plan", "exact", ["team"]), _person("country", "is_not", ["DE", "FR"])],
    [_person("seats", "gte", 25), _person("version", "semver_gte", "2.9.0")],
    [_person("email", "regex", r"@(acme|umbrella)\.com$")],
    [_person("created", "is_date_after", "2026-03-01"), _person("beta", "exact", ["true"])],
    [{"key": "id", "type": "cohort", "value": 1, "operator": "in"}],
]


def _flag(number: int, random: Random) -> dict[str, Any]:
    target, share = TARGETS[number % len(TARGETS)], random.choice([5, 20, 50])
    groups = [{"properties": target, "rollout_percentage": share}]
    if number % 3:
        groups.insert(0, {"properties": [TEAM], "rollout_percentage": None})
    if number % 2:
        groups.append({"properties": [_person("country", "exact", ["JP"])], "rollout_percentage": share})
    filters: dict[str, Any] = {"groups": groups}
    if number % 5 == 0:
        shares = [("control", 50), ("test", 50)]
        filters["multivariate"] = {"variants": [{"key": k, "rollout_percentage": p} for k, p in shares]}
    if number % 10 == 9:
        on = f"flag-{number - 9}"
        dependency = {
            "key": on,
            "type": "flag",
            "operator": "flag_evaluates_to",
            "value": True,
            "dependency_chain": [on],
        }
        groups[-1]["properties"] = [*groups[-1]["properties"], dependency]
    return {
        "id": number + 1,
        "key": f"flag-{number}",
        "active": number % 12 != 11,
        "version": 1,
        "filters": filters,
    }


def people(random: Random) -> list[tuple[str, dict[str, Any]]]:
    """Distinct ids with eight properties each."""
    return [
        (
            f"user-{number}",
            {
                "distinct_id": f"user-{number}",
                "plan": random.choice(["free", "pro", "team"]),
                "seats": random.randrange(40),
                "email": f"someone{number}@{random.choice(['acme.com', 'example.org'])}",
                "country": random.choice(["DE", "US", "JP"]),
                "beta": random.choice([True, False]),
                "version": "2.14.0",
                "created": "2026-02-01",
            },
        )
        for number in range(PEOPLE)
    ]


class Official:
    """The official package holding the same definitions, asked through its public calls."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self.client = Client("phc_benchmark", send=False, sync_mode=True)
        self.client.feature_flags = definitions["flags"]
        self.client.group_type_mapping = definitions["group_type_mapping"]
        self.client.cohorts = definitions["cohorts"]
        self.keys = [flag["key"] for flag in definitions["flags"]]

    def all_flags(self, distinct_id: str, properties: dict[str, Any]) -> object:
        return self.client.evaluate_flags(
            distinct_id, person_properties=properties, only_evaluate_locally=True
        )

    def one_by_one(self, distinct_id: str, properties: dict[str, Any]) -> dict[str, Any]:
        return {
            key: self.client.get_feature_flag(
                key,
                distinct_id,
                person_properties=properties,
                only_evaluate_locally=True,
                send_feature_flag_events=False,
            )
            for key in self.keys
        }


class Ours:
    """Our flags, asked the same questions."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self.flags = compile_flags(definitions)

    def all_flags(self, distinct_id: str, properties: dict[str, Any]) -> object:
        return self.flags.evaluate_all(distinct_id, person_properties=properties)

    def one_by_one(self, distinct_id: str, properties: dict[str, Any]) -> dict[str, Any]:
        evaluate = self.flags.evaluate
        return {key: evaluate(key, distinct_id, person_properties=properties).value for key in self.flags}


def node(definitions: dict[str, Any], subjects: list[Any]) -> dict[str, Any] | None:
    """Rates and values of the Node SDK; None where it is not installed."""
    here = Path(__file__).parent
    if not (shutil.which("node") and (here.parent / "tests/node/node_modules/posthog-node").exists()):
        return None
    job = {"definitions": definitions, "people": subjects, "turns": TURNS, "timed": TIMED}
    command = ["node", str(here / "flags_node.mjs")]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def rates(contenders: list[Callable[..., object]], subjects: list[Any], flags: int) -> list[float]:
    """Decisions a second of each contender: the best of some turns, taken in alternation.

    The machine's other work only ever slows a turn down, and slows the contenders alike.
    """
    best = [float("inf")] * len(contenders)
    for _ in range(TURNS):
        for index, evaluate in enumerate(contenders):
            gc.collect()
            start = time.perf_counter()
            for distinct_id, properties in subjects:
                evaluate(distinct_id, properties)
            best[index] = min(best[index], time.perf_counter() - start)
    return [len(subjects) * flags / seconds for seconds in best]


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)
    logging.getLogger("posthog").disabled = True
    met = True
    for count in (50, 500):
        random = Random(count)
        definitions, subjects = product_flags(count, random), people(random)
        start = time.perf_counter()
        ours = Ours(definitions)
        compiled = time.perf_counter() - start
        theirs = Official(definitions)
        given = [ours.one_by_one(*subject) for subject in subjects]
        other = node(definitions, subjects)
        answers = [
            [theirs.one_by_one(*subject) for subject in subjects],
            *([other["values"]] if other else []),
        ]
        differing = sum(
            values[key] != value
            for answer in answers
            for values, wanted in zip(given, answer, strict=True)
            for key, value in wanted.items()
        )
        print(f"{count} flags, compiled in {compiled * 1000:.1f} ms; {PEOPLE} people, {differing} differing")
        for name in ("all_flags", "one_by_one"):
            slow, fast = rates([getattr(theirs, name), getattr(ours, name)], subjects[:TIMED], count)
            third = f"   node {other['rates'][name]:>9,.0f}/s" if other else ""
            print(
                f"  {name:<10}  official {slow:>9,.0f}/s   ours {fast:>9,.0f}/s   {fast / slow:4.1f} x{third}"
            )
            met = met and (name != "all_flags" or fast / slow >= RATIO_WANTED)
        met = met and compiled <= COMPILE_SECONDS and not differing
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
