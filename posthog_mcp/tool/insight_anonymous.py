"""What a funnel hides when one step is done by visitors and another by known people."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.api.errors import PostHogError
from posthog_mcp.tool.asking import period
from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.queries import quick_answer_of

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project
    from posthog_mcp.tool.insight_funnels import QueryFunnel

Json = dict[str, Any]
_QUERY = (
    "SELECT event, countIf(person_mode = 'propertyless') / count() AS anonymous FROM events"
    " WHERE event IN {names} AND timestamp >= toDateTime({since}) AND timestamp <= toDateTime({until})"
    " GROUP BY event LIMIT 100"
)
_MOSTLY, _HARDLY, _DROP = 0.5, 0.5, 0.5


async def anonymous_note(ctx: Context, project: Project, args: QueryFunnel, answer: Json) -> list[str]:
    """A warning where anonymous steps make the funnel look worse than it is; costs a query only then.

    With `person_profiles: identified_only`, events of visitors carry no person. They become those of a person
    by `identify` in the same browser; who signs up elsewhere, or whose later events a backend sends under
    another id, drops out of the funnel. Filters on persons leave such events out altogether.
    """
    on_person = args.breakdown_on == "person" and bool(args.breakdown)
    on_person |= any(row.on in ("person", "cohort") for row in args.filters)
    names = [step.event for step in args.steps if step.event]
    if not names or not (on_person or _drops(answer)):
        return []
    try:
        since, until = _period(ctx, args, answer)
        values = {"names": names, "since": since, "until": until}
        asked = {"kind": "HogQLQuery", "query": _QUERY, "values": values}
        found = await quick_answer_of(ctx, project, asked)
    except (PostHogError, ToolFailure) as error:
        return [f"Whether steps are anonymous could not be looked up: {error}"]
    if found is None:
        return ["Whether steps are anonymous could not be looked up in time."]
    rows: list[list[Any]] = found.get("results") or []
    shares = {str(event): float(share) for event, share in rows}
    mostly = [name for name in names if shares.get(name, 0) >= _MOSTLY]
    known = [name for name in names if name in shares and shares[name] < _HARDLY]
    if mostly and on_person:
        told = (
            f"Most events of {_listed(mostly, shares)} are anonymous (person_profiles identified_only) and "
            "have no person properties: what looks at persons leaves them out. Take properties of events."
        )
        return [told]
    if mostly and known:
        told = (
            f"Mind the identities: events of {_listed(mostly, shares)} are anonymous (person_profiles "
            f"identified_only), those of {', '.join(dict.fromkeys(known))} are not. Visitors count as the "
            "people they became only where identify() linked both ids; others look like drop-offs."
        )
        return [told]
    return []


def _period(ctx: Context, args: QueryFunnel, answer: Json) -> tuple[str, str]:
    """The period as PostHog understood it; older versions do not say."""
    told: Json = answer.get("resolved_date_range") or {}
    if told.get("date_from") and told.get("date_to"):
        return str(told["date_from"]), str(told["date_to"])
    return period(ctx, args.date_from, args.date_to)


def _listed(names: list[str], shares: dict[str, float]) -> str:
    return ", ".join(f"{name} ({100 * shares[name]:.0f} %)" for name in dict.fromkeys(names))


def _drops(answer: Json) -> bool:
    """Whether half or more are lost between two steps."""
    results: Any = answer.get("results")
    if not isinstance(results, list) or not results:
        return False
    listed = cast("list[Any]", results)
    groups: list[list[Json]] = listed if isinstance(listed[0], list) else [listed]
    counts = [[int(step.get("count") or 0) for step in group] for group in groups]
    return any(after <= _DROP * before for one in counts for before, after in pairwise(one))
