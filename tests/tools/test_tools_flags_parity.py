"""Our tools, here and through PostHog, and PostHog's own SDKs give the same people the same flags."""

import asyncio
import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from posthog import Client

NODE = Path(__file__).parent.parent / "node"
FLAGS, PEOPLE, ROUNDS = 12, 10, 3
PLANS, CITIES = ["free", "pro", "team"], ["Paris", "Lima", "Oslo"]


def _filter(rng: random.Random) -> dict[str, Any]:
    return rng.choice(
        [
            {"property": "plan", "value": rng.choice(PLANS)},
            {"property": "plan", "value": json.dumps(rng.sample(PLANS, 2))},
            {"property": "plan", "operator": "is_not", "value": rng.choice(PLANS)},
            {"property": "city", "operator": "icontains", "value": rng.choice(["a", "I", "osl"])},
            {"property": "city", "operator": "regex", "value": rng.choice(["^P", "o$", "[io]"])},
            {"property": "seats", "operator": rng.choice(["gt", "gte", "lt", "lte"]), "value": "10"},
            {"property": "since", "operator": "is_date_before", "value": "-30d"},
            {"property": "beta", "value": "true"},
            {"property": rng.choice(["seats", "beta"]), "operator": "is_set"},
        ]
    )


def _flag(rng: random.Random, key: str) -> dict[str, Any]:
    flag: dict[str, Any] = {
        "key": key,
        "rollout_percentage": rng.choice([100, 100, 60, 33.3, 0]),
        "conditions": [_filter(rng) for _ in range(rng.choice([0, 1, 1, 2]))],
    }
    if rng.random() < 0.4:
        shares = rng.choice([(50, 50), (33.3, 66.7), (0, 100)])
        flag["variants"] = [
            {"key": key, "rollout_percentage": share} for key, share in zip("ab", shares, strict=True)
        ]
        flag["payloads"] = {"a": {"n": 1}, "b": "text"}
    return flag


def _person(rng: random.Random) -> dict[str, Any]:
    return {
        "plan": rng.choice(PLANS),
        "city": rng.choice(CITIES),
        "seats": rng.choice([3, 10, 10.5, "12"]),
        "since": rng.choice(["2020-01-01", "2999-01-01T00:00:00Z"]),
        "beta": rng.choice([True, False, "true"]),
    }


def _sdk(url: str, people: dict[str, dict[str, Any]], keys: list[str]) -> tuple[Any, ...]:
    """Values by person and flag, local and remote."""
    client = Client("phc_sandbox", host=url, secret_key="phs_sandbox", sync_mode=True, poll_interval=3600)
    try:
        client.load_feature_flags()
        local = {
            person: client.evaluate_flags(person, person_properties=known, only_evaluate_locally=True)
            for person, known in people.items()
        }
        client.feature_flags, client.secret_key = None, None
        remote = {person: client.evaluate_flags(person) for person in people}
        return tuple(
            {person: {key: flags.get_flag(key) for key in keys} for person, flags in answers.items()}
            for answers in (local, remote)
        )
    finally:
        client.shutdown()


async def _node(environment: dict[str, str], people: dict[str, Any], keys: list[str]) -> tuple[Any, ...]:
    """The same by the Node SDK, where it is installed."""
    if not (shutil.which("node") and (NODE / "node_modules/posthog-node").exists()):
        if os.environ.get("CI"):
            pytest.fail("CI installs Node's counterparts; run npm install --prefix tests/node")
        return ()
    command = ["node", str(NODE / "flags.mjs"), json.dumps({"people": people, "keys": keys})]
    with anyio.fail_after(60):
        done = await anyio.run_process(command, env={**os.environ, **environment}, stderr=None)
    told = json.loads(done.stdout.decode().splitlines()[-1])
    return tuple(
        {person: {key: flags[key] for key in keys} for person, flags in answers.items()}
        for answers in (told["local"], told["remote"])
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_everybody_gets_the_same_from_all(agent, sandbox, name, seed):
    rng = random.Random(seed)
    keys = [f"{name}-{number}" for number in range(FLAGS)]
    for key in keys:
        await agent.record("create_flag", **_flag(rng, key))
    on = {"property": keys[0], "on": "flag", "value": "true"}
    await agent.record(
        "update_flag", flag=keys[1], changes=[{"do": "add_condition", "where": [on], "condition": 1}]
    )
    people = {f"{name}-p{number}": _person(rng) for number in range(PEOPLE)}
    batch = [
        {"event": "$set", "distinct_id": person, "properties": {"$set": known}}
        for person, known in people.items()
    ]
    async with httpx2.AsyncClient(base_url=sandbox.url) as application:
        await application.post("/batch/", json={"api_key": "phc_sandbox", "batch": batch})

    ours: dict[str, Any] = {}
    for mode in ("local", "remote"):
        ours[mode] = {}
        for person, known in people.items():
            given = {"person_properties": known} if mode == "local" else {}
            asked = {"distinct_id": person, "flags": keys, "mode": mode, **given}
            rows = await agent.named_rows("evaluate_flags", **asked)
            assert {row["from"] for row in rows} == {mode}
            ours[mode][person] = {row["flag"]: row["value"] for row in rows}
    theirs = await asyncio.to_thread(_sdk, sandbox.url, people, keys)
    theirs += await _node(sandbox.environment, people, keys)

    assert ours["local"] == ours["remote"]
    for answers in theirs:
        assert {
            person: {key: _text(value) for key, value in flags.items()} for person, flags in answers.items()
        } == ours["local"]
    assert len({value for flags in ours["local"].values() for value in flags.values()}) > 2
