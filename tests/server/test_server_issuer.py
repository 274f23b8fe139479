"""When the issuer is asked, by a clock that the tests turn."""

from collections.abc import Callable

import anyio
import httpx2
import pytest
from authorization_server import RSA_KEYS, AuthorizationServer, public

from posthog_mcp.api.transport import Transport
from posthog_mcp.server.issuer import (
    FRESH_SECONDS,
    PAUSE_SECONDS,
    RETRY_SECONDS,
    USABLE_SECONDS,
    Issuer,
    RefusedError,
    UnreachableError,
)

URL = "https://id.example.com"
RESOURCE = "https://mcp.example.com/mcp"


class Clock:
    """Seconds that only the test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def known_as(server: AuthorizationServer, clock: Callable[[], float]) -> Issuer:
    return Issuer(server.url, Transport(wire=httpx2.ASGITransport(app=server)), clock=clock)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> AuthorizationServer:
    return AuthorizationServer(URL)


@pytest.fixture
def issuer(server: AuthorizationServer, clock: Clock) -> Issuer:
    return known_as(server, clock)


def second(server: AuthorizationServer) -> str:
    return server.token(RESOURCE, RSA_KEYS["second"], "second")


@pytest.mark.parametrize(
    ("url", "found_at"),
    [
        (URL, "/.well-known/oauth-authorization-server"),
        (URL, "/.well-known/openid-configuration"),
        (f"{URL}/", "/.well-known/openid-configuration"),
        (f"{URL}/realms/a", "/.well-known/oauth-authorization-server/realms/a"),
        (f"{URL}/realms/a", "/.well-known/openid-configuration/realms/a"),
        (f"{URL}/realms/a", "/realms/a/.well-known/openid-configuration"),
        (f"{URL}/realms/a/", "/realms/a/.well-known/openid-configuration"),
    ],
)
async def test_an_issuer_is_found_wherever_the_standards_put_it(
    url: str, found_at: str, clock: Clock
) -> None:
    server = AuthorizationServer(url, found_at)
    claims = await known_as(server, clock).claims(server.token(RESOURCE), [RESOURCE])
    assert claims["sub"] == "ada"


async def test_a_new_key_counts_once_it_is_published(
    server: AuthorizationServer, issuer: Issuer, clock: Clock
) -> None:
    await issuer.claims(server.token(RESOURCE), [RESOURCE])
    server.keys = [public("second", RSA_KEYS["second"])]
    clock.now += PAUSE_SECONDS
    await issuer.claims(second(server), [RESOURCE])
    assert server.asked.count("/jwks") == 2
    with pytest.raises(RefusedError, match="No key"):
        await issuer.claims(server.token(RESOURCE), [RESOURCE])


async def test_keys_nobody_knows_are_looked_for_once_a_minute(
    server: AuthorizationServer, issuer: Issuer, clock: Clock
) -> None:
    for _ in range(3):
        for _ in range(5):
            with pytest.raises(RefusedError, match="No key"):
                await issuer.claims(second(server), [RESOURCE])
            clock.now += PAUSE_SECONDS / 5 - 0.1
        clock.now += 0.5
    assert server.asked.count("/jwks") == 3


async def test_a_key_that_was_withdrawn_stops_counting(
    server: AuthorizationServer, issuer: Issuer, clock: Clock
) -> None:
    await issuer.claims(server.token(RESOURCE), [RESOURCE])
    server.keys = []
    clock.now += FRESH_SECONDS - 1
    await issuer.claims(server.token(RESOURCE), [RESOURCE])
    clock.now += 1
    with pytest.raises(RefusedError, match="No key"):
        await issuer.claims(server.token(RESOURCE), [RESOURCE])


async def test_the_last_keys_hold_for_a_day_while_the_issuer_is_down(
    server: AuthorizationServer, issuer: Issuer, clock: Clock
) -> None:
    await issuer.claims(server.token(RESOURCE), [RESOURCE])
    server.down = True
    clock.now += FRESH_SECONDS
    before = len(server.asked)
    for _ in range(3):
        await issuer.claims(server.token(RESOURCE), [RESOURCE])
    assert len(server.asked) == before + 2  # one fetch, at both places
    with pytest.raises(UnreachableError):
        await issuer.claims(second(server), [RESOURCE])
    assert 0 < issuer.pause_seconds <= PAUSE_SECONDS
    clock.now += USABLE_SECONDS
    with pytest.raises(UnreachableError):
        await issuer.claims(server.token(RESOURCE), [RESOURCE])
    server.down = False
    clock.now += PAUSE_SECONDS
    await issuer.claims(server.token(RESOURCE), [RESOURCE])


async def test_an_issuer_that_comes_back_is_soon_found(
    server: AuthorizationServer, issuer: Issuer, clock: Clock
) -> None:
    server.down = True
    with pytest.raises(UnreachableError):
        await issuer.claims(server.token(RESOURCE), [RESOURCE])
    server.down = False
    with pytest.raises(UnreachableError):
        await issuer.claims(server.token(RESOURCE), [RESOURCE])
    clock.now += RETRY_SECONDS
    await issuer.claims(server.token(RESOURCE), [RESOURCE])


async def test_callers_who_come_together_cause_one_fetch(server: AuthorizationServer, issuer: Issuer) -> None:
    async with anyio.create_task_group() as callers:
        for _ in range(20):
            callers.start_soon(issuer.claims, server.token(RESOURCE), [RESOURCE])
    assert server.asked == ["/.well-known/oauth-authorization-server", "/jwks"]


async def test_an_issuer_without_keys_may_still_say_what_tokens_mean(
    server: AuthorizationServer, issuer: Issuer
) -> None:
    server.keys = []
    server.metadata = {"introspection_endpoint_auth_methods_supported": ["none"]}
    server.meanings = {"opaque": {"active": True, "aud": RESOURCE}}
    assert (await issuer.claims("opaque", [RESOURCE]))["active"] is True


async def test_keys_are_not_taken_from_a_plain_http_address(
    server: AuthorizationServer, issuer: Issuer
) -> None:
    server.metadata = {"jwks_uri": "http://id.example.com/jwks"}
    with pytest.raises(UnreachableError):
        await issuer.claims(server.token(RESOURCE), [RESOURCE])
    assert "/jwks" not in server.asked
