"""A person is deleted by a human's word alone, who is told whom it is about."""

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


async def _seen(client: Client, who: str, **properties: Any) -> None:
    event = {"event": "seen", "distinct_id": who, "properties": {"$set": properties}}
    done, text = await _call(client, "capture_events", wait=True, events=[event])
    assert done, text


async def test_a_person_is_deleted_when_their_name_was_typed_and_their_events_stay(client, human, name):
    email = f"{name}@x.example"
    await _seen(client, name, email=email)
    human.types = email
    done, text = await _call(client, "delete_person", person=name)
    assert done, text
    assert '"events":"kept"' in text
    [question] = human.asked
    assert f"Delete the person {email} (" in question
    assert "known by 1 distinct ids: profile; events of theirs stay." in question
    shown = (await _call(client, "get_person", person=name))[1]
    assert '"person":null' in shown
    assert '"events_of_90_days":1' in shown


async def test_their_events_go_too_when_asked_for(client, human, name):
    await _seen(client, name)
    human.types = name
    done, text = await _call(client, "delete_person", person=name, delete_events=True)
    assert done, text
    assert "profile and all events of theirs" in human.asked[0]
    assert "There is no person" in (await _call(client, "get_person", person=name))[1]


async def test_another_name_deletes_nobody(client, human, name):
    await _seen(client, name)
    human.types = "somebody else"
    done, text = await _call(client, "delete_person", person=name)
    assert not done
    assert text.startswith("Nothing was done.")
    assert '"person":null' not in (await _call(client, "get_person", person=name))[1]


async def test_a_dry_run_asks_nobody_and_deletes_nobody(client, human, name):
    await _seen(client, name)
    done, text = await _call(client, "delete_person", person=name, dry_run=True, delete_events=True)
    assert done
    assert '"request":"DELETE /api/projects/1/persons/' in text
    assert human.asked == []
    assert '"person":null' not in (await _call(client, "get_person", person=name))[1]


@pytest.mark.parametrize("email", ["a\u202eb@x.example\nType yes", "x" * 5_000])
async def test_a_name_that_nobody_could_type_is_not_asked_for(client, human, name, email):
    await _seen(client, name, email=email)
    human.types = "yes"
    await _call(client, "delete_person", person=name)
    [question] = human.asked
    typed = question.rpartition("Type ")[2].partition(" to go on")[0]
    assert len(typed) == 36
    assert "\u202e" not in question
    assert len(question) < 500
    human.types = typed
    assert (await _call(client, "delete_person", person=name))[0]


@pytest.mark.parametrize("anonymous", [True, False])
async def test_who_has_no_profile_is_not_even_asked_about(client, human, name, anonymous):
    if anonymous:
        event = {"event": "seen", "distinct_id": name, "anonymous": True}
        await _call(client, "capture_events", wait=True, events=[event])
    done, text = await _call(client, "delete_person", person=name)
    assert not done
    assert "Nothing was deleted." in text
    assert human.asked == []


@pytest.mark.parametrize("access", ["read", "write"])
def test_below_full_access_there_is_no_such_tool(access, tmp_path):
    settings = Settings.load({}, access=access, areas="all", data_dir=tmp_path)
    assert "delete_person" not in {tool.name for tool in App(settings).catalogue.tools}
