"""Seeded data: the same every time, believable, and with the answers it promises."""

import importlib.util
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from posthog_mcp.flags import compile_flags
from posthog_mcp.sandbox.http.throttles import Rate, Throttles
from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.sandbox.sandbox import Options, Sandbox
from posthog_mcp.sandbox.seed import Answers, HalfSeededError, fill, plan, product
from posthog_mcp.sandbox.seed.render import events

NOW = datetime(2026, 6, 10, 14, 30, tzinfo=UTC)

needs_engine = pytest.mark.skipif(
    importlib.util.find_spec("chdb") is None, reason="needs posthog-mcp[sandbox]"
)


class Seeded:
    """A filled sandbox and its answers."""

    def __init__(self, sandbox: Sandbox, answers: Answers) -> None:
        self.sandbox = sandbox
        self.answers = answers

    async def rows(self, sql: str) -> list[list[Any]]:
        return (await self.sandbox.engine.query(sql)).rows


@pytest.fixture(scope="module")
async def seeded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seeded]:
    # With limits that would refuse a second request: seeding is nobody's traffic.
    throttles = Throttles(limits=dict.fromkeys(("crud", "analytics", "query", "values"), (Rate(1, 600),)))
    sandbox = await Sandbox.open(
        tmp_path_factory.mktemp("seeded"), Options(clock=lambda: NOW, throttles=throttles)
    )
    answers = await fill(sandbox, "small")
    assert answers is not None
    yield Seeded(sandbox, answers)
    await sandbox.close()


def names(now: datetime) -> Counter[str]:
    return Counter(event.event for event in events(plan("small", now)))


@pytest.mark.parametrize("days", [1, 2, 3, 40])
def test_the_same_people_do_the_same_things_whenever_it_is_planned(days: int) -> None:
    later = NOW + timedelta(days=days, hours=5)
    assert names(later) == names(NOW)
    then, now = Answers(plan("small", later)), Answers(plan("small", NOW))
    for question in (
        Answers.funnel,
        Answers.onboarding,
        Answers.experiment,
        Answers.revenue,
        Answers.came_back,
    ):
        assert question(then) == question(now)


def test_planning_twice_gives_the_same_events() -> None:
    assert list(events(plan("small", NOW))) == list(events(plan("small", NOW)))


def test_it_is_small_has_eight_weeks_and_ends_now() -> None:
    made = list(events(plan("small", NOW)))
    assert 5_000 <= len(made) <= 8_500
    times = [event.timestamp for event in made if isinstance(event.timestamp, datetime)]
    assert len(times) == len(made)
    assert NOW - timedelta(hours=3) < max(times) <= NOW
    assert datetime(2026, 4, 15, tzinfo=UTC) <= min(times) < datetime(2026, 4, 17, tzinfo=UTC)
    assert len({event.uuid for event in made}) == len(made)


def test_sessions_of_a_person_follow_each_other() -> None:
    last: dict[str, tuple[datetime, object]] = {}
    for event in events(plan("small", NOW)):
        session, at = event.properties.get("$session_id"), event.timestamp
        assert isinstance(at, datetime)
        if event.distinct_id in last:
            before, _ = last[event.distinct_id]
            assert at > before
        last[event.distinct_id] = (at, session)
        if session is not None:
            assert UUID(str(session)).version == 7


def test_a_member_signs_up_before_anything_else_a_member_does() -> None:
    for person in plan("small", NOW).people:
        moments = [person.signed_up, person.created_project, person.bought]
        known = [moment for moment in moments if moment is not None]
        assert all(one <= other for one, other in pairwise(known))
        assert known == [] or known[-1] - known[0] < timedelta(days=14)
        assert person.member == (person.signed_up is not None)


def test_members_are_shown_what_the_flag_gives_them() -> None:
    flags = compile_flags({"flags": list(product.FLAGS)})
    calls = [event for event in events(plan("small", NOW)) if event.event == "$feature_flag_called"]
    assert {call.properties["$feature_flag"] for call in calls} == {product.FLAG, product.REPORTS_FLAG}
    for call in calls:
        decision = flags.evaluate(call.properties["$feature_flag"], call.distinct_id)
        assert call.properties["$feature_flag_response"] == decision.value


def test_the_experiment_has_a_winner() -> None:
    results = Answers(plan("small", NOW)).experiment()
    assert all(exposed >= 50 for exposed, _ in results.values())
    rates = {variant: created / exposed for variant, (exposed, created) in results.items()}
    assert rates["checklist"] > 1.5 * rates["control"]


@needs_engine
async def test_every_member_is_one_person_and_visitors_are_none(seeded: Seeded) -> None:
    answers = seeded.answers
    people = await seeded.rows(
        "SELECT count(), countIf(is_identified) FROM ph.persons FINAL WHERE NOT is_deleted"
    )
    assert people == [[300, 300]]
    assert len(answers.members) == answers.signups() == 300
    personless = await seeded.rows(
        "SELECT uniq(distinct_id) FROM ph.events FINAL WHERE person_mode = 'propertyless' "
        "AND distinct_id NOT IN (SELECT distinct_id FROM ph.person_distinct_ids FINAL)"
    )
    assert personless == [[answers.visitors()]]
    assert not seeded.sandbox.ingest.warnings


