"""The plan is PostHog's, and the documentation's, and the sandbox's."""

import re
from pathlib import Path

import pytest

from posthog_mcp.api.endpoints import ENDPOINTS, Endpoint, LimitClass
from posthog_mcp.limits.plan import COUNTED, KNOWN, QUERIES_AT_ONCE, budget_of
from posthog_mcp.sandbox.http.throttles import DEFAULT_LIMITS
from posthog_mcp.settings import LIMIT_CLASSES
from posthog_mcp.values import parse_limits

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")


def test_the_known_limits_are_those_of_posthogs_backend():
    # posthog/rate_limit.py: Burst and Sustained, ClickHouse*, APIQueries*, EventValues*, LocalEvaluation
    assert KNOWN == {
        "crud": ((480, 60), (4800, 3600)),
        "analytics": ((240, 60), (1200, 3600)),
        "query": ((240, 60), (2400, 3600)),
        "values": ((60, 60), (300, 3600)),
        "definitions": ((600, 60),),
    }
    assert QUERIES_AT_ONCE == 3


def test_the_sandbox_counts_by_the_same_limits():
    counted = {
        name: tuple((rate.permits, rate.seconds) for rate in rates) for name, rates in DEFAULT_LIMITS.items()
    }
    assert counted == KNOWN


def test_every_class_of_an_endpoint_has_its_limits_and_a_word_for_people():
    classes = {limit_class.value for limit_class in LimitClass} - {"none"}
    assert set(KNOWN) == set(COUNTED) == set(LIMIT_CLASSES) == classes


def row_of(limit_class: str) -> str:
    return next(line for line in PAGE.splitlines() if line.startswith(f"| `{limit_class}` |"))


@pytest.mark.parametrize("limit_class", KNOWN)
def test_the_page_shows_the_limits_of_each_class(limit_class: str):
    windows = " and ".join(
        limit.name.replace(f" {COUNTED[limit_class]}", "") for limit in budget_of("", limit_class).limits
    )
    assert f"| `{limit_class}` | {windows} |" in row_of(limit_class)


@pytest.mark.parametrize("endpoint", [one for one in ENDPOINTS if one.limit.value in KNOWN], ids=str)
def test_the_page_says_which_class_an_endpoint_draws_on(endpoint: Endpoint):
    def named(limit_class: str) -> bool:
        return any(part in endpoint.path for part in re.findall(r"`(/[^`]+)`", row_of(limit_class)))

    particular_first = ("crud", "values", "definitions", "query", "analytics")
    found = next((name for name in particular_first if named(name)), "crud")
    assert found == endpoint.limit.value


def test_own_rates_replace_all_known_ones_of_their_class():
    rates = parse_limits("crud=20/2s")
    assert rates
    assert [(limit.permits, limit.seconds) for limit in budget_of("o", "crud", rates).limits] == [(20, 2)]
    assert [limit.name for limit in budget_of("o", "crud", rates).limits] == ["20 reads and changes in 2 s"]
    assert [limit.name for limit in budget_of("o", "query", rates).limits] == [
        "240 query requests a minute",
        "2,400 query requests an hour",
    ]
