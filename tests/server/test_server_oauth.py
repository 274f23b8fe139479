import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2
import jwt
import pytest
from authorization_server import (
    EC_KEY,
    ED_KEY,
    RSA_KEYS,
    AuthorizationServer,
    listening,
    public,
    serving,
    unsigned_part,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from oauth_world import HEADERS, LIST, Make

from posthog_mcp.server.http import asgi, check_address
from posthog_mcp.settings import Settings, SettingsError


async def test_a_token_of_the_issuer_lets_in(world: Any) -> None:
    async with world() as here:
        assert here.issuer.asked == []
        for _ in range(3):
            answer = await here.call(here.issuer.token(here.resource))
            assert answer.status_code == 200
            assert '"echo"' in answer.text
        assert here.issuer.asked == ["/.well-known/oauth-authorization-server", "/jwks"]


@pytest.mark.parametrize(
    ("key", "kid", "algorithm"),
    [
        (RSA_KEYS["first"], "first", "RS512"),
        (RSA_KEYS["first"], "first", "PS256"),
        (RSA_KEYS["first"], None, "RS256"),
        (EC_KEY, "curve", "ES256"),
        (ED_KEY, "edwards", "EdDSA"),
    ],
)
async def test_every_kind_of_key_that_is_published_counts(
    world: Any, key: Any, kid: str | None, algorithm: str
) -> None:
    async with world() as here:
        here.issuer.keys += [
            public("curve", EC_KEY, use="sig", alg="ES256"),
            public("edwards", ED_KEY),
            {},
            7,
        ]
        answer = await here.call(here.issuer.token(here.resource, key, kid, algorithm))
        assert answer.status_code == 200


def of_nobody(issuer: AuthorizationServer, audience: str) -> str:
    return jwt.encode(issuer.claims(audience), None, "none", {"kid": "first"})


def signed_with_the_public_key(issuer: AuthorizationServer, audience: str) -> str:
    pem = (
        RSA_KEYS["first"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    signed = f"{unsigned_part({'alg': 'HS256', 'kid': 'first'})}.{unsigned_part(issuer.claims(audience))}"
    signature = hmac.digest(pem, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def with_other_claims(issuer: AuthorizationServer, audience: str) -> str:
    header, _, signature = issuer.token(audience).split(".")
    return f"{header}.{unsigned_part(issuer.claims(audience, sub='eve'))}.{signature}"


def with_a_key_of_its_own(issuer: AuthorizationServer, audience: str) -> str:
    own = rsa.generate_private_key(65537, 2048)
    headers = {"kid": "first", "jwk": public("first", own), "jku": "https://evil.example.com/jwks"}
    return jwt.encode(issuer.claims(audience), own, "RS256", headers)


def claiming(**changes: Any) -> Callable[[AuthorizationServer, str], str]:
    return lambda issuer, audience: issuer.token(audience, **changes)


def always(token: str) -> Callable[[AuthorizationServer, str], str]:
    return lambda *_: token


def header_of(**header: Any) -> Callable[[AuthorizationServer, str], str]:
    return lambda issuer, audience: f"{unsigned_part(header)}.{unsigned_part(issuer.claims(audience))}.YWJj"


NOW = int(time.time())


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (claiming(iss="https://evil.example.com"), "another issuer"),
        (claiming(iss="http://127.0.0.1"), "another issuer"),
        (claiming(iss=None), "no claim iss"),
        (claiming(aud="https://other.example.com/mcp"), "another resource"),
        (claiming(aud=["https://other.example.com/mcp", "http://127.0.0.1:1/mcp"]), "another resource"),
        (claiming(aud=None), "no claim aud"),
        (claiming(aud={"a": 1}), "another resource"),
        (claiming(exp=NOW - 3600), "has expired"),
        (claiming(exp=None), "no claim exp"),
        (claiming(exp="soon"), "cannot be read"),
        (claiming(nbf=NOW + 36000, exp=NOW + 72000), "not valid yet"),
        (claiming(kid="nobody"), "No key"),
        (claiming(key=RSA_KEYS["second"]), "No key"),
        (claiming(key=EC_KEY, algorithm="ES256"), "No key"),
        (of_nobody, "not signed with a private key"),
        (signed_with_the_public_key, "not signed with a private key"),
        (with_other_claims, "No key"),
        (with_a_key_of_its_own, "No key"),
        (header_of(alg=["RS256"]), "not signed with a private key"),
        (header_of(kid="first"), "not signed with a private key"),
        (header_of(alg="RS256", kid="first", crit=["x"], x=1), "not a JWT"),
        (header_of(alg="RS256", kid={"a": 1}), "not a JWT"),
        (always("opaque"), "not a JWT"),
        (always("a.b.c"), "not a JWT"),
        (always("." * 5000), "not a JWT"),
        (always(base64.urlsafe_b64encode(b"[" * 9000).decode() + ".YWJj.YWJj"), "not a JWT"),
        (lambda issuer, audience: issuer.token(audience) + "x", "was refused"),
    ],
)
async def test_any_other_token_is_refused_with_the_reason(
    world: Any, forge: Callable[[AuthorizationServer, str], str], why: str
) -> None:
    async with world(sse=True) as here:
        token = forge(here.issuer, here.resource)
        for path in ("/mcp", "/messages/", "/elsewhere"):
            answer = await here.call(token, path)
            assert answer.status_code == 401
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
            assert why in answer.json()["error"]
            assert token[-20:] not in answer.text


async def test_clocks_may_differ_a_little(world: Any) -> None:
    async with world() as here:
        now = int(time.time())
        token = here.issuer.token(here.resource, exp=now - 10, nbf=now + 10, iat=now + 10)
        assert (await here.call(token)).status_code == 200


async def test_without_a_token_the_challenge_says_where_to_get_one(world: Any) -> None:
    async with world(sse=True) as here:
        for path, metadata in [("/mcp", "/mcp"), ("/messages/", "/sse")]:
            for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}):
                answer = await here.call(path=path, **headers)
                assert answer.status_code == 401
                challenge = answer.headers["www-authenticate"]
                assert challenge.startswith("Bearer ")
                named = f'resource_metadata="{here.url}/.well-known/oauth-protected-resource{metadata}"'
                assert named in challenge
                assert "error=" not in challenge
                assert here.issuer.url in answer.json()["error"]
        assert (await here.wire.get(f"{here.url}/sse")).status_code == 401
        assert (await here.wire.get(f"{here.url}/health")).status_code == 200
        assert here.issuer.asked == []


