"""What differs between two states of an object, field by field."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from typing import Any, cast

Change = dict[str, Any]
_LONGEST_VALUE = 80
_LONGEST_CELL = 300


def difference(before: Any, after: Any, path: str = "") -> list[Change]:
    """Every place where two JSON values differ.

    Args:
        before: The one state.
        after: The other.
        path: Where both are, in front of every place that is named.

    Returns:
        `{"field": "filters.groups[0].rollout_percentage", "from": 10, "to": 25}` each; without `from` for
        what is new, without `to` for what is gone. Of a list, `from` counts places before, `to` those after.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        return _of_objects(cast("dict[str, Any]", before), cast("dict[str, Any]", after), path)
    if isinstance(before, list) and isinstance(after, list):
        return _of_lists(cast("list[Any]", before), cast("list[Any]", after), path)
    return [] if _text(before) == _text(after) else [{"field": path, "from": before, "to": after}]


def in_words(changes: list[Change]) -> str:
    """Changes for one cell of a table: `active: true → false; tags[0]: nothing → "new"`; cut where long."""
    told = [f"{each['field']}: {_end(each, 'from')} → {_end(each, 'to')}" for each in changes]
    words = "; ".join(told)
    return words if len(words) <= _LONGEST_CELL else f"{words[:_LONGEST_CELL]}…"


def _end(change: Change, end: str) -> str:
    if end not in change:
        return "nothing"
    text = json.dumps(change[end], ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _of_objects(before: dict[str, Any], after: dict[str, Any], path: str) -> list[Change]:
    changes: list[Change] = []
    for name in dict.fromkeys([*before, *after]):
        where = f"{path}.{name}" if path else name
        if name not in after:
            changes.append({"field": where, "from": before[name]})
        elif name not in before:
            changes.append({"field": where, "to": after[name]})
        else:
            changes += difference(before[name], after[name], where)
    return changes


def _of_lists(before: list[Any], after: list[Any], path: str) -> list[Change]:
    changes: list[Change] = []
    matcher = SequenceMatcher(None, [_text(item) for item in before], [_text(item) for item in after], False)
    for what, begin, end, start, stop in matcher.get_opcodes():
        if what == "equal":
            continue
        both = min(end - begin, stop - start)
        for offset in range(both):
            changes += difference(before[begin + offset], after[start + offset], f"{path}[{begin + offset}]")
        changes += [{"field": f"{path}[{at}]", "from": before[at]} for at in range(begin + both, end)]
        changes += [{"field": f"{path}[{at}]", "to": after[at]} for at in range(start + both, stop)]
    return changes


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
