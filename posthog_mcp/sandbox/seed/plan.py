"""Who does what when: decided whole before any event is made, so that the right answers are known.

Everything is drawn from one generator for each person, which knows nothing of the date: the same size gives
the same people, events and answers whenever it is planned. Only weekends move sessions to the Friday before.
"""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal, TypeVar

from posthog_mcp.flags import FlagSet, compile_flags
from posthog_mcp.sandbox.seed import product
from posthog_mcp.sandbox.seed.product import Chance

ActKind = Literal[
    "arrive", "sign_up", "onboard", "create_project", "use", "buy", "renew", "cancel", "second_device"
]
Size = Literal["small", "large"]
Choice = TypeVar("Choice")

_DAY: Final = timedelta(days=1)
# Sessions begin within these hours and last less than one, so those of a person never overlap.
_HOURS: Final = range(7, 20)
_RENEWAL_DAYS: Final = 30
_STEP: Final = 200


@dataclass(frozen=True, slots=True)
class Scale:
    """How many there are of each."""

    members: int
    visitors: int
    companies: int


SCALES: Final[dict[Size, Scale]] = {
    "small": Scale(members=300, visitors=100, companies=24),
    "large": Scale(members=40_000, visitors=14_000, companies=2_000),
}


@dataclass(frozen=True, slots=True)
class Act:
    """One thing done in a session: `value` is the step, feature count, or the plan, seats and total."""

    kind: ActKind
    value: Any = None


@dataclass(slots=True)
class Person:
    """Somebody who comes: a member once signed up, else a visitor with an anonymous id alone.

    `anonymous_id` is the browser's before signing up, `second_id` that of a second one. `tracked`: anonymous
    events make a person (PostHog's `person_profiles: always`). `variant` is what the flag gives them,
    `exposed` whether they signed up while the experiment ran.
    """

    index: int
    distinct_id: str
    anonymous_id: str
    second_id: str
    name: str
    company: str | None
    tracked: bool
    device: dict[str, Any]
    country: tuple[str, str]
    source: product.Source
    variant: str
    reports: bool
    weekends: bool
    member: bool
    signed_up: datetime | None = None
    exposed: bool = False
    steps: int = 0
    created_project: datetime | None = None
    payments: list[tuple[datetime, str, float]] = field(default_factory=list[tuple[datetime, str, float]])
    bought: datetime | None = None
    cancelled: bool = False
    came_back: bool = False

    @property
    def email(self) -> str:
        """An address of their company, or of a mail provider."""
        domain = (self.company or "Postbox").lower().replace(" ", "-")
        return f"{self.name.lower().replace(' ', '.')}.{self.index}@{domain}.example"