@pytest.mark.parametrize(("path", "resource"), [("", "/mcp"), ("/mcp", "/mcp"), ("/sse", "/sse")])
async def test_anybody_may_read_what_the_service_is(world: Any, path: str, resource: str) -> None:
    async with world(sse=True) as here:
        answer = await here.wire.get(f"{here.url}/.well-known/oauth-protected-resource{path}")
        assert answer.json() == {
            "resource": here.url + resource,
            "authorization_servers": [here.issuer.url],
            "bearer_methods_supported": ["header"],
            "resource_name": "posthog-mcp",
        }
        refused = await here.wire.get(
            f"{here.url}/.well-known/oauth-protected-resource{path}", headers={"Host": "evil.example.com"}
        )
        assert refused.status_code == 421


async def test_no_metadata_is_served_without_an_issuer(make_app: Make) -> None:
    with listening() as (listener, url):
        async with (
            serving((asgi(make_app(), "127.0.0.1"), listener)),
            httpx2.AsyncClient() as wire,
        ):
            answer = await wire.get(f"{url}/.well-known/oauth-protected-resource")
            assert answer.status_code == 404
            assert (await wire.post(f"{url}/mcp", json=LIST, headers=HEADERS)).status_code == 200


@pytest.mark.parametrize(
    ("host", "forwarded", "audience", "status"),
    [
        ("mcp.example.com", "https", "https://mcp.example.com/mcp", 200),
        ("mcp.example.com:443", "", "https://mcp.example.com/mcp", 200),
        ("mcp.example.com", "", "https://mcp.example.com/mcp", 200),
        ("mcp.example.com", "", "http://mcp.example.com/mcp", 200),
        ("mcp.example.com", "", ["https://a.example.com", "https://mcp.example.com/mcp"], 200),
        ("ports.example.com:8443", "", "https://ports.example.com:8443/mcp", 200),
        ("mcp.example.com", "", "https://ports.example.com:8443/mcp", 401),
        ("mcp.example.com", "", "https://mcp.example.com/mcp/other", 401),
        ("mcp.example.com", "", "https://mcp.example.com/sse", 401),
        ("mcp.example.com", "", "https://mcp.example.com", 401),
        ("mcp.example.com", "", "https://evil.example.com/mcp", 401),
        # somebody else's service, whose operator tries the tokens it was sent here
        ("mcp.example.com:9999", "", "https://mcp.example.com:9999/mcp", 421),
        ("localhost:9999", "", "http://localhost:9999/mcp", 421),
        ("evil.example.com", "", "https://evil.example.com/mcp", 421),
    ],
)
async def test_a_token_counts_only_for_the_host_that_was_asked(
    world: Any, host: str, forwarded: str, audience: Any, status: int
) -> None:
    async with world(allowed_hosts="mcp.example.com,ports.example.com:8443") as here:
        headers = {"Host": host, "X-Forwarded-Proto": forwarded}
        answer = await here.call(here.issuer.token(audience), **headers)
        assert answer.status_code == status


