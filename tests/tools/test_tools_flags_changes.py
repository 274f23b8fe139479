"""Flags are changed by what is named: what is not named stays, byte for byte, whoever else edits."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from posthog_mcp.tools import flags

FLAGS = "/api/projects/1/feature_flags/"
# A flag with something of everything, as PostHog's own pages make it.
RICH: dict[str, Any] = {
    "name": "Checkout",
    "tags": ["web", "checkout"],
    "evaluation_runtime": "all",
    "filters": {
        "groups": [
            {
                "properties": [
                    {"key": "email", "type": "person", "operator": "icontains", "value": "@acme.com"},
                    {"key": "seats", "type": "person", "operator": "gte", "value": 10},
                ],
                "rollout_percentage": 33.3,
                "variant": "test",
                "description": "Acme staff",
                "sort_key": "a",
            },
            {"properties": [], "rollout_percentage": None, "variant": None},
        ],
        "multivariate": {
            "variants": [
                {"key": "control", "name": "As before", "rollout_percentage": 50},
                {"key": "test", "name": "", "rollout_percentage": 50},
            ]
        },
        "payloads": {"test": '{"color":   "red", "n": 1.0}', "control": "[1,2 ]"},
        "early_exit": True,
        "holdout": {"id": 3, "exclusion_percentage": 0},
    },
}
DERIVED = ("version", "updated_at", "last_modified_by", "status", "rollout_percentage", "is_simple_flag")


@pytest.fixture
async def posthog(sandbox) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": "Bearer phx_sandbox"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers) as client:
        yield client


@pytest.fixture
async def rich(posthog, name) -> dict[str, Any]:
    answer = await posthog.post(FLAGS, json={"key": name, **RICH})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def read(posthog, rich) -> Callable[[], Any]:
    async def text() -> dict[str, str]:
        """Each field of the flag as the JSON text PostHog answers with."""
        flag = (await posthog.get(f"{FLAGS}{rich['id']}/")).json()
        return {field: json.dumps(value) for field, value in flag.items() if field not in DERIVED}

    return text


# What is changed, and the fields (of the flag, or of its filters) that may differ afterwards.
CHANGES: dict[str, tuple[list[dict[str, Any]], set[str]]] = {
    "disable": ([{"do": "disable"}], {"active"}),
    "archive": ([{"do": "archive"}], {"active", "archived"}),
    "rollout": ([{"do": "set_rollout", "condition": 2, "rollout_percentage": 12.5}], {"groups"}),
    "add": ([{"do": "add_condition", "where": [{"property": "plan", "value": "pro"}]}], {"groups"}),
    "add first": ([{"do": "add_condition", "condition": 1, "variant": "control"}], {"groups"}),
    "remove": ([{"do": "remove_condition", "condition": 2}], {"groups"}),
    "variants": (
        [
            {
                "do": "set_variants",
                "variants": [
                    {"key": "control", "rollout_percentage": 20},
                    {"key": "test", "rollout_percentage": 80},
                ],
            }
        ],
        {"multivariate"},
    ),
    "payloads": ([{"do": "set_payloads", "payloads": {"test": {"color": "blue"}}}], {"payloads"}),
    "tags": ([{"do": "set_tags", "tags": ["only"]}], {"tags"}),
    "description": ([{"do": "set_description", "description": "Shorter"}], {"name"}),
    "several": (
        [{"do": "disable"}, {"do": "set_tags", "tags": []}, {"do": "set_description", "description": ""}],
        {"active", "tags", "name"},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_leaves_all_it_does_not_name_byte_for_byte(agent, rich, read, name, change):
    changes, may_differ = CHANGES[change]
    before = await read()
    answer = await agent.record("update_flag", flag=name, changes=changes)
    after = await read()
    assert before.keys() == after.keys()
    for field in before:
        if field == "filters":
            was, now = json.loads(before[field]), json.loads(after[field])
            assert list(was) == list(now)
            for part in was:
                assert (json.dumps(was[part]) == json.dumps(now[part])) is (part not in may_differ), part
        else:
            assert (before[field] == after[field]) is (field not in may_differ), field
    assert answer["changed"]
    assert answer["version"] == rich["version"] + 1


async def test_the_other_conditions_variants_and_payloads_are_not_touched(agent, read, name):
    async def filters() -> Any:
        return json.loads((await read())["filters"])

    first, second = RICH["filters"]["groups"]
    await agent.record(
        "update_flag", flag=name, changes=[{"do": "set_rollout", "condition": 1, "rollout_percentage": 60}]
    )
    now = (await filters())["groups"]
    assert json.dumps(now[1]) == json.dumps(second)
    assert json.dumps(now[0]) == json.dumps({**first, "rollout_percentage": 60})

    await agent.record("update_flag", flag=name, changes=[{"do": "add_condition", "condition": 2}])
    now = (await filters())["groups"]
    assert [group["rollout_percentage"] for group in now] == [60, 100, None]

    shares = [{"key": "test", "rollout_percentage": 90}, {"key": "control", "rollout_percentage": 10}]
    await agent.record("update_flag", flag=name, changes=[{"do": "set_variants", "variants": shares}])
    variants = (await filters())["multivariate"]["variants"]
    assert variants[1] == {"key": "control", "name": "As before", "rollout_percentage": 10}

    await agent.record("update_flag", flag=name, changes=[{"do": "set_payloads", "payloads": {"test": None}}])
    assert (await filters())["payloads"] == {"control": "[1,2 ]"}


@pytest.mark.usefixtures("rich")
async def test_a_flag_is_put_away_and_brought_back(agent, name):
    await agent.record("update_flag", flag=name, changes=[{"do": "archive"}])
    assert "No rows." in await agent.ask("list_flags", search=name)
    assert f"\t{name}\t" in await agent.ask("list_flags", search=name, state="archived")
    back = await agent.record("update_flag", flag=name, changes=[{"do": "unarchive"}, {"do": "enable"}])
    assert back["active"] is True
    assert "archived" not in back


@pytest.mark.usefixtures("rich")
async def test_what_changed_is_shown_field_by_field(agent, name):
    changes = [{"do": "set_rollout", "condition": 1, "rollout_percentage": 60}, {"do": "disable"}]
    answer = await agent.record("update_flag", flag=name, changes=changes)
    assert answer["changed"] == [
        {"field": "active", "from": True, "to": False},
        {"field": "filters.groups[0].rollout_percentage", "from": 33.3, "to": 60},
    ]


async def test_a_dry_run_shows_the_request_and_the_difference_and_sends_nothing(agent, rich, read, name):
    before = await read()
    shown = await agent.record("update_flag", flag=name, changes=[{"do": "disable"}], dry_run=True)
    assert shown["request"] == f"PATCH {FLAGS}{rich['id']}/"
    assert shown["body"] == {"active": False}
    assert shown["would_change"] == [{"field": "active", "from": True, "to": False}]
    assert await read() == before


async def test_a_change_that_changes_nothing_is_not_sent(agent, rich, name):
    answer = await agent.record("update_flag", flag=name, changes=[{"do": "enable"}])
    assert answer["version"] == rich["version"]
    assert "already" in answer["changed"]


async def test_a_version_that_is_gone_by_changes_nothing(agent, rich, posthog, read, name):
    await posthog.patch(f"{FLAGS}{rich['id']}/", json={"name": "Edited by somebody"})
    before = await read()
    text = await agent.refusal("update_flag", flag=name, version=rich["version"], changes=[{"do": "disable"}])
    assert f"version {rich['version'] + 1} by now, not {rich['version']}" in text
    assert "get_flag" in text
    assert await read() == before


async def test_an_edit_between_reading_and_writing_is_a_conflict_and_loses_nothing(
    agent, posthog, read, name, monkeypatch
):
    """Somebody else saves between the tool's read and its write."""
    drafted = flags.draft

    async def slow(ctx: Any, project: Any, flag: Any, changes: Any) -> Any:
        edited = {**RICH["filters"], "groups": [{"properties": [], "rollout_percentage": 7}]}
        await posthog.patch(f"{FLAGS}{flag['id']}/", json={"filters": edited})
        return await drafted(ctx, project, flag, changes)

    monkeypatch.setattr(flags, "draft", slow)
    text = await agent.refusal(
        "update_flag", flag=name, changes=[{"do": "set_rollout", "condition": 1, "rollout_percentage": 60}]
    )
    assert "409" in text
    assert "Read the object again" in text
    groups = json.loads((await read())["filters"])["groups"]
    assert [group["rollout_percentage"] for group in groups] == [7]


