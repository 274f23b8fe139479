"""A compiled set of flags: evaluate one, evaluate all, explain one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Unpack

from posthog_mcp.flags.call import Call, Context
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
        return self._flag(key).source

    def evaluate(self, key: str, distinct_id: str, **context: Unpack[Context]) -> Decision:
        """Decide one flag for one subject.

        Args:
            key: The flag's key.
            distinct_id: The person's distinct id.
            **context: What is known of them: see `Context`.

        Raises:
            UnknownFlagError: When the set has no flag of that key.
        """
        return self._flag(key).decide(Call(distinct_id, context))

    def evaluate_all(self, distinct_id: str, **context: Unpack[Context]) -> dict[str, Decision]:
        """Decide every flag for one subject, by key; arguments as for `evaluate`."""
        call = Call(distinct_id, context)
        decisions: dict[str, Decision] = {}
        for key, flag in self._flags.items():
            if call.tried:
                call.tried = {}
            decisions[key] = flag.decide(call)
        return decisions

    def explain(self, key: str, distinct_id: str, **context: Unpack[Context]) -> Explanation:
        """Decide one flag and say of each condition what was compared with what.

        Arguments as for `evaluate`.

        Raises:
            UnknownFlagError: When the set has no flag of that key.
        """
        return explain(self._flag(key), Call(distinct_id, context))

    def _flag(self, key: str) -> CompiledFlag:
        flag = self._flags.get(key)
        if flag is None:
            raise UnknownFlagError(key)
        return flag