async def test_behind_a_proxy_the_metadata_names_what_callers_see(world: Any) -> None:
    async with world(allowed_hosts="mcp.example.com") as here:
        headers = {"Host": "mcp.example.com", "X-Forwarded-Proto": "https"}
        answer = await here.wire.get(f"{here.url}/.well-known/oauth-protected-resource", headers=headers)
        assert answer.json()["resource"] == "https://mcp.example.com/mcp"
        assert answer.headers["cache-control"] == "no-store"
        challenge = (await here.call(**headers)).headers["www-authenticate"]
        assert '"https://mcp.example.com/.well-known/oauth-protected-resource/mcp"' in challenge


async def test_a_loopback_service_is_known_by_its_own_port_alone(world: Any) -> None:
    async with world() as here:
        port = urlsplit(here.url).port
        token = here.issuer.token(f"http://localhost:{port}/mcp")
        assert (await here.call(token, Host=f"localhost:{port}")).status_code == 200
        assert (await here.call(token)).status_code == 401
        other = here.issuer.token("http://localhost:9999/mcp")
        answer = await here.call(other, Host="localhost:9999")
        assert answer.status_code == 421
        assert "POSTHOG_MCP_ALLOWED_HOSTS" in answer.json()["error"]


async def test_a_service_that_has_a_name_is_not_known_as_loopback(world: Any) -> None:
    async with world(allowed_hosts="mcp.example.com") as here:
        assert (await here.call(here.issuer.token(here.resource))).status_code == 421


async def test_a_key_signs_only_in_the_way_and_for_the_use_it_is_published_for(world: Any) -> None:
    async with world() as here:
        first = RSA_KEYS["first"]
        here.issuer.keys = [public("first", first, alg="PS256"), public("other", first, use="enc")]
        assert (await here.call(here.issuer.token(here.resource))).status_code == 401
        assert (await here.call(here.issuer.token(here.resource, kid="other"))).status_code == 401
        assert (await here.call(here.issuer.token(here.resource, algorithm="PS256"))).status_code == 200


async def test_an_issuer_that_is_down_lets_nobody_in_and_says_so(world: Any) -> None:
    async with world() as here:
        here.issuer.down = True
        for token in (here.issuer.token(here.resource), "opaque"):
            answer = await here.call(token)
            assert answer.status_code == 503
            assert 1 <= int(answer.headers["retry-after"]) <= 5
            assert here.issuer.url in answer.json()["error"]
        # the second waited for no answer of its own
        assert len(here.issuer.asked) == 2


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "http://127.0.0.1:1"},
        {"jwks_uri": "ftp://127.0.0.1/jwks"},
        {"jwks_uri": 7},
        {"jwks_uri": "http://127.0.0.1:1/jwks"},
        {"jwks_uri": "https://["},
    ],
)
async def test_metadata_that_cannot_be_used_is_no_let_in(world: Any, metadata: dict[str, Any]) -> None:
    async with world() as here:
        here.issuer.metadata = metadata
        assert (await here.call(here.issuer.token(here.resource))).status_code == 503


