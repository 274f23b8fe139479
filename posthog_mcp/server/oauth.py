"""OAuth for callers over HTTP: this server is a protected resource, an issuer elsewhere gives out the tokens.

The SDK's middleware wants one fixed URL of the resource and answers 401 to whatever its verifier cannot tell.
Here the URL follows from the host that was asked, and an issuer that is down is 503: a client that is told
401 would send its person to log in again.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, cast

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from posthog_mcp.api.transport import Transport
from posthog_mcp.server.issuer import Issuer, RefusedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from starlette.requests import Request
    from starlette.types import Scope

    from posthog_mcp.settings import Settings

WELL_KNOWN = "/.well-known/oauth-protected-resource"
_MOST_BYTES = 1024 * 1024  # of metadata or keys

_log = logging.getLogger(__name__)


def protected(settings: Settings, hosts: Collection[str], paths: Sequence[str]) -> ProtectedResource | None:
    """The service as the settings protect it; None where they name no issuer."""
    if not settings.oauth_issuer:
        return None
    transport = Transport(
        proxy=settings.proxy.get_secret_value() if settings.proxy else "",
        ca_file=settings.ca_file,
        max_answer_bytes=_MOST_BYTES,
    )
    issuer = Issuer(settings.oauth_issuer, transport)
    return ProtectedResource(issuer, hosts, paths=paths, scopes=settings.oauth_scopes)


class ProtectedResource:
    """This service as OAuth knows it, under every host and port it is known by.

    A token counts only for the host that was asked, so that one for another service of the same issuer is
    worth nothing here; therefore any port will not do, as it does for the check of the Host header.

    Args:
        issuer: Who gives out the tokens.
        hosts: What callers may know the service by: a name with a port, or without one for 80, 443 and the
            port it listens at.
        paths: Where MCP is spoken; the first is the one that is told where none is asked for.
        scopes: What a token has to allow.
    """

    def __init__(
        self, issuer: Issuer, hosts: Collection[str], *, paths: Sequence[str], scopes: Collection[str] = ()
    ) -> None:
        self.issuer = issuer
        self.open_paths = [WELL_KNOWN, *(WELL_KNOWN + path for path in paths)]
        self._hosts = hosts
        self._paths = paths
        self._scopes = scopes

    def routes(self) -> list[Route]:
        """The metadata of RFC 9728, for the service and for each path."""
        return [Route(path, self._described, methods=["GET"]) for path in self.open_paths]

    async def refusal(self, scope: Scope, token: str) -> Response | None:
        """The answer to a request whose token (empty: none came) does not let it in, else None.

        Whoever is let in is noted in the scope, which ties an SSE session to its caller.
        """
        host = self._host(scope)
        if host is None:
            return _misdirected()
        path = self._path(scope)
        challenge = {
            "realm": "posthog-mcp",
            "resource_metadata": f"{_scheme(scope)}://{host}{WELL_KNOWN}{path}",
        }
        if self._scopes:
            challenge["scope"] = " ".join(self._scopes)
        todo = f"Get a token for {_scheme(scope)}://{host}{path} from {self.issuer.url}"
        if not token:
            return _refused(401, "No access token came with the request.", todo, challenge)
        try:
            claims = await self.issuer.claims(token, self._audiences(host))
        except RefusedError as error:
            challenge |= {"error": "invalid_token", "error_description": str(error)}
            return _refused(401, f"The access token was refused. {error}", todo, challenge)
        except UnreachableError as error:
            if str(error):
                _log.warning("A token of %s cannot be checked: %s.", self.issuer.url, error)
            return self._later()
        granted = _granted(claims)
        missing = " ".join(name for name in self._scopes if name not in granted)
        if missing:
            challenge |= {"error": "insufficient_scope", "error_description": f"It lacks {missing}."}
            return _refused(403, f"The access token does not suffice. It lacks {missing}.", todo, challenge)
        scope["user"] = AuthenticatedUser(_caller(claims, granted))
        return None

    async def _described(self, request: Request) -> Response:
        host = self._host(request.scope)
        if host is None:
            return _misdirected()
        path = request.scope["path"].removeprefix(WELL_KNOWN) or self._paths[0]
        metadata: dict[str, Any] = {
            "resource": f"{_scheme(request.scope)}://{host}{path}",
            "authorization_servers": [self.issuer.url],
            "bearer_methods_supported": ["header"],
            "resource_name": "posthog-mcp",
        }
        if self._scopes:
            metadata["scopes_supported"] = list(self._scopes)
        # what it says depends on header fields, which caches do not look at
        return JSONResponse(metadata, headers={"Cache-Control": "no-store"})

    def _host(self, scope: Scope) -> str | None:
        """The host and port that were asked, when the service is known by them."""
        asked = Headers(scope=scope).get("host", "").lower()
        for usual in (":443", ":80"):
            asked = asked.removesuffix(usual)
        own_port = (scope.get("server") or ("", None))[1]
        for name in self._hosts:
            bare = name.endswith("]") or ":" not in name
            if asked == name.lower() or (bare and asked == f"{name.lower()}:{own_port}"):
                return asked
        return None

    def _path(self, scope: Scope) -> str:
        """Where whoever sent the request speaks MCP."""
        older = scope["path"].startswith(("/sse", "/messages/"))
        return "/sse" if older and "/sse" in self._paths else self._paths[0]

    def _audiences(self, host: str) -> list[str]:
        # a proxy that ends TLS need not say so
        return [f"{scheme}://{host}{path}" for scheme in ("https", "http") for path in self._paths]

    def _later(self) -> Response:
        wait = math.ceil(self.issuer.pause_seconds) or 1
        sentence = (
            f"The access token cannot be checked. The issuer {self.issuer.url} does not tell what is needed. "
            f"Try again in {wait} s."
        )
        return JSONResponse({"error": sentence}, status_code=503, headers={"Retry-After": str(wait)})


def _refused(status: int, why: str, todo: str, challenge: Mapping[str, str]) -> Response:
    fields = ", ".join(f'{name}="{value}"' for name, value in challenge.items())
    return JSONResponse(
        {"error": f"{why} {todo} and send it as Authorization: Bearer …"},
        status_code=status,
        headers={"WWW-Authenticate": f"Bearer {fields}"},
    )


def _misdirected() -> Response:
    sentence = (
        "Access tokens cannot be judged here. The host and port of this request are none that the server is "
        "known by. Add them to POSTHOG_MCP_ALLOWED_HOSTS, as callers write them."
    )
    return JSONResponse({"error": sentence}, status_code=421)


def _scheme(scope: Scope) -> str:
    """The scheme of the URL that was asked. Whoever lies about it only deceives themselves."""
    told = Headers(scope=scope).get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return told if told in ("http", "https") else scope["scheme"]


def _granted(claims: Mapping[str, Any]) -> list[str]:
    """`scope` of RFC 9068 and RFC 7662, `scp` of some issuers; as one text or as a list."""
    given: Any = claims.get("scope", claims.get("scp", ""))
    return [str(name) for name in cast("list[Any]", given)] if isinstance(given, list) else str(given).split()


def _caller(claims: Mapping[str, Any], granted: list[str]) -> AccessToken:
    subject = claims.get("sub")
    return AccessToken(
        token="",  # what is not kept cannot leak
        client_id=str(claims.get("client_id", claims.get("azp", ""))),
        scopes=granted,
        subject=None if subject is None else str(subject),
        claims={"iss": claims.get("iss")},
    )
