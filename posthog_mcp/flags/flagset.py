"""A compiled set of flags: evaluate one, evaluate all, explain one."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from typing import Any, Unpack

from posthog_mcp.flags.call import Call, Context, Properties
from posthog_mcp.flags.decision import Decision, UnknownFlagError
from posthog_mcp.flags.explain import Explanation, explain
from posthog_mcp.flags.flag import CompiledFlag


class FlagSet:
    """One snapshot of definitions, compiled; immutable, so one evaluation never sees two of them.

    Made by `compile_flags`. Evaluations do no I/O and never wait.
    """

    def __init__(self, flags: dict[str, CompiledFlag], warnings: tuple[str, ...] = ()) -> None:
        self._flags = flags
        self.warnings = warnings

    def __contains__(self, key: object) -> bool:
        return key in self._flags

    def __iter__(self) -> Iterator[str]:
        return iter(self._flags)

    def __len__(self) -> int:
        return len(self._flags)

    def definition(self, key: str) -> dict[str, Any]:
        """A flag as PostHog defined it.

        Raises:
            UnknownFlagError: When there is none of that key.
        """
        return self._flag(key).flag.source

    def evaluate(
        self,
        key: str,
        distinct_id: str,
        *,
        groups: Mapping[str, Any] | None = None,
        person_properties: Properties | None = None,
        group_properties: Mapping[str, Properties] | None = None,
        device_id: str = "",
        now: datetime | None = None,
        cohorts: Container[str] = (),
        hash_keys: Mapping[str, str] | None = None,
    ) -> Decision:
        """Decide one flag for one subject.

        Args:
            key: The flag's key.
            distinct_id: The person's distinct id.
            groups: Group key by group type name.
            person_properties: What is known of the person. `distinct_id` is added when it is not given.
            group_properties: What is known of each group, by group type name; `{}` for a group of which
                nothing is known. `$group_key` is added when it is not given.
            device_id: The device, for flags that hash it.
            now: The present for relative dates; by default the clock.
            cohorts: Ids, as text, of the cohorts the person is in. Server rules only.
            hash_keys: Flag key to the id remembered for experience continuity. Server rules only.

        Raises:
            UnknownFlagError: When the set has no flag of that key.
        """
        flag = self._flags.get(key)
        if flag is None:
            raise UnknownFlagError(key)
        call = Call(self._flags, distinct_id, person_properties)
        if groups:
            call.of_groups(groups, group_properties or {})
        if device_id:
            call.device_id = device_id
        if now is not None:
            call.now = now
        if cohorts:
            call.cohorts = cohorts
        if hash_keys:
            call.hash_keys = hash_keys
        return flag.decide(call)

    def evaluate_all(self, distinct_id: str, **context: Unpack[Context]) -> dict[str, Decision]:
        """Decide every flag for one subject, by key; arguments as for `evaluate`."""
        call = self._call(distinct_id, context)
        decisions: dict[str, Decision] = {}
        for key, flag in self._flags.items():
            call.tried = None
            decisions[key] = flag.decide(call)
        return decisions

    def explain(self, key: str, distinct_id: str, **context: Unpack[Context]) -> Explanation:
        """Decide one flag and say of each condition what was compared with what.

        Arguments as for `evaluate`.

        Raises:
            UnknownFlagError: When the set has no flag of that key.
        """
        return explain(self._flag(key), self._call(distinct_id, context))

    def _flag(self, key: str) -> CompiledFlag:
        flag = self._flags.get(key)
        if flag is None:
            raise UnknownFlagError(key)
        return flag

    def _call(self, distinct_id: str, context: Context) -> Call:
        call = Call(self._flags, distinct_id, context.get("person_properties"))
        call.of_groups(context.get("groups") or {}, context.get("group_properties") or {})
        call.device_id = context.get("device_id") or ""
        call.now = context.get("now")
        call.cohorts = context.get("cohorts") or ()
        call.hash_keys = context.get("hash_keys") or {}
        return call
