"""What a tool is handed when it runs, and what it says when it cannot go on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from posthog_mcp.api.errors import MissingScope, NotFound, PostHogError
from posthog_mcp.journal import Journal
from posthog_mcp.outbox import Outbox, OutboxUnusable
from posthog_mcp.safety import clean
from posthog_mcp.settings import OutboxPlace
from posthog_mcp.tool.consent import Question

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from posthog_mcp.api import PostHogClient
    from posthog_mcp.flags.definitions import DefinitionsSource
    from posthog_mcp.render import Result
    from posthog_mcp.settings import Settings
    from posthog_mcp.tool.arguments import ProjectInput
    from posthog_mcp.tool.handles import Ticket

_LEAST_PROGRESS = 0.001

_log = logging.getLogger(__name__)


class ToolFailure(Exception):  # noqa: N818 - it is the tool's answer, not a fault of the program
    """What a tool says when it cannot do what was asked.

    Args:
        what: One sentence: what failed.
        why: One sentence: the cause.
        next_step: One sentence: what to do about it.
    """

    def __init__(self, what: str, why: str, next_step: str) -> None:
        self.what, self.why, self.next_step = what, why, next_step
        super().__init__(" ".join(filter(None, (what, why, next_step))))


@dataclass(frozen=True, slots=True)
class Project:
    """A PostHog project. `name` is empty where the key may not read it."""

    id: int
    name: str = ""
    timezone: str = "UTC"
    token: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.id})" if self.name else str(self.id)


def _project(found: dict[str, Any]) -> Project:
    return Project(
        int(found["id"]),
        str(found.get("name") or ""),
        str(found.get("timezone") or "UTC"),
        str(found.get("api_token") or ""),
    )


@dataclass(slots=True)
class Services:
    """What all calls of one server share."""

    api: PostHogClient
    settings: Settings
    projects: dict[int, Project] = field(default_factory=dict[int, Project])
    token_project: Project | None = None
    token_asked: bool = False
    outbox: Outbox | None = None
    flags: DefinitionsSource | None = None
    journal: Journal | None = None


def _definitions_source(api: PostHogClient, settings: Settings) -> DefinitionsSource:
    """In a thread: few starts need it, and its imports take tens of milliseconds."""
    from posthog_mcp.flags.definitions import DefinitionsSource  # noqa: PLC0415 - see above

    return DefinitionsSource(
        api,
        settings.data_dir,
        poll_seconds=settings.flag_poll_seconds,
        redis_url=settings.redis_url.get_secret_value() if settings.redis_url else "",
    )


async def _no_progress(done: float, total: float | None, message: str) -> None:
    del done, total, message


async def _cannot_ask(question: Question) -> str | None:
    raise ToolFailure(
        "Nothing was done.",
        f"A person must agree first, and this client cannot ask one: {question.act}",
        "Have a person do it in PostHog, or in a terminal with `posthog-mcp call`. A server started with "
        "POSTHOG_MCP_UNATTENDED_DELETES=true does not ask.",
    )


async def _cannot_repeat(ticket: Ticket) -> Result:
    raise ToolFailure(f"{ticket.tool} cannot go on.", "It was not called by a server.", "Call it again.")


@dataclass(slots=True)
class Context:
    """What one call is handed.

    Attributes:
        services: Shared by all calls.
        caller: Name and version of the client that calls, as it says itself; for records, never for trust.
        report: Where progress goes.
        ask: Has the human type a name; gives what they typed, or None where they would not.
        repeat: Runs the call that handed out a handle once more, on the query that runs already.
        resumes: What that handle stands for, in such a call.
        clock: The time now, with its zone; in a call that changes nothing it stands still.
        furthest: The progress told last.
        tool: The tool's name.
        undoes: The number of the change that this call undoes; 0 for none.
        recorded: The numbers of the changes that this call has made so far.
    """

    services: Services
    caller: str = ""
    report: Callable[[float, float | None, str], Awaitable[None]] = _no_progress
    ask: Callable[[Question], Awaitable[str | None]] = _cannot_ask
    repeat: Callable[[Ticket], Awaitable[Result]] = _cannot_repeat
    resumes: Ticket | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    furthest: float = 0.0
    tool: str = ""
    undoes: int = 0
    recorded: list[int] = field(default_factory=list[int])

    @property
    def journal(self) -> Journal:
        """What tools changed at PostHog; they are recorded without their doing."""
        services = self.services
        if services.journal is None:
            settings = self.settings
            redis_url = settings.redis_url.get_secret_value() if settings.redis_url else ""
            services.journal = Journal(settings.data_dir, settings.secrets(), redis_url)
        return services.journal

    @property
    def api(self) -> PostHogClient:
        """PostHog's HTTP API."""
        return self.services.api

    @property
    def settings(self) -> Settings:
        """The server's settings."""
        return self.services.settings

    async def project(self, args: ProjectInput) -> Project:
        """The project the call names, else the configured one, else the only one the key sees.

        Raises:
            ToolFailure: None was named and the key sees several, or none.
            PostHogError: PostHog refused; its text says why.
        """
        wanted = self.settings.pinned_project_id or args.project_id or self.settings.project_id
        if wanted:
            return await self._named(wanted)
        seen = await self.list_projects()
        if len(seen) == 1:
            return seen[0]
        if not seen:
            raise ToolFailure(
                "No project could be chosen.",
                "The personal key sees no project.",
                "Check at PostHog which projects the key is limited to.",
            )
        raise ToolFailure(
            "No project was named.",
            f"The key sees {len(seen)} of them: {', '.join(map(str, seen[:50]))}.",
            "Call again with project_id; to choose one for good, set POSTHOG_PROJECT_ID.",
        )

    async def list_projects(self) -> list[Project]:
        """Every project the personal key sees, in the order of PostHog's organizations.

        A key limited to projects may not list any, so those are asked for one by one.
        """
        key = await self.api.get("/api/personal_api_keys/@current/")
        if key.get("scoped_teams"):
            return [await self._named(int(team)) for team in key["scoped_teams"]]
        organizations = key.get("scoped_organizations") or [
            item["id"] async for page in self.api.pages("/api/organizations/") for item in page.results
        ]
        path = "/api/organizations/{organization_id}/projects/"
        seen = [
            _project(item)
            for organization in organizations
            async for page in self.api.pages(path, organization_id=organization)
            for item in page.results
        ]
        self.services.projects.update({project.id: project for project in seen})
        return seen

    async def _named(self, project_id: int) -> Project:
        known = self.services.projects.get(project_id)
        if known is None:
            try:
                known = _project(await self.api.get("/api/projects/{project_id}/", project_id=project_id))
            except MissingScope:
                # A key for queries alone may not read the project's name: the id is enough to work with.
                known = Project(project_id)
            except NotFound:
                raise ToolFailure(
                    f"There is no project {project_id}.",
                    "It was deleted, or the personal key cannot see it.",
                    "list_projects shows those it sees.",
                ) from None
            self.services.projects[project_id] = known
        return known

    async def token_project(self) -> Project | None:
        """The project that the project token belongs to, where the personal key can tell; else None."""
        token = self.settings.project_token
        if token is None or self.settings.personal_api_key is None:
            return None
        if not self.services.token_asked:
            try:
                seen = await self.list_projects()
            except PostHogError:
                return None  # a key that may not list projects is no reason to fail what needs none
            mine = (project for project in seen if project.token == token.get_secret_value())
            self.services.token_project = next(mine, None)
            self.services.token_asked = True
        return self.services.token_project

    def outbox(self) -> Outbox:
        """Where events go.

        Raises:
            WrongKey: There is no project token, or it is of another kind.
        """
        return self._outbox(self.api.project_token())

    def leftovers(self) -> Outbox:
        """The outbox, to look after it: what earlier processes left is delivered without a token of ours."""
        try:
            return self.outbox()
        except PostHogError:
            return self._outbox("")

    def _outbox(self, token: str) -> Outbox:
        services, settings = self.services, self.settings
        if services.outbox is None:
            services.outbox = Outbox(
                token,
                settings.host,
                settings.data_dir if settings.outbox is OutboxPlace.DISK else None,
                most_events=settings.outbox_events,
                proxy=settings.proxy.get_secret_value() if settings.proxy else "",
                ca_file=settings.ca_file,
            )
            try:
                services.outbox.deliver_leftovers()
            except OutboxUnusable as error:
                # A call that needs the outbox says so itself; the others can do without.
                _log.warning("what earlier processes left is not delivered: %s", error)
        return services.outbox

    async def flag_definitions(self) -> DefinitionsSource:
        """Where the definitions for evaluating flags here come from."""
        services = self.services
        if services.flags is None:
            made = await anyio.to_thread.run_sync(_definitions_source, self.api, self.settings)
            services.flags = services.flags or made
        return services.flags

    async def flags_changed(self) -> None:
        """Have the next evaluation ask for the definitions again, in whatever process it is."""
        await (await self.flag_definitions()).outdate()

    def link(self, project: Project, path: str) -> str:
        """The page of PostHog's app that shows an object, such as `feature_flags/12`."""
        return f"{self.api.hosts.private}/project/{project.id}/{path}"

    async def consent(self, act: str, name: str, back: str = "This cannot be taken back.") -> None:
        """Go on only if the human agrees: for what takes something away, or reaches end users unseen.

        Ask after everything else is checked and before anything is changed: in the newer protocol the call
        starts again with the human's answer.

        Args:
            act: What will happen, in one sentence that names the object.
            name: The object's name, which they must type.
            back: Whether there is a way back, in one sentence.

        Raises:
            ToolFailure: They did not agree, or nobody can be asked.
        """
        if self.ask is _cannot_ask and self.settings.unattended_deletes:
            return
        typed = await self.ask(Question(clean(f"{act} {back}"), clean(name)))
        if typed is None or typed.strip() != clean(name).strip():
            raise ToolFailure(
                "Nothing was done.",
                "The person did not agree." if typed is None else "The person typed another name.",
                "Ask them what they want before you call it again.",
            )

    def now(self) -> datetime:
        """The time now, in UTC; in a call that changes nothing, when it began."""
        return self.clock()

    async def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell the client how far the call is; without effect where the client did not ask for it."""
        # The protocol wants it to grow each time, whoever reports in between.
        self.furthest = max(done, self.furthest + _LEAST_PROGRESS)
        await self.report(self.furthest, total, message)

    async def waits(self, what: str, seconds: float | None) -> None:
        """Tell the client that the call waits for something; None where nobody knows how long."""
        await self.progress(0, None, f"waiting {'' if seconds is None else f'{ceil(seconds)} s '}for {what}")
