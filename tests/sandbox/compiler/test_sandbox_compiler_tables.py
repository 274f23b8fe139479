"""What the tables hold and what dotted names reach."""

from __future__ import annotations

import pytest
from compiler_project import ANN, ANON, BOB, S1, S2, Ask

pytestmark = pytest.mark.xdist_group("compiler")


async def test_a_star_gives_the_visible_columns_in_the_reference_order(ask: Ask):
    answer = await ask("select * from events limit 1")
    assert answer.columns[:15] == [
        "uuid",
        "event",
        "properties",
        "timestamp",
        "distinct_id",
        "elements_chain",
        "created_at",
        "$session_id",
        "$window_id",
        "person_mode",
        "$group_0",
        "$group_1",
        "$group_2",
        "$group_3",
        "$group_4",
    ]
    assert answer.types[0] == "UUID"
    assert answer.types[3] == "DateTime64(6, 'UTC')"


async def test_an_event_written_twice_counts_once(ask: Ask):
    assert (await ask("select count() from events")).value == 8


async def test_person_properties_of_an_event_are_those_it_was_sent_with(ask: Ask):
    query = "select person.properties.plan from events where distinct_id = 'bob' limit 1"
    assert (await ask(query)).value == "free"
    assert (await ask(query, person_mode="person_id_override_properties_joined")).value == "team"


async def test_poe_reads_the_event_in_every_mode(ask: Ask):
    query = "select poe.properties.plan from events where distinct_id = 'bob' limit 1"
    assert (await ask(query, person_mode="person_id_override_properties_joined")).value == "free"


async def test_what_an_event_does_not_hold_of_its_person_is_joined(ask: Ask):
    answer = await ask(
        "select distinct_id, person.is_identified, person.id from events"
        " where event = '$pageview' order by 1 limit 1"
    )
    assert answer.rows == [["ann", True, ANN]]


async def test_a_merge_moves_past_events_to_the_person_that_stayed(ask: Ask):
    query = "select person_id from events where distinct_id = 'anon-1'"
    assert (await ask(query)).value == ANON
    assert (await ask(query, has_overrides=True)).value == ANN
    assert (
        await ask(query, has_overrides=True, person_mode="person_id_no_override_properties_on_events")
    ).value == ANON


async def test_a_merge_is_seen_on_the_right_side_of_a_join_as_well(ask: Ask):
    query = "select e.event from persons p join events e on e.person_id = p.id where e.distinct_id = 'anon-1'"
    assert (await ask(query, has_overrides=True)).column == ["seen"]
    assert (await ask(query)).column == []


async def test_pdi_is_the_events_own_distinct_id_and_person(ask: Ask):
    answer = await ask(
        "select pdi.distinct_id, pdi.person_id, pdi.person.properties.email from events where event = 'seen'"
    )
    assert answer.rows == [["anon-1", ANON, None]]


async def test_deleted_persons_are_not_listed(ask: Ask):
    assert (await ask("select properties.email from persons order by 1")).column == [
        "ann@shop.test",
        "bob@shop.test",
    ]


async def test_a_persons_distinct_ids_are_joined(ask: Ask):
    answer = await ask("select pdi.distinct_id, properties.seats from persons order by 1")
    assert answer.rows == [["ann", 12], ["bob", None]]


async def test_groups_are_reached_by_index_and_by_the_name_of_their_type(ask: Ask):
    query = (
        "select group_0.properties.tier, company.properties.tier, company.key from events"
        " where event = 'order placed' order by timestamp"
    )
    assert (await ask(query)).rows == [["big", "big", "acme"], [None, None, ""]]


async def test_the_groups_table_lists_groups(ask: Ask):
    assert (await ask("select index, key, properties.tier from groups")).rows == [[0, "acme", "big"]]


async def test_a_session_spans_all_its_events_and_starts_at_its_first_page(ask: Ask):
    """The worked example: an order before two pages, which the entry and the channel ignore."""
    answer = await ask(
        "select $session_duration, $entry_current_url, $entry_pathname, $end_pathname, $urls, $num_uniq_urls,"
        " $pageview_count, $is_bounce, $entry_utm_source, $entry_has_gclid, $channel_type, distinct_id"
        f" from sessions where session_id = '{S1}'"
    )
    assert answer.rows == [
        [
            5,
            "https://shop.test/a?x=1",
            "/a",
            "/b",
            ["https://shop.test/a?x=1", "https://shop.test/b"],
            2,
            2,
            False,
            "google",
            False,
            "Paid Search",
            "ann",
        ]
    ]


async def test_one_page_within_ten_seconds_is_a_bounce(ask: Ask):
    assert (await ask(f"select $is_bounce from sessions where id = '{S2}'")).value is True


async def test_ids_that_are_no_uuidv7_make_no_session(ask: Ask):
    assert (await ask("select session_id from sessions order by 1")).column == [S1, S2]


async def test_a_session_without_pages_or_clicks_has_no_bounce(ask: Ask):
    query = "select countIf($is_bounce is null), countIf($is_bounce) from sessions"
    assert (await ask(query)).rows == [[0, 1]]


async def test_an_event_reaches_its_session(ask: Ask):
    answer = await ask(
        "select event, session.$pageview_count, session.$entry_pathname from events"
        " where event like 'order%' order by timestamp"
    )
    assert answer.rows == [["order placed", 2, "/a"], ["order placed", 1, "/a"]]


async def test_sessions_follow_a_merge(ask: Ask):
    assert (await ask(f"select person_id from sessions where id = '{S2}'", has_overrides=True)).value == BOB


async def test_cohorts_are_read_as_of_their_last_calculation(ask: Ask):
    assert (await ask("select person_id from cohort_people")).column == [ANN]
    assert (await ask("select person_id, cohort_id from static_cohort_people")).rows == [[BOB, 6]]
    assert (await ask("select person.properties.email from cohort_people")).column == ["ann@shop.test"]


@pytest.mark.parametrize("cohort", ["5", "'Pro users'"])
async def test_in_cohort_takes_an_id_or_a_name(ask: Ask, cohort: str):
    assert (
        await ask(f"select distinct distinct_id from events where person_id in cohort {cohort}")
    ).column == ["ann"]
    left = await ask(
        f"select distinct distinct_id from events where person_id not in cohort {cohort} order by 1"
    )
    assert left.column == ["anon-1", "bob"]


async def test_matches_action_compiles_the_actions_conditions_in_place(ask: Ask):
    query = "select event from events where matchesAction('Buy') order by timestamp"
    assert (await ask(query)).column == ["order placed", "order placed", "$autocapture"]
    assert (await ask("select count() from events e where matchesAction(4) and e.event != 'x'")).value == 2


async def test_the_elements_of_a_click_have_columns(ask: Ask):
    answer = await ask(
        "select elements_chain_href, elements_chain_texts, elements_chain_ids, elements_chain_elements"
        " from events where event = '$autocapture'"
    )
    assert answer.rows == [["/pay", ["Buy now"], ["go"], ["button"]]]


@pytest.mark.parametrize(
    "table", ["session_replay_events", "logs", "heatmaps", "log_entries", "console_logs_log_entries"]
)
async def test_tables_of_products_without_data_are_empty_but_typed(ask: Ask, table: str):
    answer = await ask(f"select * from {table}")
    assert answer.rows == []
    assert "DateTime64(6, 'UTC')" in answer.types


async def test_numbers_is_the_only_table_function(ask: Ask):
    assert (await ask("select number * 2 from numbers(3)")).column == [0, 2, 4]
    assert (await ask("select number from numbers(5, 2)")).column == [5, 6]
