import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_mcp.api import Hosts
from posthog_mcp.api.errors import WrongHost
from posthog_mcp.api.hosts import same_origin

US = Hosts("https://us.i.posthog.com", "https://us.posthog.com")
EU = Hosts("https://eu.i.posthog.com", "https://eu.posthog.com")


@pytest.mark.parametrize(
    ("setting", "hosts"),
    [
        ("", US),
        ("  ", US),
        ("us", US),
        ("EU", EU),
        ("https://app.posthog.com", US),
        ("https://us.posthog.com/", US),
        ("https://us.i.posthog.com", US),
        ("us.posthog.com", US),
        ("HTTPS://EU.posthog.com:443", EU),
        (" https://eu.i.posthog.com// ", EU),
        ("https://posthog.example.com", Hosts("https://posthog.example.com", "https://posthog.example.com")),
        ("https://ph.example.com:8443", Hosts("https://ph.example.com:8443", "https://ph.example.com:8443")),
        ("http://localhost:8000", Hosts("http://localhost:8000", "http://localhost:8000")),
        ("127.0.0.1:8010", Hosts("http://127.0.0.1:8010", "http://127.0.0.1:8010")),
        ("http://[::1]:8000", Hosts("http://[::1]:8000", "http://[::1]:8000")),
        ("http://posthog:8000", Hosts("http://posthog:8000", "http://posthog:8000")),
        ("http://10.1.2.3", Hosts("http://10.1.2.3", "http://10.1.2.3")),
        ("https://xeu.posthog.com", Hosts("https://xeu.posthog.com", "https://xeu.posthog.com")),
    ],
)
def test_one_setting_gives_both_hosts(setting: str, hosts: Hosts):
    assert Hosts.of(setting) == hosts


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("https://us.posthog.com/project/12", "without a path"),
        ("https://us.posthog.com?x=1", "without a path"),
        ("https://us.posthog.com#x", "without a path"),
        ("https://us.posthog.com?", "without a path"),
        ("ftp://us.posthog.com", "http and https"),
        ("file:///etc/passwd", "http and https"),
        ("http://us.posthog.com", "in clear"),
        ("http://8.8.8.8", "in clear"),
        ("https://a b.com", "characters"),
        ("https://us.posthog.com\nx", "characters"),
        ("https://us.posthog.com\\@evil.com", "characters"),
        ("https://", "names no host"),
        ("https://a..b", "names no host"),
        ("https://a.com:0", "not a URL"),
        ("https://a.com:99999", "not a URL"),
        ("https://pösthog.com", "characters"),
    ],
)
def test_what_is_no_origin_is_refused_with_the_reason(setting: str, reason: str):
    with pytest.raises(WrongHost) as caught:
        Hosts.of(setting)
    assert reason in caught.value.why
    assert "POSTHOG_HOST" in caught.value.what
    assert "us, eu" in caught.value.next_step


def test_a_password_in_the_host_is_refused_and_not_repeated():
    with pytest.raises(WrongHost) as caught:
        Hosts.of("https://ada:CANARY@posthog.example.com")
    assert "CANARY" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_setting_gives_two_origins_or_an_error(setting: str):
    try:
        hosts = Hosts.of(setting)
    except WrongHost:
        return
    for origin in (hosts.public, hosts.private):
        assert origin.count("/") == 2
        assert same_origin(origin + "/x", origin)


def test_regions_are_known_for_the_cloud_only():
    assert Hosts.of("us").region == "us"
    assert Hosts.of("https://eu.i.posthog.com").region == "eu"
    assert Hosts.of("http://localhost:8000").region is None


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://us.posthog.com/api/?x=1", True),
        ("https://US.posthog.com:443/api/", True),
        ("http://us.posthog.com/api/", False),
        ("https://us.posthog.com:444/", False),
        ("https://us.posthog.com.evil.com/", False),
        ("https://us.posthog.com@evil.com/", False),
        ("https://x@us.posthog.com/", False),
        ("//evil.com/", False),
        ("https://us.posthog.com:x/", False),
    ],
)
def test_a_link_stays_on_our_origin_only_when_scheme_host_and_port_do(url: str, same: bool):
    assert same_origin(url, "https://us.posthog.com") is same
