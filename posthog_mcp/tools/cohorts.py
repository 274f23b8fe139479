"""Cohorts: sets of persons, by conditions or by a list."""

from typing import Any, Literal

from pydantic import Field, model_validator

from posthog_mcp.api.errors import PostHogError
from posthog_mcp.render import Record, Table
from posthog_mcp.render.cohorts import conditions
from posthog_mcp.tool import Access, Context, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.cohorts import (
    LIST,
    ONE,
    Did,
    DidRows,
    OneCohort,
    filters_of,
    find_cohort,
    kind_of,
    resolve,
    whole,
)
from posthog_mcp.tool.difference import Change, difference
from posthog_mcp.tool.filter_rows import FilterRows
from posthog_mcp.tool.filters import Filter
from posthog_mcp.tool.persons import PROFILES, shown_ids, text_of
from posthog_mcp.tool.short import Short

Json = dict[str, Any]
_PERSONS = ONE + "persons/"
_ADD = ONE + "add_persons_to_static_cohort/"
_REMOVE = ONE + "remove_person_from_static_cohort/"
_FEW_IDS = 5


class ListCohorts(ProjectInput):
    """Arguments of list_cohorts."""

    search: Short = Field("", description="Part of the name.")
    type: Literal["any", "static", "dynamic"] = Field("any", description="static: a list of persons.")
    limit: int = Field(50, ge=1, le=200, description="How many.")
    offset: int = Field(0, ge=0, description="How many to skip.")


@tool(area="persons", access=Access.READ, title="List cohorts", scopes=("cohort:read",), default=False)
async def list_cohorts(ctx: Context, args: ListCohorts) -> Table:
    """List the project's cohorts with who is in them and how many, newest first."""
    project = await ctx.project(args)
    query: Json = {
        "search": args.search or None,
        "type": None if args.type == "any" else args.type,
        "limit": args.limit,
        "offset": args.offset,
    }
    page = await ctx.api.get(LIST, query=query, project_id=project.id)
    return Table(
        about=[f"Cohorts of project {project}."],
        columns=["id", "name", "type", "people", "calculated", "who is in it", "description"],
        rows=[_cohort_row(each) for each in page["results"]],
        total=page.get("count"),
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(page.get("next")),
        empty=["Leave out search and type to see all, or make one with save_cohort."],
    )


def _cohort_row(cohort: Json) -> list[Any]:
    calculated = "now" if cohort.get("is_calculating") else cohort.get("last_calculation")
    about = (conditions(cohort), cohort.get("description"))
    return [cohort["id"], cohort.get("name"), kind_of(cohort), cohort.get("count"), calculated, *about]


class GetCohort(OneCohort):
    """Arguments of get_cohort."""

    limit: int = Field(50, ge=1, le=200, description="How many members.")
    offset: int = Field(0, ge=0, description="How many to skip.")


@tool(
    area="persons",
    access=Access.READ,
    title="Get a cohort",
    scopes=("cohort:read", "person:read"),
    default=False,
)
async def get_cohort(ctx: Context, args: GetCohort) -> Table:
    """One cohort: who is in it, when it was calculated, and a page of its members."""
    project = await ctx.project(args)
    cohort = await find_cohort(ctx, project, args.cohort)
    query = {"limit": args.limit, "offset": args.offset}
    page = await ctx.api.get(_PERSONS, query=query, project_id=project.id, id=cohort["id"])
    return Table(
        about=_about(ctx, project, cohort),
        columns=["person", "name", "email", "distinct_ids", "created"],
        rows=[_member(each) for each in page["results"]],
        total=cohort.get("count"),
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(page.get("next")),
        outsiders=frozenset({"name", "email", "distinct_ids"}),
        empty=[
            "PostHog is still calculating it: look again in a minute."
            if cohort.get("is_calculating")
            else "It could not be calculated: correct its conditions with save_cohort."
            if cohort.get("errors_calculating") and cohort.get("count") is None
            else f"Nobody is in it. {PROFILES}, and a cohort holds only who has one.",
        ],
    )


def _about(ctx: Context, project: Project, cohort: Json) -> list[str]:
    name, number = cohort.get("name"), cohort["id"]
    state = f"calculated {cohort.get('last_calculation') or 'never'}"
    if cohort.get("is_calculating"):
        state = "being calculated now"
    elif cohort.get("errors_calculating"):
        state += f", then {cohort['errors_calculating']} calculations failed"
    who = conditions(cohort)
    return [
        f"Cohort {name} ({number}) of project {project}, {kind_of(cohort)}, {state}.",
        f"In it: {who}." if who else "",
        cohort.get("description") or "",
        f"Page: {ctx.link(project, f'cohorts/{number}')}",
    ]


def _member(person: Json) -> list[Any]:
    properties: Json = person.get("properties") or {}
    ids = ", ".join(shown_ids(person.get("distinct_ids") or [], _FEW_IDS))
    name, email = text_of(properties, "name", "Name", "username"), text_of(properties, "email", "Email")
    return [person.get("uuid") or person["id"], name, email, ids, person.get("created_at")]


