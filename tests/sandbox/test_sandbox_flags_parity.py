"""What is evaluated here and what the sandbox's server answers is the same for the same people and flags.

A local evaluation may leave a flag undecided, since it does not know what was not passed; where it gives a
value, the server gives that value too.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from posthog_mcp.flags import FlagSet, compile_flags

if TYPE_CHECKING:
    from httpx2 import AsyncClient

FLAGS = "/api/projects/1/feature_flags/"
TOKEN = "phc_sandbox"
PEOPLE = 12
PLANS = ["free", "pro", "Team"]


def flag(random: Random, number: int, earlier: list[dict[str, Any]]) -> dict[str, Any]:
    about_group = random.random() < 0.25
    filters: dict[str, Any] = {
        "groups": [
            condition(random, earlier, about_group=about_group) for _ in range(random.choice([1, 2, 3]))
        ]
    }
    if about_group:
        filters["aggregation_group_type_index"] = 0
    if random.random() < 0.4:
        filters["multivariate"] = {
            "variants": [
                {"key": key, "rollout_percentage": share} for key, share in (("a", 33.3), ("b", 66.7))
            ]
        }
    if random.random() < 0.2:
        filters["holdout"] = {"id": 5, "exclusion_percentage": 40}
    if random.random() < 0.2:
        filters["early_exit"] = True
    device = not about_group and random.random() < 0.2
    return {
        "key": f"flag-{number}",
        "active": random.random() < 0.9,
        "filters": filters,
        "bucketing_identifier": "device_id" if device else "distinct_id",
    }


def condition(random: Random, earlier: list[dict[str, Any]], *, about_group: bool) -> dict[str, Any]:
    properties = [
        filter_of(random, "group" if about_group else "person") for _ in range(random.choice([0, 1, 1, 2]))
    ]
    persons = [one for one in earlier if "aggregation_group_type_index" not in one["filters"]]
    if persons and not about_group and random.random() < 0.3:
        on, value = random.choice(persons), random.choice([True, False, "a"])
        properties.append(
            {"key": str(on["id"]), "type": "flag", "operator": "flag_evaluates_to", "value": value}
        )
    return {
        "properties": properties,
        "rollout_percentage": random.choice([None, 0, 12.5, 50, 80, 100]),
        "variant": random.choice([None, None, "a"]),
    }


def filter_of(random: Random, kind: str) -> dict[str, Any]:
    key, operator, value = random.choice(
        [
            ("plan", "exact", ["pro", "team"]),
            ("plan", "is_not", ["free"]),
            ("plan", "icontains", "RO"),
            ("plan", "not_icontains", "x"),
            ("plan", "regex", "^(pro|free)$"),
            ("plan", "starts_with", "t"),
            ("seats", "gt", 10),
            ("seats", "lte", "20"),
            ("since", "is_date_after", "-40d"),
            ("since", "is_date_before", "2026-01-01"),
            ("version", "semver_gte", "1.4"),
            ("beta", "exact", ["true"]),
            ("version", "semver_tilde", "1.4.0"),
            ("missing", "is_set", "is_set"),
            ("missing", "is_not", ["x"]),
            ("missing", "is_not_set", "is_not_set"),
        ]
    )
    return {"key": key, "type": kind, "operator": operator, "value": value}


def properties(random: Random) -> dict[str, Any]:
    return {
        "plan": random.choice(PLANS),
        "seats": random.choice([3, 15, 40, "12"]),
        "since": random.choice(["2025-06-01", "2026-12-31T10:00:00Z"]),
        "version": random.choice(["1.3.9", "1.4.2", "2.0.0"]),
        "beta": random.choice([True, False, "true"]),
    }


def asks_for_the_unknown(definition: dict[str, Any], flags: FlagSet) -> bool:
    """Whether a flag, or one it depends on, asks for a property nobody has, which only the server knows."""
    filters = [each for group in definition["filters"]["groups"] for each in group["properties"]]
    chain = [key for each in filters for key in each.get("dependency_chain", ())]
    return any(each["key"] == "missing" for each in filters) or any(
        asks_for_the_unknown(flags.definition(key), flags) for key in chain
    )


@pytest.mark.parametrize("seed", range(4))
async def test_local_and_remote_evaluation_agree(api: AsyncClient, anyone: AsyncClient, seed: int):
    random = Random(seed)
    made: list[dict[str, Any]] = []
    company = properties(random)
    event = {
        "event": "$groupidentify",
        "distinct_id": "u-0",
        "properties": {"$group_type": "company", "$group_key": "acme", "$group_set": company},
    }
    people = {f"u-{number}": properties(random) for number in range(PEOPLE)}
    batch = [event] + [
        {"event": "$identify", "distinct_id": name, "properties": {"$set": given}}
        for name, given in people.items()
    ]
    assert (await anyone.post("/batch/", json={"api_key": TOKEN, "batch": batch})).status_code == 200
    for number in range(15):
        reply = await api.post(FLAGS, json=flag(random, number, made))
        assert reply.status_code == 201, reply.text
        made.append(reply.json())
    local = compile_flags((await api.get(f"/flags/definitions?token={TOKEN}")).json())
    compared = 0
    for name, given in people.items():
        groups = random.choice([{}, {"company": "acme"}])
        device = random.choice(["", "device-7"])
        body = {"api_key": TOKEN, "distinct_id": name, "groups": groups, "device_id": device}
        remote = (await anyone.post("/flags/?v=2", json=body)).json()["flags"]
        decisions = local.evaluate_all(
            name,
            person_properties=given,
            groups=groups,
            group_properties={"company": company} if groups else {},
            device_id=device,
        )
        for key, decision in decisions.items():
            if decision.decided:
                compared += 1
                answer = remote.get(key, {"enabled": False, "variant": None})
                if asks_for_the_unknown(local.definition(key), local):
                    # The server may match an earlier condition, which gives another variant.
                    assert bool(decision.value) is answer["enabled"], (key, decision, answer)
                    continue
                assert decision.value == (answer["variant"] or answer["enabled"]), (key, decision, answer)
                if key in remote:
                    assert decision.code == answer["reason"]["code"]
                    assert decision.condition_index == answer["reason"]["condition_index"]
    assert compared > PEOPLE * len(made) * 0.6
