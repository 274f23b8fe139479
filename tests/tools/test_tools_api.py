"""The rest of PostHog's API through its own description: found, read, and written with a person's word."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as bounds

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.server.app import App
from posthog_mcp.server.dispatch import Answer
from posthog_mcp.settings import Access, Settings
from posthog_mcp.tool import Question

ACTIONS = "/api/projects/{project_id}/actions/"
ACTION = ACTIONS + "{id}/"


class Server:
    """A server with every tool, whose person types the name, or something else."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.asked: list[Question] = []
        self.typed: str | None = None

    async def answer(self, tool: str, as_json: bool = False, **arguments: Any) -> Answer:
        return await self.app.dispatcher.call(tool, arguments, ask=self._ask, as_json=as_json)

    async def ok(self, tool: str, **arguments: Any) -> Any:
        answer = await self.answer(tool, as_json=True, **arguments)
        assert not answer.is_error, answer.text
        return answer.structured or answer.text

    async def refused(self, tool: str, **arguments: Any) -> str:
        answer = await self.answer(tool, **arguments)
        assert answer.is_error, answer.text
        return answer.text

    async def _ask(self, question: Question) -> str | None:
        self.asked.append(question)
        return question.name if self.typed is None else self.typed


@pytest.fixture
async def make(settings: Settings) -> AsyncIterator[Callable[..., Server]]:
    made: list[App] = []

    def start(**changes: Any) -> Server:
        full = {"access": Access.FULL, "areas": ("all",), **changes}
        made.append(App(settings.model_copy(update=full)))
        return Server(made[-1])

    yield start
    for app in made:
        await app.close()


@pytest.fixture
def server(make: Callable[..., Server]) -> Server:
    return make()


async def served(sandbox: SandboxProcess, part: str) -> list[int]:
    """The statuses of the requests whose path has the part."""
    async with httpx2.AsyncClient(base_url=sandbox.url) as client:
        requests = (await client.get("/_sandbox/requests")).json()["requests"]
    return [one["status"] for one in requests if part in one["path"]]


async def forget(sandbox: SandboxProcess) -> None:
    async with httpx2.AsyncClient(base_url=sandbox.url) as client:
        await client.delete("/_sandbox/requests")
        await client.delete("/_sandbox/faults")


async def fault(sandbox: SandboxProcess, **what: Any) -> None:
    async with httpx2.AsyncClient(base_url=sandbox.url) as client:
        (await client.post("/_sandbox/faults", json=what)).raise_for_status()


async def test_words_find_the_endpoint_with_its_fields_and_the_tool_that_calls_it(server: Server):
    found = await server.ok("find_endpoint", search="create an action")
    first = dict(zip(found["columns"], found["rows"][0], strict=True))
    assert first["endpoint"] == f"POST {ACTIONS}"
    assert first["with"] == "write_endpoint"
    assert "name:string" in first["body"]
    assert first["scopes"] == "action:write"
    reads = await server.ok("find_endpoint", search="list actions")
    assert reads["rows"][0][:2] == [f"GET {ACTIONS}", "read_endpoint"]


async def test_what_nobody_offers_is_not_found_with_a_hint(server: Server):
    answer = await server.answer("find_endpoint", search="zzzz")
    assert "No rows." in answer.text
    assert "batch_exports" in answer.text


async def test_an_object_is_made_read_changed_and_listed(server: Server, name: str):
    made = await server.ok("write_endpoint", endpoint=f"POST {ACTIONS}", body={"name": name, "steps": []})
    assert made["status"] == 201
    assert "answer" in made["written_by_outsiders"]
    number = made["answer"]["id"]
    await server.ok("write_endpoint", endpoint=f"PATCH {ACTION}", ids={"id": number}, body={"tags": ["x"]})
    text = (await server.answer("read_endpoint", endpoint=f"GET {ACTION}", ids={"id": str(number)})).text
    assert f'"name":"{name}"' in text
    assert "Written by outsiders" in text
    listed = await server.ok("read_endpoint", endpoint=ACTIONS, query={"search": name}, fields=["id", "tags"])
    assert listed["columns"] == ["id", "tags"]
    assert listed["rows"] == [[number, ["x"]]]
    assert set(listed["written_by_outsiders"]) == {"id", "tags"}


async def test_a_list_says_how_to_go_on(server: Server, name: str):
    for number in range(3):
        await server.ok("write_endpoint", endpoint=f"POST {ACTIONS}", body={"name": f"{name}-{number}"})
    page = await server.ok(
        "read_endpoint", endpoint=ACTIONS, query={"search": name, "limit": 2}, fields=["id"]
    )
    assert len(page["rows"]) == 2
    assert '"offset": 2' in page["next"]
    rest = await server.ok(
        "read_endpoint", endpoint=ACTIONS, query={"search": name, "offset": 2}, fields=["id"]
    )
    assert len(rest["rows"]) == 1
    assert "next" not in rest


async def test_a_person_sees_what_will_be_sent_and_can_refuse(
    server: Server, sandbox: SandboxProcess, name: str
):
    server.typed = "no"
    await forget(sandbox)
    refusal = await server.refused("write_endpoint", endpoint=f"POST {ACTIONS}", body={"name": name})
    assert "Nothing was done." in refusal
    (question,) = server.asked
    assert question.name == "actions"
    assert (
        f'Send POST /api/projects/1/actions/ in project Sandbox (1) with {{"body": {{"name": "{name}"}}}}. '
        "It may be that this cannot be taken back." == (question.act)
    )
    assert not await served(sandbox, "/actions/")


