SELECT toStartOfDay(timestamp) AS day, count(DISTINCT person_id) AS users
FROM events
WHERE timestamp >= now() - INTERVAL 14 DAY AND event = '$pageview'
GROUP BY day
ORDER BY day
LIMIT 100
---
SELECT event, count() AS n FROM events WHERE timestamp > now() - INTERVAL 7 DAY GROUP BY event ORDER BY n DESC LIMIT 25
---
SELECT countIf(lvl >= 1) AS started, countIf(lvl = 2) AS finished
FROM (
  SELECT person_id,
         windowFunnel(86400)(toDateTime(timestamp), event = 'cart opened', event = 'order placed') AS lvl
  FROM events
  WHERE timestamp > now() - INTERVAL 30 DAY AND event IN ('cart opened', 'order placed')
  GROUP BY person_id
)
---
SELECT person.properties.plan AS plan, round(sum(toFloat(properties.total)), 2) AS revenue
FROM events
WHERE event = 'order placed' AND timestamp > now() - INTERVAL 30 DAY
GROUP BY plan
ORDER BY revenue DESC
LIMIT 50
---
SELECT properties.$exception_issue_id AS issue, any(properties.$exception_types) AS types, count() AS hits,
       uniq(person_id) AS people, max(timestamp) AS last_seen
FROM events
WHERE event = '$exception' AND timestamp > now() - INTERVAL 1 DAY
GROUP BY issue ORDER BY hits DESC LIMIT 20
---
SELECT properties.$feature_flag_response AS variant, uniq(person_id) AS people
FROM events
WHERE event = '$feature_flag_called' AND properties.$feature_flag = 'checkout-copy'
  AND timestamp > now() - INTERVAL 14 DAY
GROUP BY variant LIMIT 20
---
SELECT $entry_pathname AS page, count() AS sessions, round(countIf($is_bounce) / count(), 3) AS bounce
FROM sessions
WHERE $start_timestamp > now() - INTERVAL 7 DAY
GROUP BY page ORDER BY sessions DESC LIMIT 20
---
SELECT DISTINCT person_id, person.properties.email
FROM events
WHERE timestamp > now() - INTERVAL 7 DAY AND matchesAction('Buy') AND person_id IN COHORT 5
LIMIT 200
---
SELECT properties.$ai_model AS model, count() AS calls, sum(toFloat(properties.$ai_total_cost_usd)) AS usd,
       quantile(0.95)(toFloat(properties.$ai_latency)) AS p95_s
FROM events
WHERE event = '$ai_generation' AND timestamp > now() - INTERVAL 7 DAY
GROUP BY model ORDER BY usd DESC LIMIT 30
---
SELECT countIf(timestamp > now() - INTERVAL 7 DAY) AS this_week,
       countIf(timestamp <= now() - INTERVAL 7 DAY) AS last_week
