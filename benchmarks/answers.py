"""What reading an answer costs: HogQL parsed before it is sent, 10,000 rows parsed, cleaned and rendered.

    python benchmarks/answers.py

Processor time, the median of some runs; each line says what is wanted. Parsing HogQL is set beside
`hogql-parser`, which PostHog's own server uses, and rendering beside `json.dumps` of the same rows.
"""

import gc
import json
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from posthog_mcp.api.json_text import loads_in_turns
from posthog_mcp.hogql import HogQLSyntaxError, parse
from posthog_mcp.render import Table, render

QUERY = """
SELECT
    person.properties.email AS email,
    properties.$current_url AS url,
    count() AS errors,
    uniq(properties.$session_id) AS sessions,
    min(timestamp) AS first_seen,
    max(timestamp) AS last_seen,
    countIf(properties.$exception_type = 'TypeError') AS type_errors,
    argMax(properties.$feature_flag_response, timestamp) AS variant
FROM events
WHERE event = '$exception'
    AND timestamp >= now() - INTERVAL 7 DAY
    AND properties.$current_url LIKE '%/checkout%'
    AND person_id IN (
        SELECT person_id
        FROM events
        WHERE event = '$feature_flag_called'
            AND properties.$feature_flag = 'new-checkout'
            AND timestamp >= now() - INTERVAL 7 DAY
    )
GROUP BY email, url
HAVING errors > 1
ORDER BY errors DESC, last_seen DESC
LIMIT 100
""".strip()
LARGEST = 64_000
ROWS, COLUMNS = 10_000, 8


def milliseconds(work: Callable[[], object], runs: int) -> float:
    """Median processor time of a run."""
    found: list[float] = []
    for _ in range(runs):
        gc.collect()
        start = time.process_time()
        work()
        found.append((time.process_time() - start) * 1000)
    return statistics.median(found)


def hostile() -> dict[str, str]:
    """The largest texts a query may be, of shapes that slow parsers down."""
    filled = {
        "one long sum": ("SELECT ", "1 + ", "1"),
        "calls in calls": ("SELECT ", "f(" * 55, "1"),
        "an unclosed text": ("SELECT '", "a", ""),
        "lists in lists": ("SELECT ", "[" * 55, ""),
        "NOT NOT": ("SELECT ", "NOT " * 55, "1"),
        "columns": ("SELECT a", ", properties.$x", ""),
        "wrong at the end": ("SELECT ", "a AND ", ")"),
    }
    return {
        name: head + middle * ((LARGEST - len(head) - len(tail)) // len(middle)) + tail
        for name, (head, middle, tail) in filled.items()
    }


def tried(text: str) -> None:
    with suppress(HogQLSyntaxError):
        parse(text)


def rows(random: Random) -> list[list[Any]]:
    """As PostHog answers: times, texts of people, numbers, an object."""
    people = [*["Ann", "Bob", "Eve"] * 9, "Zoë", "李雷", "tab\there", "Bob\u200b"]
    return [
        [
            f"2026-03-{number % 28 + 1:02}T10:{number % 60:02}:07.{number:06}Z",
            random.choice(["$pageview", "checkout completed", "signed up"]),
            f"user-{number}",
            f"{random.choice(people)} {number}",
            number * 7,
            number / 7,
            None if number % 3 else f"https://example.org/cart?step={number}",
            {"plan": "pro", "seats": number % 40},
        ]
        for number in range(ROWS)
    ]


def official() -> Callable[[str], object] | None:
    """PostHog's own parser; None where it is not installed."""
    try:
        from hogql_parser import parse_select_json  # type: ignore[import-not-found]
    except ImportError:
        return None
    return parse_select_json


def main() -> None:
    found = milliseconds(lambda: parse(QUERY), 50)
    checks = [("HogQL of 24 lines", found, 2.0, "")]
    if theirs := official():
        checks[0] = (*checks[0][:3], f"hogql-parser {milliseconds(lambda: theirs(QUERY), 10):.1f} ms")
    worst = max((milliseconds(lambda text=text: tried(text), 3), name) for name, text in hostile().items())
    checks.append(("HogQL of 64 kB, the worst shape", worst[0], 100.0, worst[1]))

    given = rows(Random(1))
    body = json.dumps(given).encode()

    def table(count: int) -> Table:
        return Table(
            about=["Project 1."],
            columns=[f"column {number}" for number in range(COLUMNS)],
            rows=given[:count],
            outsiders=frozenset({"column 3"}),
        )

    whole = milliseconds(lambda: render(table(ROWS), limit=10**9), 7)
    parsed = milliseconds(lambda: loads_in_turns(body), 7)
    same = milliseconds(lambda: json.dumps(given), 7)
    checks.append(
        (
            f"{ROWS} rows x {COLUMNS}, whole",
            whole + parsed,
            50.0,
            f"parsed in {parsed:.1f}; json.dumps {same:.1f} ms",
        )
    )
    checks.append(("the first 20,000 characters", milliseconds(lambda: render(table(ROWS)), 50), 2.0, ""))
    for name, spent, wanted, note in checks:
        print(f"{name:<34}{spent:8.2f} ms   wanted {wanted:5.0f}   {note}")
    raise SystemExit(0 if all(spent <= wanted for _, spent, wanted, _ in checks) else 1)


if __name__ == "__main__":
    main()
