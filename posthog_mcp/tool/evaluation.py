"""Flags evaluated for one person: here where they can be decided, by PostHog where they cannot."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import anyio.lowlevel

from posthog_mcp.api.errors import PostHogError, WrongKey
from posthog_mcp.render.flags import reason_in_words
from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.explaining import told

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from posthog_mcp.api import FlagsAnswer
    from posthog_mcp.flags import Decision
    from posthog_mcp.flags.definitions import Definitions
    from posthog_mcp.tool.context import Context

Mode = Literal["auto", "local", "remote"]
_TURN_SECONDS = 0.002
_INSTEAD = "With mode remote, PostHog evaluates instead."
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom flags are evaluated for, with what is known of them beyond what PostHog stores."""

    distinct_id: str
    person_properties: Json = field(default_factory=dict[str, Any])
    groups: dict[str, str] = field(default_factory=dict[str, str])
    group_properties: dict[str, Json] = field(default_factory=dict[str, Json])
    device_id: str = ""
    anonymous_id: str = ""

    @property
    def context(self) -> Any:
        """The same as `FlagSet.evaluate` takes it."""
        return {
            "person_properties": self.person_properties,
            "groups": self.groups,
            "group_properties": self.group_properties,
            "device_id": self.device_id,
        }


@dataclass(slots=True)
class Verdict:
    """What one flag comes to.

    Attributes:
        key: The flag's key.
        value: Its value; None where there is none.
        where: `local`, `remote`, or empty where there is no value.
        reason: Why, in words.
        payload_text: The payload as stored: JSON text.
        flag_id: PostHog's id of the flag, 0 when it is not known.
        version: The version that was evaluated, 0 when it is not known.
        runtime: What the flag is meant for: `all`, `server` or `client`.
        has_experiment: Whether an experiment uses it, where that is known.
        how: The way to the value, line by line, where it was asked for.
    """

    key: str
    value: bool | str | None
    where: str
    reason: str
    payload_text: str | None = None
    flag_id: int = 0
    version: int = 0
    runtime: str = "all"
    has_experiment: bool | None = None
    how: list[str] = field(default_factory=list[str])

    @property
    def payload(self) -> Any:
        """The payload parsed; the text itself when it is no JSON."""
        if self.payload_text is None:
            return None
        try:
            return json.loads(self.payload_text)
        except ValueError:
            return self.payload_text


@dataclass(slots=True)
class Evaluation:
    """The verdicts by key, and what must be known of how they came about.

    Attributes:
        verdicts: By flag key.
        notes: Sentences: where the answers come from, how old the definitions are, what went wrong.
        definitions: What the local ones were decided with.
        answer: PostHog's answer for the others.
    """

    verdicts: dict[str, Verdict] = field(default_factory=dict[str, Verdict])
    notes: list[str] = field(default_factory=list[str])
    definitions: Definitions | None = None
    answer: FlagsAnswer | None = None


async def evaluate(
    ctx: Context, subject: Subject, keys: list[str], mode: Mode, *, explain: bool = False
) -> Evaluation:
    """Evaluate some flags, or all when no key is given.

    Raises:
        ToolFailure: The keys cannot do what `mode` wants, or the project is over its quota.
        DefinitionsUnavailable: With `local`, or when PostHog refused: a wrong key is never passed over.
        PostHogError: PostHog could not be asked, and nothing was decided without it.
    """
    result = Evaluation()
    if mode != "remote":
        await _decide(ctx, subject, keys, mode, result, explain=explain)
    if mode == "local":
        return result
    known = result.definitions is not None
    undecided = [key for key in keys if key not in result.verdicts]
    undecided += [key for key, verdict in result.verdicts.items() if verdict.value is None]
    if undecided or not known:
        try:
            await _ask(ctx, subject, undecided, result)
        except PostHogError as error:
            if not any(verdict.where for verdict in result.verdicts.values()):
                raise
            result.notes.append(f"PostHog could not be asked about the rest: {error.what} {error.why}")
    return result


async def _decide(
    ctx: Context, subject: Subject, keys: list[str], mode: Mode, result: Evaluation, *, explain: bool
) -> None:
    """Decide here what can be decided."""
    definitions = await _definitions(ctx, mode, result)
    if definitions is None:
        return
    result.definitions = definitions
    flags = definitions.flags
    wanted = keys or [key for key in flags if flags.definition(key).get("active")]
    async for key in _in_turns(key for key in wanted if key in flags):
        decision = flags.evaluate(key, subject.distinct_id, now=ctx.now(), **subject.context)
        verdict = _local(decision, flags.definition(key))
        if explain:
            verdict.how = told(flags.explain(key, subject.distinct_id, now=ctx.now(), **subject.context))
        result.verdicts[key] = verdict
    result.notes.append(_freshness(ctx, definitions))