FROM events
WHERE event = 'signed up' AND timestamp > now() - INTERVAL 14 DAY
---
WITH firsts AS (
  SELECT person_id, min(timestamp) AS t0
  FROM events
  WHERE event = '$pageview' AND timestamp > now() - INTERVAL 30 DAY
  GROUP BY person_id
)
SELECT count() AS people, countIf(returned > 0) AS returned
FROM (
  SELECT f.person_id, countIf(e.timestamp > f.t0 + INTERVAL 1 DAY AND e.timestamp < f.t0 + INTERVAL 8 DAY) AS returned
  FROM firsts AS f JOIN events AS e ON e.person_id = f.person_id
  WHERE e.timestamp > now() - INTERVAL 30 DAY
  GROUP BY f.person_id
)
---
SELECT uuid, timestamp, event, distinct_id
FROM events
WHERE (timestamp, uuid) < ({last_timestamp}, {last_uuid}) AND timestamp > {since}
ORDER BY timestamp DESC, uuid DESC
LIMIT 1000
---
SELECT count() * 100 AS estimate FROM events SAMPLE 1/100 WHERE timestamp > now() - INTERVAL 1 DAY
---
SELECT timestamp, person.properties.email, properties.$survey_response
FROM events
WHERE event = 'survey sent' AND properties.$survey_id = {survey} AND timestamp > now() - INTERVAL 90 DAY
LIMIT 500
---
-- signups per week and channel
SELECT toStartOfWeek(timestamp) AS week, coalesce(person.properties.$initial_utm_source, 'direct') AS channel, count()
FROM events
WHERE event = 'signed up' AND {filters}
GROUP BY week, channel
ORDER BY week DESC, count() DESC
LIMIT 200
---
SELECT person_id, groupArray(10)(event) AS trail, arrayStringConcat(groupArray(event), ' > ') AS path
FROM (SELECT person_id, event, timestamp FROM events WHERE timestamp > now() - INTERVAL 1 DAY ORDER BY timestamp)
GROUP BY person_id
HAVING length(trail) > 2
LIMIT 50
---
SELECT properties['$feature/new-checkout'] AS variant, count() FROM events
WHERE event = 'order placed' AND properties['$feature/new-checkout'] IS NOT NULL AND timestamp > now() - INTERVAL 7 DAY
GROUP BY variant
---
SELECT group_0.properties.name AS company, uniq(person_id) AS people
FROM events
WHERE $group_0 != '' AND timestamp > now() - INTERVAL 30 DAY
GROUP BY company
ORDER BY people DESC
LIMIT 20
---
SELECT date_trunc('hour', timestamp) AS hour, count() AS hits, hits - lag(hits) OVER (ORDER BY hour) AS change
FROM events
WHERE timestamp > now() - INTERVAL 1 DAY
GROUP BY hour
---
SELECT person_id, timestamp, row_number() OVER (PARTITION BY person_id ORDER BY timestamp DESC) AS n
FROM events
WHERE event = '$pageview' AND timestamp > now() - INTERVAL 1 DAY
QUALIFY n <= 3
LIMIT 300
---
SELECT day, sum(users) OVER (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS rolling
FROM (SELECT toDate(timestamp) AS day, uniq(person_id) AS users FROM events WHERE timestamp > today() - 60 GROUP BY day)
ORDER BY day
LIMIT 60
---
SELECT arrayJoin(JSONExtractArrayRaw(ifNull(properties.tags, '[]'))) AS tag, count() AS n
FROM events WHERE event = 'note saved' AND timestamp > now() - INTERVAL 30 DAY
GROUP BY tag ORDER BY n DESC LIMIT 30
---
SELECT tag, count() FROM events ARRAY JOIN splitByChar(',', properties.tags) AS tag
WHERE timestamp > now() - INTERVAL 30 DAY GROUP BY tag
---
SELECT id, properties.email, created_at FROM persons
WHERE properties.email ILIKE '%@example.com' AND created_at > toDateTime('2026-01-01 00:00:00')
ORDER BY created_at DESC LIMIT 20
---
SELECT p.id, p.properties.email, count() AS n
FROM events e
INNER JOIN persons p ON p.id = e.person_id
WHERE e.timestamp > now() - INTERVAL 7 DAY
GROUP BY p.id, p.properties.email
ORDER BY n DESC
LIMIT 10
---
SELECT cohort_id, count() FROM cohort_people GROUP BY cohort_id ORDER BY 2 DESC LIMIT 50
---
SELECT event, person_id FROM events
WHERE person_id NOT IN COHORT 'Internal users' AND timestamp > now() - INTERVAL 1 HOUR LIMIT 5
---
SELECT session_id, dateDiff('second', start_time, end_time) AS seconds, click_count, console_error_count
FROM session_replay_events
WHERE start_time > now() - INTERVAL 2 DAY AND console_error_count > 0
ORDER BY console_error_count DESC
LIMIT 25
---
SELECT $channel_type, count() AS sessions, avg($session_duration) AS seconds
FROM sessions WHERE $start_timestamp >= toStartOfMonth(now()) GROUP BY $channel_type LIMIT 20
---
SELECT multiIf(properties.$os = 'iOS', 'phone', properties.$os = 'Android', 'phone', 'desktop') AS kind, count()
FROM events WHERE timestamp > now() - INTERVAL 7 DAY GROUP BY kind
---
SELECT CASE WHEN toFloat(properties.total) > 100 THEN 'large' WHEN toFloat(properties.total) > 20 THEN 'middle' ELSE 'small' END AS size, count()
FROM events WHERE event = 'order placed' AND timestamp > now() - INTERVAL 30 DAY GROUP BY size
---
SELECT CASE properties.plan WHEN 'pro' THEN 1 WHEN 'team' THEN 2 END AS rank FROM events WHERE timestamp > now() - INTERVAL 1 DAY LIMIT 10
---
SELECT f'{properties.$browser} on {properties.$os}' AS client, count() FROM events
WHERE timestamp > now() - INTERVAL 7 DAY GROUP BY client ORDER BY count() DESC LIMIT 15
---
SELECT properties.$browser ?? 'unknown' AS browser, event = '$pageview' ? 'view' : 'other' AS kind
FROM events WHERE timestamp > now() - INTERVAL 1 DAY LIMIT 10
---
SELECT properties.$current_url FROM events
WHERE properties.$current_url =~ '^https://.*/docs' AND properties.$current_url !~* 'draft' AND timestamp > now() - INTERVAL 1 DAY
LIMIT 10
---
SELECT replaceRegexpAll(path(properties.$current_url), '[0-9]+', ':id') AS route, count() AS views
FROM events WHERE event = '$pageview' AND timestamp BETWEEN toDateTime('2026-03-01') AND toDateTime('2026-03-08')
GROUP BY route ORDER BY views DESC LIMIT 40
---
SELECT 'this' AS period, count() FROM events WHERE timestamp > now() - INTERVAL 7 DAY
UNION ALL
SELECT 'last' AS period, count() FROM events WHERE timestamp BETWEEN now() - INTERVAL 14 DAY AND now() - INTERVAL 7 DAY
---
(SELECT distinct_id FROM events WHERE event = 'a' AND timestamp > now() - INTERVAL 7 DAY)
INTERSECT
(SELECT distinct_id FROM events WHERE event = 'b' AND timestamp > now() - INTERVAL 7 DAY)
---
SELECT person_id FROM events WHERE event = 'signed up' AND timestamp > now() - INTERVAL 30 DAY
EXCEPT
SELECT person_id FROM events WHERE event = 'order placed' AND timestamp > now() - INTERVAL 30 DAY
---
(SELECT event FROM events WHERE timestamp > now() - INTERVAL 7 DAY UNION DISTINCT SELECT 'none') LIMIT 5
---
WITH RECURSIVE days AS (SELECT toDate('2026-01-01') AS day UNION ALL SELECT day + 1 FROM days WHERE day < toDate('2026-01-07'))
SELECT day FROM days
---
WITH 7 AS window_days, now() - INTERVAL 7 DAY AS since
SELECT count() / window_days FROM events WHERE timestamp > since
---
WITH active (person, last) AS (SELECT person_id, max(timestamp) FROM events WHERE timestamp > now() - INTERVAL 30 DAY GROUP BY person_id)
SELECT count() FROM active WHERE last > now() - INTERVAL 1 DAY
---
SELECT event, timestamp FROM events WHERE timestamp > now() - INTERVAL 1 DAY ORDER BY timestamp DESC LIMIT 1 BY event LIMIT 20
---
SELECT event, count() AS n FROM events WHERE timestamp > now() - INTERVAL 1 DAY GROUP BY event ORDER BY n DESC LIMIT 5 WITH TIES
---
SELECT toDate(timestamp) AS day, event, count() FROM events WHERE timestamp > now() - INTERVAL 3 DAY GROUP BY ROLLUP(day, event) LIMIT 100
---
SELECT event, count() FROM events WHERE timestamp > now() - INTERVAL 3 DAY GROUP BY event WITH TOTALS LIMIT 100
---
SELECT count(DISTINCT person_id) FILTER (WHERE event = 'order placed') AS buyers, count(DISTINCT person_id) AS people
FROM events WHERE timestamp > now() - INTERVAL 7 DAY
---
SELECT topK(5)(properties.$browser), argMax(properties.$os, timestamp), quantiles(0.5, 0.9)(toFloat(properties.$ai_latency))
FROM events WHERE timestamp > now() - INTERVAL 1 DAY
---
SELECT arrayMap(x -> x * 2, [1, 2, 3]) AS doubled, arrayFilter((x, i) -> x > 1 AND i < 3, [1, 2, 3], [1, 2, 3])
---
SELECT number, toDate('2026-03-01') + number AS day FROM numbers(31)
---
SELECT properties.$set.email, properties.$set_once.`first touch`, properties."odd name" FROM events
WHERE timestamp > now() - INTERVAL 1 DAY LIMIT 3
---
SELECT * EXCLUDE (properties, elements_chain) FROM events WHERE timestamp > now() - INTERVAL 1 HOUR LIMIT 10
---
SELECT COLUMNS('^\\$entry_') FROM sessions WHERE $start_timestamp > now() - INTERVAL 1 DAY LIMIT 10
---
SELECT toInt(properties.count)::String || ' items', CAST(properties.total AS Nullable(Float64)), try_cast(properties.x AS Int)
FROM events WHERE timestamp > now() - INTERVAL 1 DAY LIMIT 10
---
SELECT event FROM events WHERE NOT (event = '$pageview' OR event LIKE '$%') AND timestamp > now() - INTERVAL 1 DAY LIMIT 10
---
SELECT e.event, s.$session_duration
FROM events AS e
LEFT JOIN sessions AS s ON s.session_id = e.$session_id AND s.$start_timestamp > now() - INTERVAL 2 DAY
WHERE e.timestamp > now() - INTERVAL 1 DAY
LIMIT 10
---
SELECT a.event FROM events a LEFT ANTI JOIN events b ON a.person_id = b.person_id AND b.event = 'order placed' WHERE a.timestamp > today() LIMIT 10
---
SELECT {variables.metric} AS metric, {filters.dateRange.from} AS since FROM events WHERE timestamp > {filters.dateRange.from} LIMIT 5
---
SELECT body, severity_text, attributes.`http.route` FROM logs WHERE timestamp > now() - INTERVAL 1 HOUR AND severity_number >= 17 ORDER BY timestamp DESC LIMIT 50
---
SELECT key, rollout_percentage FROM system.feature_flags WHERE deleted = 0 ORDER BY created_at DESC LIMIT 20;
---
select 1
---
select 1;
---
select 1 ;
---
select a, from x
---
select a,b, from x
---
select distinct a from x
---
select distinct on (a) b from x
---
select a b from x
---
select a as b from x
---
select a "b c" from x
---
select a date from x
---
select a b, c d from x
---
select a + 1 b from x
---
select a from x y
---
select a from x as y
---
select a from x.y.z
---
select a from x.y as z
---
select a from `x y`
---
select a from "x"."y"
---
select a from {x}
---
select a from {x} as y
---
select a from {x.y}
---
select a from (select 1)
---
select a from (select 1) as x
---
select a from (select 1) x
---
select a from (x)
---
select a from (x join y on a)
---
select a from (select 1 union all select 2) x
---
select a from ((select 1)) x
---
select a from numbers(5)
---
select a from numbers(5) as n
---
select a from numbers()
---
select a from x final
---
select a from x as y final
---
select a from x y final sample 0.1
---
select a from x sample 0.1
---
select a from x sample 1/10
---
select a from x sample 1/10 offset 1/2
---
select a from x sample 0.1 offset 0.5
---
select a from x sample 10
---
select a from x as y sample 0.1
---
select a from x sample 1e-1
---
select a from x, y
---
select a from x, y, z
---
select a from x as a, y as b where c
---
select a from x join y on b
---
select a from x join y on b = c
---
select a from x inner join y on b = c
---
select a from x left join y on b = c
---
select a from x right join y on b = c
---
select a from x full join y on b = c
---
select a from x left outer join y on b = c
---
select a from x right outer join y on b = c
---
select a from x full outer join y on b = c
---
select a from x cross join y
---
select a from x join y
---
select a from x left join y
---
select a from x any join y on b
---
select a from x any left join y on b
---
select a from x left any join y on b
---
select a from x all inner join y on b
---
select a from x asof join y on b
---
select a from x asof left join y on b
---
select a from x left asof join y on b
---
select a from x semi join y on b
---
select a from x left semi join y on b
---
select a from x semi left join y on b
---
select a from x left anti join y on b
---
select a from x anti left join y on b
---
select a from x anti join y on b
---
select a from x global join y on b
---
select a from x positional join y
---
select a from x full any join y on b
---
select a from x any full join y on b
---
select a from x right semi join y on b
---
select a from x any right outer join y on b
---
select a from x inner any join y on b
---
select a from x any inner join y on b
---
select a from x all join y on b
---
select a from x asof inner join y on b
---
select a from x inner asof join y on b
---
select a from x inner all join y on b
---
select a from x join y using a
---
select a from x join y using (a)
---
select a from x join y using (a, b)
---
select a from x join y using a, b
---
select a from x join y on b join z on c
---
select a from x, y join z on c
---
select a from x join (select 1) y on b
---
select a from x join (select 1) as y on b left join z on c
---
select a from x join y as z (a, b) on c
---
select a from x as y (a, b)
---
select a from x y(a, b)
---
select a from (select 1) as y (a, b)
---
select a from (select 1, 2) y(a, b)
---
select a from numbers(5) as y(a)
---
select a where b
---
select a from x where b
---
select a from x prewhere b where c
---
select a from x where b group by c
---
select a from x group by c, d
---
select a from x group by (c, d)
---
select a from x group by all
---
select a from x group by ALL
---
select a from x group by rollup (a, b)
---
select a from x group by cube (a, b)
---
select a from x group by a with rollup
---
select a from x group by a with cube
---
select a from x group by a with totals
---
select a from x group by a, rollup(b)
---
select a from x having b
---
select a from x group by c having b
---
select a from x qualify b
---
select a from x having b qualify c
---
select a from x window w as (partition by a)
---
select a from x window w as (), v as (order by b)
---
select a from x qualify c window w as ()
---
select a from x order by a
---
select a from x order by a asc
---
select a from x order by a desc
---
select a from x order by a descending
---
select a from x order by a ascending
---
select a from x order by a nulls first
---
select a from x order by a desc nulls last
---
select a from x order by a, b desc
---
select a from x order by all
---
select a from x order by 1, 2
---
select a from x limit 1
---
select a from x limit 1, 2
---
select a from x limit 1 offset 2
---
select a from x offset 2
---
select a from x offset 2 limit 1
---
select a from x limit all
---
select a from x limit 1 + 1
---
select a from x limit {l}
---
select a from x limit 1 by a
---
select a from x limit 1 by a, b
---
select a from x limit 1 by a limit 5
---
select a from x limit 1 by a limit 5 offset 3
---
select a from x limit 1 offset 2 by a
---
select a from x limit 1, 2 by a
---
select a from x limit 1 by (a, b)
---
select a from x limit 1 with ties
---
select a from x limit 1, 2 with ties
---
select a from x limit 1 with ties offset 2
---
select a from x array join b as c
---
with b as (select 1) select a from b
---
with b as (select 1), c as (select 2) select a from b
---
with 1 as b select a
---
with 1 as b, c + 1 as d select a
---
with a + 1 as b, c as (select 1) select a
---
with recursive b as (select 1) select a from b
---
with b(c, d) as (select 1, 2) select a from b
---
with b (c) as (select 1) select a
---
with recursive b(c) as (select 1 union all select c from b) select a
---
with b as materialized (select 1) select a
---
with b as not materialized (select 1) select a
---
with (select 1) as b select a
---
with (select 1) as b, (select 2) as c select a
---
with x -> x + 1 as f select f(1)
---
with b as (select 1) select a union all select 2
---
with b as (select 1) (select a)
---
with b as (select 1) (select a union all select c)
---
with b as (with c as (select 1) select c) select a
---
with b as (select 1 union all select 2) select a
---
with b as ((select 1)) select a
---
with b as a select a
---
with date as (select 1) select a from date
---
with "b c" as (select 1) select a
---
with b as (select 1), select a
---
select 1 union all select 2
---
select 1 union select 2
---
select 1 union distinct select 2
---
select 1 intersect select 2
---
select 1 intersect all select 2
---
select 1 intersect distinct select 2
---
select 1 except select 2
---
select 1 except all select 2
---
select 1 union all select 2 union all select 3
---
select 1 union all select 2 except select 3
---
select 1 intersect select 2 union all select 3
---
(select 1)
---
((select 1))
---
(select 1) union all (select 2)
---
(select 1 union all select 2) union all select 3
---
select 1 union all (select 2 union all select 3)
---
(select 1) limit 1
---
select 1 union all select 2 order by a limit 1
---
select 1 limit 1 union all select 2
---
select 1 order by a union all select 2
---
select a from values (1, 2)
---
select a from x where b = {c} and d in {e}
---
select count() from events where timestamp > now() - interval 7 day
---
select a from x where b in (select c from d)
---
select a from x where b as c
---
select a from x lateral join y
---
select a from x, unnest(b)
---
select a.b.c from x
---
select x.* from x
---
select *, a from x
---
select * exclude (a) from x
---
select * from x where a = 'b' -- c
---
select all a from x
---
select sum(a) over w from x window w as (partition by b)
---
select team_id from x
---
select a from team_id
---
select a from x join (y join z on c) on b
---
select a from (x as w)
---
select a from (x, y)
---
select a from x, (y join z on c)
---
select a from x positional join y on b
---
select a from x left join y final on b
---
select a from x left join y as z sample 1/2 on b
---
select a from x left join {y} as z on b
---
select a from x left join numbers(3) as z on b
---
select a from x left array join b as c
---
select a from x array join b as c, d as e
---
select a from x array join [1,2] as c where d
---
select a from x array join b as c prewhere d
---
select a from x join y on b array join c as d
---
select a from x order by a desc nulls first limit 1 by b limit 3 offset 2
---
select a from x limit 1 by b offset 2
---
select distinct a, b from x
---
select distinct, a from x
---
select distinct(a) from x
---
select a,from x
---
select a,b
---
select a,
---
select a, where b
---
select a, from
---
select from
---
select asc, desc from x
---
select a asc from x
---
select a, limit from x
---
select limit from x
---
select where from x
---
select a where from
---
select a order by b
---
select a group by b
---
select a having b
---
select a qualify b
---
select a window w as ()
---
select a limit 1
---
select a offset 1
---
select a union all select b
---
select a from x union all select b from y limit 5
---
select a from x where b = 1 union all (select c) limit 5
---
(select a) union all select b limit 5
---
(select a) union all (select b) limit 5
---
(select a) union all (select b) limit 5 offset 6
---
(select a union all select b) limit 5
---
(select a) offset 3
---
(select a limit 3) limit 5
---
((select a) limit 3) limit 5
---
with b as (select 1) (select a) limit 3
---
with b as (select 1) select a union all select c
---
select 1 union all with b as (select 1) select a
---
with c as (select 2) (with b as (select 1) select a)
---
select 1 as a, 2 as a
---
select a as b, b + 1 as c
---
select -a from x
---
select +1
---
select a from x where a -1
---
select a -1 from x
---
select a - 1 b, c from x
---
select 'a' as b from x
---
select 'a' b from x
---
select {a} from x
---
select {a} as b from {c} where {d}
---
select [1,2,3] as a
---
select (1,2) as a
---
select a from x where (a, b) in (select c, d from y)
---
select a from x where a in (1)
---
select count(*) c from x
---
select x.a, y.b from x
---
select a from x as `y z`
---
select a from x where not exists (select 1)
---
select a from x where exists (select 1 from y where y.a = x.a)
---
select sum(a) over (partition by b order by c) as d, e from x
---
select sum(a) over w, avg(a) over w from x window w as (partition by b order by c)
---
select sum(a) over (partition by b order by c rows between 1 preceding and 1 following) from x
---
select a from x window w as (partition by b) order by c
---
select a from x group by a with totals having b
---
select a from x group by all order by all
---
select a from x group by all having c
---
select a from x group by all, b
---
select a from x group by all + 1
---
select a from x group by cube(a, b) having c
---
select a from x group by rollup(a), b
---
select a from x group by rollup()
---
select a from x group by a,
---
select f(a,b,) from x
---
select a from x limit 10 offset {o}
---
select a from x limit 5 + 5 offset 2 * 3
---
select a from x limit 10 % 3
---
select a from x limit 10%3
---
with a as b, (select 1) as c, d as (select 2) select a
---
with recursive a as b select a
---
with recursive as (select 1) select a
---
with 'a' as b select a
---
with {x} as b select a
---
with [1,2] as a select a
---
with f(x) as y select y
---
with f(x) as (select 1) select y
---
with f(x, y + 1) as z select y
---
with x as y, z as w select a
---
select columns('re') from x
---
select columns('re') as a from x
---
select * exclude (a) as b from x
---
select f'hi {a} {b}' from x
---
select a.b.c[1].d::int from x
---
select (a, b).1 as c from x
---
select tuple(a, b).1 from x
---
select a?.b?.c from x
---
select case when a then b end as c from x
---
select a from x where a in cohort 'b' and c not in cohort 3
---
select a from x sample 1 / 10 where b
---
select a from x sample .1
---
select a from x sample 1.0/10
---
select a from x sample 0x10
---
select a from x sample -1
---
select a from x where timestamp > toDateTime('2024-01-01') and timestamp < now()
---
select a /* b */ from /* c */ x -- d
---
-- comment
select 1
---
# comment
select 1
---
/* c */ select 1 /* d */
---
select 1 --
---
select 1 // c
---
select 1 #
---
SELECT A FROM X WHERE B = C GROUP BY D HAVING E ORDER BY F LIMIT 1
---
select a from x where b and c or d and not e
