"""No field of a query is accepted and left aside: it changes the answer, is refused, or has its reason."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import field_tables
import field_tables_insights
import field_tables_more
import hostile_queries
import pytest
from exception_making import exception
from experiment_making import make
from field_verdicts import ABSENT, Json, Table, Verdict
from recording_making import CLICK, KEY, MOVE, console, page, snapshot
from sandbox_client import client

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.ingest import RawEvent
from posthog_mcp.sandbox.sandbox import Options, Sandbox
from posthog_mcp.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.engine import Engine

FIELDS: dict[str, list[str]] = json.loads(
    (Path(__file__).parents[1] / "data" / "posthog_query_fields.json").read_text()
)
TABLES: dict[str, Table] = {
    **field_tables_insights.TABLES,
    **field_tables.TABLES,
    **field_tables_more.TABLES,
}
NOTHING_COMPUTED = {"DataTableNode", "DataVisualizationNode", "InsightVizNode", "QueryLogTags"}
NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)  # a Tuesday
LONG, SHORT, FIRST, SECOND = (f"0195d000-0000-7000-8000-00000000000{number}" for number in range(1, 5))
# What an answer says about its computing, and about the question.
ABOUT = {
    "cache_key", "cache_target_age", "client_query_id", "hogql", "last_refresh", "modifiers",
    "next_allowed_client_refresh", "query", "timings",
}  # fmt: skip


def at(day: int, hour: int = 9, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def made(name: str, who: str, when: datetime, **properties: Any) -> RawEvent:
    return RawEvent(name, who, properties, timestamp=when)


def visit(who: str, session: str, when: datetime, path: str, **properties: Any) -> RawEvent:
    url = f"https://shop.test{path}"
    about = {"$session_id": session, "$current_url": url, "$pathname": path, "$host": "shop.test"}
    return made("$pageview", who, when, **about, **properties)


def group(kind: str, key: str, **properties: Any) -> RawEvent:
    return made(
        "$groupidentify", "ann", at(1), **{"$group_type": kind, "$group_key": key, "$group_set": properties}
    )


def happened() -> list[RawEvent]:
    """Three people over ten days, with something of everything."""
    acme = {"$groups": {"company": "acme", "project": "p1"}, "plan": "pro", "size": 3, "score": 1}
    beta = {"$groups": {"company": "beta"}, "plan": "free", "size": 4, "score": 2}
    button = [{"tag_name": "button", "$el_text": "Buy", "attr__class": "go"}]
    link = [{"tag_name": "a", "$el_text": "Go", "attr__href": "/buy"}]
    click = {"$event_type": "click", "$current_url": "https://shop.test/p/1"}
    left = {"$session_id": FIRST, "$prev_pageview_pathname": "/p/1", "$host": "shop.test"}
    return [
        group("company", "acme", seats=5, name="Acme"),
        group("company", "beta", seats=7),
        group("project", "p1", seats=9),
        made("made", "ann", at(1), **{"$set": {"email": "ann@us.test", "team": "red", "score": 50}}),
        made("made", "bob", at(1), **{"$set": {"team": "blue", "score": 70, "plan": "pro"}}),
        made("A", "cid", at(3, 23, 30), plan="pro", price=5, url="https://a.test/"),
        made("A", "ann", at(8), **acme, price=10, url="https://a.test"),
        made("B", "ann", at(8, 9, 10), **{**acme, "plan": "free"}),
        made("A", "ann", at(9), **acme, price=20),
        made("A", "ann", at(9, 9, 0), **acme, price=20),
        made("B", "ann", at(9, 9, 1), plan="pro"),
        made("A", "bob", at(9), **beta, price=30),
        made("C", "bob", at(9, 10), plan="pro"),
        made("B", "bob", at(9, 11), **beta),
        made("A", "bob", at(10, 13), **beta, price=30),  # later today
        made("E", "bob", at(9, 9, 30), plan="free"),
        *(made(name, "gil", at(9, 9, 10 * number), plan="free") for number, name in enumerate("ACEB")),
        made("D", "ann", at(8, 9, 5), plan="pro"),
        made("F", "cid", at(9)),
        visit("bob", FIRST, at(9), "/p/1", **{"$browser": "Safari", "$set": {"x": 1}}),
        visit("bob", FIRST, at(9, 9, 2), "/end", **{"$browser": "Safari"}),
        made("$pageleave", "bob", at(9, 9, 3), **left, **{
            "$prev_pageview_duration": 9, "$prev_pageview_max_scroll_percentage": 0.5,
            "$prev_pageview_max_content_percentage": 0.9,
        }),
        visit("ann", SECOND, at(10, 8), "/p/2", **{"$referring_domain": "www.google.com"}),
        made("A", "cid", at(9, 9, 2), **{"$session_id": FIRST, "plan": "free"}),
        made("B", "cid", at(9, 9, 3), **{"$session_id": FIRST, "plan": "free"}),
        made("B", "cid", at(9, 9, 4), **{"$session_id": FIRST, "plan": "free"}),
        made("$autocapture", "bob", at(9), **click, **{"$elements": button, "plan": "pro"}),
        made("$autocapture", "bob", at(9, 9, 1), **{**click, "$current_url": "https://shop.test/p/2"},
             **{"$elements": link}),
        made("A", "hal", at(9), plan="free"),
        made("A", "kim", at(9), plan="free"),
        made("C", "kim", at(9, 9, 5), plan="free"),
        visit("ann", SECOND, at(10, 8, 1), "/p/1"),
        made("merged", "anon-1", at(9)),
        made("merged", "dan", at(9)),
        made("in long", "ann", at(10, 10), **{"$session_id": LONG}),
        made("in short", "bob", at(10, 11), **{"$session_id": SHORT}),
        snapshot(LONG, "ann", at(10, 10), (0, page("https://shop.test/a")), (1, CLICK), (2, CLICK), (3, KEY),
                 (4, console("error", "boom")), (90, MOVE)),
        snapshot(SHORT, "bob", at(10, 11), (0, page("https://shop.test/b")), (2, CLICK),
                 (3, console("warn", "hm"))),
        exception("ValueError", "ann", at(9), place="a.py:f", **acme),
        exception("ValueError", "bob", at(9, 10), place="a.py:f"),
        exception("TypeError", "bob", at(8), place="b.py:g", **beta),
        *(made("$ai_generation", who, when, **{"$ai_trace_id": trace, "$ai_model": model}, **more)
          for trace, who, when, model, more in (
              ("t1", "ann", at(8), "m1", acme), ("t2", "bob", at(9), "m2", beta),
              ("t3", "bob", at(9, 10), "m1", {}),
              ("t4", "bob", at(9, 11), "m1", {}))),
        made("$feature/cart seen", "ann", at(9), **{"$feature/cart": "test"}),
        made("$feature/cart seen", "bob", at(9), **{"$feature/cart": "control"}),
    ]  # fmt: skip


def shopped() -> list[RawEvent]:
    """Who saw which variant of the cart, looked and bought."""
    listed: list[RawEvent] = []
    for number in range(12):
        who, variant = f"s{number}", ("control", "test")[number % 2]
        seen = {"$feature_flag": "cart", "$feature_flag_response": variant, "$feature/cart": variant}
        plan = "pro" if number % 3 else "free"
        person = {"plan": plan} | ({"email": "s@us.test"} if number in (4, 5) else {})
        listed.append(made("$feature_flag_called", who, at(8, 8), **seen, **{"$set": person}))
        sent = {"$feature/cart": variant, "plan": plan}
        if number % 4:
            listed.append(made("looked", who, at(8, 9 + number % 4), **sent))
            listed += [made("looked", who, at(8, 14, number), **sent) for _ in range(number)]
        if number % 3:
            listed.append(made("bought", who, at(8, 10 + number % 5), price=number * 5, **sent))
        if number % 5:
            listed.append(made("bought", who, at(9, 12), price=3, **sent))
    both = {"$feature_flag": "cart", "$feature_flag_response": "control"}
    held = {"$feature_flag": "cart", "$feature_flag_response": "holdout-7"}
    other = {"$feature_flag": "other", "$feature_flag_response": "control"}
    return [
        *listed,
        made("$feature_flag_called", "s1", at(8, 9), **both),
        made("$feature_flag_called", "held", at(8), **held),
        made("$feature_flag_called", "s1", at(8), **other),
    ]


@dataclass(frozen=True, slots=True)
class Project:
    """A client of a project with something of everything, and what the tables' names stand for."""

    api: AsyncClient
    names: Json


