"""Flags are created, read and evaluated by what people have."""

import json

import pytest


async def _create(agent, key: str, **arguments):
    return await agent.record("create_flag", key=key, **arguments)


async def test_a_flag_for_everyone_is_on_for_anyone(agent, name):
    created = await _create(agent, name, description="The new cart")
    assert created["who_gets_it"] == ["everyone: 100 %"]
    assert created["url"].endswith(f"/project/1/feature_flags/{created['id']}")
    rows = await agent.rows("evaluate_flags", distinct_id="anyone-else", flags=[name])
    assert rows == [[name, "true", "Matched condition set 1", "", "local"]]


async def test_conditions_decide_by_what_is_known_of_the_person(agent, name):
    await _create(agent, name, conditions=[{"property": "plan", "value": "pro"}])
    await agent.record("identify_person", wait=True, distinct_id=name, properties={"plan": "pro"})
    assert (await agent.rows("evaluate_flags", distinct_id=name, flags=[name]))[0][1] == "true"
    assert (await agent.rows("evaluate_flags", distinct_id=f"{name}-x", flags=[name]))[0][1] == "false"


async def test_properties_given_count_over_those_stored(agent, name):
    await _create(agent, name, conditions=[{"property": "plan", "value": '["pro","team"]'}])
    rows = await agent.rows(
        "evaluate_flags", distinct_id="somebody-new", flags=[name], person_properties={"plan": "team"}
    )
    assert rows[0][1] == "true"


async def test_a_variant_comes_with_its_payload(agent, name):
    await _create(
        agent,
        name,
        variants=[{"key": "a", "rollout_percentage": 0}, {"key": "b", "rollout_percentage": 100}],
        payloads={"b": {"steps": 1}},
    )
    [[_, value, _, payload, _]] = await agent.rows("evaluate_flags", distinct_id="u1", flags=[name])
    assert (value, json.loads(payload.replace("\\\\", "\\"))) == ("b", {"steps": 1})


async def test_a_flag_that_does_not_exist_is_not_off_but_unknown(agent, name):
    assert f"There is no such flag: {name}" in await agent.ask(
        "evaluate_flags", distinct_id="u1", flags=[name]
    )


async def test_flags_are_listed_with_who_gets_them(agent, name):
    await _create(
        agent,
        name,
        rollout_percentage=25,
        conditions=[{"property": "email", "operator": "icontains", "value": "@acme.com"}],
    )
    rows = await agent.rows("list_flags", search=name)
    assert rows[0][1:5] == [name, "true", "email contains @acme.com: 25 %", ""]


async def test_only_flags_in_a_state_are_listed(agent, name):
    await _create(agent, name, active=False)
    assert f"\t{name}\t" in await agent.ask("list_flags", search=name, state="off")
    assert "No rows." in await agent.ask("list_flags", search=name, state="on")


async def test_a_flag_is_found_by_key_or_id(agent, name):
    created = await _create(agent, name, tags=["checkout"])
    by_key, by_id = (
        await agent.record("get_flag", flag=name),
        await agent.record("get_flag", flag=str(created["id"])),
    )
    assert by_key == by_id
    assert by_key["tags"] == ["checkout"]


async def test_a_key_spelt_otherwise_is_answered_with_the_nearest(agent, name):
    await _create(agent, f"{name}-checkout")
    assert f"{name}-checkout" in await agent.refusal("get_flag", flag=f"{name}-check")


async def test_a_key_in_use_is_refused_in_posthogs_words(agent, name):
    await _create(agent, name)
    refusal = await agent.refusal("create_flag", key=name)
    assert "already a feature flag with this key" in refusal
    assert "key" in refusal


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"key": "has space"}, "key"),
        ({"key": "k", "variants": [{"key": "a", "rollout_percentage": 40}]}, "add up to 100"),
        ({"key": "k", "payloads": {"nope": 1}}, "nope"),
        ({"key": "k", "conditions": [{"property": "plan"}]}, "needs a value"),
        ({"key": "k", "conditions": [{"property": "x", "on": "cohort"}]}, "cohort's id"),
        ({"key": "k", "rollout": 5}, "rollout_percentage"),
    ],
)
async def test_what_does_not_fit_is_refused_with_the_reason(agent, arguments, words):
    assert words in await agent.refusal("create_flag", **arguments)


