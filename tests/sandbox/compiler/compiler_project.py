"""A small project that the compiler's tests ask questions of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from posthog_mcp.sandbox.compiler import Action, Cohort, World

if TYPE_CHECKING:
    from posthog_mcp.hogql import ast

NOW = datetime(2026, 3, 11, 12, 0, tzinfo=UTC)
ANN = "00000000-0000-4000-8000-00000000000a"
BOB = "00000000-0000-4000-8000-00000000000b"
ANON = "00000000-0000-4000-8000-00000000000c"
S1 = "01957f00-0000-7000-8000-000000000001"
S2 = "01957f00-0000-7000-8000-000000000002"
NOT_V7 = "01957f00-0000-4000-8000-000000000003"

TYPES = {
    ("event", "total"): "Numeric",
    ("event", "paid"): "Boolean",
    ("event", "ordered_at"): "DateTime",
    ("person", "seats"): "Numeric",
}

ORDER = {
    "total": 42.5,
    "plan": "pro",
    "paid": True,
    "ordered_at": "2026-03-01 10:00:00",
    "tags": ["a", "b"],
    "quantity": "7",
    "empty": "",
    "nothing": None,
    "nested": {"deep": {"x": "y"}},
    "odd 'name`": "q",
}
CHAIN = (
    'button.big.buy:attr_id="go"href="/pay"nth-child="2"nth-of-type="1"text="Buy now";'
    'div.card:nth-child="1"nth-of-type="1"'
)
_PEOPLE = {
    "ann": (ANN, {"email": "ann@shop.test", "plan": "pro", "seats": 12}),
    "bob": (BOB, {"email": "bob@shop.test", "plan": "free"}),
    "anon-1": (ANON, {}),
}


def _event(
    number: int, name: str, who: str, moment: str, properties: dict[str, Any], **more: str
) -> dict[str, Any]:
    person, person_properties = _PEOPLE[who]
    return {
        "uuid": f"00000000-0000-4000-9000-{number:012d}",
        "event": name,
        "distinct_id": who,
        "timestamp": f"2026-03-{moment}",
        "properties": json.dumps(properties),
        "person_id": person,
        "person_properties": json.dumps(person_properties),
        "person_created_at": "2026-03-01 00:00:00.000000",
        "person_mode": "full" if person_properties else "propertyless",
        "elements_chain": "",
        "$window_id": "",
        "created_at": f"2026-03-{moment}",
        "inserted_at": f"2026-03-{moment}",
        **more,
    }


EVENTS = [
    _event(
        1,
        "$pageview",
        "ann",
        "10 10:00:01.000000",
        {
            "$browser": "Chrome",
            "$current_url": "https://shop.test/a?x=1",
            "utm_source": "google",
            "utm_medium": "cpc",
        },
        **{"$session_id": S1, "$group_0": "acme"},
    ),
    _event(
        2,
        "$pageview",
        "ann",
        "10 10:00:05.000000",
        {"$browser": "Chrome", "$current_url": "https://shop.test/b"},
        **{"$session_id": S1},
    ),
    _event(
        3,
        "order placed",
        "ann",
        "10 10:00:00.500000",
        {**ORDER, "$current_url": "https://shop.test/early"},
        **{"$session_id": S1, "$group_0": "acme"},
    ),
    _event(
        4,
        "$pageview",
        "bob",
        "11 08:00:00.000000",
        {"$browser": "Firefox", "$current_url": "https://shop.test/a"},
        **{"$session_id": S2},
    ),
    _event(
        5,
        "order placed",
        "bob",
        "11 08:00:04.000000",
        {"total": 10, "plan": "free", "paid": False},
        **{"$session_id": S2},
    ),
    _event(6, "seen", "anon-1", "11 09:00:00.000000", {}, **{"$session_id": NOT_V7}),
    _event(7, "$autocapture", "ann", "11 11:00:00.000000", {"$event_type": "click"}, elements_chain=CHAIN),
    _event(
        8,
        "survey sent",
        "ann",
        "11 11:30:00.000000",
        {"$survey_id": "s1", "$survey_response": "good", "$survey_response_q1": "great"},
    ),
]


def _person(who: str, **changes: object) -> dict[str, Any]:
    person, properties = _PEOPLE[who]
    return {
        "id": person,
        "created_at": "2026-03-01 00:00:00.000000",
        "properties": json.dumps({**properties, **changes}),
        "is_identified": True,
        "version": 1,
        "is_deleted": 0,
        "last_seen_at": None,
    }


TABLES: dict[str, list[dict[str, Any]]] = {
    # The first event is written twice, as by a client that tries again.
    "events": [*EVENTS, EVENTS[0]],
    # Bob has moved to another plan since his events.
    "persons": [_person("ann"), _person("bob", plan="team"), {**_person("anon-1"), "is_deleted": 1}],
    "person_distinct_ids": [
        {"distinct_id": who, "person_id": person, "version": 1, "is_deleted": 0}
        for who, (person, _) in _PEOPLE.items()
        if who != "anon-1"
    ],
    "person_distinct_id_overrides": [{"distinct_id": "anon-1", "person_id": ANN, "version": 1}],
    "groups": [
        {
            "index": 0,
            "key": "acme",
            "created_at": "2026-03-01 00:00:00.000000",
            "updated_at": "2026-03-02 00:00:00.000000",
            "properties": '{"tier":"big"}',
            "version": 1,
        },
    ],
    # Bob was a member at the calculation before the last.
    "cohort_people": [
        {"cohort_id": 5, "person_id": BOB, "version": 1},
        {"cohort_id": 5, "person_id": ANN, "version": 2},
        {"cohort_id": 6, "person_id": BOB, "version": 0},
    ],
}

WORLD = World(
    now=NOW,
    property_type=lambda kind, name: TYPES.get((kind, name)),
    group_types={0: "company"},
    cohorts={5: Cohort(5, "Pro users", version=2), 6: Cohort(6, "VIP", is_static=True)},
    actions={
        3: Action(
            3,
            "Buy",
            [
                {"event": "order placed"},
                {"event": "$autocapture", "selector": "div.card > button.buy", "text": "Buy now"},
            ],
        ),
        4: Action(4, "Landing", [{"event": "$pageview", "url": "/a", "url_matching": "contains"}]),
    },
    test_account_filters=[{"type": "person", "key": "email", "value": "bob", "operator": "not_icontains"}],
)


@dataclass
class Answer:
    """What a query gave."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    limit: int | None

    @property
    def value(self) -> Any:
        """The only cell."""
        assert len(self.rows) == 1
        assert len(self.rows[0]) == 1
        return self.rows[0][0]

    @property
    def column(self) -> list[Any]:
        """The only column."""
        return [cell for (cell,) in self.rows]


class Ask(Protocol):
    """Runs a query, in the project or one that differs in some way."""

    async def __call__(self, query: str | ast.Query, *, one_more: bool = False, **changes: Any) -> Answer: ...