@dataclass(frozen=True, slots=True)
class Session:
    """What one person does in one go: `day` as planned, before weekends moved it.

    `seed` decides the details.
    """

    start: datetime
    day: int
    person: Person
    acts: tuple[Act, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """People and their sessions in order of time, up to `end`."""

    people: list[Person]
    sessions: list[Session]
    end: datetime

    @property
    def first_day(self) -> date:
        """Day 0."""
        return self.end.date() - product.DAYS * _DAY

    @property
    def experiment_start(self) -> datetime:
        """A moment before anybody was shown a variant."""
        return self.moment(product.EXPERIMENT_DAY - product.WEEKEND)

    def moment(self, day: int) -> datetime:
        """The start of a day, in UTC."""
        return datetime.combine(self.first_day + day * _DAY, time(tzinfo=UTC))


def plan(size: Size, now: datetime) -> Plan:
    """Plan the 56 days before today and the hours before `now` (an aware time)."""
    return deque(planning(size, now), maxlen=1).pop()


def planning(size: Size, now: datetime) -> Iterator[Plan]:
    """Plan in steps of milliseconds: the same plan again and again as it grows, at last whole."""
    scale = SCALES[size]
    made = Plan([], [], now.astimezone(UTC).replace(microsecond=0))
    companies = list(_companies(scale.companies))
    flags = compile_flags({"flags": list(product.FLAGS)})
    for index in range(scale.members + scale.visitors):
        draw = random.Random(f"leaf-{index}")  # noqa: S311  reproducible, not secret
        person = _person(draw, index, companies, flags, member=index < scale.members)
        made.people.append(person)
        made.sessions.extend(_sessions(draw, person, made))
        if index % _STEP == 0:
            yield made
    made.sessions.sort(key=lambda session: (session.start, session.person.index))
    yield made


def _companies(count: int) -> Iterator[str]:
    words, kinds = product.COMPANY_WORDS, product.COMPANY_KINDS
    for number in range(count):
        again, position = divmod(number, len(words) * len(kinds))
        name = f"{words[position % len(words)]} {kinds[position // len(words)]}"
        yield f"{name} {again + 1}" if again else name


def _person(draw: random.Random, index: int, companies: list[str], flags: FlagSet, *, member: bool) -> Person:
    distinct_id = f"usr_{draw.getrandbits(48):012x}"
    return Person(
        index=index,
        distinct_id=distinct_id,
        anonymous_id=_uuid(draw),
        second_id=_uuid(draw),
        name=f"{draw.choice(product.FIRST_NAMES)} {draw.choice(product.LAST_NAMES)}",
        # Some companies have many members, most have few.
        company=companies[int(len(companies) * draw.random() ** 1.6)]
        if draw.random() < Chance.IN_COMPANY
        else None,
        tracked=member and draw.random() < Chance.TRACKED,
        device=_pick(draw, product.DEVICES, product.DEVICE_WEIGHTS),
        country=_pick(draw, product.COUNTRIES, product.COUNTRY_WEIGHTS),
        source=_pick(draw, product.SOURCES, product.SOURCE_WEIGHTS),
        variant=str(flags.evaluate(product.FLAG, distinct_id).value),
        reports=flags.evaluate(product.REPORTS_FLAG, distinct_id).value is True,
        weekends=draw.random() < Chance.WORKS_WEEKENDS,
        member=member,
    )


def _sessions(draw: random.Random, person: Person, of: Plan) -> Iterator[Session]:
    last = product.DAYS - 1
    arrival = int(product.DAYS * draw.random() ** 0.8)
    if not person.member:
        days = {arrival: (Act("arrive", draw.randint(1, 3)),)}
        if draw.random() < Chance.VISITOR_RETURNS:
            days[min(last, arrival + draw.randint(1, 6))] = (Act("arrive", draw.randint(1, 4)),)
        recent = None
    else:
        days = _member_days(draw, person, arrival)
        alive = person.created_project is not None and max(days) > last - 7
        recent = (Act("use", draw.randint(1, 4)),) if alive and draw.random() < Chance.JUST_NOW else None
    # All of a person's draws come before the calendar has a say, so that it changes no count.
    drawn = [(day, acts, draw.choice(_HOURS), draw.getrandbits(32)) for day, acts in sorted(days.items())]
    yield from _on_calendar(drawn, person, of)
    if recent is not None:
        start = of.end - timedelta(minutes=draw.randint(35, 170))
        yield _session(start, product.DAYS, person, recent, draw.getrandbits(32))


def _on_calendar(
    drawn: list[tuple[int, tuple[Act, ...], int, int]], person: Person, of: Plan
) -> Iterator[Session]:
    """Give sessions their time; who does not work on weekends did it on the Friday before, after the rest."""
    free = of.moment(0)
    for planned, acts, hour, seed in drawn:
        weekday = (of.first_day + planned * _DAY).weekday()
        friday = planned - max(0, weekday - 4)
        day = planned if person.weekends or friday < 0 else friday
        start = max(of.moment(day) + timedelta(hours=hour), free) + timedelta(seconds=seed % 1800)
        free = start.replace(minute=0, second=0) + timedelta(hours=1)
        yield _session(start, planned, person, acts, seed)


def _session(start: datetime, day: int, person: Person, acts: tuple[Act, ...], seed: int) -> Session:
    for act in acts:
        _note(person, act, start)
    return Session(start, day, person, acts, seed)


def _note(person: Person, act: Act, at: datetime) -> None:
    """Keep what the answers are made of."""
    if act.kind == "sign_up":
        person.signed_up = at
    elif act.kind == "create_project":
        person.created_project = at
    elif act.kind == "buy":
        person.bought = at
    elif act.kind == "cancel":
        person.cancelled = True
    if act.kind in ("buy", "renew"):
        name, _, total = act.value
        person.payments.append((at, name, total))


def _member_days(draw: random.Random, person: Person, arrival: int) -> dict[int, tuple[Act, ...]]:
    """What a member does on which day."""
    last = product.DAYS - 1
    days: dict[int, tuple[Act, ...]] = {}
    if draw.random() < Chance.VISITED_BEFORE and arrival > 0:
        days[arrival - draw.randint(1, min(5, arrival))] = (Act("arrive", draw.randint(1, 3)),)
    person.exposed = arrival >= product.EXPERIMENT_DAY
    creates = draw.random() < product.CREATE_RATES[person.variant if person.exposed else "control"]
    later = 0 if draw.random() < Chance.CREATES_AT_ONCE else draw.randint(1, 4)
    creates = creates and arrival + later <= last
    person.steps = draw.choice((2, 3, 3)) if creates else draw.choice((0, 1, 1, 2))
    first = [Act("arrive", draw.randint(1, 3)), Act("sign_up"), Act("onboard", person.steps)]
    days[arrival] = (*first, Act("create_project")) if creates and not later else tuple(first)
    if creates and later:
        days[arrival + later] = (Act("create_project"), Act("use", 2))
    if creates:
        # Set for good, with its time, when the session is planned.
        person.created_project = datetime.max.replace(tzinfo=UTC)
        _active_life(draw, person, arrival + later, days)
    elif arrival < last and draw.random() < Chance.LOOKS_IN:
        days[draw.randint(arrival + 1, min(last, arrival + 10))] = (Act("use", draw.randint(1, 3)),)
    return days


def _active_life(draw: random.Random, person: Person, created: int, days: dict[int, tuple[Act, ...]]) -> None:
    last = product.DAYS - 1
    gone = created + 1 + int(draw.expovariate(1 / product.MEAN_LIFE))
    eagerness = draw.choice(product.EAGERNESS)
    for day in range(created + 1, min(gone, product.DAYS)):
        if draw.random() < eagerness:
            days[day] = (Act("use", draw.randint(1, 4)),)
    buys = created + draw.randint(1, 7)
    if draw.random() < Chance.BUYS and buys <= min(gone, last):
        _pay(draw, buys, gone, days)
    back = gone + draw.randint(16, 24)
    if back <= last and draw.random() < Chance.COMES_BACK:
        person.came_back = True
        for day in range(back, min(back + 6, product.DAYS), 2):
            days[day] = (Act("use", draw.randint(1, 3)),)
    if draw.random() < Chance.SECOND_DEVICE and (later := [day for day in days if day > created]):
        day = draw.choice(later)
        days[day] = (Act("second_device"), *days[day])


def _pay(draw: random.Random, day: int, gone: int, days: dict[int, tuple[Act, ...]]) -> None:
    name = _pick(draw, tuple(product.PRICES), product.PLAN_WEIGHTS)
    seats = draw.choice((1, 2, 3, 3, 5, 8, 12))
    payment = (name, seats, product.PRICES[name] * seats)
    days[day] = (*days.get(day, ()), Act("buy", payment))
    renewal = day + _RENEWAL_DAYS
    while renewal < min(gone, product.DAYS):
        days[renewal] = (*days.get(renewal, ()), Act("renew", payment))
        renewal += _RENEWAL_DAYS
    if gone < product.DAYS:
        days[gone] = (*days.get(gone, (Act("use", 1),)), Act("cancel", draw.choice(product.CANCEL_REASONS)))


def _pick(draw: random.Random, choices: tuple[Choice, ...], weights: tuple[int, ...]) -> Choice:
    return draw.choices(choices, weights)[0]


def _uuid(draw: random.Random) -> str:
    digits = f"{draw.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