async def test_a_dry_run_shows_the_request_and_creates_nothing(agent, name):
    shown = await agent.record("create_flag", key=name, dry_run=True)
    assert shown["would_create"]["filters"]["groups"][0]["rollout_percentage"] == 100
    assert "No rows." in await agent.ask("list_flags", search=name)


async def test_a_condition_on_another_flag_is_written_with_its_key(agent, name):
    base = await _create(agent, f"{name}-base")
    row = {"property": f"{name}-base", "on": "flag", "value": "true"}
    created = await _create(agent, name, conditions=[row])
    [group] = created["filters"]["groups"]
    assert group["properties"][0]["key"] == str(base["id"])
    rows = await agent.rows("evaluate_flags", distinct_id="u1", flags=[name], mode="local")
    assert rows[0][1] == "true"


async def test_a_flag_can_be_for_groups(agent, name):
    await agent.record("identify_group", group_type="company", group_key=name, wait=True)
    row = {"property": "seats", "operator": "gt", "value": "5", "on": "group"}
    created = await _create(agent, name, group_type="company", conditions=[row])
    assert created["filters"]["groups"][0]["properties"][0]["group_type_index"] == 0
    refusal = await agent.refusal("create_flag", key=f"{name}-2", group_type="planet")
    assert "There are company" in refusal
    mixed = await agent.refusal("create_flag", key=f"{name}-2", conditions=[row])
    assert "about persons" in mixed


async def test_a_remote_configuration_is_its_payload(agent, name):
    created = await _create(agent, name, remote_config=True, payloads={"true": [1, 2]})
    assert created["is_remote_configuration"] is True
    assert created["filters"]["payloads"] == {"true": "[1, 2]"}
    assert f"\t{name}\t" in await agent.ask("list_flags", search=name, type="remote_config")


async def test_posthogs_own_form_is_taken_as_it_is(agent, name):
    groups = [
        {"properties": [], "rollout_percentage": 10, "variant": "b"},
        {"properties": [{"key": "plan", "type": "person", "value": ["pro"], "operator": "exact"}]},
    ]
    variants = [{"key": "a", "name": "", "rollout_percentage": 50}, {"key": "b", "rollout_percentage": 50}]
    filters = {"groups": groups, "multivariate": {"variants": variants}, "early_exit": True}
    created = await _create(agent, name, filters=filters)
    assert created["who_gets_it"] == ["everyone: 10 % → b", "plan = pro: 100 %"]
    assert created["filters"]["early_exit"] is True


async def test_flags_are_listed_by_tag_and_when_stale(agent, name):
    await _create(agent, f"{name}-tagged", tags=[name])
    await _create(agent, f"{name}-plain")
    assert [row[1] for row in await agent.rows("list_flags", tag=name)] == [f"{name}-tagged"]
    assert "No rows." in await agent.ask("list_flags", search=name, state="stale")


async def test_a_list_says_how_to_go_on(agent, name):
    for number in range(3):
        await _create(agent, f"{name}-{number}")
    assert "offset=2" in await agent.ask("list_flags", search=name, limit=2)
    assert len(await agent.rows("list_flags", search=name, limit=2, offset=2)) == 1


async def test_a_key_of_digits_is_no_id(agent, name):
    key = f"99{name.split('-')[-1]}{name[1:].replace('-', '')}"
    await _create(agent, key)
    assert (await agent.record("get_flag", flag=key))["key"] == key


async def test_conditions_on_groups_and_flags_are_told_by_their_names(agent, name):
    await agent.record("identify_group", group_type="company", group_key=name, properties={"a": 1}, wait=True)
    rows = [{"property": "plan", "value": "team", "on": "group"}]
    made = await agent.record("create_flag", key=name, group_type="company", conditions=rows)
    assert made["who_gets_it"] == ["company with plan = team: 100 %"]
    index = made["filters"]["aggregation_group_type_index"]
    mixed = {"groups": [{"properties": []}, {"rollout_percentage": 5, "aggregation_group_type_index": index}]}
    made = await agent.record("create_flag", key=f"{name}-mixed", filters=mixed)
    assert made["who_gets_it"] == ["everyone: 100 %", "every company: 5 %"]
    needs = [{"property": name, "value": "true", "on": "flag"}]
    made = await agent.record("create_flag", key=f"{name}-top", conditions=needs, rollout_percentage=12.5)
    assert made["who_gets_it"] == [f"flag {name} is true: 12.5 %"]
    listed = {row[1]: row[3] for row in await agent.rows("list_flags", search=name)}
    assert listed[f"{name}-mixed"] == "everyone: 100 %; every company: 5 %"
    assert listed[f"{name}-top"] == f"flag {name} is true: 12.5 %"


