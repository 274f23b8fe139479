"""Surveys through the API: what can be made of them, and the flags that target them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from survey_making import DAY, NPS, ONE_OF, OPEN, START, SURVEYS, Visitors, change, get, make, names

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.sandbox import Options

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

FLAGS = "/api/projects/1/feature_flags/"
PUBLIC = "/api/surveys/"
PRO = {
    "groups": [
        {
            "properties": [{"key": "plan", "type": "person", "value": "pro", "operator": "exact"}],
            "rollout_percentage": 100,
        }
    ]
}


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: START + 10 * DAY)


async def act(api: AsyncClient, survey: dict[str, Any], action: str, status: int = 200) -> dict[str, Any]:
    reply = await api.post(f"{SURVEYS}{survey['id']}/{action}/")
    assert reply.status_code == status, reply.text
    return reply.json()


async def live(anyone: AsyncClient) -> list[dict[str, Any]]:
    reply = await anyone.get(PUBLIC, params={"token": "phc_sandbox"})
    assert reply.status_code == 200, reply.text
    return reply.json()["surveys"]


async def test_a_survey_is_a_draft_until_it_is_launched_and_complete_when_stopped(api, anyone):
    survey = await make(api, start_date=None)
    assert (survey["start_date"], survey["archived"], survey["schedule"]) == (None, False, "once")
    assert await live(anyone) == []
    launched = await act(api, survey, "launch")
    assert launched["start_date"] == "2026-03-11T09:00:00Z"
    assert await act(api, survey, "launch") == launched
    assert [one["id"] for one in await live(anyone)] == [survey["id"]]
    stopped = await act(api, survey, "stop")
    assert stopped["end_date"] == "2026-03-11T09:00:00Z"
    assert await act(api, survey, "stop") == stopped
    assert await live(anyone) == []
    assert "end date" in (await act(api, survey, "launch", 400))["detail"]


async def test_an_archived_survey_is_neither_launched_nor_stopped_nor_shown(api, anyone):
    survey = await make(api)
    await change(api, survey, archived=True)
    assert await live(anyone) == []
    refused = await act(api, survey, "launch", 400)
    assert refused["detail"] == "Cannot launch an archived survey. Unarchive it first."
    await act(api, survey, "stop", 400)
    await change(api, survey, archived=False)
    assert len(await live(anyone)) == 1


async def test_surveys_are_listed_newest_first_and_narrowed(api):
    draft = await make(api, "Onboarding", start_date=None, description="First steps")
    await make(api, "Churn", type="api")
    await make(api, "Old", end_date=(START + DAY).isoformat(), archived=True)
    assert await names(api) == ["Old", "Churn", "Onboarding"]
    assert await names(api, archived="false") == ["Churn", "Onboarding"]
    assert await names(api, search="first STEPS") == ["Onboarding"]
    assert [await names(api, status=each) for each in ("draft", "running", "complete")] == [
        ["Onboarding"], ["Churn"], ["Old"],
    ]  # fmt: skip
    assert await names(api, type="api") == ["Churn"]
    assert await names(api, ids=f'["{draft["id"]}"]') == ["Onboarding"]
    assert await names(api, limit=1, offset=1) == ["Churn"]
    assert (await get(api, "", 400, status="paused"))["attr"] == "status"


async def test_questions_get_ids_of_their_own_and_keep_what_was_said(api):
    question = {"type": "open", "question": "Why?", "branching": {"type": "end"}, "translations": {"de": {}}}
    survey = await make(api, questions=[question, NPS])
    first, second = survey["questions"]
    assert {name: value for name, value in first.items() if name != "id"} == question
    assert first["id"]
    assert second == NPS
    kept = await change(api, survey, questions=[first])
    assert kept["questions"] == [first]


@pytest.mark.parametrize(
    ("fields", "attr"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 401}, "name"),
        ({"type": None}, "type"),
        ({"type": "letter"}, "type"),
        ({"questions": []}, "questions"),
        ({"questions": [{"type": "open"}]}, "questions__0__question"),
        ({"questions": [{**NPS, "scale": 4}]}, "questions__0"),
        ({"questions": [{**ONE_OF, "choices": ["only"]}]}, "questions__0"),
        ({"questions": [{"type": "link", "question": "?", "link": "javascript:alert(1)"}]}, "questions__0"),
        ({"conditions": {"urlMatchType": "nearly"}}, "conditions__urlMatchType"),
        ({"linked_flag_id": 99}, "linked_flag_id"),
        ({"conditions": {"linkedFlagVariant": "test"}}, "conditions"),
        ({"targeting_flag_filters": {"groups": [{"rollout_percentage": 100}]}}, "targeting_flag_filters"),
        ({"end_date": (START - DAY).isoformat()}, "end_date"),
        ({"iteration_count": 501}, "iteration_count"),
    ],
)
async def test_what_posthog_does_not_take_is_refused_by_name(api, fields, attr):
    assert (await make(api, status=400, **fields))["attr"] == attr


async def test_two_surveys_cannot_have_one_name(api):
    survey = await make(api)
    assert (await make(api, status=400))["code"] == "unique"
    other = await make(api, "Other")
    assert (await change(api, other, 400, name="Feedback"))["code"] == "unique"
    assert (await change(api, survey, name="Feedback"))["name"] == "Feedback"


async def test_targeting_makes_a_flag_that_is_on_while_the_survey_runs(api, anyone, sandbox):
    survey = await make(api, start_date=None, targeting_flag_filters=PRO)
    flag = survey["targeting_flag"]
    assert flag["key"].startswith("survey-targeting-")
    assert flag["active"] is False
    assert flag["filters"]["groups"] == PRO["groups"]
    assert await _active(sandbox, flag) is False
    await act(api, survey, "launch")
    assert await _active(sandbox, flag) is True
    (shown,) = await live(anyone)
    assert shown["targeting_flag_key"] == flag["key"]
    await act(api, survey, "stop")
    assert await _active(sandbox, flag) is False
    listed = (await api.get(FLAGS)).json()["results"]
    assert listed == []  # made for the survey, and never shown among the project's own


async def test_targeting_is_changed_in_place_and_removed_for_good(api, sandbox):
    survey = await make(api, targeting_flag_filters=PRO)
    half = {"groups": [{"properties": [], "rollout_percentage": 50}]}
    changed = await change(api, survey, targeting_flag_filters=half)
    assert changed["targeting_flag"]["id"] == survey["targeting_flag"]["id"]
    assert changed["targeting_flag"]["filters"]["groups"] == half["groups"]
    gone = await change(api, survey, remove_targeting_flag=True)
    assert gone["targeting_flag"] is None
    assert await _active(sandbox, survey["targeting_flag"]) is None


async def test_who_has_answered_is_left_out_by_a_flag_unless_the_survey_is_always_shown(api):
    survey = await make(api)
    rows = survey["internal_targeting_flag"]["filters"]["groups"][0]["properties"]
    assert [row["key"] for row in rows] == [
        f"$survey_dismissed/{survey['id']}", f"$survey_responded/{survey['id']}",
    ]  # fmt: skip
    assert (await change(api, survey, schedule="always"))["internal_targeting_flag"] is None


async def test_who_has_answered_does_not_get_the_survey_again(sandbox: Sandbox, api, anyone):
    survey = await make(api)
    key = survey["internal_targeting_flag"]["key"]
    responded = {"$set": {f"$survey_responded/{survey['id']}": True}}
    await Visitors(sandbox, survey).do("ann", "survey sent", **responded)

    async def gets(who: str) -> bool:
        body = {"api_key": "phc_sandbox", "distinct_id": who}
        query = {"v": "2", "only_evaluate_survey_feature_flags": "true"}
        flags = (await anyone.post("/flags/", params=query, json=body)).json()["flags"]
        return flags[key]["enabled"]

    assert await gets("bob") is True
    assert await gets("ann") is False


async def test_a_repeating_survey_knows_its_iteration(api):
    survey = await make(api, schedule="recurring", iteration_count=3, iteration_frequency_days=7)
    assert survey["iteration_start_dates"] == [
        "2026-03-01T09:00:00Z", "2026-03-08T09:00:00Z", "2026-03-15T09:00:00Z",
    ]  # fmt: skip
    assert survey["current_iteration"] == 2
    assert survey["current_iteration_start_date"] == "2026-03-08T09:00:00Z"
    rows = survey["internal_targeting_flag"]["filters"]["groups"][0]["properties"]
    assert rows[0]["key"] == f"$survey_dismissed/{survey['id']}/2"


async def test_a_linked_flag_is_named_by_the_survey_and_names_it(api, anyone):
    variants = [{"key": "control", "rollout_percentage": 50}, {"key": "test", "rollout_percentage": 50}]
    body = {"key": "cart", "filters": {"groups": [], "multivariate": {"variants": variants}}}
    flag = (await api.post(FLAGS, json=body)).json()
    conditions = {"url": "/cart", "urlMatchType": "icontains", "linkedFlagVariant": "test"}
    survey = await make(api, linked_flag_id=flag["id"], conditions=conditions)
    assert survey["linked_flag"]["key"] == "cart"
    assert survey["conditions"] == conditions
    assert {"key": "linked_flag_key", "value": "cart"} in survey["feature_flag_keys"]
    (shown,) = await live(anyone)
    assert shown["linked_flag_key"] == "cart"
    seen = (await api.get(f"{FLAGS}{flag['id']}/")).json()
    assert seen["surveys"] == [{"id": survey["id"], "name": "Feedback"}]
    refused = await change(api, survey, 400, conditions={"linkedFlagVariant": "none"})
    assert "'none'" in refused["detail"]


async def test_deleting_a_survey_takes_its_own_flags_along_and_leaves_the_linked_one(api, sandbox):
    flag = (await api.post(FLAGS, json={"key": "cart"})).json()
    survey = await make(api, linked_flag_id=flag["id"], targeting_flag_filters=PRO)
    assert (await api.delete(f"{SURVEYS}{survey['id']}/")).status_code == 204
    assert (await api.get(f"{SURVEYS}{survey['id']}/")).status_code == 404
    assert await _active(sandbox, survey["targeting_flag"]) is None
    assert await _active(sandbox, survey["internal_targeting_flag"]) is None
    assert await _active(sandbox, flag) is True


async def test_a_survey_ends_when_it_has_all_the_responses_it_wants(sandbox: Sandbox, api, anyone):
    survey = await make(api, responses_limit=2)
    visitors = Visitors(sandbox, survey)
    await visitors.answer("ann", {"why": "a"})
    assert len(await live(anyone)) == 1
    await visitors.answer("bob", {"why": "b"})
    assert await live(anyone) == []
    assert (await get(api, f"{survey['id']}/"))["end_date"] == "2026-03-11T09:00:00Z"


async def test_changes_are_in_the_activity_log(api):
    survey = await make(api)
    await change(api, survey, questions=[OPEN, NPS])
    page = await get(api, f"{survey['id']}/activity/")
    assert [one["activity"] for one in page["results"]] == ["updated", "created"]
    assert [one["field"] for one in page["results"][0]["detail"]["changes"]] == ["questions"]


async def test_a_key_for_reading_changes_nothing(api, reader):
    survey = await make(api)
    assert (await reader.get(SURVEYS)).status_code == 200
    assert (await reader.post(f"{SURVEYS}{survey['id']}/stop/")).status_code == 403
    assert (await reader.delete(f"{SURVEYS}{survey['id']}/")).status_code == 403


async def test_sdks_need_the_projects_token_and_web_pages_may_ask(api, anyone):
    await make(api)
    assert (await anyone.get(PUBLIC)).json()["code"] == "missing_api_key"
    wrong = await anyone.get(PUBLIC, params={"token": "phc_other"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_api_key")
    asked = await anyone.get(PUBLIC, params={"token": "phc_sandbox"}, headers={"Origin": "https://shop.test"})
    assert asked.headers["access-control-allow-origin"] == "https://shop.test"
    assert "created_by" not in asked.json()["surveys"][0]


async def test_a_survey_that_starts_later_is_not_shown_yet(api, anyone):
    await make(api, start_date=datetime(2027, 1, 1, tzinfo=UTC).isoformat())
    assert await live(anyone) == []


async def _active(sandbox: Sandbox, flag: dict[str, Any]) -> bool | None:
    """Whether a flag is on; None when it is gone."""
    found = sandbox.store.get("feature_flag", flag["id"])
    return found["active"] if found else None
