"""A change of a flag is shown before it is made: what differs, whom it reaches, who switches."""

from typing import Any

import httpx2
import pytest

pytestmark = pytest.mark.parametrize("agent", ["auto"], indirect=True)


async def _people(agent, name: str, count: int = 10) -> None:
    """`count` people who were just here: half of them pro, the first two of acme."""
    events = [
        {
            "event": "page seen",
            "distinct_id": f"{name}-{number}",
            "properties": {"$set": {f"{name} plan": "pro" if number % 2 else "free", "n": number}},
            "groups": {"company": "acme" if number < 2 else "other"},
        }
        for number in range(count)
    ]
    await agent.record("capture_events", events=events, wait=True)


async def _preview(agent, name: str, *changes: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    return await agent.record("preview_flag_change", flag=name, changes=list(changes), **arguments)


def _of(preview: dict[str, Any]) -> dict[tuple[Any, Any], int]:
    """How many of all simulated switch: the sandbox holds other tests' people as well, who stay."""
    return {(each["from"], each["to"]): each["count"] for each in preview["simulation"]["switches"]}


async def test_who_switches_is_counted_with_examples_and_nothing_is_written(agent, sandbox, name):
    await _people(agent, name)
    where = [{"property": f"{name} plan", "value": "pro"}]
    created = await agent.record("create_flag", key=name, conditions=where)
    async with httpx2.AsyncClient(base_url=sandbox.url) as control:
        await control.delete("/_sandbox/requests")
        preview = await _preview(
            agent, name, {"do": "add_condition", "where": [{"property": f"{name} plan", "value": "free"}]}
        )
        served = (await control.get("/_sandbox/requests")).json()["requests"]
    assert {one["method"] for one in served} <= {"GET", "POST"}
    assert _of(preview) == {(False, True): 5}
    [switch] = preview["simulation"]["switches"]
    assert len(switch["examples"]) == 3
    assert set(switch["examples"]) <= {f"{name}-{number}" for number in range(0, 10, 2)}
    assert preview["reach"][0]["fit"] == 5
    assert preview["reach"][0]["condition"] == 2
    assert preview["would_change"][0]["field"] == "filters.groups[1]"
    assert preview["written_by_outsiders"] == ["simulation"]
    assert (await agent.record("get_flag", flag=name))["version"] == created["version"]


async def test_the_simulation_agrees_with_what_people_get_before_and_after(agent, name):
    await _people(agent, name, 20)
    where = [{"property": f"{name} plan", "operator": "is_set"}]
    shares = [{"key": "a", "rollout_percentage": 50}, {"key": "b", "rollout_percentage": 50}]
    await agent.record("create_flag", key=name, conditions=where, variants=shares)
    changes = [
        {"do": "set_rollout", "rollout_percentage": 70},
        {
            "do": "set_variants",
            "variants": [{"key": "a", "rollout_percentage": 20}, {"key": "b", "rollout_percentage": 80}],
        },
    ]
    preview = await _preview(agent, name, *changes)

    async def values() -> list[str]:
        return [
            (await agent.rows("evaluate_flags", distinct_id=f"{name}-{n}", flags=[name], mode="remote"))[0][1]
            for n in range(20)
        ]

    was = await values()
    await agent.record("update_flag", flag=name, changes=changes)
    will = await values()
    counts: dict[tuple[Any, Any], int] = {}
    for pair in zip(was, will, strict=True):
        if pair[0] != pair[1]:
            key = (pair[0], False if pair[1] == "false" else pair[1])
            counts[key] = counts.get(key, 0) + 1
    assert _of(preview) == counts
    assert counts


async def test_turning_a_flag_off_shows_who_loses_it_and_what_depends_on_it(agent, name):
    await _people(agent, name)
    where = [{"property": f"{name} plan", "value": "pro"}]
    await agent.record("create_flag", key=name, conditions=where)
    needs = [{"property": name, "on": "flag", "value": "true"}]
    await agent.record("create_flag", key=f"{name}-top", conditions=needs)
    preview = await _preview(agent, name, {"do": "disable"})
    assert _of(preview) == {(True, False): 5}
    assert preview["used_by"] == {"flags": [f"{name}-top"]}
    assert preview["refused_because_needed_by"] == [f"{name}-top"]
    assert preview["reach"][0]["fit"] == 5


async def test_cohorts_and_dependencies_count_in_the_simulation(agent, sandbox, name):
    await _people(agent, name)
    people = {"Authorization": "Bearer phx_sandbox"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=people) as posthog:
        leaf = {"key": f"{name} plan", "type": "person", "operator": "exact", "value": ["pro"]}
        group = {"type": "OR", "values": [{"type": "AND", "values": [leaf]}]}
        by_properties = (
            await posthog.post(
                "/api/projects/1/cohorts/", json={"name": name, "filters": {"properties": group}}
            )
        ).json()
        found = (await posthog.get("/api/projects/1/persons/", params={"distinct_id": f"{name}-0"})).json()
        static = (
            await posthog.post(
                "/api/projects/1/cohorts/",
                json={
                    "name": f"{name} list",
                    "is_static": True,
                    "_create_static_person_ids": [found["results"][0]["uuid"]],
                },
            )
        ).json()
    await agent.record(
        "create_flag", key=f"{name}-base", conditions=[{"property": f"{name} plan", "value": "pro"}]
    )
    await agent.record("create_flag", key=name, rollout_percentage=0)

    async def switches(property_: str, on: str, value: str = "") -> dict[tuple[Any, Any], int]:
        row = {"property": property_, "on": on, "value": value}
        return _of(await _preview(agent, name, {"do": "add_condition", "where": [row]}))

    assert await switches(str(by_properties["id"]), "cohort") == {(False, True): 5}
    assert await switches(str(static["id"]), "cohort") == {(False, True): 1}
    assert await switches(f"{name}-base", "flag", "true") == {(False, True): 5}


async def test_a_flag_about_groups_is_simulated_for_groups(agent, name):
    await agent.record(
        "identify_group",
        group_type="company",
        group_key=f"{name}-big",
        properties={f"{name} seats": 50},
        wait=True,
    )
    where = [{"property": f"{name} seats", "operator": "gte", "value": "100", "on": "group"}]
    created = await agent.record("create_flag", key=name, group_type="company", conditions=where)
    assert created["filters"]["aggregation_group_type_index"] == 0
    lower = [{"property": f"{name} seats", "operator": "gte", "value": "20", "on": "group"}]
    preview = await _preview(agent, name, {"do": "add_condition", "where": lower})
    assert _of(preview) == {(False, True): 1}
    assert preview["simulation"]["switches"][0]["examples"] == [f"{name}-big"]
    rows = await agent.rows(
        "evaluate_flags",
        distinct_id="u1",
        flags=[name],
        groups={"company": f"{name}-big"},
        group_properties={"company": {f"{name} seats": 100}},
    )
    assert rows[0][1] == "true"


async def test_what_the_simulation_cannot_see_is_said(agent, sandbox, name):
    headers = {"Authorization": "Bearer phx_sandbox"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers) as posthog:
        for key, fields in (
            (name, {"ensure_experience_continuity": True}),
            (f"{name}-device", {"bucketing_identifier": "device_id"}),
        ):
            body = {
                "key": key,
                "filters": {"groups": [{"properties": [], "rollout_percentage": 10}]},
                **fields,
            }
            assert (await posthog.post("/api/projects/1/feature_flags/", json=body)).status_code == 201
    more = {"do": "set_rollout", "rollout_percentage": 20}
    assert "keep their first answer" in (await _preview(agent, name, more))["simulation_leaves_out"][0]
    device = await _preview(agent, f"{name}-device", more)
    assert "by device" in device["simulation_leaves_out"][0]
    assert device["simulation"]["evaluated"] == 0


async def test_a_preview_survives_a_query_that_fails(agent, sandbox, name):
    await agent.record("create_flag", key=name)
    async with httpx2.AsyncClient(base_url=sandbox.url) as control:
        fault = {"route": "/api/projects/1/query*", "status": 500, "body": {"detail": "no"}, "times": 9}
        await control.post("/_sandbox/faults", json=fault)
        preview = await _preview(agent, name, {"do": "disable"})
        await control.delete("/_sandbox/faults")
    assert "500" in preview["simulation_failed"]
    assert preview["would_change"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([], "`changes` is too short: at least 1"),
        ([{"do": "explode"}], "`changes[0].do` is"),
        ([{"do": "enable", "tags": []}], "takes nothing else"),
        ("not json", "JSON"),
    ],
)
async def test_a_change_that_does_not_fit_is_refused(agent, name, changes, words):
    await agent.record("create_flag", key=name)
    assert words in await agent.refusal("preview_flag_change", flag=name, changes=changes)


async def test_a_preview_takes_what_update_takes(agent, name):
    await agent.record("create_flag", key=name)
    change = {"do": "set_rollout", "rollout_percentage": 0}
    preview = await _preview(agent, name, change)
    done = await agent.record("update_flag", flag=name, changes=[change])
    assert preview["would_change"] == done["changed"]
