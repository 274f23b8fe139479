"""Experiments through the private API: made, changed, led from draft to archive, refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from experiment_making import EXPERIMENTS, START, act, change, events_node, funnel, make, mean
from flag_making import FLAGS, variants
from flag_making import change as change_flag
from flag_making import make as make_flag

if TYPE_CHECKING:
    from httpx2 import AsyncClient

HOLDOUTS = "/api/projects/1/experiment_holdouts/"
SAVED = "/api/projects/1/experiment_saved_metrics/"
THREE = [{"key": key, "split_percent": share} for key, share in (("Control", 50), ("a", 30), ("b", 20))]


async def names(api: AsyncClient, **query: Any) -> list[str]:
    reply = await api.get(EXPERIMENTS, params=query)
    assert reply.status_code == 200, reply.text
    return [one["name"] for one in reply.json()["results"]]


async def flag_of(api: AsyncClient, experiment: dict[str, Any]) -> dict[str, Any]:
    return (await api.get(f"{FLAGS}{experiment['feature_flag']['id']}/")).json()


# -- making


async def test_a_new_experiment_is_a_draft_on_a_flag_that_is_off(api):
    made = await make(api)
    assert (made["status"], made["start_date"], made["feature_flag_key"]) == ("draft", None, "cart")
    assert made["metrics"][0]["uuid"]
    assert made["metrics"][0]["kind"] == "ExperimentMetric"
    flag = await flag_of(api, made)
    assert flag["active"] is False
    assert flag["experiment_set"] == [made["id"]]
    assert [one["rollout_percentage"] for one in flag["filters"]["multivariate"]["variants"]] == [50, 50]
    assert flag["filters"]["groups"] == [{"properties": [], "rollout_percentage": 100}]


async def test_variants_come_from_the_older_parameters_or_the_newer_flag(api):
    older = await make(api, "Older", parameters={"feature_flag_variants": THREE, "rollout_percentage": 20})
    filters = older["feature_flag"]["filters"]
    keys = [one["key"] for one in filters["multivariate"]["variants"]]
    assert keys == ["control", "a", "b"]
    assert filters["groups"][0]["rollout_percentage"] == 20
    given = {
        "groups": [{"properties": [], "rollout_percentage": 10}],
        "multivariate": variants(("control", 90), ("new", 10)),
        "payloads": {"new": '{"x": 1}'},
    }
    newer = await make(api, "Newer", feature_flag={"filters": given, "ensure_experience_continuity": True})
    assert newer["feature_flag"]["filters"]["payloads"] == {"new": '{"x": 1}'}
    assert newer["feature_flag"]["ensure_experience_continuity"] is True


async def test_an_existing_flag_is_taken_as_it_is(api):
    filters = {"groups": [{"properties": []}], "multivariate": variants(("control", 34), ("x", 66))}
    flag = await make_flag(api, "cart", filters)
    made = await make(api)
    assert made["feature_flag"]["id"] == flag["id"]
    assert made["feature_flag"]["active"] is True
    assert (await flag_of(api, made))["version"] == flag["version"]


async def test_a_start_date_makes_it_run_at_once(api):
    made = await make(api, start_date=START.isoformat())
    assert made["status"] == "running"
    assert made["feature_flag"]["active"] is True


@pytest.mark.parametrize(
    ("fields", "attr", "words"),
    [
        ({"name": ""}, "name", "blank"),
        ({"name": "x" * 401}, "name", "400"),
        ({"feature_flag_key": ""}, "feature_flag_key", "required"),
        ({"description": "x" * 3001}, "description", "3000"),
        ({"type": "poll"}, "type", "not a valid choice"),
        ({"conclusion": "great"}, "conclusion", "not a valid choice"),
        ({"end_date": "2026-03-02"}, "end_date", "without a start date"),
        ({"start_date": "2026-03-02", "end_date": "2026-03-01"}, "end_date", "after start date"),
        ({"metrics": [{"kind": "ExperimentTrendsQuery"}]}, "metrics__0", "metric_type"),
        ({"metrics": [mean("x", surprise=1)]}, "metrics__0__mean__surprise", "not permitted"),
        ({"parameters": {"feature_flag_variants": THREE[:1]}}, "feature_flag_key", "between 2 and 20"),
        ({"parameters": {"feature_flag_variants": THREE[:2]}}, "filters", "sum to 100"),
        ({"parameters": {"feature_flag_variants": THREE[1:]}}, "feature_flag_key", "control variant"),
        ({"holdout_id": 99}, "holdout_id", "does not exist"),
        ({"saved_metrics_ids": [{"id": 99}]}, "saved_metrics_ids", "does not exist"),
        ({"allow_unknown_events": False}, "metrics", "never seen: bought"),
        (
            {
                "allow_unknown_events": False,
                "metrics": [{**mean("x"), "source": {"kind": "ActionsNode", "id": 7}}],
            },
            "metrics",
            "Action with id 7",
        ),
    ],
)
async def test_what_posthog_does_not_take_is_refused(api, fields, attr, words):
    refused = await make(api, status=400, **fields)
    assert refused["type"] == "validation_error"
    assert refused["attr"] == attr
    assert words in f"{refused['detail']} {refused['code']}"
    assert await names(api) == []
    assert (await api.get(FLAGS)).json()["count"] == 0


async def test_a_flag_without_variants_can_carry_no_experiment(api):
    await make_flag(api, "cart")
    assert "between 2 and 20" in (await make(api, status=400))["detail"]


async def test_two_experiments_may_share_a_flag(api):
    await make(api)
    await make(api, "Second", feature_flag_key="cart")
    flag = (await api.get(FLAGS)).json()["results"][0]
    assert flag["experiment_set"] == [1, 2]


# -- keys


async def test_a_key_that_may_only_read_changes_nothing(api, reader, anyone):
    made = await make(api)
    path = f"{EXPERIMENTS}{made['id']}/"
    assert (await reader.get(path)).status_code == 200
    for method, url in (("POST", EXPERIMENTS), ("PATCH", path), ("POST", f"{path}launch/")):
        refused = await reader.request(method, url, json={})
        assert refused.status_code == 403
        assert "experiment:write" in refused.json()["detail"]
    assert (await anyone.get(path)).status_code == 401


# -- listing and changing


async def test_lists_are_narrowed_by_state_words_events_and_tags(api):
    await make(api, "Draft", metrics=[mean("seen")], tags=["web"])
    await make(api, "Runs", start_date=START.isoformat(), description="About carts")
    paused = await make(api, "Paused", start_date=START.isoformat())
    await act(api, paused, "pause")
    ended = await make(api, "Ended", start_date=START.isoformat())
    await act(api, ended, "end")
    put_away = await act(api, await make(api, "Away", start_date=START.isoformat()), "end")
    await act(api, put_away, "archive")
    assert await names(api) == ["Ended", "Paused", "Runs", "Draft"]
    for state, expected in (
        ("draft", "Draft"),
        ("running", "Runs"),
        ("paused", "Paused"),
        ("complete", "Ended"),
    ):
        assert await names(api, status=state) == [expected]
    assert await names(api, archived="true") == ["Away"]
    assert await names(api, search="CARTS") == ["Runs"]
    assert await names(api, event="seen") == ["Draft"]
    assert await names(api, tags='["web"]') == ["Draft"]
    assert await names(api, excluded_tags='["web"]', order="name") == ["Ended", "Paused", "Runs"]
    assert await names(api, feature_flag_id=ended["feature_flag"]["id"]) == ["Ended"]
    assert (await api.get(EXPERIMENTS, params={"status": "lost"})).status_code == 400
    assert (await api.get(EXPERIMENTS, params={"order": "luck"})).status_code == 400


async def test_an_update_keeps_what_it_does_not_name(api):
    made = await make(api, description="Why")
    changed = await change(api, made, name="Basket")
    assert changed == {**made, "name": "Basket", "updated_at": changed["updated_at"]}


async def test_metrics_keep_their_uuids(api):
    made = await make(api)
    metric = made["metrics"][0]
    more = [metric, mean("seen")]
    changed = await change(api, made, metrics=more, allow_unknown_events=True)
    assert changed["metrics"][0] == metric
    assert changed["metrics"][1]["uuid"] != metric["uuid"]


async def test_a_start_date_by_update_puts_the_flag_on(api):
    started = await change(api, await make(api), start_date=START.isoformat())
    assert started["status"] == "running"
    assert started["feature_flag"]["active"] is True


async def test_the_flag_of_a_launched_experiment_is_changed_only_on_purpose(api):
    made = await make(api)
    split = {"feature_flag_variants": THREE}
    assert (
        len(
            (await change(api, made, parameters=split))["feature_flag"]["filters"]["multivariate"]["variants"]
        )
        == 3
    )
    await act(api, made, "launch")
    halves = {
        "feature_flag_variants": [{"key": "control", "split_percent": 60}, {"key": "a", "split_percent": 40}]
    }
    refused = await change(api, made, 400, parameters=halves)
    assert "update_feature_flag_params" in refused["detail"]
    changed = await change(api, made, parameters=halves, update_feature_flag_params=True)
    shares = [
        one["rollout_percentage"] for one in changed["feature_flag"]["filters"]["multivariate"]["variants"]
    ]
    assert shares == [60, 40]
    assert (await change(api, made, 400, feature_flag_key="other"))["attr"] == "feature_flag_key"


async def test_a_deleted_experiment_is_gone_until_it_is_restored(api):
    made = await make(api)
    path = f"{EXPERIMENTS}{made['id']}/"
    assert (await api.delete(path)).status_code == 405
    await change(api, made, deleted=True)
    assert (await api.get(path)).status_code == 404
    assert await names(api) == []
    await change(api, made, deleted=False)
    assert (await api.get(path)).status_code == 200


async def test_the_flag_of_a_running_experiment_cannot_be_deleted(api):
    made = await act(api, await make(api), "launch")
    flag = await flag_of(api, made)
    refused = await change_flag(api, flag, 400, deleted=True)
    assert "running experiments" in refused["detail"]
    await act(api, made, "end")
    await change_flag(api, flag, deleted=True)
    kept = (await api.get(f"{EXPERIMENTS}{made['id']}/")).json()
    assert kept["feature_flag_key"] == "cart"
    assert "feature flag linked" in (await act(api, made, "ship_variant", 400, variant_key="test"))["detail"]


async def test_every_change_is_in_the_activity_log(api):
    made = await act(api, await make(api), "launch")
    log = (await api.get(f"{EXPERIMENTS}{made['id']}/activity/")).json()["results"]
    assert [(one["activity"], one["scope"]) for one in log] == [
        ("updated", "Experiment"),
        ("created", "Experiment"),
    ]
    assert [one["field"] for one in log[0]["detail"]["changes"]] == ["start_date"]


# -- from draft to archive


async def test_an_experiment_is_led_from_draft_to_archive(api):
    made = await make(api)
    launched = await act(api, made, "launch")
    assert launched["status"] == "running"
    assert launched["feature_flag"]["active"] is True
    assert (await act(api, made, "pause"))["status"] == "paused"
    assert (await act(api, made, "resume"))["status"] == "running"
    ended = await act(api, made, "end", conclusion="won", conclusion_comment="Clear")
    assert (ended["status"], ended["conclusion"], ended["conclusion_comment"]) == ("stopped", "won", "Clear")
    assert ended["feature_flag"]["active"] is True
    assert (await act(api, made, "archive", disable_feature_flag=True))["archived"] is True
    assert (await flag_of(api, made))["active"] is False
    assert (await act(api, made, "unarchive"))["archived"] is False
    again = await act(api, made, "reset")
    assert (again["status"], again["end_date"], again["conclusion"]) == ("draft", None, None)


@pytest.mark.parametrize(
    ("before", "action", "words"),
    [
        ("", "pause", "Experiment has not been launched yet."),
        ("", "resume", "Experiment has not been launched yet."),
        ("", "end", "Experiment has not been launched yet."),
        ("", "ship_variant", "Experiment has not been launched yet."),
        ("", "archive", "Experiment must be ended before it can be archived."),
        ("", "unarchive", "Experiment is not archived."),
        ("", "reset", "Experiment is already in draft state."),
        ("launch", "launch", "Experiment has already been launched."),
        ("launch", "resume", "Experiment is not paused."),
        ("launch pause", "pause", "Experiment is already paused."),
        ("launch end", "pause", "Experiment has already ended."),
        ("launch end", "end", "Experiment has already ended."),
        ("launch end archive", "archive", "Experiment is already archived."),
    ],
)
async def test_a_step_that_does_not_fit_is_refused(api, before, action, words):
    made = await make(api)
    for step in before.split():
        await act(api, made, step)
    body = {"variant_key": "test"} if action == "ship_variant" else {}
    assert (await act(api, made, action, 400, **body))["detail"] == words


async def test_shipping_gives_one_variant_to_those_the_flag_reaches(api):
    beta = {"properties": [{"key": "beta", "type": "person", "value": "yes"}], "rollout_percentage": 40}
    filters = {"groups": [beta], "multivariate": variants(("control", 50), ("test", 50))}
    made = await make(api, feature_flag={"filters": {**filters, "payloads": {"test": "1"}}})
    await act(api, made, "launch")
    before = await flag_of(api, made)
    shipped = await act(api, made, "ship_variant", variant_key="test", conclusion="won")
    assert (shipped["status"], shipped["conclusion"]) == ("stopped", "won")
    after = await flag_of(api, made)
    shares = {one["key"]: one["rollout_percentage"] for one in after["filters"]["multivariate"]["variants"]}
    assert shares == {"control": 0, "test": 100}
    for name in ("groups", "payloads"):
        assert after["filters"][name] == before["filters"][name]


async def test_shipping_to_everyone_puts_a_condition_for_all_before_the_others(api):
    made = await act(api, await make(api, parameters={"rollout_percentage": 5}), "launch")
    ended = await act(api, made, "end")
    shipped = await act(api, made, "ship_variant", variant_key="control", release_to_everyone=True)
    assert shipped["end_date"] == ended["end_date"]
    groups = (await flag_of(api, made))["filters"]["groups"]
    assert [group["rollout_percentage"] for group in groups] == [100, 5]


async def test_only_a_variant_of_the_flag_can_be_shipped(api):
    made = await act(api, await make(api), "launch")
    assert "'c' not found" in (await act(api, made, "ship_variant", 400, variant_key="c"))["detail"]
    assert (await act(api, made, "ship_variant", 400))["attr"] == "variant_key"
    assert (await flag_of(api, made))["version"] == 2


async def test_a_copy_is_a_draft_on_the_same_flag_or_another(api):
    made = await act(api, await make(api, description="Why"), "launch")
    same = await act(api, made, "duplicate", 201)
    assert (same["name"], same["status"], same["feature_flag_key"]) == ("Cart (Copy)", "draft", "cart")
    assert same["description"] == "Why"
    other = await act(api, made, "duplicate", 201, feature_flag_key="cart-2", name="Again")
    assert (other["name"], other["feature_flag"]["active"]) == ("Again", False)


# -- planning and counting


@pytest.mark.parametrize(
    ("body", "samples", "days"),
    [
        (
            {"metric_type": "funnel", "minimum_detectable_effect": 20, "baseline_value": 0.12,
             "exposure_rate_per_day": 400},
            5867, 15,
        ),
        ({"metric_type": "mean_count", "minimum_detectable_effect": 5, "baseline_value": 10}, 2560, None),
        (
            {
                "metric_type": "ratio",
                "minimum_detectable_effect": 10,
                "baseline_stats": {
                    "number_of_samples": 400, "sum": 2400, "sum_squares": 40_000, "denominator_sum": 800,
                    "denominator_sum_squares": 2400, "numerator_denominator_sum_product": 8000,
                },
            },
            3023,
            None,
        ),
        ({"metric_type": "funnel", "minimum_detectable_effect": 0, "baseline_value": 0.12}, None, None),
    ],
)  # fmt: skip
async def test_the_running_time_is_computed(api, body, samples, days):
    reply = await api.post(f"{EXPERIMENTS}calculate_running_time/", json=body)
    assert reply.status_code == 200, reply.text
    assert reply.json()["recommended_sample_size"] == samples
    assert reply.json()["recommended_running_time_days"] == days


async def test_the_running_time_of_a_ratio_needs_its_variance(api):
    body = {"metric_type": "ratio", "minimum_detectable_effect": 5, "baseline_value": 3}
    reply = await api.post(f"{EXPERIMENTS}calculate_running_time/", json=body)
    assert (reply.status_code, reply.json()["attr"]) == (400, "variance")
    nothing = {"number_of_samples": 5, "sum": 3, "denominator_sum": 0}
    reply = await api.post(f"{EXPERIMENTS}calculate_running_time/", json=body | {"baseline_stats": nothing})
    assert (reply.status_code, reply.json()["attr"]) == (400, "baseline_stats")


async def test_launches_and_ends_are_counted(api):
    await act(api, await make(api, "One"), "launch")
    two = await act(api, await make(api, "Two"), "launch")
    await act(api, two, "end")
    stats = (await api.get(f"{EXPERIMENTS}stats/")).json()
    assert (stats["launched_last_30d"], stats["active_experiments"], stats["completed_last_30d"]) == (2, 1, 1)


# -- holdouts and saved metrics


async def test_a_holdout_reaches_the_flags_of_its_experiments(api):
    body = {"name": "Never", "filters": [{"properties": [], "rollout_percentage": 10}]}
    holdout = (await api.post(HOLDOUTS, json=body)).json()
    assert holdout["filters"][0]["variant"] == f"holdout-{holdout['id']}"
    made = await make(api, holdout_id=holdout["id"])
    assert (await flag_of(api, made))["filters"]["holdout"] == {
        "id": holdout["id"],
        "exclusion_percentage": 10,
    }
    path = f"{HOLDOUTS}{holdout['id']}/"
    wider = {"filters": [{"properties": [], "rollout_percentage": 30}]}
    assert (await api.patch(path, json=wider)).json()["name"] == "Never"
    assert (await flag_of(api, made))["filters"]["holdout"]["exclusion_percentage"] == 30
    assert (await api.get(HOLDOUTS)).json()["count"] == 1
    assert (await api.delete(path)).status_code == 204
    assert (await flag_of(api, made))["filters"]["holdout"] is None
    assert (await api.get(f"{EXPERIMENTS}{made['id']}/")).json()["holdout_id"] is None
    assert (await api.get(path)).status_code == 404
    assert (await api.post(HOLDOUTS, json={"name": "x", "filters": []})).status_code == 400


async def test_a_saved_metric_is_shared_by_experiments(api):
    query = {"kind": "ExperimentMetric", "metric_type": "mean", "source": events_node("seen")}
    saved = (await api.post(SAVED, json={"name": "Seen", "query": query})).json()
    assert saved["query"] == query
    taken = await api.post(SAVED, json={"name": "SEEN", "query": query})
    assert (taken.status_code, taken.json()["code"]) == (400, "unique")
    links = [{"id": saved["id"], "metadata": {"type": "secondary"}}]
    made = await make(api, metrics=[funnel("bought")], saved_metrics_ids=links)
    assert made["saved_metrics"][0]["query"] == query
    assert made["saved_metrics"][0]["metadata"] == {"type": "secondary"}
    path = f"{SAVED}{saved['id']}/"
    assert (await api.patch(path, json={"description": "Pages"})).json()["query"] == query
    found = [
        (await api.get(SAVED, params=only)).json()["count"]
        for only in ({"event": "seen"}, {"event": "x"}, {"search": "see"})
    ]
    assert found == [1, 0, 1]
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(f"{EXPERIMENTS}{made['id']}/")).json()["saved_metrics"] == []
