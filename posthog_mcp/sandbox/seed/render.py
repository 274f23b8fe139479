"""What a planned session looks like to PostHog: the events that the product's page and its server send."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from posthog_mcp.sandbox.ingest import RawEvent
from posthog_mcp.sandbox.seed import product
from posthog_mcp.sandbox.seed.plan import Act, Plan, Session
from posthog_mcp.sandbox.seed.product import Chance

Properties = dict[str, Any]

_PERSONLESS: Final = "$process_person_profile"


def events(plan: Plan) -> Iterator[RawEvent]:
    """Every event of a plan in order of time; at most one session of each person is rendered at a time."""
    companies: set[str] = set()
    for session in plan.sessions:
        visit = _Visit(session, companies)
        for act in session.acts:
            visit.do(act)
        yield from visit.made


class _Visit:
    """One session being rendered: its clock, its ids, and what the page sends along with every event."""

    def __init__(self, session: Session, companies: set[str]) -> None:
        self.made: list[RawEvent] = []
        self._session = session
        self._person = session.person
        self._draw = random.Random(session.seed)  # noqa: S311  reproducible, not secret
        self._at = session.start
        self._companies = companies
        known = self._person.signed_up is not None and session.start > self._person.signed_up
        self._distinct_id = self._person.distinct_id if known else self._person.anonymous_id
        self._base = self._page_properties()
        if not known and not self._person.tracked:
            self._base[_PERSONLESS] = False
        if known:
            self._add_member_properties()

    def do(self, act: Act) -> None:
        """Render one thing done."""
        getattr(self, f"_{act.kind}")(act.value)

    # -- the acts

    def _arrive(self, pages: int) -> None:
        source = self._person.source
        domain = source.referrer.split("/")[2] if source.referrer else "$direct"
        first = {"$referrer": source.referrer or "$direct", "$referring_domain": domain, **source.campaign}
        paths = self._draw.choices(product.SITE_PAGES, product.ARRIVAL_WEIGHTS, k=pages)
        for number, path in enumerate(paths):
            self._page(product.SITE, path, first if number == 0 else {})
        if self._draw.random() < Chance.LEAVES_PAGE:
            read = {"pathname": paths[-1], "duration": 20 + pages}
            read |= {"max_scroll_percentage": pages / 4, "max_content_percentage": min(pages / 2, 1)}
            self._send(
                "$pageleave",
                {
                    **_place(product.SITE, paths[-1]),
                    **{f"$prev_pageview_{name}": value for name, value in read.items()},
                },
            )

    def _sign_up(self, _: None) -> None:
        person = self._person
        self._page(product.SITE, "/signup", {})
        method = self._draw.choice(("google", "email", "email"))
        self._identify(
            person.anonymous_id,
            {"email": person.email, "name": person.name, "plan": "free", **self._country()},
            {"signed_up_at": self._at.isoformat(), "sign_up_method": method},
        )
        if person.company is not None and person.company not in self._companies:
            self._companies.add(person.company)
            self._identify_company(person.company)
        self._send("signed_up", {**_place(product.SITE, "/signup"), "method": method, "plan": "free"})

    def _onboard(self, steps: int) -> None:
        person = self._person
        self._page(product.HOST, "/welcome", {})
        if person.exposed:
            self._call_flag(product.FLAG, person.variant)
        for number, step in enumerate(product.ONBOARDING[:steps], start=1):
            where = _place(product.HOST, f"/welcome/{step}")
            self._send("onboarding_step_completed", {**where, "step": step, "step_number": number})

    def _create_project(self, _: None) -> None:
        template = self._draw.choice(("blank", "roadmap", "campaign", "hiring"))
        self._page(product.HOST, "/projects/new", {})
        self._send("project_created", {**_place(product.HOST, "/projects/new"), "template": template})

    def _use(self, count: int) -> None:
        if self._session.day >= product.REPORTS_DAY and self._person.signed_up is not None:
            self._call_flag(product.REPORTS_FLAG, self._person.reports)
        for feature in self._draw.choices(product.FEATURES, product.FEATURE_WEIGHTS, k=count):
            where = self._page(product.HOST, f"/{feature}", {})
            if self._draw.random() < Chance.CLICKS:
                self._click(where)
            if self._breaks(feature):
                self._raise(where, feature)
            else:
                seconds = round(self._draw.lognormvariate(3, 0.8), 1)
                self._send("feature_used", {**where, "feature": feature, "duration_seconds": seconds})

    def _buy(self, payment: tuple[str, int, float]) -> None:
        plan, seats, total = payment
        self._page(product.HOST, "/billing", {})
        paid = {
            **_place(product.HOST, "/billing"),
            "plan": plan,
            "seats": seats,
            "total": total,
            "currency": "USD",
        }
        self._send("purchase_completed", {**paid, "$set": {"plan": plan}})

    def _renew(self, payment: tuple[str, int, float]) -> None:
        plan, seats, total = payment
        paid = {"plan": plan, "seats": seats, "total": total, "currency": "USD"}
        self._send("subscription_renewed", paid, from_server=True)

    def _cancel(self, reason: str) -> None:
        cancelled = {**_place(product.HOST, "/billing"), "reason": reason, "$set": {"plan": "free"}}
        self._send("subscription_cancelled", cancelled)

    def _second_device(self, _: None) -> None:
        """A page view on a second browser before logging in there, which merges it into the person."""
        kept, self._distinct_id = self._distinct_id, self._person.second_id
        anonymous = [name for name in self._base if name == "$groups" or name.startswith("$feature/")]
        removed = {name: self._base.pop(name) for name in anonymous}
        self._page(product.HOST, "/login", {})
        self._distinct_id = kept
        self._base.update(removed)
        self._identify(self._person.second_id, {}, {})

    # -- the events

    def _page(self, host: str, path: str, more: Properties) -> Properties:
        where = _place(host, path)
        self._send("$pageview", {**where, **more, "title": path.strip("/").title() or "Trellis"})
        return where

    def _click(self, where: Properties) -> None:
        chain = 'button.primary:nth-child="1"nth-of-type="1"text="Save";form:nth-child="2"nth-of-type="1"'
        self._send(
            "$autocapture", {**where, "$event_type": "click", "$el_text": "Save", "$elements_chain": chain}
        )

    def _call_flag(self, key: str, value: str | bool) -> None:
        self._send("$feature_flag_called", {"$feature_flag": key, "$feature_flag_response": value})
        self._base[f"$feature/{key}"] = value

    def _raise(self, where: Properties, feature: str) -> None:
        broken = feature == "reports"
        kind, text = (
            ("TypeError", "undefined is not an object") if broken else ("NetworkError", "Load failed")
        )
        frame = {
            "platform": "web:javascript",
            "filename": f"https://{product.HOST}/assets/{feature}.js",
            "function": f"load{feature.title()}",
            "lineno": 120 if broken else 48,
            "colno": 9,
            "in_app": True,
        }
        exception = {
            "type": kind,
            "value": text,
            "mechanism": {"type": "generic", "handled": False, "synthetic": False},
            "stacktrace": {"type": "raw", "frames": [frame]},
        }
        self._send("$exception", {**where, "$exception_list": [exception], "$exception_level": "error"})

    def _breaks(self, feature: str) -> bool:
        luck = self._draw.random()
        safari = "Safari" in self._person.device["$browser"]
        if feature == "reports" and safari and self._session.day >= product.BROKEN_DAY:
            repaired = self._session.day >= product.REPAIRED_DAY
            return luck < (Chance.BREAKS_REPAIRED if repaired else Chance.BREAKS_BROKEN)
        return luck < Chance.BREAKS

    def _identify(self, anonymous_id: str, set_: Properties, set_once: Properties) -> None:
        self._distinct_id = self._person.distinct_id
        self._base.pop(_PERSONLESS, None)
        self._add_member_properties()
        named = {"$anon_distinct_id": anonymous_id, "$set": set_, "$set_once": set_once}
        self._send("$identify", named)

    def _identify_company(self, company: str) -> None:
        draw = random.Random(company)  # noqa: S311  reproducible, not secret
        about = {
            "name": company,
            "industry": draw.choice(product.INDUSTRIES),
            "employees": draw.choice((4, 9, 15, 28, 60, 140, 400)),
        }
        self._send(
            "$groupidentify", {"$group_type": "company", "$group_key": _key(company), "$group_set": about}
        )

    def _send(self, event: str, properties: Properties, *, from_server: bool = False) -> None:
        """Add one event, some seconds after the one before."""
        self._at += timedelta(milliseconds=self._draw.randint(2_000, 45_000))
        base = {"$lib": "posthog-node", "$lib_version": "5.8.0"} if from_server else self._base
        self.made.append(
            RawEvent(
                event=event,
                distinct_id=self._distinct_id,
                properties={**base, **properties},
                uuid=_uuid7(self._at, self._draw),
                timestamp=self._at,
            )
        )

    def _page_properties(self) -> Properties:
        return {
            **self._person.device,
            **self._country(),
            "$lib": "web",
            "$lib_version": "1.280.1",
            "$session_id": _uuid7(self._session.start, self._draw),
            "$window_id": _uuid7(self._session.start, self._draw),
        }

    def _add_member_properties(self) -> None:
        person = self._person
        if person.company is not None:
            self._base["$groups"] = {"company": _key(person.company)}
        if person.exposed and self._session.day >= product.EXPERIMENT_DAY:
            self._base[f"$feature/{product.FLAG}"] = person.variant

    def _country(self) -> Properties:
        code, name = self._person.country
        return {"$geoip_country_code": code, "$geoip_country_name": name}


def _place(host: str, path: str) -> Properties:
    return {"$current_url": f"https://{host}{path}", "$host": host, "$pathname": path}


def _key(company: str) -> str:
    return company.lower().replace(" ", "-")


def _uuid7(at: datetime, draw: random.Random) -> str:
    time, bits = f"{int(at.timestamp() * 1000):012x}", f"{draw.getrandbits(72):018x}"
    return f"{time[:8]}-{time[8:]}-7{bits[:3]}-a{bits[3:6]}-{bits[6:]}"
