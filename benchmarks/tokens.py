"""What a model pays to know the tools and to read their answers, in tokens (o200k).

    npm install --prefix tests/node      # once: the tokenizer
    python benchmarks/tokens.py

Answers are set beside PostHog's own JSON for the same, without spaces; the sandbox's small data gives both.
"""

import asyncio
import json
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from posthog_mcp.api import PostHogClient
from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.server.app import App
from posthog_mcp.server.catalog import Catalogue
from posthog_mcp.server.results import definitions
from posthog_mcp.settings import Settings

LISTINGS = {
    "default start": ({}, 10_000),
    "all areas, access full": ({"access": "full", "areas": "all"}, 18_000),
}
MOST_A_TOOL = 850
LARGEST_SCHEMA = 8_000
INSIGHT, LIST, ROWS = 0.25, 0.45, 0.80


@dataclass(frozen=True)
class Pair:
    """A tool's call, PostHog's own request for the same, the share of tokens wanted, what the rows are."""

    wanted: float
    tool: str
    arguments: dict[str, Any]
    path: str
    body: dict[str, Any] | None = None
    rows: str = ""


def query(wanted: float, tool: str, arguments: dict[str, Any], kind: str, **fields: Any) -> Pair:
    body = {"query": {"kind": kind, **fields}}
    return Pair(wanted, tool, arguments, "/api/projects/{project_id}/query/", body)


def listing(tool: str, area: str, **arguments: Any) -> Pair:
    return Pair(LIST, tool, arguments, f"/api/projects/{{project_id}}/{area}/")


