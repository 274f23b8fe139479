"""LLM analytics: what an application's language models were asked, and what that took and cost."""

from typing import Any
from urllib.parse import quote

from pydantic import Field

from posthog_mcp.render import Record, Table
from posthog_mcp.tool import Access, Context, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.asking import period
from posthog_mcp.tool.filter_rows import EventFilterRow, EventFilterRows, event_filters, filtered_by
from posthog_mcp.tool.llm_traces import Spans, remarks, state_text
from posthog_mcp.tool.persons import ABOUT_IDS, display_name, find_profile
from posthog_mcp.tool.queries import answer_of
from posthog_mcp.tool.times import Moment

Json = dict[str, Any]

# Our names of what a trace is told by, and PostHog's.
_TOLD = {
    "trace_id": "id",
    "name": "traceName",
    "began": "createdAt",
    "person": "person",
    "seconds": "totalLatency",
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cost": "totalCost",
    "errors": "errorCount",
}
_MOST_IDS = 100  # of one person


class ListLlmTraces(ProjectInput):
    """Arguments of list_llm_traces."""

    person: str = Field("", max_length=400, description="A distinct id or a person's uuid.")
    errors_only: bool = Field(default=False, description="Only with an error in them.")
    filters: EventFilterRows = Field(
        default_factory=list[EventFilterRow],
        max_length=20,
        description='Rows on one event: [{"property":"$ai_model","value":"gpt-5","on":"event"}].',
    )
    date_from: Moment = Field("-7d", description="Began since.")
    date_to: Moment = Field("", description="Began until.")
    limit: int = Field(20, ge=1, le=100, description="How many, 1 to 100.")
    offset: int = Field(0, ge=0, description="How many to skip.")


@tool(area="ai", access=Access.READ, title="List LLM traces", scopes=("query:read",))
async def list_llm_traces(ctx: Context, args: ListLlmTraces) -> Table:
    """List the traces of an application's language models, newest first: tokens, cost, errors, ratings."""
    project = await ctx.project(args)
    since, until = period(ctx, args.date_from, args.date_to)
    query: Json = {
        "kind": "TracesQuery",
        "dateRange": {"date_from": since, "date_to": until},
        "limit": args.limit,
        "offset": args.offset,
        "properties": await _filters(ctx, project, args),
    }
    answer = await answer_of(ctx, project, query)
    return Table(
        about=[
            f"LLM traces of project {project} that began {since} to {until}. Cost in US dollars."
            + filtered_by(
                args.filters,
                f"person {args.person}" if args.person else "",
                "with an error" if args.errors_only else "",
            )
        ],
        columns=[*_TOLD, "remarks"],
        rows=[_row(trace) for trace in answer["results"]],
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(answer.get("hasMore")),
        outsiders=frozenset({"trace_id", "name", "person", "remarks"}),
        empty=[
            "Widen the period or drop a filter.",
            ABOUT_IDS if args.person else "",
            "capture_llm_generation, or PostHog's LLM integrations, send traces.",
        ],
    )


async def _filters(ctx: Context, project: Project, args: ListLlmTraces) -> list[Json]:
    filters = await event_filters(ctx, project, args.filters)
    if args.errors_only:
        filters.append({"key": "$ai_is_error", "type": "event", "operator": "exact", "value": ["true"]})
    if args.person:
        profile = await find_profile(ctx, project, args.person)
        ids: list[str] = profile["distinct_ids"][:_MOST_IDS] if profile else [args.person]
        filters.append({"key": "distinct_id", "type": "event_metadata", "operator": "exact", "value": ids})
    return filters


class GetLlmTrace(ProjectInput):
    """Arguments of get_llm_trace."""

    trace_id: str = Field(min_length=1, max_length=400, description="From list_llm_traces.")
    content: int = Field(400, ge=0, le=5_000, description="Characters of each input and output, 0 to 5000.")
    date_from: Moment = Field("-30d", description="How far back to look.")
    limit: int = Field(60, ge=1, le=300, description="How many events, 1 to 300.")
    offset: int = Field(0, ge=0, description="How many to skip.")


@tool(area="ai", access=Access.READ, title="Get an LLM trace", scopes=("query:read",), default=False)
async def get_llm_trace(ctx: Context, args: GetLlmTrace) -> Record:
    """One trace: each generation and span below its parent, with model, tokens, cost and what was said."""
    project = await ctx.project(args)
    since, until = period(ctx, args.date_from, "")
    query = {
        "kind": "TraceQuery",
        "traceId": args.trace_id,
        "dateRange": {"date_from": since, "date_to": until},
    }
    found: list[Json] = (await answer_of(ctx, project, query))["results"]
    if not found:
        raise ToolFailure(
            f"There is no trace {args.trace_id} in project {project} since {since}.",
            "None of its events is there, or they are older.",
            "list_llm_traces has those there are; give an earlier date_from for an old one.",
        )
    trace = found[0]
    spans = Spans(args.trace_id, str(trace.get("createdAt")), trace.get("events") or []).rows(args.content)
    shown = spans[args.offset : args.offset + args.limit]
    left = len(spans) - args.offset - len(shown)
    return Record(
        {
            **_about(trace),
            "input": state_text(trace.get("inputState"), args.content),
            "output": state_text(trace.get("outputState"), args.content),
            "spans": shown,
            **({"more_spans": f"{left} more: offset={args.offset + len(shown)}"} if left > 0 else {}),
            "project": str(project),
            "url": ctx.link(project, f"llm-analytics/traces/{quote(args.trace_id, safe='')}"),
        },
        frozenset({"trace_id", "name", "person", "input", "output", "spans"}),
    )


def _about(trace: Json) -> Json:
    told = {"trace_id": trace["id"], "person": _person(trace)}
    return {name: told.get(name, trace.get(posthogs)) for name, posthogs in _TOLD.items()}


def _row(trace: Json) -> list[Any]:
    return [*_about(trace).values(), remarks(trace.get("events") or [])]


def _person(trace: Json) -> str:
    """The person's name, or the distinct id of someone without a profile."""
    person: Json = trace.get("person") or {}
    distinct_id = str(person.get("distinct_id") or trace.get("distinctId") or "")
    return display_name({"id": distinct_id, "distinct_ids": [distinct_id], **person})
