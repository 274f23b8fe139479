from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from posthog_mcp.api.answers import Page
from posthog_mcp.api.errors import MissingScope
from posthog_mcp.settings import Settings
from posthog_mcp.tool import Access, Context, Input, ProjectInput, Services, ToolFailure, tool


class FakeApi:
    """PostHog as far as projects go."""

    def __init__(self, *projects: int, key: dict[str, Any] | None = None, may_read: bool = True) -> None:
        self.projects = projects
        self.key = key or {}
        self.may_read = may_read
        self.asked: list[str] = []

    async def get(self, path: str, **params: object) -> Any:
        self.asked.append(path.format(**params))
        if path.endswith("@current/"):
            return self.key
        if not self.may_read:
            raise MissingScope("No.", "The key lacks project:read.", "Add it.", status=403)
        return {"id": params["project_id"], "name": f"Project {params['project_id']}", "timezone": "UTC"}

    async def pages(self, path: str, **params: object) -> AsyncIterator[Page]:
        self.asked.append(path.format(**params))
        if path == "/api/organizations/":
            yield Page([{"id": "org-1"}], 1, more=False)
            return
        yield Page(
            [{"id": number, "name": f"Project {number}"} for number in self.projects], None, more=False
        )


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., Context]:
    def make(api: FakeApi, **flags: object) -> Context:
        settings = Settings.load({}, data_dir=tmp_path, **flags)
        return Context(Services(api, settings))

    return make


Make = Callable[..., Context]


async def test_the_only_project_a_key_sees_is_taken(context: Make) -> None:
    api = FakeApi(7)
    assert str(await context(api).project(ProjectInput())) == "Project 7 (7)"
    assert api.asked == [
        "/api/personal_api_keys/@current/",
        "/api/organizations/",
        "/api/organizations/org-1/projects/",
    ]


async def test_several_projects_are_listed_instead_of_guessed(context: Make) -> None:
    with pytest.raises(ToolFailure) as caught:
        await context(FakeApi(7, 8)).project(ProjectInput())
    assert "The key sees 2 of them: Project 7 (7), Project 8 (8)." in str(caught.value)
    assert "POSTHOG_PROJECT_ID" in str(caught.value)


async def test_no_project_is_an_error_that_says_so(context: Make) -> None:
    with pytest.raises(ToolFailure, match="sees no project"):
        await context(FakeApi()).project(ProjectInput())


async def test_a_named_project_is_asked_for_once_and_comes_before_the_configured_one(context: Make) -> None:
    api = FakeApi(7)
    ctx = context(api, project_id=7)
    for _ in range(2):
        assert (await ctx.project(ProjectInput(project_id=9))).id == 9
    assert api.asked == ["/api/projects/9/"]
    assert (await ctx.project(ProjectInput())).id == 7


async def test_a_pinned_project_comes_before_everything(context: Make) -> None:
    ctx = context(FakeApi(7), project_id=7, pinned_project_id=3)
    assert (await ctx.project(ProjectInput(project_id=9))).id == 3


async def test_a_key_that_may_not_read_the_project_can_still_work_in_it(context: Make) -> None:
    project = await context(FakeApi(may_read=False), project_id=7).project(ProjectInput())
    assert (project.id, project.name, str(project)) == (7, "", "7")


async def test_a_key_limited_to_projects_is_not_asked_to_list_any(context: Make) -> None:
    api = FakeApi(key={"scoped_teams": [4]})
    assert (await context(api).project(ProjectInput())).id == 4
    assert api.asked == ["/api/personal_api_keys/@current/", "/api/projects/4/"]


async def test_a_key_limited_to_organizations_is_asked_within_them(context: Make) -> None:
    api = FakeApi(7, key={"scoped_organizations": ["org-9"]})
    assert (await context(api).project(ProjectInput())).id == 7
    assert "/api/organizations/org-9/projects/" in api.asked
    assert "/api/organizations/" not in api.asked


def test_a_tool_must_take_an_input() -> None:
    async def wrong(ctx: Context, args: dict[str, str]) -> None:
        """Takes what is no input."""

    with pytest.raises(TypeError, match="must take a Context and an Input"):
        tool(area="web", access=Access.READ, title="Wrong")(wrong)


def test_a_tool_must_belong_to_an_area() -> None:
    with pytest.raises(ValueError, match="no area 'wbe'"):
        tool(area="wbe", access=Access.READ, title="Wrong")


def test_what_a_tool_does_not_say_follows_from_its_access() -> None:
    class Nothing(Input):
        """None."""

    @tool(area="web", access=Access.WRITE, title="Made")
    async def made(ctx: Context, args: Nothing) -> None:
        """Says little."""

    assert (made.read_only, made.destructive, made.idempotent) == (False, False, False)
    assert not made.within(Access.READ)
    assert made.within(Access.WRITE)
    assert made.within(Access.FULL)
