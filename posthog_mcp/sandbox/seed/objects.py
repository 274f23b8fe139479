"""What the product's team made in PostHog: flags, an experiment, cohorts, notes, insights.

They are made through the private API, in process, so that they are what a client's would be.
"""

import json
from typing import TYPE_CHECKING, Any, Final, cast

from posthog_mcp.sandbox.http.app import build
from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.project import PERSONAL_KEY
from posthog_mcp.sandbox.seed import product

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

    from posthog_mcp.sandbox.sandbox import Sandbox
    from posthog_mcp.sandbox.seed.plan import Plan

Body = dict[str, Any]

_NOT_FOUND: Final = 404


class SeedError(Exception):
    """The sandbox refused an object of its own seed."""


async def create(sandbox: "Sandbox", plan: "Plan") -> None:
    """Make the objects, outside of limits and of the log of requests.

    An area that this build of the sandbox does not serve is left out.

    Raises:
        SeedError: One was refused.
    """
    app = build(sandbox)
    limits, sandbox.throttles = sandbox.throttles, Throttles(scope="off")
    try:
        for area, bodies in _objects(plan).items():
            status, _ = await _ask(app, "GET", area, None)
            if status == _NOT_FOUND:
                continue
            for body in bodies:
                status, answer = await _ask(app, "POST", area, body)
                if status >= 300:  # noqa: PLR2004  no success
                    raise SeedError(f"The sandbox refused a seeded object of {area}: {answer}")
    finally:
        sandbox.throttles = limits
        sandbox.requests.clear()


def _objects(plan: "Plan") -> dict[str, list[Body]]:
    # What an experiment or an insight names comes before it.
    return {
        "feature_flags": list(product.FLAGS),
        "cohorts": [_paying(), _lapsed()],
        "annotations": [_note(plan, day, text) for day, text in product.NOTES],
        "experiments": [_experiment(plan)],
        "insights": [_signups(), _funnel()],
    }


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


async def _ask(app: "ASGIApp", method: str, area: str, body: Body | None) -> tuple[int, str]:
    """Send one request to the app without a network; return its status and text."""
    path = f"/api/projects/1/{area}/"
    scope: Body = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
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
        return {"type": "http.request", "body": b"" if body is None else json.dumps(body).encode()}

    async def send(message: "Message") -> None:
        nonlocal status, text
        if message["type"] == "http.response.start":
            status = cast("int", message["status"])
        else:
            text += cast("bytes", message.get("body", b""))

    await app(scope, receive, send)
    return status, text.decode()
