"""What the product's team made in PostHog: surveys, flags, an experiment, cohorts, notes, a dashboard.

They are made through the private API, in process, so that they are what a client's would be.
"""

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.sandbox.http.app import build
from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.project import PERSONAL_KEY
from posthog_mcp.sandbox.seed import feedback, product

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import ASGIApp, Message

    from posthog_mcp.sandbox.sandbox import Sandbox
    from posthog_mcp.sandbox.seed.plan import Plan

Body = dict[str, Any]


class SeedError(Exception):
    """The sandbox refused an object of its own seed."""


async def create_surveys(sandbox: "Sandbox", plan: "Plan") -> str:
    """Make the survey that members answer, and one that is a draft; the id of the first.

    Raises:
        SeedError: One was refused.
    """
    started = {"start_date": plan.moment(-product.WEEKEND).isoformat()}
    asked = {"name": feedback.NAME, "type": "popover", "questions": list(feedback.QUESTIONS), **started}
    with _unlimited(sandbox) as app:
        made = await _make(app, "surveys", asked)
        await _make(app, "surveys", feedback.DRAFT)
    return str(made["id"])


async def create(sandbox: "Sandbox", plan: "Plan") -> None:
    """Make the other objects, outside of limits and of the log of requests.

    Raises:
        SeedError: One was refused.
    """
    notes = [_note(plan, day, text) for day, text in product.NOTES]
    # What an experiment names comes before it.
    areas: dict[str, list[Body]] = {
        "feature_flags": list(product.FLAGS),
        "cohorts": [_paying(), _lapsed()],
        "annotations": notes,
        "experiments": [_experiment(plan)],
    }
    with _unlimited(sandbox) as app:
        for area, bodies in areas.items():
            for body in bodies:
                await _make(app, area, body)
        board = await _make(app, "dashboards", {"name": "Growth", "description": "From sign-up to purchase"})
        for insight in (_signups(), _funnel()):
            await _make(app, "insights", {**insight, "dashboards": [board["id"]]})


@contextmanager
def _unlimited(sandbox: "Sandbox") -> "Generator[ASGIApp]":
    """The sandbox's app, while nothing is limited or noted."""
    limits, sandbox.throttles = sandbox.throttles, Throttles(scope="off")
    try:
        yield build(sandbox)
    finally:
        sandbox.throttles = limits
        sandbox.requests.clear()


def _paying() -> Body:
    plans = list(product.PRICES)
    leaf = {"key": "plan", "type": "person", "value": plans, "operator": "exact", "negation": False}
    return _cohort("Paying members", "Everybody on a paid plan", leaf)


def _lapsed() -> Body:
    leaf = {
        "type": "behavioral",
        "value": "stopped_performing_event",
        "key": "feature_used",
        "event_type": "events",
        "time_value": 56,
        "time_interval": "day",
        "seq_time_value": 14,
        "seq_time_interval": "day",
        "negation": False,
    }
    return _cohort("Lapsed", "Used a feature in the last 8 weeks, but not in the last 2", leaf)


def _cohort(name: str, description: str, leaf: Body) -> Body:
    all_of = {"type": "AND", "values": [leaf]}
    filters = {"properties": {"type": "OR", "values": [all_of]}}
    return {"name": name, "description": description, "is_static": False, "filters": filters}


def _note(plan: "Plan", day: int, text: str) -> Body:
    return {"content": text, "date_marker": plan.moment(day).isoformat(), "scope": "project"}


def _experiment(plan: "Plan") -> Body:
    created = {"kind": "EventsNode", "event": "project_created"}
    revenue = {"kind": "EventsNode", "event": "purchase_completed", "math": "sum", "math_property": "total"}
    return {
        "name": "Onboarding: checklist or tour",
        "description": "Do members create a project more often with a list of first steps, or with a tour?",
        "feature_flag_key": product.FLAG,
        "type": "product",
        "start_date": plan.experiment_start.isoformat(),
        "metrics": [
            {
                "kind": "ExperimentMetric",
                "metric_type": "funnel",
                "name": "Creates a project",
                "goal": "increase",
                "series": [created],
            }
        ],
        "metrics_secondary": [
            {"kind": "ExperimentMetric", "metric_type": "mean", "name": "Revenue", "source": revenue}
        ],
        "exposure_criteria": {"filterTestAccounts": False, "multiple_variant_handling": "exclude"},
        "stats_config": {"method": "bayesian"},
    }


def _signups() -> Body:
    source = {
        "kind": "TrendsQuery",
        "series": [{"kind": "EventsNode", "event": "signed_up", "math": "total"}],
        "interval": "week",
        "dateRange": {"date_from": "-8w"},
    }
    return {"name": "Sign-ups a week", "saved": True, "query": {"kind": "InsightVizNode", "source": source}}


def _funnel() -> Body:
    steps = ("signed_up", "project_created", "purchase_completed")
    source = {
        "kind": "FunnelsQuery",
        "series": [{"kind": "EventsNode", "event": step} for step in steps],
        "dateRange": {"date_from": "-8w"},
        "funnelsFilter": {"funnelWindowInterval": 14, "funnelWindowIntervalUnit": "day"},
    }
    name = "From sign-up to purchase"
    return {"name": name, "saved": True, "query": {"kind": "InsightVizNode", "source": source}}


async def _make(app: "ASGIApp", area: str, body: Body) -> Body:
    """Send one object to the app without a network; the object as made."""
    path = f"/api/projects/1/{area}/"
    scope: Body = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"authorization", f"Bearer {PERSONAL_KEY}".encode()),
            (b"content-type", b"application/json"),
        ],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
    }
    status = 0
    text = b""

    async def receive() -> "Message":
        return {"type": "http.request", "body": json.dumps(body).encode()}

    async def send(message: "Message") -> None:
        nonlocal status, text
        if message["type"] == "http.response.start":
            status = cast("int", message["status"])
        else:
            text += cast("bytes", message.get("body", b""))

    await app(scope, receive, send)
    if status >= 300:  # noqa: PLR2004  no success
        raise SeedError(f"The sandbox refused a seeded object of {area}: {text.decode()}")
    return json.loads(text)
