"""What a person gets for flags, decided here or by PostHog, and why."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.server.app import App
from posthog_mcp.settings import Settings

DEFINITIONS = "/flags/definitions"
PRO = [{"property": "plan", "value": "pro"}]


@pytest.fixture
async def control(sandbox: SandboxProcess) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=sandbox.url) as client:
        await client.delete("/_sandbox/requests")
        yield client
        await client.delete("/_sandbox/faults")


@pytest.fixture
def asked(control: httpx2.AsyncClient) -> Callable[[], Any]:
    async def counts() -> dict[str, int]:
        """How often PostHog was asked, by path, since the test began."""
        served = (await control.get("/_sandbox/requests")).json()["requests"]
        paths = [one["path"].rstrip("/") for one in served]
        return {path: paths.count(path) for path in paths}

    return counts


@pytest.fixture
def server(sandbox: SandboxProcess, tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Client]]:
    """A server started with other settings than the sandbox's own."""

    @asynccontextmanager
    async def start(**environment: str) -> AsyncIterator[Client]:
        given = {**sandbox.environment, "POSTHOG_MCP_DATA_DIR": str(tmp_path), **environment}
        app = App(Settings.load(given))
        async with Client(app.server()) as client:
            yield client
        await app.close()

    return start


async def _text(client: Client, tool: str, **arguments: Any) -> str:
    return (await client.call_tool(tool, arguments)).content[0].text


async def test_what_is_known_decides_here_without_a_request_for_each_person(agent, asked, name):
    await agent.record("create_flag", key=name, conditions=PRO)
    for number in range(5):
        plan = "pro" if number % 2 else "free"
        rows = await agent.rows(
            "evaluate_flags", distinct_id=f"{name}-{number}", flags=[name], person_properties={"plan": plan}
        )
        assert rows == [[name, "true" if number % 2 else "false", rows[0][2], "", "local"]]
    counts = await asked()
    assert counts[DEFINITIONS] == 1
    assert "/flags" not in counts


async def test_only_what_cannot_be_decided_here_is_asked_of_posthog(agent, asked, name):
    await agent.record("create_flag", key=f"{name}-all")
    await agent.record("create_flag", key=f"{name}-pro", conditions=PRO)
    await agent.record("identify_person", wait=True, distinct_id=name, properties={"city": "Paris"})
    rows = await agent.rows("evaluate_flags", distinct_id=name, flags=[f"{name}-all", f"{name}-pro"])
    assert [[row[0], row[1], row[4]] for row in rows] == [
        [f"{name}-all", "true", "local"],
        [f"{name}-pro", "false", "remote"],
    ]
    assert (await asked())["/flags"] == 1
    answer = await agent.ask("evaluate_flags", distinct_id=name, flags=[f"{name}-all"])
    assert "Local definitions are 0 s old." in answer or "Local definitions are 1 s old." in answer


async def test_local_says_what_to_pass_and_asks_nobody(agent, asked, name):
    await agent.record("create_flag", key=name, conditions=PRO)
    [[_, value, reason, _, where]] = await agent.rows(
        "evaluate_flags", distinct_id=name, flags=[name], mode="local"
    )
    assert (value, where) == ("", "")
    assert "missing_context" in reason
    assert "pass person_properties.plan" in reason
    assert "/flags" not in await asked()


async def test_remote_asks_posthog_alone(agent, asked, name):
    await agent.record("create_flag", key=name)
    [row] = await agent.rows("evaluate_flags", distinct_id=name, flags=[name], mode="remote")
    assert row[1:] == ["true", "Matched condition set 1", "", "remote"]
    assert DEFINITIONS not in await asked()


async def test_what_was_set_a_moment_ago_counts_before_posthog_knows_it(agent, control, name):
    await agent.record("create_flag", key=name, conditions=PRO)
    await control.post("/_sandbox/faults", json={"route": "/batch/", "status": 503})
    await agent.record("identify_person", distinct_id=name, properties={"plan": "pro"})
    text = await agent.ask("evaluate_flags", distinct_id=name, flags=[name])
    assert f"{name}\ttrue" in text
    assert "Set here within the last ten minutes, and used: plan." in text
    remote = await agent.ask("evaluate_flags", distinct_id=name, flags=[name], mode="remote")
    assert f"{name}\ttrue" in remote


async def test_groups_and_their_properties_decide(agent, name):
    company = {"company": f"{name}-acme"}
    await agent.record("identify_group", wait=True, group_type="company", group_key=f"{name}-acme")
    where = [{"property": "seats", "operator": "gte", "value": "10", "on": "group"}]
    await agent.record("create_flag", key=name, group_type="company", conditions=where)

    async def value(**arguments: Any) -> str:
        rows = await agent.rows("evaluate_flags", distinct_id="u1", flags=[name], mode="local", **arguments)
        return rows[0][1]

    assert await value() == "false"
    assert await value(groups=company) == ""
    assert await value(groups=company, group_properties={"company": {"seats": 9}}) == "false"
    assert await value(groups=company, group_properties={"company": {"seats": 10}}) == "true"


