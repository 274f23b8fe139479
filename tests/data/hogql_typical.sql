WITH firsts AS (
  SELECT person_id, min(timestamp) AS first_seen
  FROM events
  WHERE event = '$pageview' AND timestamp > now() - INTERVAL 30 DAY
  GROUP BY person_id
)
SELECT
  toStartOfWeek(e.timestamp) AS week,
  coalesce(e.properties.$browser, 'unknown') AS browser,
  count(DISTINCT e.person_id) AS people,
  countIf(e.event = 'order placed') AS orders,
  round(sumIf(toFloat(e.properties.total), e.event = 'order placed'), 2) AS revenue,
  quantile(0.95)(toFloat(e.properties.$ai_latency)) AS p95,
  multiIf(e.properties.plan IN ('pro', 'team'), 'paid', e.properties.plan = 'free', 'free', 'none') AS tier
FROM events AS e
LEFT JOIN firsts AS f ON f.person_id = e.person_id
WHERE e.timestamp >= now() - INTERVAL 30 DAY
  AND e.timestamp < f.first_seen + INTERVAL 8 DAY
  AND e.person.properties.email NOT ILIKE '%@example.com'
  AND (e.properties.$current_url LIKE '%/checkout%' OR e.event = 'order placed')
GROUP BY week, browser, tier
HAVING people > 5
ORDER BY week DESC, revenue DESC
LIMIT 500