async def _in_turns(keys: Iterable[str]) -> AsyncGenerator[str]:
    """The keys; hundreds of explanations are tens of milliseconds, and other calls go on in between."""
    ends = time.monotonic() + _TURN_SECONDS
    for key in keys:
        yield key
        if time.monotonic() >= ends:
            await anyio.lowlevel.checkpoint()
            ends = time.monotonic() + _TURN_SECONDS


async def _definitions(ctx: Context, mode: Mode, result: Evaluation) -> Definitions | None:
    source = await ctx.flag_definitions()
    from posthog_mcp.flags.definitions import DefinitionsUnavailable, readable  # noqa: PLC0415 - loaded by now

    if mode == "auto" and not readable(ctx.api.keys):
        result.notes.append("No key for local evaluation is configured, so PostHog evaluated.")
        return None
    try:
        return await source.current()
    except WrongKey as error:
        raise ToolFailure(error.what, error.why, f"{error.next_step} {_INSTEAD}") from None
    except DefinitionsUnavailable as error:
        if mode == "local" or error.refused:
            raise
        result.notes.append(f"PostHog evaluated all: {error.what} {error.why}")
        return None


def _freshness(ctx: Context, definitions: Definitions) -> str:
    age = in_words(definitions.age(ctx.now().timestamp()))
    late = f", and could not be renewed: {definitions.problem}" if definitions.problem else "."
    return f"Local definitions are {age} old{late}"


def in_words(seconds: float) -> str:
    """A length of time: `40 s`, `12 min`, `5 h`, `3 d`."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _local(decision: Decision, source: Json) -> Verdict:
    linked = source.get("has_experiment")
    verdict = Verdict(
        decision.key,
        decision.value,
        "local" if decision.decided else "",
        reason_in_words(decision.code or "", decision.condition_index),
        decision.payload_text,
        decision.flag_id,
        decision.version,
        decision.runtime,
        linked if isinstance(linked, bool) else None,
    )
    if not decision.decided:
        needs = f"; pass {', '.join(decision.needs)}" if decision.needs else ""
        verdict.reason = f"undecided: {decision.reason}: {decision.detail}{needs}"
    return verdict


async def _ask(ctx: Context, subject: Subject, keys: list[str], result: Evaluation) -> None:
    """Have PostHog decide `keys`, or every flag when there are none."""
    browsers = [key for key in keys if key in result.verdicts and result.verdicts[key].runtime == "client"]
    others = [key for key in keys if key not in browsers]
    if others or not keys:
        _take(await _answer(ctx, subject, others, "server"), result)
        # A flag that is meant for browsers alone is not in the answer to a server.
        browsers += [key for key in others if key not in result.verdicts]
    if browsers:
        _take(await _answer(ctx, subject, browsers, "client"), result)


async def _answer(ctx: Context, subject: Subject, keys: list[str], runtime: str) -> FlagsAnswer:
    answer = await ctx.api.flags(
        subject.distinct_id,
        flag_keys=keys or None,
        groups=subject.groups,
        person_properties=subject.person_properties,
        group_properties=subject.group_properties,
        device_id=subject.device_id or None,
        anonymous_id=subject.anonymous_id or None,
        runtime=runtime,
    )
    if answer.quota_limited:
        raise ToolFailure(
            "No flag was evaluated.",
            "The project is over its quota of flag requests, so PostHog evaluates none for anybody.",
            "Raise the billing limit at PostHog, or wait for the next period.",
        )
    return answer


def _take(answer: FlagsAnswer, result: Evaluation) -> None:
    result.answer = answer
    for key, flag in sorted(answer.flags.items()):
        verdict = _remote(key, flag)
        if key in result.verdicts:
            verdict.how = [*result.verdicts[key].how, f"PostHog decided: {verdict.reason}"]
            verdict.runtime = result.verdicts[key].runtime
        result.verdicts[key] = verdict
    note = "PostHog could not compute every flag: those missing or failed are unknown, not off."
    if answer.incomplete and note not in result.notes:
        result.notes.append(note)


def _remote(key: str, flag: Json) -> Verdict:
    metadata: Json = flag.get("metadata") or {}
    reason: Json = flag.get("reason") or {}
    failed = bool(flag.get("failed"))
    words = reason.get("description") or reason_in_words(
        str(reason.get("code") or ""), reason.get("condition_index")
    )
    linked = metadata.get("has_experiment")
    return Verdict(
        key,
        None if failed else flag.get("variant") or bool(flag.get("enabled")),
        "remote",
        f"failed: {words}" if failed else words,
        metadata.get("payload"),
        int(metadata.get("id") or 0),
        int(metadata.get("version") or 0),
        has_experiment=linked if isinstance(linked, bool) else None,
    )
