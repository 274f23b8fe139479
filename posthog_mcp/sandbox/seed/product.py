"""The invented product: Trellis, a planning tool for small companies, and the people who come to it."""

from typing import Any, Final, NamedTuple

HOST: Final = "app.trellis.example"
SITE: Final = "www.trellis.example"

#: Plan and price of a seat a month.
PRICES: Final = {"starter": 9.0, "team": 19.0, "business": 39.0}
PLAN_WEIGHTS: Final = (55, 35, 10)

ONBOARDING: Final = ("profile", "workspace", "invite")
FEATURES: Final = ("board", "timeline", "reports", "automation", "search")
FEATURE_WEIGHTS: Final = (40, 20, 18, 8, 14)
SITE_PAGES: Final = ("/", "/pricing", "/features", "/blog/planning-without-meetings", "/customers")
ARRIVAL_WEIGHTS: Final = (50, 15, 12, 18, 5)

INDUSTRIES: Final = ("software", "retail", "health", "education", "media", "logistics")
CANCEL_REASONS: Final = ("too expensive", "missing feature", "not used enough", "switched")


class Source(NamedTuple):
    """Where a visit comes from: referring URL ("" for none), and the campaign of the link."""

    referrer: str
    campaign: dict[str, str]


SOURCES: Final = (
    Source("", {}),
    Source("https://www.google.com/", {}),
    Source(
        "https://www.google.com/",
        {"utm_source": "google", "utm_medium": "cpc", "utm_campaign": "planning-tools"},
    ),
    Source("https://news.ycombinator.com/", {}),
    Source(
        "https://www.linkedin.com/",
        {"utm_source": "linkedin", "utm_medium": "social", "utm_campaign": "founders"},
    ),
    Source("", {"utm_source": "newsletter", "utm_medium": "email", "utm_campaign": "spring-update"}),
)
SOURCE_WEIGHTS: Final = (30, 28, 16, 8, 10, 8)

_DESKTOP: Final = {"$device_type": "Desktop", "$screen_width": 1728, "$screen_height": 1117}
_PHONE: Final = {"$device_type": "Mobile", "$screen_width": 390, "$screen_height": 844}

DEVICES: Final[tuple[dict[str, Any], ...]] = (
    {"$browser": "Chrome", "$browser_version": 139, "$os": "Windows", "$os_version": "10", **_DESKTOP},
    {"$browser": "Chrome", "$browser_version": 139, "$os": "Mac OS X", "$os_version": "10.15.7", **_DESKTOP},
    {"$browser": "Safari", "$browser_version": 18.5, "$os": "Mac OS X", "$os_version": "10.15.7", **_DESKTOP},
    {"$browser": "Firefox", "$browser_version": 141, "$os": "Linux", "$os_version": "", **_DESKTOP},
    {"$browser": "Mobile Safari", "$browser_version": 18.5, "$os": "iOS", "$os_version": "18.5", **_PHONE},
    {"$browser": "Chrome", "$browser_version": 138, "$os": "Android", "$os_version": "15", **_PHONE},
)
DEVICE_WEIGHTS: Final = (34, 24, 16, 6, 12, 8)

COUNTRIES: Final = (
    ("US", "United States"),
    ("DE", "Germany"),
    ("GB", "United Kingdom"),
    ("FR", "France"),
    ("IN", "India"),
    ("BR", "Brazil"),
)
COUNTRY_WEIGHTS: Final = (38, 18, 16, 10, 10, 8)

