"""Issues of error tracking: read, named, given to somebody, resolved, suppressed, merged and split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import BaseModel, Field

from posthog_mcp.sandbox.api import activity_log
from posthog_mcp.sandbox.http.errors import invalid, method_not_allowed, not_found
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from posthog_mcp.sandbox.http.routing import Call

JSON = dict[str, Any]

_LIST = "/api/projects/{project_id}/error_tracking/issues/"
_ONE = _LIST + "{id}/"
_SCOPE = "ErrorTrackingIssue"
_READ, _WRITE = "error_tracking:read", "error_tracking:write"
Status = Literal["active", "resolved", "suppressed"]


class IssueFields(BaseModel):
    """What can be written; what is absent keeps its value."""

    status: Status = "active"
    name: Annotated[str, Field(max_length=400)] = ""
    description: str = ""


class Merge(BaseModel):
    """The issues to merge into one."""

    ids: list[str]


class Part(BaseModel):
    """A fingerprint that becomes an issue of its own."""

    fingerprint: str
    name: str | None = None
    description: str | None = None


class Split(BaseModel):
    """What is taken out of an issue."""

    fingerprints: list[Part]


class Bulk(BaseModel):
    """One change of several issues."""

    action: Literal["set_status", "assign"]
    ids: list[str]


@route("GET", _LIST, scope=_READ)
async def list_issues(call: Call) -> Reply:
    """Every issue, the first seen last."""
    found = sorted(
        call.sandbox.ingest.issues.all(), key=lambda issue: (issue["first_seen"], issue["id"]), reverse=True
    )
    return Reply(counted(call, found, lambda issue: _shown(call, issue)))


@route("GET", _LIST + "exists/", scope=_READ)
async def any_issue_exists(call: Call) -> Reply:
    """Whether the project has any."""
    return Reply({"exists": bool(call.sandbox.ingest.issues.all())})


@route("GET", _LIST + "activity/", scope="activity_log:read")
async def all_activity(call: Call) -> Reply:
    """Who changed which."""
    return Reply(activity_log.numbered(call, activity_log.entries(call.sandbox, [_SCOPE])))


@route("POST", _LIST + "bulk/", scope=_WRITE)
async def change_issues(call: Call) -> Reply:
    """Give several the same status or the same assignee."""
    body = await call.json()
    wanted = checked(Bulk, body)
    changes: JSON
    if wanted.action == "set_status":
        if body.get("status") not in ("active", "resolved", "suppressed"):
            raise invalid("Invalid status")
        changes = {"status": body["status"]}
    else:
        changes = {"assignee": _assignee(call, body.get("assignee"))}
    for issue in [_found(call, issue_id) for issue_id in wanted.ids]:
        _change(call, issue, changes)
    return Reply({"success": True})


@route("GET", _ONE, scope=_READ)
async def get_issue(call: Call) -> Reply:
    """One issue; for a `fingerprint` that was moved, 308 with the id of the issue that has it now."""
    fingerprint = call.query.get("fingerprint")
    owner = fingerprint and call.sandbox.ingest.issues.of_fingerprint(fingerprint)
    if owner and owner != call.params["id"]:
        return Reply({"issue_id": owner}, 308)
    return Reply(_shown(call, _found(call)))


@route("PATCH", _ONE, scope=_WRITE)
async def update_issue(call: Call) -> Reply:
    """Change what is given."""
    issue = _found(call)
    fields = checked(IssueFields, await call.json())
    return Reply(_shown(call, _change(call, issue, fields.model_dump(exclude_unset=True))))


@route("DELETE", _ONE, scope=_WRITE)
async def delete_issue(call: Call) -> Reply:
    """Refused, as in PostHog."""
    _found(call)
    raise method_not_allowed("DELETE")


@route("PATCH", _ONE + "assign/", scope=_WRITE)
async def assign_issue(call: Call) -> Reply:
    """Give it to a user, or to nobody."""
    issue = _found(call)
    _change(call, issue, {"assignee": _assignee(call, (await call.json()).get("assignee"))})
    return Reply({"success": True})


@route("POST", _ONE + "merge/", scope=_WRITE)
async def merge_issues(call: Call) -> Reply:
    """Merge others into it."""
    issue = _found(call)
    others = [_found(call, issue_id) for issue_id in checked(Merge, await call.json()).ids]
    names = [other["id"] for other in others if other["id"] != issue["id"]]
    call.sandbox.ingest.issues.merge(issue["id"], names)
    activity_log.record(call.sandbox, "merged", _SCOPE, issue["id"], name=issue["name"])
    return Reply({"success": True})


@route("POST", _ONE + "split/", scope=_WRITE)
async def split_issue(call: Call) -> Reply:
    """Give fingerprints issues of their own."""
    issue = _found(call)
    own = call.sandbox.ingest.issues.fingerprints(issue["id"])
    parts = [part.model_dump() for part in checked(Split, await call.json()).fingerprints]
    if any(part["fingerprint"] not in own for part in parts):
        raise invalid("Fingerprints do not belong to the issue.", "fingerprints")
    made = call.sandbox.ingest.issues.split(issue["id"], parts)
    activity_log.record(call.sandbox, "split", _SCOPE, issue["id"], name=issue["name"])
    return Reply({"success": True, "new_issue_ids": made})


@route("GET", _ONE + "activity/", scope="activity_log:read")
async def issue_activity(call: Call) -> Reply:
    """Who changed it."""
    entries = activity_log.entries(call.sandbox, [_SCOPE], _found(call)["id"])
    return Reply(activity_log.numbered(call, entries))


def _found(call: Call, issue_id: str | None = None) -> JSON:
    issue = call.sandbox.ingest.issues.get(issue_id or call.params["id"])
    if issue is None:
        raise not_found("Issue not found")
    return issue


def _shown(call: Call, issue: JSON) -> JSON:
    first: Iterable[str] = call.sandbox.ingest.issues.fingerprints(issue["id"])
    return {**issue, "fingerprint": next(iter(first), None), "external_issues": [], "cohort": None}


def _change(call: Call, issue: JSON, changes: Mapping[str, Any]) -> JSON:
    before = {name: issue[name] for name in changes}
    after = call.sandbox.ingest.issues.update(issue["id"], changes)
    activity = "assigned" if "assignee" in changes else "updated"
    activity_log.record(
        call.sandbox, activity, _SCOPE, issue["id"], name=issue["name"], before=before, after=changes
    )
    return after


def _assignee(call: Call, given: object) -> JSON | None:
    """The project has one user and no roles."""
    if given is None:
        return None
    assignee = cast("JSON", given) if isinstance(given, dict) else {}
    if assignee != {"type": "user", "id": call.sandbox.project.user.id}:
        raise invalid("Invalid assignee", "assignee")
    return {"id": assignee["id"], "type": "user"}