async def test_edits_of_different_fields_both_stay(agent, rich, posthog, read, name):
    await posthog.patch(f"{FLAGS}{rich['id']}/", json={"name": "Edited by somebody"})
    await agent.record("update_flag", flag=name, changes=[{"do": "set_tags", "tags": ["a"]}])
    now = await read()
    assert (now["name"], now["tags"]) == ('"Edited by somebody"', '["a"]')


@pytest.mark.parametrize(
    "misfit",
    [
        ([{"do": "set_rollout", "rollout_percentage": 5}], "one of its 2 conditions"),
        ([{"do": "set_rollout", "condition": 9, "rollout_percentage": 5}], "no condition 9"),
        ([{"do": "set_rollout", "condition": 1}], "needs `rollout_percentage`"),
        ([{"do": "set_rollout", "condition": 1, "rollout_percentage": 101}], "at most 100"),
        ([{"do": "enable", "tags": ["x"]}], "takes nothing else, not `tags`"),
        ([{"do": "delete"}], "allowed"),
        ([], "at least 1"),
        ([{"do": "add_condition", "variant": "none"}], "no variant `none`"),
        ([{"do": "add_condition", "where": [{"property": "plan"}]}], "needs a value"),
        (
            [{"do": "add_condition", "where": [{"property": "x", "on": "group", "value": "1"}]}],
            "about persons",
        ),
        (
            [{"do": "add_condition", "where": [{"property": "gone", "on": "flag", "value": "true"}]}],
            "no flag",
        ),
        (
            [{"do": "set_variants", "variants": [{"key": "control", "rollout_percentage": 99}]}],
            "add up to 100",
        ),
        (
            [{"do": "set_variants", "variants": [{"key": "control", "rollout_percentage": 100}]}],
            "variant `test`, which would be gone",
        ),
        (
            [
                {"do": "remove_condition", "condition": 1},
                {"do": "set_variants", "variants": [{"key": "control", "rollout_percentage": 100}]},
            ],
            '{"test": null}',
        ),
        ([{"do": "set_payloads", "payloads": {"nope": 1}}], "payload for `nope`"),
    ],
)
@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_a_change_that_does_not_fit_says_why_and_changes_nothing(agent, read, name, misfit):
    changes, words = misfit
    before = await read()
    assert words in await agent.refusal("update_flag", flag=name, changes=changes)
    assert await read() == before