async def test_a_token_without_the_scopes_that_are_asked_for_is_refused(world: Any) -> None:
    async with world(oauth_scopes="posthog:use posthog:more") as here:
        description = await here.wire.get(f"{here.url}/.well-known/oauth-protected-resource")
        assert description.json()["scopes_supported"] == ["posthog:use", "posthog:more"]
        for granted in ({}, {"scope": "openid posthog:use"}, {"scp": ["posthog:used"]}, {"scope": 7}):
            answer = await here.call(here.issuer.token(here.resource, **granted))
            assert answer.status_code == 403
            challenge = answer.headers["www-authenticate"]
            assert 'error="insufficient_scope"' in challenge
            assert 'scope="posthog:use posthog:more"' in challenge
            assert "resource_metadata=" in challenge
        for granted in ({"scope": "posthog:more posthog:use"}, {"scp": ["posthog:use", "posthog:more"]}):
            assert (await here.call(here.issuer.token(here.resource, **granted))).status_code == 200


async def test_tokens_of_the_list_and_of_the_issuer_both_let_in(world: Any) -> None:
    async with world(http_tokens="from-the-list") as here:
        assert (await here.call("from-the-list", Host="localhost:9999")).status_code == 200
        assert here.issuer.asked == []
        assert (await here.call(here.issuer.token(here.resource))).status_code == 200
        here.issuer.down = True
        assert (await here.call("from-the-list")).status_code == 200
        assert (await here.call("from-the-lis")).status_code == 401


async def test_a_token_that_says_nothing_is_asked_about_where_no_secret_is_needed(world: Any) -> None:
    async with world() as here:
        here.issuer.metadata = {
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "none"]
        }
        good = here.issuer.claims(here.resource)
        here.issuer.meanings = {
            "good": {"active": True, **good},
            "bare": {"active": True, "aud": [here.resource]},
            "ended": {**good, "active": False},
            "truthy": {**good, "active": "true"},
            "stranger": {"active": True, **good, "iss": "https://evil.example.com"},
            "elsewhere": {"active": True, **good, "aud": "https://other.example.com/mcp"},
            "anywhere": {"active": True, **here.issuer.claims(None)},
            "old": {"active": True, **good, "exp": NOW - 3600},
            "early": {"active": True, **good, "nbf": NOW + 3600},
            "odd": {"active": True, **good, "exp": "soon"},
            "objects": {"active": True, **good, "aud": [{}]},
        }
        status = {name: (await here.call(name)).status_code for name in [*here.issuer.meanings, "unknown"]}
        assert status == {name: 200 if name in ("good", "bare") else 401 for name in status}


async def test_an_issuer_that_does_not_say_what_a_token_means_is_no_let_in(world: Any) -> None:
    async with world() as here:
        nowhere = "http://127.0.0.1:1/introspect"
        here.issuer.metadata = {
            "introspection_endpoint_auth_methods_supported": ["none"],
            "introspection_endpoint": nowhere,
        }
        assert (await here.call("opaque")).status_code == 503


@pytest.mark.parametrize("methods", [None, ["client_secret_basic"], "none", []])
async def test_without_such_an_endpoint_the_token_is_told_to_nobody(world: Any, methods: Any) -> None:
    async with world() as here:
        here.issuer.metadata = {"introspection_endpoint_auth_methods_supported": methods}
        here.issuer.meanings = {"good": {"active": True, **here.issuer.claims(here.resource)}}
        answer = await here.call("good")
        assert answer.status_code == 401
        assert "not a JWT" in answer.json()["error"]
        assert "/introspect" not in here.issuer.asked


@pytest.mark.parametrize("issuer", ["https://id.example.com/tenant", "http://localhost:9/", "http://[::1]:9"])
def test_an_address_others_reach_may_be_guarded_by_an_issuer(
    settings: Callable[..., Settings], issuer: str
) -> None:
    check_address(settings(oauth_issuer=issuer), "203.0.113.7")


@pytest.mark.parametrize(
    "issuer", ["http://id.example.com", "https://id.example.com?a=b", "https://id.example.com/#a"]
)
def test_an_issuer_that_others_can_play_stops_the_start(
    settings: Callable[..., Settings], issuer: str
) -> None:
    with pytest.raises(SettingsError, match="POSTHOG_MCP_OAUTH_ISSUER"):
        check_address(settings(oauth_issuer=issuer, http_tokens="a-token"), "127.0.0.1")
