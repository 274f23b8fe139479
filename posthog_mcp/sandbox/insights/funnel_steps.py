"""How far one actor gets through a funnel: PostHog's state machines, over its events in order of time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Order = Literal["ordered", "strict", "unordered"]
Value = tuple[str, ...]


class Event(NamedTuple):
    """What a funnel sees of an event.

    Attributes:
        at: Unix microseconds.
        steps: The steps it is, from 1, ascending.
        taints: The steps whose attempts it taints, when it is an exclusion.
        value: What results are split by.
    """

    at: int
    steps: tuple[int, ...] = ()
    taints: tuple[int, ...] = ()
    value: Value = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """Of a funnel: its steps, their order, the microseconds from the first on, which steps are optional."""

    steps: int
    window: int
    order: Order = "ordered"
    optional: frozenset[int] = frozenset()


@dataclass(slots=True)
class Reach:
    """The furthest step an actor reached, and when it reached each; optional ones may be missing."""

    steps: int
    times: dict[int, int] = field(default_factory=dict[int, int])


@dataclass(slots=True)
class _Attempt:
    began: int
    times: dict[int, int] = field(default_factory=dict[int, int])
    tainted: bool = False

    @property
    def furthest(self) -> int:
        """The last step it came to."""
        return max(self.times, default=0)


def reach(events: Sequence[Event], rules: Rules) -> Reach | None:
    """How far the events get; None for an actor that is in no step, or that an exclusion removes.

    Args:
        events: Of one actor, by time.
        rules: The funnel's.
    """
    return _Window(rules).run(events) if rules.order == "unordered" else _Slots(rules).run(events)


class _Slots:
    """The newest attempt at each step. A first step starts another; the furthest reached is remembered."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._slots: list[_Attempt | None] = [None] * (rules.steps + 1)
        self._best: _Attempt | None = None

    def run(self, events: Sequence[Event]) -> Reach | None:
        for at, together in groupby(events, attrgetter("at")):
            self._slots[0] = _Attempt(at)
            self._tie(list(together))
            best = self._best
            if best and best.furthest == self._rules.steps and not best.tainted:
                break
        best = self._best
        return None if best is None or best.tainted else Reach(best.furthest, best.times)

    def _tie(self, events: list[Event]) -> None:
        """Events of one time are tried in the order of the steps, whatever the order they came in."""
        if len(events) == 1 or len({(event.steps, event.taints) for event in events}) == 1:
            self._event(events[0])
            self._forget_others(events[0])
            return
        for event in events:
            self._exclude(event)
        each = [event._replace(steps=(step,), taints=()) for event in events for step in event.steps]
        for event in sorted(each, key=attrgetter("steps")):
            self._event(event)

    def _event(self, event: Event) -> None:
        self._exclude(event)
        for step in reversed(event.steps):
            before = self._before(event, step)
            if before is None:
                continue
            attempt = _Attempt(before.began, {**before.times, step: event.at}, before.tainted)
            self._slots[step] = attempt
            furthest = self._best.furthest if self._best else 0
            if furthest < step or (self._best and furthest == step and self._best.tainted):
                self._best = replace(attempt)

    def _before(self, event: Event, step: int) -> _Attempt | None:
        """The attempt that takes a step: the one at the step before, or before optional ones left out."""
        for last in range(step - 1, -1, -1):
            before = self._slots[last]
            if before is not None and self._open(event, step, before):
                return before
            if last not in self._rules.optional:
                break
        return None

    def _exclude(self, event: Event) -> None:
        for step in event.taints:
            attempt, best = self._slots[step], self._best
            if attempt is None or attempt.tainted or not self._open(event, step + 1, attempt):
                continue
            attempt.tainted = True
            within = best is not None and event.at - best.began <= self._rules.window
            if best is not None and best.furthest == step and within:
                best.tainted = True

    def _open(self, event: Event, step: int, before: _Attempt) -> bool:
        """Whether a step can still be taken by the attempt before it."""
        taken = self._slots[step] if step <= self._rules.steps else None
        in_time = event.at - before.began <= self._rules.window
        return in_time and (taken is None or taken.began != before.began)

    def _forget_others(self, event: Event) -> None:
        """Strictly, an event that is no step's breaks the attempt at that step."""
        if self._rules.order == "strict":
            for step in range(1, self._rules.steps + 1):
                if step not in event.steps:
                    self._slots[step] = None


class _Window:
    """The events within the window, by step; best is where most different steps meet."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._queues: list[deque[int]] = [deque() for _ in range(rules.steps)]
        self._best: Reach | None = None

    def run(self, events: Sequence[Event]) -> Reach | None:
        for event in events:
            self._drop(event.at - self._rules.window)
            if event.taints:
                for queue in self._queues:
                    queue.clear()
            elif event.steps:
                # The step that has waited longest takes it.
                waiting = min(event.steps, key=lambda step: self._latest(self._queues[step - 1]))
                self._queues[waiting - 1].append(event.at)
            if all(self._queues):
                break
        self._record()
        return self._best

    def _drop(self, oldest: int) -> None:
        while (filled := [queue for queue in self._queues if queue]) and (
            first := min(filled, key=lambda queue: queue[0])
        )[0] < oldest:
            self._record()
            first.popleft()

    def _record(self) -> None:
        times = sorted(queue[0] for queue in self._queues if queue)
        if times and (self._best is None or len(times) > self._best.steps):
            self._best = Reach(len(times), dict(enumerate(times, 1)))

    @staticmethod
    def _latest(queue: deque[int]) -> int:
        return queue[-1] if queue else -1


def only(events: Iterable[Event], step: int, value: Value) -> list[Event]:
    """The events as a run for one value sees them: of other values, none is this step."""
    return [
        event
        if event.value == value or step not in event.steps
        else event._replace(steps=tuple(one for one in event.steps if one != step))
        for event in events
    ]
