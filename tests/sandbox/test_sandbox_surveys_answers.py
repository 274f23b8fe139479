"""What surveys brought in: submissions, counts, rates, and answers by question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from survey_making import DAY, NPS, ONE_OF, OPEN, SOME_OF, START, SURVEYS, Visitors, get, make

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.sandbox import Options

if TYPE_CHECKING:
    from posthog_mcp.sandbox.sandbox import Sandbox


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: START + 10 * DAY)


async def test_counts_and_rates_are_those_of_people_and_submissions(sandbox: Sandbox, api):
    survey = await make(api)
    visitors = Visitors(sandbox, survey)
    for number in range(10):
        await visitors.do(f"p{number % 8}", "survey shown")
    for who in ("p0", "p6", "p7"):
        await visitors.do(who, "survey dismissed")
    for number in range(4):
        await visitors.answer(f"p{number}", {"why": "?"}, **{"$survey_submission_id": f"s{number}"})
    told = await get(api, f"{survey['id']}/stats/")
    shown, dismissed, sent = (told["stats"][f"survey {one}"] for one in ("shown", "dismissed", "sent"))
    assert (shown["total_count"], shown["unique_persons"]) == (10, 8)
    # p0 dismissed it and answered as well, and counts as having answered.
    assert (dismissed["total_count"], dismissed["unique_persons"]) == (3, 2)
    assert (sent["total_count"], sent["unique_persons"]) == (4, 4)
    assert (shown["total_count_only_seen"], shown["unique_persons_only_seen"]) == (3, 2)
    assert sent["total_count_only_seen"] == 0
    assert told["rates"] == {
        "response_rate": 40.0, "dismissal_rate": 30.0,
        "unique_users_response_rate": 50.0, "unique_users_dismissal_rate": 25.0,
    }  # fmt: skip
    assert shown["first_seen"] < shown["last_seen"]
    assert shown["first_seen"].endswith("Z")
    assert (await get(api, "stats/"))["stats"] == told["stats"]
    assert (await get(api, "responses_count/")) == {survey["id"]: 4}


async def test_nobody_asked_is_no_rate(api):
    survey = await make(api)
    told = await get(api, f"{survey['id']}/stats/")
    assert set(told["rates"].values()) == {0.0}
    assert told["stats"]["survey sent"]["last_seen"] is None
    assert await get(api, "responses_count/") == {}


async def test_events_of_one_submission_are_one_response_with_the_latest_words(sandbox: Sandbox, api):
    survey = await make(api, questions=[OPEN, NPS])
    visitors = Visitors(sandbox, survey)
    run = {"$survey_submission_id": "s1"}
    await visitors.answer("ann", {"why": "slow"}, **run, **{"$survey_completed": False})
    last = await visitors.answer("ann", {"nps": 9}, **run, **{"$survey_completed": True})
    await visitors.answer("bob", {"why": "dear"}, **{"$survey_completed": False})
    page = await get(api, f"{survey['id']}/responses/")
    assert [one["distinct_id"] for one in page["results"]] == ["bob", "ann"]
    ann = page["results"][1]
    assert ann["uuid"] == last
    assert [(one["question_id"], one["answer"]) for one in ann["answers"]] == [("why", "slow"), ("nps", "9")]
    assert [one["extra"]["completed"] for one in page["results"]] == [False, True]
    assert page["has_more"] is False


async def test_answers_by_index_count_where_there_is_none_by_id(sandbox: Sandbox, api):
    survey = await make(api, questions=[OPEN, ONE_OF])
    visitors = Visitors(sandbox, survey)
    old = {"$survey_response": "by index", "$survey_response_1": "Dev"}
    await visitors.do("ann", "survey sent", **old)
    await visitors.do("bob", "survey sent", **old, **{"$survey_response_why": "by id"})
    page = await get(api, f"{survey['id']}/responses/")
    assert [[each["answer"] for each in one["answers"]] for one in page["results"]] == [
        ["by id", "Dev"], ["by index", "Dev"],
    ]  # fmt: skip


async def test_every_question_is_counted_in_its_own_way(sandbox: Sandbox, api):
    survey = await make(api, questions=[OPEN, NPS, ONE_OF, SOME_OF])
    visitors = Visitors(sandbox, survey)
    for number, score in enumerate([10, 9, 9, 8]):
        answers = {"nps": score, "role": "Dev" if number else "Baker", "uses": ["Web", "API"][: number or 1]}
        await visitors.answer(f"p{number}", {**answers, **({"why": "so"} if number == 0 else {})})
    told = await get(api, f"{survey['id']}/stats/", include_per_question_stats="true")
    why, nps, role, uses = told["per_question_stats"]
    assert (why["response_count"], why["distribution"], why["average"]) == (1, None, None)
    assert (nps["average"], nps["distribution"]) == (9.0, {"9": 2, "10": 1, "8": 1})
    assert role["distribution"] == {"Dev": 3, "<other>": 1}
    assert uses["distribution"] == {"Web": 4, "API": 2}
    assert uses["question_text"] == "Uses?"


async def test_responses_are_narrowed_by_time_and_by_score(sandbox: Sandbox, api):
    survey = await make(api, questions=[NPS])
    visitors = Visitors(sandbox, survey)
    for day, score in enumerate([3, 7, 10]):
        at = START + day * DAY
        await visitors.do(f"p{score}", "survey sent", at=at, **{"$survey_response_nps": score})

    async def who(**query: Any) -> list[str]:
        page = await get(api, f"{survey['id']}/responses/", **query)
        return [one["distinct_id"] for one in page["results"]]

    assert await who() == ["p10", "p7", "p3"]
    assert await who(since=(START + DAY).isoformat()) == ["p10", "p7"]
    assert await who(until="2026-03-01T12:00:00Z") == ["p3"]
    assert await who(question_id="nps", score_gte=7, score_lte=9) == ["p7"]
    assert await who(limit=1, offset=1) == ["p7"]
    assert (await get(api, f"{survey['id']}/responses/", limit=1))["has_more"] is True
    await get(api, f"{survey['id']}/responses/", 400, score_gte=7)
    await get(api, f"{survey['id']}/responses/", 400, since="soon")


async def test_what_came_before_the_start_and_after_the_end_does_not_count(sandbox: Sandbox, api):
    survey = await make(api, end_date=(START + DAY).isoformat())
    visitors = Visitors(sandbox, survey)
    for days in (-1, 0, 2):
        await visitors.do(f"d{days}", "survey sent", at=START + days * DAY, **{"$survey_response": "x"})
    told = await get(api, f"{survey['id']}/stats/")
    assert told["stats"]["survey sent"]["total_count"] == 1


async def test_summaries_need_an_organization_that_allows_ai(api):
    survey = await make(api)
    reply = await api.post(f"{SURVEYS}{survey['id']}/summarize_responses/")
    assert reply.status_code == 403
    assert "AI data processing" in reply.json()["detail"]
