"""PostHog's kinds of key, told apart by their prefix, and the choice of the one a call needs."""

import re
from dataclasses import dataclass
from enum import StrEnum

from pydantic import SecretStr

from posthog_mcp.api.errors import WrongKey
from posthog_mcp.api.hosts import Hosts


class KeyType(StrEnum):
    """A kind of key; the value is its name in sentences."""

    PROJECT = "project token"
    PERSONAL = "personal API key"
    SECRET = "project secret key"  # noqa: S105 - a name, not a secret
    OAUTH = "OAuth access token"
    REFRESH = "OAuth refresh token"
    UNPREFIXED = "key without a prefix"


_PREFIXES = {
    "phc_": KeyType.PROJECT,
    "phx_": KeyType.PERSONAL,
    "phs_": KeyType.SECRET,
    "pha_": KeyType.OAUTH,
    "phr_": KeyType.REFRESH,
}
_SHAPE = re.compile(r"[\x21-\x7e]{1,512}")


@dataclass(frozen=True)
class _Slot:
    """Where one kind of key is configured and made."""

    variable: str
    prefix: str
    page: str
    made: str


_SLOTS = {
    KeyType.PROJECT: _Slot("POSTHOG_API_KEY", "phc_", "/settings/project", "Copy the project token from"),
    KeyType.PERSONAL: _Slot("POSTHOG_PERSONAL_API_KEY", "phx_", "/settings/user-api-keys", "Create one at"),
    KeyType.SECRET: _Slot(
        "POSTHOG_PROJECT_SECRET_KEY", "phs_", "/settings/project-feature-flags", "Create one at"
    ),
}


def key_type(key: str) -> KeyType:
    """The kind of a key by its prefix; old personal keys and old project tokens have none."""
    return _PREFIXES.get(key[:4], KeyType.UNPREFIXED)


@dataclass(frozen=True)
class Keys:
    """The configured keys, one for each kind; printing them shows none."""

    project: SecretStr | None = None
    personal: SecretStr | None = None
    secret: SecretStr | None = None

    def choose(self, wanted: tuple[KeyType, ...], call: str, scopes: tuple[str, ...], hosts: Hosts) -> str:
        """The key a call is made with.

        Args:
            wanted: Kinds the endpoint takes, the preferred first.
            call: The call in words, for the error.
            scopes: Scopes a personal key needs for it.
            hosts: Where a key would be made.

        Raises:
            WrongKey: None of the configured keys will do; nothing has been sent.
        """
        unfit = ""
        for kind in wanted:
            given = self._given(kind)
            if given is None:
                continue
            why = _misfit(given, kind, wanted)
            if not why:
                return given
            unfit = unfit or why
        raise _wrong(wanted, call, unfit or self._missing(wanted), scopes, hosts)

    def _missing(self, wanted: tuple[KeyType, ...]) -> str:
        variables = [_SLOTS[kind].variable for kind in wanted if kind in _SLOTS]
        for kind, slot in _SLOTS.items():
            given = self._given(kind) or ""
            right = key_variable(key_type(given))
            if kind not in wanted and key_type(given) in wanted:
                return f"{slot.variable} holds {_a(key_type(given))}, which belongs in {right}."
        return f"{' and '.join(variables)} {'is' if len(variables) == 1 else 'are'} not set."

    def _given(self, kind: KeyType) -> str | None:
        held = {
            KeyType.PROJECT: self.project,
            KeyType.PERSONAL: self.personal,
            KeyType.SECRET: self.secret,
        }.get(kind)
        return held.get_secret_value() if held else None


def key_page(kind: KeyType, hosts: Hosts) -> str:
    """The page of PostHog where keys of that kind are made and checked."""
    slot = _SLOTS.get(kind, _SLOTS[KeyType.PERSONAL])
    return hosts.private + slot.page


def key_variable(kind: KeyType) -> str:
    """The environment variable that holds keys of that kind."""
    return _SLOTS.get(kind, _SLOTS[KeyType.PERSONAL]).variable


def _misfit(key: str, kind: KeyType, wanted: tuple[KeyType, ...]) -> str:
    """Why a configured key will not do, or an empty text."""
    slot, given = _SLOTS[kind], key_type(key)
    if not _SHAPE.fullmatch(key):
        return f"{slot.variable} holds blanks or characters that no key of PostHog has."
    if given is KeyType.UNPREFIXED:
        if kind is not KeyType.SECRET:
            return ""
        return f"{slot.variable} holds a key that does not start with {slot.prefix}."
    # an OAuth token sits where a personal key would
    if given is kind or (kind is KeyType.PERSONAL and given is KeyType.OAUTH and given in wanted):
        return ""
    return f"{slot.variable} holds {_a(given)} ({key[:4]}…), which this call does not take."


def _a(kind: KeyType) -> str:
    return f"{'an' if kind.startswith('O') else 'a'} {kind}"


def _wrong(
    wanted: tuple[KeyType, ...], call: str, why: str, scopes: tuple[str, ...], hosts: Hosts
) -> WrongKey:
    kind = wanted[0]
    slot = _SLOTS[kind]
    others = [f"a {other} ({_SLOTS[other].prefix}…)" for other in wanted if other in _SLOTS]
    scope = f" with the scope {' and '.join(scopes)}" if scopes and kind is KeyType.PERSONAL else ""
    return WrongKey(
        f"{call} needs {' or '.join(others)}.",
        why,
        f"{slot.made} {key_page(kind, hosts)}{scope} and set it as {slot.variable}.",
        variable=slot.variable,
    )