@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_a_variant_goes_with_its_payload_and_its_condition_in_one_call(agent, read, name):
    changes = [
        {"do": "remove_condition", "condition": 1},
        {"do": "set_payloads", "payloads": {"test": None}},
        {"do": "set_variants", "variants": [{"key": "control", "rollout_percentage": 100}]},
    ]
    await agent.record("update_flag", flag=name, changes=changes)
    filters = json.loads((await read())["filters"])
    assert len(filters["groups"]) == 1
    assert filters["payloads"] == {"control": "[1,2 ]"}


@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_a_change_is_seen_by_the_next_evaluation(agent, name):
    await agent.record("create_flag", key=name)
    assert (await agent.rows("evaluate_flags", distinct_id="u1", flags=[name]))[0][1] == "true"
    changes = [{"do": "set_rollout", "rollout_percentage": 0}]
    await agent.record("update_flag", flag=name, changes=changes)
    [[_, value, _, _, where]] = await agent.rows("evaluate_flags", distinct_id="u1", flags=[name])
    assert (value, where) == ("false", "local")


@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_a_flag_that_others_need_is_named_with_them_and_stays_on(agent, name):
    await agent.record("create_flag", key=name)
    condition = [{"property": name, "on": "flag", "value": "true"}]
    await agent.record("create_flag", key=f"{name}-on-top", conditions=condition)
    assert (await agent.record("get_flag", flag=name))["used_by"] == {"flags": [f"{name}-on-top"]}
    off = [{"do": "disable"}]
    text = await agent.refusal("update_flag", flag=name, changes=off)
    assert f"`{name}` was not switched off. Other flags depend on it: {name}-on-top." in text
    dry = await agent.record("update_flag", flag=name, changes=off, dry_run=True)
    assert dry["refused_because_needed_by"] == [f"{name}-on-top"]
    rows = await agent.rows("evaluate_flags", distinct_id="u1", flags=[f"{name}-on-top"])
    assert rows[0][1] == "true"


async def test_a_change_under_a_running_experiment_is_made_with_a_warning(agent, name):
    metric = {"type": "funnel", "events": ["$pageview"]}
    made = await agent.record("create_experiment", name=name, flag_key=name, metrics=[metric])
    share = [{"do": "set_rollout", "rollout_percentage": 50}]
    assert "warning" not in await agent.record("update_flag", flag=name, changes=share, dry_run=True)
    await agent.record("change_experiment_state", experiment=name, action="launch")
    said = f"Experiments run on it: {name} ({made['id']}). Whoever switches meanwhile spoils their results."
    assert (await agent.record("preview_flag_change", flag=name, changes=share))["warning"] == said
    assert (await agent.record("update_flag", flag=name, changes=share))["warning"] == said
    tags = [{"do": "set_tags", "tags": ["cart"]}]
    assert "warning" not in await agent.record("update_flag", flag=name, changes=tags)
