"""The query endpoint: run, poll, cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from posthog_mcp.sandbox.http.errors import invalid, not_found
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.insights.saved import with_filters
from posthog_mcp.sandbox.queries.kinds import WRAPPERS
from posthog_mcp.sandbox.queries.models import malformed
from posthog_mcp.sandbox.queries.service import Request

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.queries.jobs import Job

_LIST = "/api/projects/{project_id}/query/"
_ONE = "/api/projects/{project_id}/query/{query_id}/"
_BACKGROUND = ("async", "lazy_async", "force_async")
_ANEW = ("force_async", "force_blocking")


class QueryRequest(BaseModel):
    """The body of `POST query/`."""

    model_config = ConfigDict(extra="forbid")

    query: dict[str, Any]
    refresh: Literal[
        "async",
        "async_except_on_cache_miss",
        "blocking",
        "force_async",
        "force_blocking",
        "force_cache",
        "lazy_async",
    ] = "blocking"
    asynchronous: bool | None = Field(None, alias="async")
    client_query_id: str | None = None
    name: str | None = Field(None, max_length=128)
    filters_override: dict[str, Any] | None = None
    variables_override: dict[str, Any] | None = None
    limit_context: Literal["posthog_ai"] | None = None


@route("POST", _LIST, scope="query:read", bucket="query")
async def run_query(call: Call) -> Reply:
    """Run a query and answer its rows, or 202 with its status when it is to run in the background."""
    queries = call.sandbox.queries
    request = _read(await call.json())
    asked = Request(_with_overrides(request), request.client_query_id or uuid4().hex)
    if request.refresh not in _ANEW and (kept := queries.kept(asked)) is not None:
        return Reply(kept, 200, _budget(call, 0))
    if request.asynchronous or request.refresh in _BACKGROUND:
        return Reply({"query_status": queries.start(asked).status()}, 202, _budget(call, 0))
    answer = await queries.run(asked)
    return Reply(answer.body, 200, _budget(call, answer.read_bytes))


@route("POST", _ONE, scope="query:read", bucket="query")
async def run_query_of_kind(call: Call) -> Reply:
    """The same, at an address that names the kind."""
    body = await call.json()
    query, kind = body.get("query"), call.params["query_id"]
    if not isinstance(query, dict) or query.get("kind") != kind:  # pyright: ignore[reportUnknownMemberType]
        raise invalid(f"The query's kind must be {kind}, as in the path.", "query")
    return await run_query(call)


@route("GET", _ONE, scope="query:read", bucket="query")
async def get_query_status(call: Call) -> Reply:
    """How a query in the background goes on: 202 running, 200 done, 400 or 500 failed."""
    job = call.sandbox.queries.jobs.get(call.params["query_id"])
    if job is None:
        raise not_found(f"Query {call.params['query_id']} not found for team {call.sandbox.project.id}")
    progress = call.query.get("show_progress", "").lower() == "true"
    return Reply({"query_status": job.status(_progress(call, job) if progress else None)}, _status(job))


@route("DELETE", _ONE, scope="query:read", bucket="query")
async def cancel_query(call: Call) -> Reply:
    """Stop a query, wherever it runs."""
    await call.sandbox.queries.cancel(call.params["query_id"])
    return Reply({"message": "Query cancelled"})


def _read(body: dict[str, Any]) -> QueryRequest:
    try:
        return QueryRequest.model_validate(body)
    except ValidationError as error:
        raise malformed(error, "QueryRequest") from error


def _with_overrides(request: QueryRequest) -> dict[str, Any]:
    """The query with the request's filters and variables over its own."""
    return _with_variables(with_filters(request.query, request.filters_override), request.variables_override)


def _with_variables(query: dict[str, Any], variables: dict[str, Any] | None) -> dict[str, Any]:
    if not variables:
        return query
    if query.get("kind") in WRAPPERS and isinstance(query.get("source"), dict):
        return {**query, "source": _with_variables(query["source"], variables)}
    if query.get("kind") != "HogQLQuery":
        raise invalid("Only queries in HogQL have variables.", "variables_override")
    return {**query, "variables": {**(query.get("variables") or {}), **variables}}


def _status(job: Job) -> int:
    if job.ended is None:
        return 202
    if not job.failed:
        return 200
    return 400 if job.message else 500


def _progress(call: Call, job: Job) -> dict[str, Any]:
    end = job.ended or call.sandbox.clock()
    return {
        "bytes_read": 0,
        "rows_read": 0,
        "estimated_rows_total": 0,
        "time_elapsed": round((end - (job.picked_up or end)).total_seconds(), 3),
        "active_cpu_time": 0,
    }


def _budget(call: Call, read: int) -> dict[str, str]:
    budget = call.sandbox.queries.budget
    if not budget.rate:
        return {}
    return {
        "X-PostHog-Query-Bytes-Read": str(read),
        "X-PostHog-Query-Budget-Remaining-Bytes": str(max(0, budget.remaining())),
    }
