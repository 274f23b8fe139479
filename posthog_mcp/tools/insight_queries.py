"""Typed queries: trends, funnels, retention, paths, lifecycle, stickiness."""

from typing import Any

from posthog_mcp.render import Table
from posthog_mcp.tool import Access, Context, tool
from posthog_mcp.tool.insight_anonymous import anonymous_note
from posthog_mcp.tool.insight_answers import Asked
from posthog_mcp.tool.insight_funnels import QueryFunnel
from posthog_mcp.tool.insight_kinds import KINDS
from posthog_mcp.tool.insight_more import QueryLifecycle, QueryPaths, QueryStickiness
from posthog_mcp.tool.insight_retention import QueryRetention
from posthog_mcp.tool.insight_trends import QueryTrends
from posthog_mcp.tool.queries import answer_of

_SCOPES = ("query:read",)


@tool(area="insights", access=Access.READ, title="Query trends", scopes=_SCOPES)
async def query_trends(ctx: Context, args: QueryTrends) -> Table:
    """Count events or people over time: daily sign-ups, active users, revenue by plan.

    Rows are intervals; with a breakdown one row for each value. Today is included, so -7d is 8 days.
    """
    return await _ask(ctx, args, "query_trends", draw=args.chart)


@tool(area="insights", access=Access.READ, title="Query a funnel", scopes=_SCOPES)
async def query_funnel(ctx: Context, args: QueryFunnel) -> Table:
    """How many people get from one event to the next: conversion by step, time needed, where they drop out.

    Each person counts once, conversions after date_to are not seen. Warns where anonymous steps mislead.
    """
    project = await ctx.project(args)
    kind = KINDS["query_funnel"]
    query = await kind.query(ctx, project, args)
    answer = await answer_of(ctx, project, query)
    table = kind.shown(Asked(project, args, ctx.now()), answer, draw=args.chart)
    table.about += await anonymous_note(ctx, project, args, answer)
    return table


@tool(area="insights", access=Access.READ, title="Query retention", scopes=_SCOPES)
async def query_retention(ctx: Context, args: QueryRetention) -> Table:
    """Of those who do something in a period, how many come back in each later one.

    Periods that have not come yet are empty.
    """
    return await _ask(ctx, args, "query_retention", draw=args.chart)


@tool(area="insights", access=Access.READ, title="Query paths", scopes=_SCOPES, default=False)
async def query_paths(ctx: Context, args: QueryPaths) -> Table:
    """Where people go from where, step by step; a pause of 30 minutes begins another path."""
    return await _ask(ctx, args, "query_paths")


@tool(area="insights", access=Access.READ, title="Query the lifecycle", scopes=_SCOPES, default=False)
async def query_lifecycle(ctx: Context, args: QueryLifecycle) -> Table:
    """How many people are new, return, come back after a break (resurrecting) or went away (dormant)."""
    return await _ask(ctx, args, "query_lifecycle", draw=args.chart)


@tool(area="insights", access=Access.READ, title="Query stickiness", scopes=_SCOPES, default=False)
async def query_stickiness(ctx: Context, args: QueryStickiness) -> Table:
    """On how many days, or weeks, of a period people did something."""
    return await _ask(ctx, args, "query_stickiness", draw=args.chart)


async def _ask(ctx: Context, args: Any, name: str, *, draw: bool = False) -> Table:
    kind, project = KINDS[name], await ctx.project(args)
    answer = await answer_of(ctx, project, await kind.query(ctx, project, args))
    return kind.shown(Asked(project, args, ctx.now()), answer, draw=draw)
