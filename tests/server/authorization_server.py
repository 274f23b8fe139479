"""A real authorization server, small: discovery, registration, PKCE, signed tokens, introspection."""

import base64
import contextlib
import hashlib
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import anyio
import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

RSA_KEYS = {name: rsa.generate_private_key(65537, 2048) for name in ("first", "second")}
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
STARTING_SECONDS = 5


def public(kid: str | None, key: Any, **more: Any) -> dict[str, Any]:
    """The public half of a key as an issuer publishes it."""
    kinds = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    algorithm = next((kinds[kind] for kind in kinds if isinstance(key, kind)), OKPAlgorithm)
    named = {} if kid is None else {"kid": kid}
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), **named, **more}


class AuthorizationServer:
    """Gives out tokens for whatever resource a client names, and counts what it is asked.

    Args:
        url: Its name and address.
        found_at: Where its metadata is; the place of RFC 8414 for a name without a path by default.
    """

    def __init__(self, url: str, found_at: str = "/.well-known/oauth-authorization-server") -> None:
        self.url = url
        self.found_at = found_at
        self.keys: list[Any] = [public("first", RSA_KEYS["first"])]
        self.metadata: dict[str, Any] = {}
        self.meanings: dict[str, dict[str, Any]] = {}
        self.down = False
        self.asked: list[str] = []
        self._waiting: dict[str, dict[str, str]] = {}
        base = urlsplit(url).path.rstrip("/")
        self._app = Starlette(
            routes=[
                Route(found_at, self._describe),
                Route(f"{base}/jwks", self._publish),
                Route(f"{base}/register", self._register, methods=["POST"]),
                Route(f"{base}/authorize", self._authorize),
                Route(f"{base}/token", self._exchange, methods=["POST"]),
                Route(f"{base}/introspect", self._introspect, methods=["POST"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.asked.append(scope["path"])
        app: ASGIApp = Response(status_code=500) if self.down and scope["type"] == "http" else self._app
        await app(scope, receive, send)

    def claims(self, audience: Any, **changes: Any) -> dict[str, Any]:
        """What a token says; a change to None leaves the claim out."""
        now = int(time.time())
        usual = {
            "iss": self.url, "aud": audience, "sub": "ada", "client_id": "a-client",
            "iat": now, "nbf": now, "exp": now + 600, "jti": secrets.token_hex(8),
        }  # fmt: skip
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def token(
        self,
        audience: Any,
        key: Any = RSA_KEYS["first"],
        kid: str | None = "first",
        algorithm: str = "RS256",
        **changes: Any,
    ) -> str:
        """A signed access token."""
        headers = {"typ": "at+jwt", **({} if kid is None else {"kid": kid})}
        return jwt.encode(self.claims(audience, **changes), key, algorithm, headers)

    async def _describe(self, request: Request) -> Response:
        del request
        base = self.url.rstrip("/")
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "registration_endpoint": f"{base}/register",
                "introspection_endpoint": f"{base}/introspect",
                "jwks_uri": f"{base}/jwks",
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
                **self.metadata,
            }
        )

    async def _publish(self, request: Request) -> Response:
        del request
        return JSONResponse({"keys": self.keys})

    async def _register(self, request: Request) -> Response:
        return JSONResponse({**(await request.json()), "client_id": "registered"}, status_code=201)

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        code = secrets.token_urlsafe()
        self._waiting[code] = asked
        answer = urlencode({"code": code, "state": asked["state"], "iss": self.url})
        return RedirectResponse(f"{asked['redirect_uri']}?{answer}", status_code=302)

    async def _exchange(self, request: Request) -> Response:
        form = await request.form()
        asked = self._waiting.pop(str(form["code"]))
        proof = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        if base64.urlsafe_b64encode(proof).rstrip(b"=").decode() != asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        scope = asked.get("scope")
        token = self.token(asked["resource"], client_id=asked["client_id"], scope=scope)
        return JSONResponse(
            {"access_token": token, "token_type": "Bearer", "expires_in": 600, "scope": scope}
        )

    async def _introspect(self, request: Request) -> Response:
        form = await request.form()
        return JSONResponse(self.meanings.get(str(form["token"]), {"active": False}))


def unsigned_part(value: dict[str, Any]) -> str:
    """One part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@contextlib.contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A free port of loopback, and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # else each answer waits 40 ms for an ACK
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def serving(*apps: tuple[ASGIApp, socket.socket]) -> AsyncIterator[None]:
    """Applications, each answering at a port until the end of the block."""
    servers = [_Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)) for app, _ in apps]
    async with anyio.create_task_group() as tasks:
        for server, (_, listener) in zip(servers, apps, strict=True):
            tasks.start_soon(server.serve, [listener])
        with anyio.fail_after(STARTING_SECONDS):
            for server in servers:
                await server.ready.wait()
        yield
        for server in servers:
            server.ending.set()


class _Server(uvicorn.Server):
    """Starts and ends when it is told, without looking around every tenth of a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = anyio.Event()
        self.ending = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.ending.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