class SaveCohort(ProjectInput):
    """Arguments of save_cohort."""

    cohort: Short = Field("", description="Id or exact name of one to change; none makes a new one.")
    name: Short = Field("", description="What it is called.")
    description: str = Field("", max_length=1_000, description='What it is for; "" clears it.')
    filters: FilterRows = Field(
        default_factory=list[Filter],
        description='Members by properties: [{"property":"plan","operator":"exact","value":"pro"}]; on: '
        "cohort with its id as property.",
    )
    did: DidRows = Field(
        default_factory=list[Did],
        description='Members by behaviour: [{"event":"order placed","days":30,"times":2,"negate":false}].',
    )
    match: Literal["all", "any"] = Field("all", description="Whether all of filters and did must hold.")
    persons: list[str] = Field(
        default_factory=list[str],
        max_length=1_000,
        description="For a list instead: distinct ids or uuids to put on it.",
    )
    remove: list[str] = Field(
        default_factory=list[str], max_length=50, description="The same, to take off the list."
    )
    dry_run: bool = Field(default=False, description="Show the request, send nothing.")

    @property
    def conditional(self) -> bool:
        """Whether conditions were given."""
        return bool(self.filters or self.did)

    @model_validator(mode="after")
    def _fits(self) -> "SaveCohort":
        if self.conditional and (self.persons or self.remove):
            raise ValueError("has conditions and persons: a cohort is by filters and did, or a list")
        if self.given("match") and not self.conditional:
            raise ValueError("has `match` without filters or did: it says how they go together")
        if self.cohort:
            return self
        if not self.name.strip():
            raise ValueError("has no name: give the new cohort one, or name one to change as `cohort`")
        if not (self.conditional or self.persons):
            raise ValueError("says nobody: give filters, did or persons")
        return self


@tool(
    area="persons",
    access=Access.WRITE,
    title="Save a cohort",
    scopes=("cohort:write", "query:read"),
    default=False,
)
async def save_cohort(ctx: Context, args: SaveCohort) -> Record:
    """Make a cohort of persons, by conditions or as a list, or change one; what is not named stays.

    filters and did together replace the conditions there were. Flags take cohorts without did.
    """
    project = await ctx.project(args)
    before = await find_cohort(ctx, project, args.cohort) if args.cohort else None
    if before:
        _check_kind(before, args)
    added, unknown = await _known(ctx, project, args.persons)
    removed, never = await _known(ctx, project, args.remove)
    body = _body(args, new=before is None)
    notes: Json = {"without_profile": unknown + never} if unknown or never else {}
    if args.dry_run:
        shown: Json = {"would_change" if before else "would_create": body}
        lists = {"would_add": added, "would_remove": removed}
        return Record({"dry_run": True, **shown, **{k: v for k, v in lists.items() if v}, **notes})
    if before is None:
        after = await ctx.api.post(LIST, body, project_id=project.id)
    elif body:
        after = await ctx.api.patch(ONE, body, project_id=project.id, id=before["id"])
    else:
        after = before
    if added or removed:
        after = await _relist(ctx, project, after, added, removed)
        notes |= {"added": len(added)} if added else {}
        notes |= {"removed": len(removed)} if removed else {}
    if before is not None and body:
        notes["changed"] = _changed(before, after, body)
    return Record({**whole(ctx, project, after), **notes})


def _check_kind(cohort: Json, args: SaveCohort) -> None:
    """Refuse what this kind of cohort does not have."""
    static = bool(cohort.get("is_static"))
    if (args.conditional and static) or ((args.persons or args.remove) and not static):
        kind = "a list of persons" if static else "by conditions, and PostHog finds its members"
        raise ToolFailure(
            f"Cohort {cohort['name']} ({cohort['id']}) was not changed.",
            f"It is {kind}.",
            "Give persons and remove." if static else "Give filters and did, or make a new one with persons.",
        )


async def _known(ctx: Context, project: Project, persons: list[str]) -> tuple[list[str], list[str]]:
    """The uuids of those with a profile, and who has none.

    Raises:
        ToolFailure: Nobody has.
    """
    uuids, unknown = await resolve(ctx, project, persons)
    if persons and not uuids:
        raise ToolFailure(
            "The cohort was not saved.",
            f"None of the {len(persons)} persons has a profile. {PROFILES}.",
            "Find their ids with find_persons.",
        )
    return uuids, unknown


def _body(args: SaveCohort, *, new: bool) -> Json:
    body: Json = {}
    if args.name.strip():
        body["name"] = args.name.strip()
    if args.given("description"):
        body["description"] = args.description
    if args.conditional:
        body["filters"] = filters_of(args.filters, args.did, any_of_them=args.match == "any")
    if new:
        body["is_static"] = not args.conditional
    return body


async def _relist(ctx: Context, project: Project, cohort: Json, added: list[str], removed: list[str]) -> Json:
    """Put persons on a cohort's list and take others off; the cohort afterwards."""
    try:
        if added:
            await ctx.api.patch(_ADD, {"person_ids": added}, project_id=project.id, id=cohort["id"])
        for uuid in removed:
            await ctx.api.patch(_REMOVE, {"person_id": uuid}, project_id=project.id, id=cohort["id"])
    except PostHogError as error:
        raise ToolFailure(
            f"Cohort {cohort['id']} is saved, but the list of its members is not complete.",
            error.what if error.said else f"{error.what} {error.why}",
            f"get_cohort shows who is on it; call again with cohort={cohort['id']} and the same persons.",
        ) from None
    return await ctx.api.get(ONE, project_id=project.id, id=cohort["id"])


def _changed(before: Json, after: Json, body: Json) -> list[Change]:
    """What differs in the fields that were sent; conditions in words, since their tree tells nobody much."""
    plain = [name for name in body if name != "filters"]
    changes = difference(
        {name: before.get(name) for name in plain}, {name: after.get(name) for name in plain}
    )
    was, now = conditions(before), conditions(after)
    return changes if was == now else [*changes, {"field": "who_is_in_it", "from": was, "to": now}]