async def test_a_flag_by_device_asks_for_the_device(agent, sandbox, name):
    headers = {"Authorization": "Bearer phx_sandbox"}
    groups = [{"properties": [], "rollout_percentage": 100}]
    body = {"key": name, "bucketing_identifier": "device_id", "filters": {"groups": groups}}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers) as posthog:
        assert (await posthog.post("/api/projects/1/feature_flags/", json=body)).status_code == 201
    arguments = {"distinct_id": "u1", "flags": [name], "mode": "local"}
    assert "pass device_id" in (await agent.rows("evaluate_flags", **arguments))[0][2]
    assert (await agent.rows("evaluate_flags", **arguments, device_id="d1"))[0][1] == "true"


async def test_a_payload_is_handed_over_parsed(agent, name):
    await agent.record("create_flag", key=name, remote_config=True, payloads={"true": {"color": "red"}})
    for mode in ("local", "remote"):
        rows = await agent.rows("evaluate_flags", distinct_id="u1", flags=[name], mode=mode)
        assert json.loads(rows[0][3]) == {"color": "red"}


async def test_all_flags_are_the_active_ones(agent, name):
    await agent.record("create_flag", key=f"{name}-on")
    await agent.record("create_flag", key=f"{name}-off", active=False)
    for mode in ("local", "remote"):
        rows = await agent.named_rows("evaluate_flags", distinct_id="u1", mode=mode)
        keys = {row["flag"] for row in rows}
        assert f"{name}-on" in keys
        assert f"{name}-off" not in keys


async def test_each_condition_is_explained_with_what_was_compared(agent, name):
    await agent.record("create_flag", key=name, conditions=PRO, rollout_percentage=100)
    add = {"do": "add_condition", "where": [], "rollout_percentage": 0}
    await agent.record("update_flag", flag=name, changes=[add])
    text = await agent.ask(
        "evaluate_flags", distinct_id="u1", flags=[name], person_properties={"plan": "free"}, explain=True
    )
    assert "1 no match: plan is 'free'; exact 'pro' does not hold" in text
    assert "2 outside the rollout" in text
    assert "> rollout 0" in text
    # what people wrote of themselves stands inside the fence
    assert text.index("<data ") < text.index("plan is 'free'")


async def test_what_posthog_decided_is_explained_with_what_it_stored(agent, name):
    await agent.record("create_flag", key=name, conditions=PRO)
    event = {"event": "$set", "distinct_id": name, "properties": {"$set": {"plan": "pro"}}}
    async with httpx2.AsyncClient() as client:
        batch = {"api_key": "phc_sandbox", "batch": [event]}
        url = (await agent.record("get_flag", flag=name))["url"].split("/project/")[0]
        assert (await client.post(f"{url}/batch/", json=batch)).status_code == 200
    text = await agent.ask("evaluate_flags", distinct_id=name, flags=[name], explain=True)
    assert "remote" in text
    assert "1 match: plan is 'pro'; exact 'pro' holds" in text
    assert "find_persons" not in text
    email = await agent.ask("evaluate_flags", distinct_id=f"{name}@acme.com", flags=[name], explain=True)
    assert "PostHog stores nothing of a person with this distinct id." in email


async def test_a_key_that_is_none_has_no_period_to_widen(agent, name):
    text = await agent.ask("evaluate_flags", distinct_id="u1", flags=[name])
    assert f"There is no such flag: {name}." in text
    assert text.endswith("No rows.\nNothing was evaluated.")


async def test_an_application_is_imitated_down_to_its_event(agent, name):
    shares = [{"key": "a", "rollout_percentage": 100}, {"key": "b", "rollout_percentage": 0}]
    created = await agent.record("create_flag", key=name, variants=shares, payloads={"a": 1})
    for mode in ("local", "remote"):
        await agent.ask(
            "evaluate_flags", distinct_id=f"{name}-{mode}", flags=[name], mode=mode, send_event=True
        )
    await agent.record("capture_event", event="flush", distinct_id=name, wait=True)
    rows = await agent.rows(
        "query_hogql",
        query="SELECT distinct_id, properties.$feature_flag, properties.$feature_flag_response, "
        "properties.locally_evaluated, properties.$feature_flag_id, properties.$feature_flag_version, "
        "properties.$feature_flag_reason, properties.$feature_flag_payload, "
        "JSONExtractString(properties, {feature}), notEmpty(ifNull(properties.$feature_flag_request_id, '')) "
        "FROM events WHERE event = '$feature_flag_called' AND properties.$feature_flag = {flag} "
        "ORDER BY distinct_id",
        values={"flag": name, "feature": f"$feature/{name}"},
    )
    same = [name, "a", "{}", str(created["id"]), "1", "Matched condition set 1", "1", "a"]
    expected = [
        [f"{name}-{mode}", *(local if cell == "{}" else cell for cell in same), asked]
        for mode, local, asked in (("local", "true", "0"), ("remote", "false", "1"))
    ]
    assert rows == expected


