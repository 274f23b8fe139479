"""Funnels' state machines held to what must be true of every order of events."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_mcp.sandbox.insights.funnel_steps import Event, Rules, reach

WINDOW, STEPS = 10, 3
events = st.lists(
    st.builds(
        lambda at, steps: Event(at, tuple(sorted(steps))),
        st.integers(0, 40),
        st.sets(st.integers(1, STEPS), max_size=2),
    ),
    max_size=12,
).map(lambda each: sorted(each, key=lambda event: event.at))


apart = events.filter(lambda each: len({event.at for event in each}) == len(each))


def furthest(listed: list[Event], steps: tuple[int, ...] = (1, 2, 3)) -> int:
    """How far a funnel in order gets, by trying every choice of events."""
    for last in range(len(steps), 0, -1):
        for chosen in combinations(range(len(listed)), last):
            picked = [listed[place] for place in chosen]
            in_order = all(step in event.steps for step, event in zip(steps, picked, strict=False))
            if in_order and picked[-1].at - picked[0].at <= WINDOW:
                return steps[last - 1]
    return 0


@settings(max_examples=150, deadline=None)
@given(apart)
def test_in_order_an_actor_gets_as_far_as_any_choice_of_its_events(listed):
    found = reach(listed, Rules(STEPS, WINDOW))
    assert (found.steps if found else 0) == furthest(listed)


@settings(max_examples=150, deadline=None)
@given(apart)
def test_an_optional_step_takes_nobody_from_the_steps_around_it(listed):
    found = reach(listed, Rules(STEPS, WINDOW, optional=frozenset({2})))
    assert (found.steps if found else 0) == max(furthest(listed), furthest(listed, (1, 3)))
    if found:
        assert list(found.times.values()) == sorted(found.times.values())


@settings(max_examples=100, deadline=None)
@given(events)
def test_times_ascend_within_the_window_and_strict_is_never_further(listed):
    ordered, strict, free = (
        reach(listed, Rules(STEPS, WINDOW, each)) for each in ("ordered", "strict", "unordered")
    )
    for found in (ordered, strict, free):
        if found is not None:
            times = [found.times[step] for step in range(1, found.steps + 1)]
            assert times == sorted(times)
            assert times[-1] - times[0] <= WINDOW
            assert len(found.times) == found.steps
    if len({event.at for event in listed}) == len(listed):
        assert (strict.steps if strict else 0) <= (ordered.steps if ordered else 0)