FIRST_NAMES: Final = (
    "Ada", "Ben", "Chloe", "Dev", "Elif", "Femi", "Grace", "Hugo", "Ines", "Jonas", "Kira", "Luis",
    "Mina", "Noor", "Olga", "Pavel", "Quinn", "Rosa", "Sam", "Tara", "Uma", "Viktor", "Wen", "Yara",
)  # fmt: skip
LAST_NAMES: Final = (
    "Abel", "Berg", "Costa", "Dahl", "Evans", "Fischer", "Garcia", "Hansen", "Ito", "Jensen", "Khan", "Lopez",
    "Meyer", "Novak", "Okoro", "Patel", "Rossi", "Silva", "Tanaka", "Vogel", "Weber", "Young",
)  # fmt: skip
COMPANY_WORDS: Final = (
    "Amber", "Birch", "Cedar", "Delta", "Ember", "Fjord", "Grove", "Harbor", "Iris", "Juniper", "Kite",
    "Lumen", "Maple", "North", "Opal", "Pine", "Quarry", "River", "Stone", "Tidal", "Vale", "Willow",
)  # fmt: skip
COMPANY_KINDS: Final = ("Labs", "Works", "Studio", "Foods", "Health", "Media")

#: The experiment's flag: which onboarding a new member sees; and how many of them then create a project.
FLAG: Final = "onboarding-flow"
CREATE_RATES: Final = {"control": 0.38, "checklist": 0.70, "tour": 0.50}
#: A feature that half of the people have.
REPORTS_FLAG: Final = "new-reports"

#: The flags as PostHog's API takes them; members get the values that these evaluate to.
FLAGS: Final[tuple[dict[str, Any], ...]] = (
    {
        "key": FLAG,
        "name": "Which onboarding new members see",
        "active": True,
        "filters": {
            "groups": [{"properties": [], "rollout_percentage": 100}],
            "multivariate": {
                "variants": [
                    {"key": "control", "name": "As before", "rollout_percentage": 34},
                    {"key": "checklist", "name": "A list of first steps", "rollout_percentage": 33},
                    {"key": "tour", "name": "A guided tour", "rollout_percentage": 33},
                ]
            },
            "payloads": {"checklist": '{"steps": 3}'},
        },
    },
    {
        "key": REPORTS_FLAG,
        "name": "New reports",
        "active": True,
        "filters": {"groups": [{"properties": [], "rollout_percentage": 50}]},
    },
)

#: Days since the first of DAYS: whole days in UTC, the last of them yesterday. What is planned for a weekend
#: happens up to WEEKEND days earlier for those who do not work then.
DAYS: Final = 56
WEEKEND: Final = 2
EXPERIMENT_DAY: Final = 21
REPORTS_DAY: Final = 38
#: A release that broke reports in Safari, and the one that repaired most of it.
BROKEN_DAY: Final = 42
REPAIRED_DAY: Final = 51

#: What the team noted, and on which day.
NOTES: Final = (
    (EXPERIMENT_DAY, "Experiment on the onboarding starts"),
    (REPORTS_DAY, "New reports for half of the members"),
    (BROKEN_DAY, "Release 2.4"),
    (REPAIRED_DAY, "Release 2.4.1: reports work in Safari again"),
)


class Chance:
    """How likely things are."""

    IN_COMPANY: Final = 0.7
    #: The anonymous events of a member make a person, as with `person_profiles: always`.
    TRACKED: Final = 0.2
    WORKS_WEEKENDS: Final = 0.3
    VISITOR_RETURNS: Final = 0.25
    VISITED_BEFORE: Final = 0.4
    LEAVES_PAGE: Final = 0.4
    #: Of those who create a project: in the session they signed up in.
    CREATES_AT_ONCE: Final = 0.75
    #: Of those who do not: looks in once more.
    LOOKS_IN: Final = 0.5
    BUYS: Final = 0.38
    #: Of those whose absence ends before today.
    COMES_BACK: Final = 0.5
    SECOND_DEVICE: Final = 0.15
    #: Of those active in the last week: in the last three hours too.
    JUST_NOW: Final = 0.2
    CLICKS: Final = 0.2
    BREAKS: Final = 0.012
    BREAKS_BROKEN: Final = 0.7
    BREAKS_REPAIRED: Final = 0.08


#: Mean days until an active member stops, and on which share of days those of each kind use the product.
MEAN_LIFE: Final = 38
EAGERNESS: Final = (0.10, 0.20, 0.25, 0.40)
