from typing import Any

import pytest
from pydantic import SecretStr

from posthog_mcp.api import Endpoint, Hosts, Keys, KeyType, PostHogClient, endpoint, key_type
from posthog_mcp.api.errors import WrongKey

PRIVATE = endpoint("POST", "/api/projects/{project_id}/annotations/")
DEFINITIONS = endpoint("GET", "/flags/definitions")
BATCH = endpoint("POST", "/batch/")


def keys(project: str = "", personal: str = "", secret: str = "") -> Keys:
    return Keys(*(SecretStr(key) if key else None for key in (project, personal, secret)))


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("phc_a", KeyType.PROJECT),
        ("phx_a", KeyType.PERSONAL),
        ("phs_a", KeyType.SECRET),
        ("pha_a", KeyType.OAUTH),
        ("phr_a", KeyType.REFRESH),
        ("a1b2c3", KeyType.UNPREFIXED),
        ("PHX_a", KeyType.UNPREFIXED),
        ("", KeyType.UNPREFIXED),
    ],
)
def test_the_prefix_tells_the_kind(key: str, kind: KeyType):
    assert key_type(key) is kind


@pytest.mark.parametrize(
    ("held", "wanted", "chosen"),
    [
        (keys(personal="phx_a"), PRIVATE, "phx_a"),
        (keys(personal="pha_a"), PRIVATE, "pha_a"),
        (keys(personal="oldkey"), PRIVATE, "oldkey"),
        (keys(personal="phx_a", secret="phs_a"), DEFINITIONS, "phs_a"),
        (keys(personal="phx_a"), DEFINITIONS, "phx_a"),
        (keys(personal="phx_a", secret="phx_b"), DEFINITIONS, "phx_a"),
        (keys(project="phc_a", personal="phx_a"), BATCH, "phc_a"),
        (keys(project="oldtoken"), BATCH, "oldtoken"),
    ],
)
def test_the_preferred_key_that_fits_is_chosen(held: Keys, wanted: Endpoint, chosen: str):
    assert held.choose(wanted.keys, "it", wanted.scopes, Hosts.of("")) == chosen


@pytest.mark.parametrize(
    ("held", "wanted", "words"),
    [
        (keys(), PRIVATE, ["POSTHOG_PERSONAL_API_KEY is not set", "phx_…", "annotation:write"]),
        (keys(), BATCH, ["POSTHOG_API_KEY is not set", "phc_…", "/settings/project "]),
        (keys(), DEFINITIONS, ["POSTHOG_PROJECT_SECRET_KEY and POSTHOG_PERSONAL_API_KEY are not set"]),
        (keys(personal="phc_a"), PRIVATE, ["POSTHOG_PERSONAL_API_KEY holds a project token (phc_…)"]),
        (keys(personal="phs_a"), PRIVATE, ["holds a project secret key (phs_…)"]),
        (keys(personal="phr_a"), PRIVATE, ["holds an OAuth refresh token (phr_…)"]),
        (keys(project="phx_a"), BATCH, ["POSTHOG_API_KEY holds a personal API key (phx_…)"]),
        (
            keys(project="phx_a"),
            PRIVATE,
            ["POSTHOG_API_KEY holds a personal API key, which belongs in POSTHOG_PERSONAL_API_KEY"],
        ),
        (keys(project="phc_a"), DEFINITIONS, ["project secret key (phs_…) or a personal API key (phx_…)"]),
        (keys(personal="pha_a"), DEFINITIONS, ["holds an OAuth access token (pha_…)"]),
        (keys(secret="nokind"), DEFINITIONS, ["does not start with phs_"]),
        (keys(personal="phx_a\nX-Evil: 1"), PRIVATE, ["characters that no key"]),
        (keys(personal="phx_ä"), PRIVATE, ["characters that no key"]),
    ],
)
def test_a_missing_or_wrong_key_is_named_with_the_variable_and_the_page(
    held: Keys, wanted: Endpoint, words: list[str]
):
    with pytest.raises(WrongKey) as caught:
        held.choose(wanted.keys, str(wanted), wanted.scopes, Hosts.of("eu"))
    text = str(caught.value)
    for word in words:
        assert word in text
    assert "https://eu.posthog.com/settings/" in text
    assert caught.value.variable in text


def test_printing_keys_shows_none():
    assert "CANARY" not in repr(keys("phc_CANARY", "phx_CANARY", "phs_CANARY"))


async def test_a_wrong_key_is_refused_before_any_network(fake: Any):
    posthog = fake({})
    with pytest.raises(WrongKey):
        await posthog.client(personal_api_key="phc_public").get("/api/users/@me/")
    with pytest.raises(WrongKey):
        await posthog.client(project_token="phx_a").send_batch([])
    assert posthog.seen == []


async def test_blank_keys_count_as_missing():
    with pytest.raises(WrongKey, match="is not set"):
        await PostHogClient(personal_api_key="  ").get("/api/users/@me/")
