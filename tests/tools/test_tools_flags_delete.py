"""A flag is deleted by a person's word alone, after they were told what uses it."""

from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult

from posthog_mcp.server.app import App
from posthog_mcp.settings import Settings


async def _call(client: Client, tool: str, **arguments: Any) -> tuple[bool, str]:
    answer = await client.call_tool(tool, arguments)
    assert isinstance(answer, CallToolResult)
    return not answer.is_error, answer.content[0].text


async def test_a_flag_is_deleted_when_its_name_was_typed_and_its_key_is_free(client, human, name):
    await _call(client, "create_flag", key=name, description="The new cart")
    human.types = name
    done, text = await _call(client, "delete_flag", flag=name)
    assert done, text
    assert f'"deleted":"{name}"' in text
    [question] = human.asked
    assert f"Delete the feature flag {name} (The new cart)" in question
    assert "no flag" in (await _call(client, "get_flag", flag=name))[1]
    assert (await _call(client, "create_flag", key=name))[0]


async def test_another_name_deletes_nothing(client, human, name):
    await _call(client, "create_flag", key=name)
    human.types = "something else"
    done, text = await _call(client, "delete_flag", flag=name)
    assert not done
    assert text.startswith("Nothing was done.")
    assert (await _call(client, "get_flag", flag=name))[0]


async def test_a_flag_that_others_depend_on_is_not_even_asked_about(client, human, name):
    await _call(client, "create_flag", key=name)
    row = {"property": name, "on": "flag", "value": "true"}
    await _call(client, "create_flag", key=f"{name}-top", conditions=[row])
    done, text = await _call(client, "delete_flag", flag=name)
    assert not done
    assert f"Other flags depend on it: {name}-top." in text
    assert human.asked == []
    assert (
        f'"used_by":{{"flags":["{name}-top"]}}'
        in (await _call(client, "delete_flag", flag=name, dry_run=True))[1]
    )


async def test_a_dry_run_asks_nobody_and_deletes_nothing(client, human, name):
    await _call(client, "create_flag", key=name)
    done, text = await _call(client, "delete_flag", flag=name, dry_run=True)
    assert done
    assert '"body":{"deleted":true}' in text
    assert human.asked == []
    assert (await _call(client, "get_flag", flag=name))[0]


async def test_a_version_that_is_gone_by_is_not_deleted(client, human, name):
    await _call(client, "create_flag", key=name)
    await _call(client, "update_flag", flag=name, changes=[{"do": "disable"}])
    done, text = await _call(client, "delete_flag", flag=name, version=1)
    assert not done
    assert "version 2 by now, not 1" in text
    assert human.asked == []


@pytest.mark.parametrize("access", ["read", "write"])
def test_below_full_access_there_is_no_such_tool(access, tmp_path):
    settings = Settings.load({}, access=access, areas="all", data_dir=tmp_path)
    assert "delete_flag" not in {tool.name for tool in App(settings).catalogue.tools}


async def test_a_flag_an_experiment_runs_on_is_named_with_it_and_not_even_asked_about(client, human, name):
    metric = {"type": "funnel", "events": [{"event": "$pageview"}]}
    done, text = await _call(
        client, "create_experiment", name=f"{name} cart", flag_key=name, metrics=[metric]
    )
    assert done, text
    assert f'"used_by":{{"experiments":["{name} cart (' in (await _call(client, "get_flag", flag=name))[1]
    await _call(client, "change_experiment_state", experiment=f"{name} cart", action="launch")
    dry = (await _call(client, "delete_flag", flag=name, dry_run=True))[1]
    assert f'"experiments":["{name} cart (' in dry
    assert '), running"]' in dry
    done, text = await _call(client, "delete_flag", flag=name)
    assert not done
    assert f"Experiments run on it: {name} cart (" in text
    assert "End them first" in text
    assert human.asked == []
    await _call(client, "change_experiment_state", experiment=f"{name} cart", action="end")
    human.types = name
    done, text = await _call(client, "delete_flag", flag=name)
    assert done, text
    assert f"It is used by experiments: {name} cart (" in human.asked[0]
    assert "undo_change can restore it. Type" in human.asked[0]