@pytest.fixture(scope="module")
async def project(shared_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Project]:
    """One for all tests, which only read."""
    used = await shared_engine.query(
        "SELECT name FROM system.tables WHERE database = 'ph' AND total_rows > 0"
    )
    for (table,) in used.rows:
        await shared_engine.execute(f"TRUNCATE TABLE ph.{table}")
    options = Options(throttles=Throttles(scope="off"), clock=lambda: NOW)
    sandbox = Sandbox(shared_engine, Store(tmp_path_factory.mktemp("fields") / "sandbox.sqlite"), options)
    await sandbox.start()
    async with client(sandbox, "phx_sandbox") as api:
        yield Project(api, await made_of(sandbox, api))
    await sandbox.stop()


async def made_of(sandbox: Sandbox, api: AsyncClient) -> Json:
    domain = {"key": "email", "type": "person", "operator": "not_icontains", "value": "@us.test"}
    rule = {"alias": "/p/:id", "regex": "/p/[0-9]+"}
    sandbox.project.settings.update({"test_account_filters": [domain], "path_cleaning_filters": [rule]})
    events = [*happened(), *shopped()]
    await sandbox.ingest.accept(sorted(events, key=lambda one: one.timestamp or NOW))
    await sandbox.ingest.accept([made("$identify", "dan", at(9, 10), **{"$anon_distinct_id": "anon-1"})])
    for step in ("A", "B", "in long", "E"):
        body = {"name": f"Does {step}", "steps": [{"event": step}]}
        assert (await api.post("/api/projects/1/actions/", json=body)).status_code == 201
    for team in ("red", "blue"):
        leaf = {"key": "team", "type": "person", "value": team, "operator": "exact"}
        groups = {"type": "OR", "values": [{"type": "AND", "values": [leaf]}]}
        body = {"name": team, "is_static": False, "filters": {"properties": groups}}
        assert (await api.post("/api/projects/1/cohorts/", json=body)).status_code == 201
    cart = await make(api, start_date=at(1).isoformat())
    other = await make(api, "Other", start_date=at(1).isoformat())
    issues = (await ask(api, field_tables.ERRORS))["results"]
    mine = {"assignee": {"type": "user", "id": 1}}
    issue = f"/api/projects/1/error_tracking/issues/{issues[0]['id']}/"
    await api.patch(issue, json={"status": "active"})
    assert (await api.patch(f"{issue}assign/", json=mine)).status_code == 200
    viewed = {"viewed": True}
    await api.patch(f"/api/projects/1/session_recordings/{SHORT}/", json=viewed)
    first = await ask(api, field_tables.RECORDINGS | {"limit": 1})
    people = sandbox.ingest.people
    found = {who: people.person_of(who) for who in ("ann", "bob")}
    return {
        **{f"@{who}": person.uuid for who, person in found.items() if person},
        "@issue": issues[0]["id"],
        "@long": LONG,
        "@cursor": first["next_cursor"],
        "@experiment": cart["id"],
        "@other": other["id"],
        "@flag": cart["feature_flag"],
        "@other_flag": other["feature_flag"],
    }