@needs_engine
async def test_signups_a_week_are_as_answered(seeded: Seeded) -> None:
    found = await seeded.rows(
        "SELECT toString(toStartOfWeek(timestamp, 1)), count() FROM ph.events FINAL "
        "WHERE event = 'signed_up' GROUP BY 1 ORDER BY 1"
    )
    assert found == [[str(week), count] for week, count in seeded.answers.signups_by_week().items()]
    assert sum(seeded.answers.signups_by_week().values()) == 300


@needs_engine
async def test_the_funnel_converts_as_answered(seeded: Seeded) -> None:
    steps = list(seeded.answers.funnel())
    conditions = ", ".join(f"event = '{step}'" for step in steps)
    found = await seeded.rows(
        f"SELECT countIf(level >= 1), countIf(level >= 2), countIf(level >= 3) FROM (SELECT "
        f"windowFunnel({14 * 86400})(toDateTime(timestamp), {conditions}) AS level FROM ph.events FINAL "
        "GROUP BY distinct_id)"
    )
    assert found == [list(seeded.answers.funnel().values())]


@needs_engine
async def test_the_onboarding_the_revenue_and_the_companies_are_as_answered(seeded: Seeded) -> None:
    steps = await seeded.rows(
        "SELECT JSONExtractString(properties, 'step'), uniq(distinct_id) FROM ph.events FINAL "
        "WHERE event = 'onboarding_step_completed' GROUP BY 1"
    )
    assert dict(steps) == seeded.answers.onboarding()
    revenue = await seeded.rows(
        "SELECT JSONExtractString(properties, 'plan'), sum(JSONExtractFloat(properties, 'total')) "
        "FROM ph.events FINAL WHERE event IN ('purchase_completed', 'subscription_renewed') GROUP BY 1"
    )
    assert dict(revenue) == seeded.answers.revenue()
    companies = await seeded.rows("SELECT count() FROM ph.groups FINAL WHERE index = 0")
    assert companies == [[seeded.answers.companies()]]


@needs_engine
async def test_the_variants_convert_as_answered(seeded: Seeded) -> None:
    found = await seeded.rows(
        "SELECT variant, count(), countIf(created > shown) FROM (SELECT distinct_id, "
        "anyIf(JSONExtractString(properties, '$feature_flag_response'), "
        "event = '$feature_flag_called') AS variant, "
        "minIf(timestamp, event = '$feature_flag_called') AS shown, "
        "maxIf(timestamp, event = 'project_created') AS created FROM ph.events FINAL "
        "WHERE event = 'project_created' "
        "OR JSONExtractString(properties, '$feature_flag') = 'onboarding-flow' "
        "GROUP BY distinct_id) WHERE variant != '' GROUP BY 1"
    )
    assert {variant: (shown, created) for variant, shown, created in found} == seeded.answers.experiment()


@needs_engine
async def test_some_came_back_after_two_weeks_without(seeded: Seeded) -> None:
    found = await seeded.rows(
        "SELECT count() FROM (SELECT distinct_id, arraySort(groupUniqArray(toDate(timestamp))) AS days, "
        "arrayMax(arrayDifference(arrayMap(day -> toUInt32(day), days))) AS pause FROM ph.events FINAL "
        "WHERE event IN ('feature_used', '$exception', 'project_created') "
        "GROUP BY distinct_id) WHERE pause >= 14"
    )
    assert found[0][0] >= seeded.answers.came_back() >= 5


@needs_engine
async def test_what_the_team_made_is_there_and_leaves_no_trace_of_how(seeded: Seeded) -> None:
    notes = seeded.sandbox.store.all("annotation")
    assert [note["content"] for note in notes] == [text for _, text in product.NOTES]
    assert notes[0]["date_marker"].startswith("2026-05-06")
    flags = {flag["key"]: flag["filters"] for flag in seeded.sandbox.store.all("feature_flag")}
    assert flags[product.FLAG]["multivariate"] == product.FLAGS[0]["filters"]["multivariate"]
    assert product.REPORTS_FLAG in flags
    cohorts = {cohort["name"]: cohort["count"] for cohort in seeded.sandbox.store.all("cohort")}
    assert cohorts["Paying members"] == seeded.answers.paying() > 10
    assert cohorts["Lapsed"] > 10
    assert len(seeded.sandbox.requests) == 0
    assert seeded.sandbox.throttles.admit("crud", key="k", organization="o") == 0.0


@needs_engine
async def test_filling_again_does_nothing_and_half_filled_is_refused(tmp_path: Path) -> None:
    sandbox = await Sandbox.open(tmp_path, Options(clock=lambda: NOW))
    try:
        sandbox.store.put("seed", 1, {"size": "small", "done": True})
        assert await fill(sandbox, "small") is None
        sandbox.store.put("seed", 1, {"size": "small", "done": False})
        with pytest.raises(HalfSeededError, match="Remove the directory"):
            await fill(sandbox, "small")
    finally:
        await sandbox.close()


@needs_engine
async def test_the_program_seeds_before_it_says_where_it_is() -> None:
    query = "select count(), count(distinct person_id) from events where event = 'signed_up'"
    async with (
        SandboxProcess(seed="small") as sandbox,
        httpx2.AsyncClient(trust_env=False, timeout=20) as client,
    ):
        answer = await client.post(
            f"{sandbox.url}/api/projects/1/query/",
            headers={"Authorization": "Bearer phx_sandbox"},
            json={"query": {"kind": "HogQLQuery", "query": query}},
        )
    assert answer.json()["results"] == [[300, 300]]