def tokens(texts: list[str]) -> list[int]:
    command = ["node", str(Path(__file__).parents[1] / "tests/node/tokens.mjs")]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def listings() -> bool:
    """Print what the lists of tools cost; whether all is as wanted."""
    met = True
    for name, (start, wanted) in LISTINGS.items():
        with tempfile.TemporaryDirectory() as folder:
            catalogue = Catalogue.of(Settings.load({}, data_dir=Path(folder), **start))
        tools = [
            {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
            for tool in definitions(catalogue)
        ]
        whole, *each = tokens([compact(tools), *map(compact, tools)])
        dearest = max(zip(each, (tool["name"] for tool in tools), strict=True))
        largest = max(len(compact(tool["inputSchema"])) for tool in tools)
        met = met and whole <= wanted and dearest[0] <= MOST_A_TOOL and largest < LARGEST_SCHEMA
        print(
            f"{name}: {len(tools)} tools, {whole:,} tokens (wanted {wanted:,}); the dearest {dearest[1]} "
            f"{dearest[0]} ({MOST_A_TOOL}); the largest schema {largest:,} characters ({LARGEST_SCHEMA:,})"
        )
    return met


@asynccontextmanager
async def sandbox() -> AsyncIterator[tuple[App, PostHogClient]]:
    with tempfile.TemporaryDirectory() as folder:
        async with SandboxProcess(throttle="off", seed="small") as process:
            given = {**process.environment, "POSTHOG_MCP_DATA_DIR": folder}
            app = App(Settings.load(given, access="full", areas="all"))
            try:
                yield app, (await app.services()).api
            finally:
                await app.close()


async def answers(pairs: list[Pair]) -> list[tuple[str, str]]:
    """Each pair's answers: ours, and PostHog's."""
    found: list[tuple[str, str]] = []
    async with sandbox() as (app, api):
        for pair in pairs:
            ours = await app.dispatcher.call(pair.tool, pair.arguments)
            if ours.is_error:
                raise SystemExit(f"{pair.tool}: {ours.text}")
            ask = (
                api.post(pair.path, pair.body, project_id=1)
                if pair.body
                else api.get(pair.path, project_id=1)
            )
            theirs = await ask
            found.append((ours.text, compact(theirs)))
    return found


LATELY = {"date_from": "-30d"}
SIGNED_UP, CREATED = ({"kind": "EventsNode", "event": event} for event in ("signed_up", "project_created"))
QUERIES = {
    "events counted": "SELECT event, count() AS n, uniq(person_id) AS people FROM events GROUP BY event "
    "LIMIT 100",
    "by day": "SELECT toDate(timestamp) AS day, event, count() AS n FROM events "
    "GROUP BY day, event ORDER BY day, n DESC LIMIT 100",
    "by hour": "SELECT toStartOfHour(timestamp) AS hour, count() AS n, uniq(person_id) AS people FROM events "
    "GROUP BY hour ORDER BY hour DESC LIMIT 100",
    "time, event, id": "SELECT timestamp, event, distinct_id FROM events ORDER BY timestamp DESC LIMIT 100",
    "one event": "SELECT timestamp, event, distinct_id, properties.$browser AS browser FROM events "
    "WHERE event = '$pageview' ORDER BY timestamp DESC LIMIT 100",
    "urls": "SELECT timestamp, properties.$current_url AS url, properties.$referrer AS referrer, "
    "properties.$browser AS browser, properties.$os AS os FROM events "
    "WHERE event = '$pageview' ORDER BY timestamp DESC LIMIT 100",
    "wide": "SELECT timestamp, event, distinct_id, person_id, properties.$session_id AS session, "
    "properties.$current_url AS url, properties.$browser AS browser, properties.$os AS os, "
    "properties.plan AS plan, person.properties.email AS email, created_at FROM events "
    "ORDER BY timestamp DESC LIMIT 60",
    "persons": "SELECT id, properties.email, created_at, properties.plan FROM persons "
    "ORDER BY created_at DESC LIMIT 100",
    "two uuids": "SELECT uuid, timestamp, event, distinct_id, person_id FROM events "
    "ORDER BY timestamp DESC LIMIT 100",
    "properties": "SELECT timestamp, event, properties FROM events ORDER BY timestamp DESC LIMIT 10",
}
PAIRS = [
    query(
        INSIGHT,
        "query_trends",
        {"series": [{"event": "signed_up"}], **LATELY},
        "TrendsQuery",
        series=[SIGNED_UP],
        dateRange=LATELY,
    ),
    query(
        INSIGHT,
        "query_trends",
        {"series": [{"event": "$pageview"}], "breakdown": "$browser", **LATELY},
        "TrendsQuery",
        series=[{"kind": "EventsNode", "event": "$pageview"}],
        breakdownFilter={"breakdown": "$browser", "breakdown_type": "event"},
        dateRange=LATELY,
    ),
    query(
        INSIGHT,
        "query_funnel",
        {"steps": [{"event": "signed_up"}, {"event": "project_created"}], **LATELY},
        "FunnelsQuery",
        series=[SIGNED_UP, CREATED],
        dateRange=LATELY,
    ),
    query(
        INSIGHT,
        "query_retention",
        {"target": {"event": "signed_up"}, "returning": {"event": "$pageview"}, "period": "week"},
        "RetentionQuery",
        retentionFilter={
            "targetEntity": {"id": "signed_up", "type": "events"},
            "returningEntity": {"id": "$pageview", "type": "events"},
            "period": "Week",
        },
    ),
    *(
        replace(query(ROWS, "query_hogql", {"query": text}, "HogQLQuery", query=text), rows=name)
        for name, text in QUERIES.items()
    ),
    listing("list_flags", "feature_flags"),
    listing("list_experiments", "experiments"),
    listing("list_annotations", "annotations"),
    listing("list_cohorts", "cohorts"),
    listing("list_insights", "insights"),
    listing("find_persons", "persons", limit=100),
]


def main() -> None:
    met = listings()
    found = asyncio.run(answers(PAIRS))
    counted = tokens([text for pair in found for text in pair])
    for pair, ours, theirs in zip(PAIRS, counted[::2], counted[1::2], strict=True):
        share = ours / theirs
        met = met and share <= pair.wanted
        what = f"{pair.tool} {pair.rows}"
        print(f"{what:<30}{ours:>7,} of {theirs:>7,} tokens  {share:5.2f} x  (wanted {pair.wanted:.2f})")
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