async def ask(api: AsyncClient, query: Json, status: int = 200) -> Json:
    override = {"filters_override": query.pop("@filters_override", None)}
    reply = await api.post("/api/projects/1/query/", json={"query": query, **override})
    assert reply.status_code == status, f"{reply.status_code}: {reply.text[:300]}"
    return {name: value for name, value in reply.json().items() if name not in ABOUT}


def named(value: Any, names: Json) -> Any:
    """The value with its names replaced by what they stand for."""
    if isinstance(value, dict):
        return {key: named(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [named(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value


def test_every_field_that_posthog_documents_has_a_verdict():
    found = {name: sorted(table.fields) for name, table in TABLES.items()}
    assert found == {name: sorted(fields) for name, fields in FIELDS.items()}


@pytest.mark.parametrize("definition", sorted(TABLES))
async def test_no_field_is_accepted_and_left_aside(project: Project, definition: str):
    table = TABLES[definition]
    wrong: list[str] = []
    answers: dict[str, Json] = {}

    async def answer(verdict: Verdict, fields: Json, status: int) -> Json:
        query = named(
            {**table.query({**table.base, **verdict.given, **fields}), **verdict.around}, project.names
        )
        key = json.dumps([query, status], sort_keys=True)
        if key not in answers:
            answers[key] = await ask(project.api, query, status)
        return answers[key]

    for field, verdict in table.fields.items():
        if verdict.value is ABSENT:
            continue
        try:
            found = await answer(verdict, {field: verdict.value}, verdict.status)
            if verdict.status != 200:
                if field not in f"{found['detail']} {found['attr']}":
                    wrong.append(f"{field}: refused without its name: {found['detail']}")
                continue
            without = await answer(verdict, {} if verdict.other is ABSENT else {field: verdict.other}, 200)
        except AssertionError as error:
            wrong.append(f"{field}: {error}")
            continue
        if (found == without) != bool(verdict.why):
            wrong.append(f"{field}: {'changes the answer' if verdict.why else 'is left aside'}")
    assert "\n".join(wrong) == ""


@pytest.mark.parametrize("definition", sorted(TABLES.keys() - NOTHING_COMPUTED))
async def test_a_field_that_posthog_does_not_have_is_refused_by_name(project: Project, definition: str):
    table = TABLES[definition]
    query = named(table.query({**table.base, "colour": "red"}), project.names)
    assert "colour" in (await ask(project.api, query, 400))["detail"]


@pytest.mark.parametrize("seed", range(2))
async def test_fields_together_are_answered_or_refused_but_never_break(project: Project, seed: int):
    draw = random.Random(seed)
    for name, table in TABLES.items():
        known = {field: one for field, one in table.fields.items() if one.value is not ABSENT}
        picked = draw.sample(sorted(known), min(len(known), draw.randint(2, 4)))
        fields: Json = {}
        for field in picked:
            fields |= {**known[field].given, field: known[field].value}
        query = named({**table.query({**table.base, **fields}), **known[picked[0]].around}, project.names)
        reply = await project.api.post("/api/projects/1/query/", json={"query": query})
        assert reply.status_code in (200, 400), (name, query, reply.text)


@pytest.mark.parametrize("seed", range(2))
async def test_queries_without_sense_are_answered_or_refused_but_never_break(project: Project, seed: int):
    draw = random.Random(seed)
    answered = 0
    for _ in range(60):
        query = hostile_queries.query(draw)
        reply = await project.api.post("/api/projects/1/query/", json={"query": query})
        assert reply.status_code in (200, 400), (query, reply.text)
        answered += reply.status_code == 200
    assert answered > 20
