"""Who changed what is read from PostHog's own log: agents, people and programs alike."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.settings import Settings

WHEN, WHO, ACTION, KIND, OBJECT, WORDS = range(6)


@pytest.fixture
def settings(sandbox: SandboxProcess, tmp_path) -> Settings:
    own = {"POSTHOG_MCP_AREAS": "all", "POSTHOG_MCP_DATA_DIR": str(tmp_path)}
    return Settings.load({**sandbox.environment, **own})


@pytest.fixture
async def posthog(sandbox: SandboxProcess) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": "Bearer phx_sandbox"}
    base = f"{sandbox.environment['POSTHOG_HOST']}/api/projects/1"
    async with httpx2.AsyncClient(base_url=base, headers=headers, trust_env=False) as client:
        yield client


async def test_what_people_changed_past_the_tools_is_listed(agent, posthog, name):
    flag = await agent.record("create_flag", key=name)
    await posthog.patch(f"/feature_flags/{flag['id']}/", json={"active": False, "name": "Said by a person"})
    rows = await agent.rows("list_activity", kind="feature_flag", object_id=str(flag["id"]))
    assert [(row[WHO], row[ACTION], row[KIND], row[OBJECT]) for row in rows] == [
        ("sandbox@example.com", "updated", "FeatureFlag", f"{name} ({flag['id']})"),
        ("sandbox@example.com", "created", "FeatureFlag", f"{name} ({flag['id']})"),
    ]
    assert rows[0][WORDS] == 'active: true → false; name: "" → "Said by a person"'


async def test_it_is_narrowed_to_a_kind_and_to_one_object_of_it(agent, name):
    note = await agent.record("create_annotation", content=name)
    await agent.record("create_flag", key=name)
    kinds = {row[KIND] for row in await agent.rows("list_activity", kind="annotation")}
    assert kinds == {"Annotation"}
    [row] = await agent.rows("list_activity", kind="annotation", object_id=str(note["id"]))
    assert row[OBJECT] == f"{name} ({note['id']})"
    everything = await agent.rows("list_activity", limit=2)
    assert [row[KIND] for row in everything] == ["FeatureFlag", "Annotation"]


async def test_pages_lead_on(agent, posthog, name):
    flag = await agent.record("create_flag", key=name)
    for number in range(4):
        await posthog.patch(f"/feature_flags/{flag['id']}/", json={"name": f"{number}"})
    one = {"kind": "feature_flag", "object_id": str(flag["id"]), "limit": 2}
    first = await agent.ask("list_activity", **one)
    assert "2 of 5 rows. For the rest: page=2" in first
    rows = [row for page in (1, 2, 3) for row in await agent.rows("list_activity", page=page, **one)]
    assert [row[WORDS] for row in rows] == ['name: "2" → "3"', 'name: "1" → "2"', 'name: "0" → "1"',
                                            'name: "" → "0"', ""]  # fmt: skip


async def test_a_page_that_is_cut_says_how_its_rest_is_reached(agent, posthog, name):
    flag = await agent.record("create_flag", key=name)
    for number in range(110):
        await posthog.patch(f"/feature_flags/{flag['id']}/", json={"name": f"{number}" * 200})
    one = {"kind": "feature_flag", "object_id": str(flag["id"])}
    text = await agent.ask("list_activity", limit=120, **one)
    shown = int(text.split("\n")[1].split(" of 111 rows. Cut to fit.")[0])
    assert f"For the rest: limit={shown}, page=2" in text
    rest = await agent.rows("list_activity", limit=shown, page=2, **one)
    assert len(rest) == 111 - shown
    assert "created" in rest[-1]


async def test_an_id_without_a_kind_means_nothing(agent):
    assert "Give kind as well" in await agent.refusal("list_activity", object_id="7")


async def test_what_is_not_there_says_what_to_try(agent):
    text = await agent.ask("list_activity", kind="dashboard", object_id="999999")
    assert "No rows." in text
    assert "Leave out kind and object_id to see all." in text


async def test_a_flag_is_named_by_its_key(agent, name):
    await agent.record("create_flag", key=name)
    [row] = await agent.rows("list_activity", kind="feature_flag", object_id=name)
    assert row[OBJECT].startswith(f"{name} (")
    words = await agent.refusal("list_activity", kind="feature_flag", object_id=f"no-{name}")
    assert f"There is no flag `no-{name}` in project" in words


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"page": 900}, "There is no page 900 of the activity in project"),
        ({"kind": "feature_flag", "object_id": "99999"}, "There is no feature_flag 99999 in project"),
    ],
)
async def test_what_is_not_there_is_said_with_what_to_do(agent, asked, said):
    words = await agent.refusal("list_activity", **asked)
    assert words.startswith(said)
    assert words.endswith("Begin at page 1; leave out object_id to see what was deleted.")
