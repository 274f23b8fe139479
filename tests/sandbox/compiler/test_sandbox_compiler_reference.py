"""Queries as people write them: answers over the small project."""

from __future__ import annotations

from typing import Any

import pytest
from compiler_project import ANN, BOB, Ask

from posthog_mcp.hogql import fill_placeholders, parse

pytestmark = pytest.mark.xdist_group("compiler")

QUERIES: list[tuple[str, list[list[Any]]]] = [
    (
        """SELECT toStartOfDay(timestamp) AS day, count(DISTINCT person_id) AS users
           FROM events WHERE timestamp >= now() - INTERVAL 14 DAY AND event = '$pageview'
           GROUP BY day ORDER BY day LIMIT 100""",
        [["2026-03-10T00:00:00Z", 1], ["2026-03-11T00:00:00Z", 1]],
    ),
    (
        """SELECT event, count() AS n FROM events WHERE timestamp > now() - INTERVAL 7 DAY
           GROUP BY event ORDER BY n DESC, event LIMIT 2""",
        [["$pageview", 3], ["order placed", 2]],
    ),
    (
        """SELECT countIf(lvl >= 1) AS started, countIf(lvl = 2) AS finished FROM (
             SELECT person_id, windowFunnel(86400)(toDateTime(timestamp), event = '$pageview', event
               = 'order placed') AS lvl
             FROM events WHERE timestamp > now() - INTERVAL 30 DAY AND event IN ('$pageview','order placed')
             GROUP BY person_id)""",
        [[2, 1]],
    ),
    (
        """SELECT person.properties.plan AS plan, round(sum(toFloat(properties.total)), 2) AS revenue
           FROM events WHERE event = 'order placed' AND timestamp > now() - INTERVAL 30 DAY
           GROUP BY plan ORDER BY revenue DESC LIMIT 50""",
        [["pro", 42.5], ["free", 10]],
    ),
    (
        """SELECT properties.$exception_issue_id AS issue, any(properties.$exception_types) AS types,
                  count() AS hits, uniq(person_id) AS people, max(timestamp) AS last_seen
           FROM events WHERE event = '$autocapture' AND timestamp > now() - INTERVAL 1 DAY
           GROUP BY issue ORDER BY hits DESC LIMIT 20""",
        [[None, None, 1, 1, "2026-03-11T11:00:00.000000Z"]],
    ),
    (
        """SELECT properties.$browser AS variant, uniq(person_id) AS people
           FROM events WHERE event = '$pageview' AND properties.$current_url like '%/a%'
             AND timestamp > now() - INTERVAL 14 DAY GROUP BY variant ORDER BY variant LIMIT 20""",
        [["Chrome", 1], ["Firefox", 1]],
    ),
    (
        """SELECT $entry_pathname AS page, count() AS sessions, round(countIf($is_bounce) / count(), 3) AS
          bounce
           FROM sessions WHERE $start_timestamp > now() - INTERVAL 7 DAY
           GROUP BY page ORDER BY sessions DESC LIMIT 20""",
        [["/a", 2, 0.5]],
    ),
    (
        """SELECT DISTINCT person_id, person.properties.email FROM events
           WHERE timestamp > now() - INTERVAL 7 DAY AND matchesAction('Buy') AND person_id IN COHORT 5
             LIMIT 200""",
        [[ANN, "ann@shop.test"]],
    ),
    (
        """SELECT properties.plan AS model, count() AS calls, sum(toFloat(properties.total)) AS usd,
                  quantile(0.95)(toFloat(properties.total)) AS p95_s
           FROM events WHERE event = 'order placed' AND timestamp > now() - INTERVAL 7 DAY
           GROUP BY model ORDER BY usd DESC LIMIT 30""",
        [["pro", 1, 42.5, 42.5], ["free", 1, 10, 10]],
    ),
    (
        """SELECT countIf(timestamp > now() - INTERVAL 1 DAY) AS this, countIf(timestamp
          <= now() - INTERVAL 1 DAY) AS last
           FROM events WHERE event = '$pageview' AND timestamp > now() - INTERVAL 14 DAY""",
        [[1, 2]],
    ),
    (
        """WITH firsts AS (SELECT person_id, min(timestamp) AS t0 FROM events
                           WHERE event = '$pageview' AND timestamp > now() - INTERVAL 30 DAY GROUP BY
                             person_id)
           SELECT count() AS people, countIf(returned > 0) AS returned FROM (
             SELECT f.person_id, countIf(e.timestamp > f.t0 + INTERVAL 1 DAY AND e.timestamp < f.t0
               + INTERVAL 8 DAY) AS returned
             FROM firsts AS f JOIN events AS e ON e.person_id = f.person_id
             WHERE e.timestamp > now() - INTERVAL 30 DAY GROUP BY f.person_id)""",
        [[2, 1]],
    ),
    (
        """SELECT uuid, timestamp, event, distinct_id FROM events
           WHERE timestamp < {cursor} AND timestamp > {since} ORDER BY timestamp DESC LIMIT 1""",
        [["00000000-0000-4000-9000-000000000002", "2026-03-10T10:00:05.000000Z", "$pageview", "ann"]],
    ),
    (
        """SELECT count() * 100 AS estimate FROM events SAMPLE 1/1 WHERE timestamp > now() - INTERVAL 1
          DAY""",
        [[500]],
    ),
    (
        """SELECT timestamp, person.properties.email, properties.$survey_response FROM events
           WHERE event = 'survey sent' AND properties.$survey_id = {survey} AND timestamp
             > now() - INTERVAL 90 DAY LIMIT 500""",
        [["2026-03-11T11:30:00.000000Z", "ann@shop.test", "good"]],
    ),
    (
        """SELECT person_id, groupArray(event) AS path FROM (SELECT * FROM events ORDER BY timestamp)
           WHERE person_id = (SELECT id FROM persons WHERE properties.email = 'bob@shop.test') GROUP BY
             person_id""",
        [[BOB, ["$pageview", "order placed"]]],
    ),
]


@pytest.mark.parametrize(("query", "rows"), QUERIES)
async def test_idiomatic_queries_answer(ask: Ask, query: str, rows: list[list[Any]]):
    values = {"cursor": "2026-03-11 00:00:00", "since": "2026-03-01", "survey": "s1"}
    assert (await ask(fill_placeholders(parse(query), values))).rows == rows
