"""One change of an object, as it may be kept: without secrets, and no larger than an entry may be."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from posthog_mcp.safety.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]

LARGEST = 64 << 10
"""Bytes of an entry."""
SECRET = "it holds a secret, which is never kept"  # noqa: S105 - words
TOO_LARGE = f"it is larger than the {LARGEST >> 10} KiB that an entry may have"
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one object.

    Attributes:
        at: When, in seconds since 1970.
        host: The origin of the PostHog.
        project_id: Its project; 0 for what belongs to none.
        kind: What it is, in PostHog's word: `feature_flag`.
        object_id: Its id; empty where the change was of several.
        name: What people call it.
        action: `created`, `updated`, `deleted` (and can be restored), `restored`, `removed` (and cannot), or
            PostHog's own word: `launch`.
        path: The template of the path that fields are written to; empty where there is none.
        final: PostHog cannot take it back.
        before: The fields that changed, as they were.
        after: The same fields as they became; of a new object, those it was made with.
        withheld: Fields whose values are not kept, each with the reason.
        tool: Who changed it.
        caller: For which client.
        undoes: The number of the change that this one undid; 0 for none.
    """

    at: float
    host: str
    project_id: int
    kind: str
    object_id: str
    name: str
    action: str
    path: str = ""
    final: bool = False
    before: Json = field(default_factory=dict[str, Any])
    after: Json = field(default_factory=dict[str, Any])
    withheld: dict[str, str] = field(default_factory=dict[str, str])
    tool: str = ""
    caller: str = ""
    undoes: int = 0

    def kept(self, secrets: Iterable[str] = ()) -> Change:
        """The change as it may be written down: what must not be there is named in `withheld`.

        Args:
            secrets: Texts that must not be kept, besides everything that looks like a key.
        """
        told = tuple(secrets)
        withheld = dict(self.withheld)
        for name in {*self.before, *self.after}:
            text = _text([self.before.get(name), self.after.get(name)])
            if redact(text, told) != text:
                withheld[name] = SECRET
        names = {"name": redact(self.name, told)[:_LONGEST_NAME], "caller": redact(self.caller, told)}
        change = _without(replace(self, **names), withheld)
        largest = sorted(
            {*change.before, *change.after},
            key=lambda name: len(_text([self.before.get(name), self.after.get(name)])),
        )
        while largest and len(change.written().encode()) > LARGEST:
            withheld[largest.pop()] = TOO_LARGE
            change = _without(change, withheld)
        return change

    def written(self) -> str:
        """The change as JSON text."""
        return _text(asdict(self))

    @classmethod
    def read(cls, text: str) -> Change:
        """What `written` wrote."""
        return cls(**json.loads(text))


def _without(change: Change, withheld: dict[str, str]) -> Change:
    before, after = (
        {name: value for name, value in fields.items() if name not in withheld}
        for fields in (change.before, change.after)
    )
    return replace(change, before=before, after=after, withheld=dict(withheld))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
