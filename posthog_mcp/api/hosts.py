"""From one setting to the two hosts of a PostHog: one for events and flags, one for the rest of the API."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from posthog_mcp.api.errors import WrongHost

_CLOUD = re.compile(r"(app|us|eu)\.posthog\.com|(us|eu)\.i\.posthog\.com")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?\.?")
# names that resolve on one's own machine or network only
_LOCAL_SUFFIXES = (
    ".localhost",
    ".local",
    ".internal",
    ".lan",
    ".home.arpa",
    ".test",
    ".svc",
    ".cluster.local",
)
_EXAMPLES = "us, eu, or the address of your PostHog such as https://posthog.example.com"


@dataclass(frozen=True)
class Hosts:
    """Where a PostHog is asked; both are origins without a trailing slash.

    Attributes:
        public: Takes events, evaluates flags, serves flag definitions.
        private: Serves the rest of the API and the app itself.
    """

    public: str
    private: str

    @classmethod
    def of(cls, setting: str) -> "Hosts":
        """Derive both hosts from `us`, `eu`, a name or a URL; blank means US Cloud.

        The app hosts and the ingestion hosts of PostHog Cloud are understood; anything else is one origin
        for everything, as in a PostHog of one's own.

        Raises:
            WrongHost: The setting is no http(s) origin, or it would send keys in clear over the internet.
        """
        text = setting.strip().rstrip("/")
        if text.lower() in {"", "us", "eu"}:
            return cls._cloud("eu" if text.lower() == "eu" else "us")
        origin = _origin(text)
        cloud = _CLOUD.fullmatch(origin.removeprefix("https://"))
        if cloud:
            return cls._cloud("eu" if "eu" in cloud.groups() else "us")
        return cls(public=origin, private=origin)

    @classmethod
    def _cloud(cls, region: Literal["us", "eu"]) -> "Hosts":
        return cls(public=f"https://{region}.i.posthog.com", private=f"https://{region}.posthog.com")

    @property
    def region(self) -> Literal["us", "eu"] | None:
        """The region of PostHog Cloud, or None for any other PostHog."""
        if self.private == "https://us.posthog.com":
            return "us"
        return "eu" if self.private == "https://eu.posthog.com" else None


def same_origin(url: str, origin: str) -> bool:
    """Whether a URL stays on an origin of ours: same scheme, host and port, no user information."""
    try:
        parts, ours = urlsplit(url), urlsplit(origin)
        return (parts.scheme, parts.hostname, _port(parts)) == (ours.scheme, ours.hostname, _port(ours)) and (
            "@" not in parts.netloc
        )
    except ValueError:
        return False


def _origin(text: str) -> str:
    if not text.isascii() or re.search(r"[\s\\]", text) or not text.isprintable():
        raise _wrong(text, "It holds characters that no host has.")
    if text.endswith(":"):
        raise _wrong(text, "It names no host.")
    if "://" not in text:
        text = ("http://" if _is_local(re.split(r"[:/?#]", text)[0].lower()) else "https://") + text
    try:
        parts = urlsplit(text)
        port = _port(parts)
    except ValueError:
        raise _wrong(text, "It is not a URL.") from None
    name = (parts.hostname or "").lower()
    if "@" in parts.netloc:
        raise WrongHost(
            "POSTHOG_HOST cannot be used.", "It holds a user name or password.", f"Set it to {_EXAMPLES}."
        )
    if parts.scheme not in {"http", "https"}:
        raise _wrong(text, "Only http and https are spoken.")
    if parts.path or parts.query or parts.fragment or text[-1] in "?#":
        raise _wrong(text, "Only the origin belongs there, without a path, a query or a fragment.")
    if not (_NAME.fullmatch(name) and ".." not in name) and not _address(name):
        raise _wrong(text, "It names no host.")
    if parts.scheme == "http" and not _is_local(name):
        raise _wrong(text, "Over plain http your keys would cross the internet in clear; use https.")
    shown = f"[{name}]" if ":" in name else name
    default = 443 if parts.scheme == "https" else 80
    return f"{parts.scheme}://{shown}" + ("" if port == default else f":{port}")


def _port(parts: SplitResult) -> int:
    port = parts.port
    if port is None:
        return 443 if parts.scheme == "https" else 80
    if not port:
        raise ValueError("port 0")
    return port


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _is_local(name: str) -> bool:
    """Whether a host is on this machine or on a private network, where plain http is the custom."""
    address = _address(name)
    if address is not None:
        return address.is_loopback or address.is_private or address.is_link_local
    # a name without a dot is one of a container network or of the local domain
    return "." not in name or name.endswith(_LOCAL_SUFFIXES)


def _wrong(text: str, why: str) -> WrongHost:
    shown = text if len(text) <= 100 else text[:100] + "…"  # noqa: PLR2004 - a line of an error
    return WrongHost(f"POSTHOG_HOST cannot be used: {shown!r}.", why, f"Set it to {_EXAMPLES}.")
