"""The authorization server that gives out callers' tokens: what it publishes, and which tokens are its own.

Nothing is asked before the first token comes. A token is looked at here and let go: no log sees it, and only
the issuer itself is ever asked about one.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode, urlsplit

import anyio
import jwt

from posthog_mcp.api.json_text import parse
from posthog_mcp.api.transport import Transport, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

ALGORITHMS = {
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA",
    "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
    "ES256": "EC", "ES384": "EC", "ES512": "EC",
    "EdDSA": "OKP",
}  # fmt: skip
"""Signatures that only the holder of a private key can make, and the kind of that key."""

LEEWAY_SECONDS = 30  # between the issuer's clock and ours
FRESH_SECONDS = 600.0  # then the keys are fetched again
USABLE_SECONDS = 86_400.0  # so long the last keys hold while the issuer cannot be asked
PAUSE_SECONDS = 60.0  # between two fetches, whatever callers present
RETRY_SECONDS = 5.0  # the same while there are no keys at all
ANSWER_SECONDS = 5.0  # for one answer of the issuer
FETCH_SECONDS = 10.0  # for all answers of one fetch

_log = logging.getLogger(__name__)


class RefusedError(Exception):
    """A token that lets nobody in; the text says why, in ASCII and without the token."""


class UnreachableError(Exception):
    """The issuer did not say what is needed to judge a token; the text is for the log."""


class Issuer:
    """What an authorization server publishes, and whether a token is one of its own.

    Args:
        url: Its name, exactly as in `iss`.
        transport: The way to it.
        clock: Seconds that only grow.
    """

    def __init__(
        self, url: str, transport: Transport, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.url = url
        self._transport = transport
        self._clock = clock
        self._fetching = anyio.Lock()
        self._metadata: Mapping[str, Any] | None = None
        self._keys: Sequence[Mapping[str, Any]] = ()
        self._fetched_at = 0.0
        self._next_fetch_at = 0.0
        self._failed = False

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    @property
    def pause_seconds(self) -> float:
        """How long nothing will be fetched."""
        return max(0.0, self._next_fetch_at - self._clock())

    async def claims(self, token: str, audiences: Collection[str]) -> Mapping[str, Any]:
        """The claims of a token that this issuer gave out for one of the audiences and that is valid now.

        Raises:
            RefusedError: It is not such a token.
            UnreachableError: That cannot be told now.
        """
        header = _header(token)
        if header is None:
            return await self._introspected(token, audiences)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise RefusedError("It is not signed with a private key.")
        await self._learn(lambda: bool(self._fitting(header)))
        for key in self._fitting(header):
            try:
                return self._verified(token, jwt.PyJWK(dict(key), algorithm), audiences)
            except (jwt.InvalidSignatureError, jwt.InvalidKeyError, jwt.PyJWKError):
                continue
        raise RefusedError("No key that the issuer publishes fits its signature.")

    def _verified(self, token: str, key: jwt.PyJWK, audiences: Collection[str]) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=list(audiences),
                issuer=self.url,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
            )
        except jwt.InvalidSignatureError:
            raise
        except jwt.ExpiredSignatureError:
            raise RefusedError("It has expired.") from None
        except jwt.ImmatureSignatureError:
            raise RefusedError("It is not valid yet.") from None
        except jwt.InvalidIssuerError:
            raise RefusedError("It is from another issuer.") from None
        except jwt.InvalidAudienceError:
            raise RefusedError("It is for another resource.") from None
        except jwt.MissingRequiredClaimError as error:
            raise RefusedError(f"It has no claim {error.claim}.") from None
        except (jwt.InvalidTokenError, ValueError, OverflowError, RecursionError):
            raise RefusedError("Its claims cannot be read.") from None

    def _fitting(self, header: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        algorithm, kid = header["alg"], header.get("kid")
        return [
            key
            for key in self._keys
            if key.get("kty") == ALGORITHMS[algorithm]
            and key.get("alg", algorithm) == algorithm
            and key.get("use", "sig") == "sig"
            and kid in (None, key.get("kid"))
        ]

    async def _introspected(self, token: str, audiences: Collection[str]) -> Mapping[str, Any]:
        """Ask the issuer about a token that says nothing itself (RFC 7662), where it asks for no secret."""
        await self._learn(lambda: True)
        metadata = self._metadata or {}
        methods = metadata.get("introspection_endpoint_auth_methods_supported")
        if not isinstance(methods, list) or "none" not in methods:
            raise RefusedError(
                "It is not a JWT, and the issuer tells nobody without a secret what others mean."
            )
        claims = await self._asked(
            "POST", metadata.get("introspection_endpoint"), urlencode({"token": token}).encode()
        )
        named: Any = claims.get("aud")
        listed = cast("list[Any]", named) if isinstance(named, list) else [named]
        now = time.time()
        if claims.get("active") is not True or claims.get("iss", self.url) != self.url:
            raise RefusedError("The issuer does not know it, or no longer.")
        if not any(audience in listed for audience in audiences):
            raise RefusedError("It is for another resource.")
        if not _seconds(claims.get("nbf", 0)) - LEEWAY_SECONDS <= now:
            raise RefusedError("It is not valid yet.")
        if not now < _seconds(claims.get("exp", now + 1)) + LEEWAY_SECONDS:
            raise RefusedError("It has expired.")
        return claims

    async def _learn(self, enough: Callable[[], bool]) -> None:
        """Fetch what the issuer publishes when it is unknown, old or not enough; seldom, and once for all."""
        if self._age() < FRESH_SECONDS and enough():
            return
        async with self._fetching:
            wanted = self._age() >= FRESH_SECONDS or not enough()
            if wanted and self._clock() >= self._next_fetch_at:
                await self._fetch()
            if self._age() >= USABLE_SECONDS or (self._failed and not enough()):
                raise UnreachableError

    def _age(self) -> float:
        return float("inf") if self._metadata is None else self._clock() - self._fetched_at

    async def _fetch(self) -> None:
        try:
            with anyio.fail_after(FETCH_SECONDS):
                metadata = await self._discovered()
                # an issuer of tokens that say nothing themselves has no keys
                keys = await self._published(metadata["jwks_uri"]) if "jwks_uri" in metadata else []
        except (UnreachableError, TimeoutError) as error:
            self._failed = True
            _log.warning(
                "Tokens of %s cannot be checked: %s.", self.url, str(error) or "it answers too slowly"
            )
        else:
            self._failed = False
            self._metadata, self._fetched_at = metadata, self._clock()
            self._keys = keys
        self._next_fetch_at = self._clock() + (PAUSE_SECONDS if self._metadata else RETRY_SECONDS)

    async def _published(self, url: Any) -> list[Mapping[str, Any]]:
        keys: Any = (await self._asked("GET", url)).get("keys")
        if not isinstance(keys, list):
            raise UnreachableError(f"{url} lists no keys")
        return [key for key in cast("list[Any]", keys) if isinstance(key, dict)]

    async def _discovered(self) -> Mapping[str, Any]:
        """The issuer's metadata, by RFC 8414 or OpenID Connect Discovery."""
        parts = urlsplit(self.url)
        origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        places = [
            f"{origin}/.well-known/oauth-authorization-server{path}",
            f"{origin}/.well-known/openid-configuration{path}",
            f"{origin}{path}/.well-known/openid-configuration",
        ]
        problems: list[str] = []
        for place in dict.fromkeys(places):
            try:
                metadata = await self._asked("GET", place)
            except UnreachableError as error:
                problems.append(str(error))
                continue
            if metadata.get("issuer") == self.url:
                return metadata
            problems.append(f"{place} describes the issuer {metadata.get('issuer')!r}")
        raise UnreachableError("; ".join(problems))

    async def _asked(self, method: str, url: Any, form: bytes | None = None) -> dict[str, Any]:
        """The JSON object at one of the issuer's URLs."""
        # keys that came in the clear may be anybody's
        if not isinstance(url, str) or not url.startswith(("https://", f"{urlsplit(self.url).scheme}://")):
            raise UnreachableError(f"its metadata names {url!r} where an https URL belongs")
        headers = {"Accept": "application/json"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            with anyio.fail_after(ANSWER_SECONDS):
                answer = await self._transport.send(
                    method, url, headers=headers, content=form, read_seconds=ANSWER_SECONDS
                )
        except TransportError as error:
            raise UnreachableError(f"{url} gave no answer ({error.kind})") from None
        except TimeoutError:
            raise UnreachableError(f"{url} gave no answer in {ANSWER_SECONDS:g} s") from None
        try:
            value = await parse(answer.body)
        except (ValueError, RecursionError):
            value = None
        if answer.status != 200 or not isinstance(value, dict):  # noqa: PLR2004 - OK
            raise UnreachableError(f"{url} answered {answer.status} where a JSON object belongs")
        return cast("dict[str, Any]", value)


def _header(token: str) -> Mapping[str, Any] | None:
    """The header of a JWT, unverified; None for a token of another kind."""
    try:
        return jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return None


def _seconds(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise RefusedError("Its claims cannot be read.") from None