async def test_what_is_undecided_is_no_event(agent, name):
    await agent.record("create_flag", key=name, conditions=PRO)
    text = await agent.ask(
        "evaluate_flags", distinct_id=name, flags=[name, "no-such"], mode="local", send_event=True
    )
    assert "$feature_flag_called recorded for 0 flags." in text


async def test_a_server_that_only_reads_has_no_argument_that_sends(server, name):
    async with server(POSTHOG_MCP_ACCESS="read") as client:
        [tool] = [each for each in (await client.list_tools()).tools if each.name == "evaluate_flags"]
        assert "send_event" not in tool.input_schema["properties"]
        text = await _text(client, "evaluate_flags", distinct_id=name, send_event=True)
        assert "`send_event` cannot be chosen here: this server has read access" in text


@pytest.mark.parametrize("mode", ["auto", "local"])
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"POSTHOG_PROJECT_SECRET_KEY": "phc_sandbox", "POSTHOG_PERSONAL_API_KEY": ""}, "phc_"),
        ({"POSTHOG_PROJECT_SECRET_KEY": "phs_of_another", "POSTHOG_PERSONAL_API_KEY": ""}, "(401)"),
        ({"POSTHOG_PROJECT_SECRET_KEY": "", "POSTHOG_PERSONAL_API_KEY": "phx_unknown"}, "(401)"),
    ],
    ids=["project token as secret", "unknown secret", "unknown personal"],
)
async def test_a_wrong_key_for_local_evaluation_is_told_and_never_passed_over(
    server, asked, keys, words, mode
):
    async with server(**keys) as client:
        answer = await client.call_tool("evaluate_flags", {"distinct_id": "u1", "mode": mode})
        assert answer.is_error
        text = answer.content[0].text
        assert words in text
        assert "phs_" in text
        assert "mode remote" in text
        assert "/flags" not in await asked()
        assert not (
            await client.call_tool("evaluate_flags", {"distinct_id": "u1", "mode": "remote"})
        ).is_error


async def test_without_a_key_for_it_posthog_evaluates_and_the_answer_says_so(server):
    async with server(POSTHOG_PROJECT_SECRET_KEY="", POSTHOG_PERSONAL_API_KEY="") as client:
        text = await _text(client, "evaluate_flags", distinct_id="u1")
        assert "No key for local evaluation is configured" in text
        answer = await client.call_tool("evaluate_flags", {"distinct_id": "u1", "mode": "local"})
        assert answer.is_error
        assert "POSTHOG_PROJECT_SECRET_KEY" in answer.content[0].text


async def test_an_outage_of_the_definitions_is_said_and_posthog_asked_instead(agent, control, name):
    await agent.record("create_flag", key=name)
    await control.post("/_sandbox/faults", json={"route": DEFINITIONS, "status": 500})
    text = await agent.ask("evaluate_flags", distinct_id="u1", flags=[name])
    assert "PostHog evaluated all" in text
    assert "500" in text
    assert f"{name}\ttrue" in text


async def test_older_definitions_go_on_deciding_and_say_how_old_they_are(server, control, name):
    async with server(POSTHOG_MCP_FLAG_POLL_SECONDS="1") as client:
        await client.call_tool("create_flag", {"key": name})
        await _text(client, "evaluate_flags", distinct_id="u1", flags=[name])
        await control.post("/_sandbox/faults", json={"route": DEFINITIONS, "status": 500})
        await client.call_tool("create_flag", {"key": f"{name}-2"})
        text = await _text(client, "evaluate_flags", distinct_id="u1", flags=[name])
    assert "could not be renewed" in text
    assert f"{name}\ttrue" in text
    assert "\tlocal" in text


async def test_an_answer_that_is_cut_names_the_flags_to_ask_for_next(agent, name):
    keys = [f"{name}-{letter}" for letter in "abcdef"]
    for key in keys:
        await agent.record("create_flag", key=key, payloads={"true": "x" * 5_000})
    first = await agent.ask("evaluate_flags", distinct_id="u-1", flags=keys)
    assert (
        f"3 of 6 rows. Cut to fit. For the rest: flags={json.dumps(keys[3:], separators=(',', ':'))}" in first
    )
    assert "fewer columns" not in first
    rest = await agent.rows("evaluate_flags", distinct_id="u-1", flags=keys[3:])
    assert [row[0] for row in rest] == keys[3:]


async def test_an_answer_names_the_project_the_flags_are_of(agent, name):
    await agent.record("create_flag", key=name)
    assert "Flags for u-1 in project Sandbox (1)." in await agent.ask("evaluate_flags", distinct_id="u-1")


async def test_a_condition_that_lacks_its_group_says_so(agent, name):
    await agent.record("identify_group", group_type="company", group_key=name, properties={"a": 1}, wait=True)
    await agent.record("create_flag", key=name, group_type="company")
    [row] = await agent.rows("evaluate_flags", distinct_id="u-1", flags=[name], explain=True)
    assert row[1:3] == ["false", "No group type"]
    assert row[5] == "1 not reached: its group was not passed"
