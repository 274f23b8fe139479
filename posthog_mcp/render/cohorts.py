"""Cohorts in words: who is in them."""

from typing import Any, cast

from posthog_mcp.render.flags import filter_in_words

Json = dict[str, Any]
_SEVERAL = 2
_COMPARED = {"gte": "at least", "lte": "at most", "gt": "more than", "lt": "fewer than"}


def conditions(cohort: Json) -> str:
    """Who is in a cohort: `plan = pro and did order placed in the last 30 days`; empty for a list."""
    filters: Json = cohort.get("filters") or {}
    group: Json = filters.get("properties") or {}
    return "" if cohort.get("is_static") else _group(group)


def _group(group: Json) -> str:
    values = cast("list[Any]", group.get("values") or [])
    entries = [cast("Json", each) for each in values if isinstance(each, dict)]
    word = " and " if group.get("type") == "AND" else " or "
    return word.join(_part(each, alone=len(entries) == 1) for each in entries)


def _part(entry: Json, *, alone: bool) -> str:
    if "values" not in entry:
        return ("not " if entry.get("negation") else "") + _leaf(entry)
    inner = _group(entry)
    return inner if alone or len(entry["values"] or []) < _SEVERAL else f"({inner})"


def _leaf(leaf: Json) -> str:
    if leaf.get("type") != "behavioral":
        return filter_in_words(leaf)
    unit = leaf.get("time_interval") or "day"
    within = leaf.get("explicit_datetime") or f"the last {leaf.get('time_value')} {unit}s"
    kind, event = leaf.get("value"), leaf.get("key")
    if kind == "performed_event_multiple":
        times = f"{_COMPARED.get(str(leaf.get('operator')), 'exactly')} {leaf.get('operator_value')} times"
        return f"did {event} {times} in {within}"
    if kind == "performed_event":
        return f"did {event} in {within}"
    return f"{str(kind).replace('_', ' ')} {event} in {within}"