async def test_whole_shares_are_written_as_posthog_writes_them(agent, name):
    halves = [{"key": "a", "rollout_percentage": 50.0}, {"key": "b", "rollout_percentage": "50"}]
    dry = await agent.ask("create_flag", key=name, variants=halves, rollout_percentage=25.0, dry_run=True)
    assert '"rollout_percentage":25,' in dry
    assert "50.0" not in dry


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"property": "seats", "operator": "gt", "value": "many"}, "gt compares numbers, and `many` is none"),
        ({"property": "email", "operator": "regex", "value": "("}, "`(` is no regular expression"),
        ({"property": "email", "operator": "not_regex", "value": "[a"}, "`[a` is no regular expression"),
        (
            {"property": "email", "operator": "icontains", "value": ["a", "b"]},
            "icontains compares with one text",
        ),
        (
            {"property": "v", "operator": "semver_gt", "value": "new"},
            "semver_gt compares versions, and `new`",
        ),
        ({"property": "v", "operator": "semver_wildcard", "value": "x"}, "semver_wildcard compares versions"),
    ],
)
async def test_a_condition_that_could_never_hold_is_refused(agent, name, row, words):
    text = await agent.refusal("create_flag", key=name, conditions=[row])
    assert f"The condition on `{row['property']}` cannot be used. {words}" in text
    plain = {"property": "email", "operator": "regex", "value": r"(?i)^\p{L}+(a+)+$"}
    assert (await agent.record("create_flag", key=name, conditions=[plain]))["active"] is True
    changes = [{"do": "add_condition", "where": [row]}]
    assert words in await agent.refusal("update_flag", flag=name, changes=changes)


async def test_one_of_several_is_kept_as_flags_match_it(agent, name):
    row = {"property": "plan", "operator": "in", "value": ["pro", "team"]}
    made = await agent.record("create_flag", key=name, conditions=[row])
    assert made["who_gets_it"] == ["plan = pro or team: 100 %"]
    [got] = await agent.rows(
        "evaluate_flags", distinct_id="u", flags=[name], person_properties={"plan": "pro"}
    )
    assert got[1] == "true"


async def test_what_posthogs_own_filters_would_hold_is_not_passed_over_beside_them(agent, name):
    filters = {"groups": [{"properties": [], "rollout_percentage": 50}]}
    said = await agent.refusal("create_flag", key=name, filters=filters, rollout_percentage=20)
    assert "leave out rollout_percentage" in said


async def test_a_flag_without_conditions_is_for_nobody_and_says_how_to_change_that(agent, name):
    made = await agent.record("create_flag", key=name, filters={"groups": []})
    assert made["who_gets_it"] == ["nobody: it has no condition"]
    share = [{"do": "set_rollout", "rollout_percentage": 5}]
    text = await agent.refusal("update_flag", flag=name, changes=share)
    assert "It has no condition, so nobody gets it: add_condition makes one." in text
    assert "needs `groups`" in await agent.refusal("create_flag", key=f"{name}-x", filters={"group": []})


async def test_an_id_beyond_any_number_is_no_flag(agent):
    text = await agent.refusal("get_flag", flag="9" * 30)
    assert "There is no flag `999" in text
    assert "There is no experiment `999" in await agent.refusal(
        "change_experiment_state", experiment="9" * 30, action="end"
    )


async def test_versions_and_ends_of_texts_are_conditions_in_plain_words(agent, name):
    rows = [
        {"property": "app", "operator": "semver_gte", "value": "2.10"},
        {"property": "email", "operator": "ends_with", "value": "@acme.com"},
    ]
    made = await agent.record("create_flag", key=name, conditions=rows)
    assert made["who_gets_it"] == ["app ≥ version 2.10 and email ends with @acme.com: 100 %"]
    for app, email, value in (("2.9.9", "a@acme.com", "false"), ("2.11.0-rc", "a@ACME.com", "true")):
        properties = {"app": app, "email": email}
        [row] = await agent.rows(
            "evaluate_flags", distinct_id="u-1", flags=[name], person_properties=properties, mode="local"
        )
        assert row[1] == value