async def test_a_dry_run_asks_nobody_and_sends_nothing(server: Server, sandbox: SandboxProcess):
    await forget(sandbox)
    shown = await server.ok(
        "write_endpoint", endpoint=f"DELETE {ACTION}", ids={"id": 7}, body={"a": 1}, dry_run=True
    )
    assert shown["request"] == "DELETE /api/projects/1/actions/7/"
    assert not server.asked
    assert not await served(sandbox, "/actions/")


async def test_each_tool_leaves_the_other_its_own(server: Server):
    refusal = await server.refused("read_endpoint", endpoint=f"PATCH {ACTION}", ids={"id": 1})
    assert "write_endpoint" in refusal
    refusal = await server.refused("write_endpoint", endpoint=f"GET {ACTIONS}")
    assert "read_endpoint" in refusal


async def test_a_post_that_only_asks_is_read(server: Server):
    query = {"query": {"kind": "HogQLQuery", "query": "SELECT 40 + 2"}}
    answer = await server.answer(
        "read_endpoint", endpoint="POST /api/projects/{project_id}/query/", body=query
    )
    assert "[[42]]" in answer.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"endpoint": "GET /api/projects/{project_id}/action/"}, "/api/projects/{project_id}/actions/"),
        ({"endpoint": "GET /api/projects/1/actions/"}, "as find_endpoint does"),
        ({"endpoint": "GET https://example.com/api/"}, "no endpoint"),
        ({"endpoint": ACTION}, "`ids` must hold id; it holds nothing"),
        ({"endpoint": ACTIONS, "ids": {"id": 1}}, "`ids` must hold nothing"),
        ({"endpoint": ACTION, "ids": {"id": "../persons"}}, "An id has letters"),
        ({"endpoint": ACTION, "ids": {"id": {"a": 1}}}, "An id has letters"),
    ],
)
async def test_what_cannot_be_called_is_refused_in_words(server: Server, arguments: Any, words: str):
    assert words in await server.refused("read_endpoint", **arguments)


@bounds(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    identifier=strategies.text(max_size=20) | strategies.sampled_from(["..", ".", "1/2", "1?a=b", "%2e%2e"])
)
async def test_no_id_leads_anywhere_else(server: Server, sandbox: SandboxProcess, identifier: str):
    await forget(sandbox)
    await server.answer("read_endpoint", endpoint=f"GET {ACTION}", ids={"id": identifier})
    async with httpx2.AsyncClient(base_url=sandbox.url) as client:
        paths = {one["path"] for one in (await client.get("/_sandbox/requests")).json()["requests"]}
    assert paths <= {"/api/schema/", "/api/projects/1/", f"/api/projects/1/actions/{identifier}/"}


async def test_a_server_bound_to_a_project_leaves_the_others_alone(make: Callable[..., Server]):
    bound = make(pinned_project_id=1)
    listed = await bound.ok("read_endpoint", endpoint=ACTIONS)
    assert "project Sandbox (1)" in listed["about"][0]
    for tool, endpoint in (
        ("read_endpoint", "GET /api/organizations/"),
        ("write_endpoint", "PATCH /api/organizations/{organization_id}/projects/{id}/"),
    ):
        refusal = await bound.refused(tool, endpoint=endpoint, ids={})
        assert "was not called" in refusal or "There is no endpoint" in refusal


async def test_a_server_that_only_reads_has_no_way_to_write(make: Callable[..., Server]):
    reader = make(access=Access.READ)
    assert "There is no tool `write_endpoint`" in await reader.refused(
        "write_endpoint", endpoint=f"POST {ACTIONS}"
    )


async def test_the_description_is_fetched_once_a_day_and_anew_where_the_file_is_damaged(
    make: Callable[..., Server], sandbox: SandboxProcess, settings: Settings
):
    await forget(sandbox)
    await make().ok("find_endpoint", search="actions")
    await make().ok("find_endpoint", search="cohorts")
    assert await served(sandbox, "/api/schema/") == [200]
    (file,) = settings.data_dir.glob("api-*.json")
    assert file.stat().st_mode & 0o077 == 0
    file.write_text('{"form":1')
    await make().ok("find_endpoint", search="actions")
    assert await served(sandbox, "/api/schema/") == [200, 200]


async def test_an_old_description_is_confirmed_and_used_on_where_posthog_is_away(
    make: Callable[..., Server], sandbox: SandboxProcess, settings: Settings
):
    await forget(sandbox)
    await make().ok("find_endpoint", search="actions")
    (file,) = settings.data_dir.glob("api-*.json")
    whole, _, _ = file.read_text().rpartition('"confirmed_at":')
    file.write_text(f'{whole}"confirmed_at":1.0}}')
    await fault(sandbox, route="/api/schema/", status=500)
    assert (await make().ok("find_endpoint", search="list actions"))["rows"]
    await forget(sandbox)
    assert (await make().ok("find_endpoint", search="list actions"))["rows"]
    assert await served(sandbox, "/api/schema/") == [304]


@pytest.mark.parametrize("body", [{"detail": "Not found."}, {}])
async def test_an_instance_that_does_not_describe_itself_is_told(
    server: Server, sandbox: SandboxProcess, body: Any
):
    await fault(sandbox, route="/api/schema/", status=404 if body else 200, body=body)
    refusal = await server.refused("find_endpoint", search="actions")
    await forget(sandbox)
    assert "does not describe its API" in refusal
    assert "query_hogql" in refusal


async def test_fields_come_apart_at_commas_and_unknown_ones_are_said(server: Server, name: str):
    await server.ok("write_endpoint", endpoint=f"POST {ACTIONS}", body={"name": name, "steps": []})
    query = {"search": name}
    text = (await server.answer("read_endpoint", endpoint=ACTIONS, query=query, fields="id, name,nme")).text
    assert "without nme: there is no such field." in text
    assert "\nid\tname\n" in text
