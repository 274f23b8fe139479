"""What a start of posthog-mcp was told: the environment and the command line, checked once, then frozen.

Nothing else reads the environment. Keys are only carried here, never judged: a missing or wrong key must not
keep the server from answering its handshake, so `api.keys` judges them at the call that needs one.
"""

import difflib
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from posthog_mcp import values as read
from posthog_mcp.values import AREAS, LIMIT_CLASSES, Rate, parse_limits

PREFIX = "POSTHOG_MCP_"

_UNEXPANDED = re.compile(r"^\$\{.*\}$", re.DOTALL)


class Access(StrEnum):
    """How far a server may go: only look, also change what can be taken back, or everything."""

    READ = "read"
    WRITE = "write"
    FULL = "full"

    def within(self, granted: "Access") -> bool:
        """Whether a server that was granted so much has this much."""
        levels = tuple(Access)
        return levels.index(self) <= levels.index(granted)


class LimitScope(StrEnum):
    """Whose calls share one budget of requests."""

    HOST = "host"
    ORGANIZATION = "organization"
    KEY = "key"


class OutboxPlace(StrEnum):
    """Where events wait until PostHog has taken them."""

    DISK = "disk"
    MEMORY = "memory"


class LogLevel(StrEnum):
    """The least severe record that reaches standard error."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class SettingsError(ValueError):
    """A start that must not happen: each problem names what was set, the value given and the valid ones."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


class Settings(BaseModel):
    """Everything a start decides. Build it with `load`; every field may also be given there as a flag.

    Attributes:
        project_token: `POSTHOG_API_KEY`, the project's token (phc_): sends events, evaluates flags.
        personal_api_key: `POSTHOG_PERSONAL_API_KEY` (phx_, or pha_ of OAuth): everything private.
        project_secret_key: `POSTHOG_PROJECT_SECRET_KEY` (phs_): flag definitions.
        host: `POSTHOG_HOST` as given; `api.hosts.Hosts.of` judges it. Empty means US Cloud.
        project_id: The project of tools that were given none.
        pinned_project_id: The only project, when the start pinned one.
        areas: Names out of `AREAS`, or `("all",)`; empty means the default catalogue.
        tools: Single tools added (`+name`) to the catalogue or taken out of it (`-name`).
        data_dir: Directory for all state. It is not created here.
        http_tokens: What callers of the HTTP service may present.
        oauth_issuer: Whose access tokens callers may present, exactly as in `iss`.
        oauth_scopes: What those tokens must allow.
        flag_poll_seconds: Age at which flag definitions are fetched again.
        call_seconds: Time a whole tool call may take.
        outbox_events: Events that may wait at most, on disk or in memory.
        limits: Rates that replace the known ones of their class; None: this PostHog has no limits.
        proxy: Proxy for calls to PostHog and to the OAuth issuer; proxy variables of the system are not read.
        ca_file: PEM file of the certificate authorities to trust instead of the system's.
        warnings: Sentences for the log about what was ignored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    project_token: SecretStr | None = None
    personal_api_key: SecretStr | None = None
    project_secret_key: SecretStr | None = None
    host: str = ""
    project_id: int | None = None
    pinned_project_id: int | None = None
    access: Access = Access.WRITE
    areas: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    data_dir: Path
    redis_url: SecretStr | None = None
    http_tokens: tuple[SecretStr, ...] = ()
    oauth_issuer: str | None = None
    oauth_scopes: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    flag_poll_seconds: float = 300.0
    call_seconds: float = 45.0
    limits: tuple[Rate, ...] | None = ()
    limit_scope: LimitScope = LimitScope.ORGANIZATION
    outbox: OutboxPlace = OutboxPlace.DISK
    outbox_events: int = 1_000_000
    proxy: SecretStr | None = None
    ca_file: Path | None = None
    mask_pii: bool = False
    unattended_deletes: bool = False
    log_level: LogLevel = LogLevel.WARNING
    warnings: tuple[str, ...] = Field(default=(), repr=False)

    @classmethod
    def load(cls, env: Mapping[str, str], **flags: object) -> "Settings":
        """Read the variables of design section 4 and let the command line's flags win over them.

        Args:
            env: The environment; `environment()` gives the process's own.
            flags: Field names of this class, as text in the form of the variable or already typed. None
                means not given.

        Raises:
            SettingsError: A value does not fit, or a POSTHOG_MCP_ variable does not exist.
        """
        problems: list[str] = _unknown_variables(env)
        values: dict[str, Any] = {}
        for variable in VARIABLES:
            flag = flags.pop(variable.field, None)
            shown, given = _option(variable.field), flag
            if flag is None:
                shown, given = variable.name, _given(env, variable.name)
            if given is None:
                continue
            try:
                values[variable.field] = variable.parse(given) if isinstance(given, str) else given
            except ValueError as error:
                problems.append(_problem(shown, given, variable, str(error)))
        unknown = sorted(flags)
        if unknown:
            raise TypeError(f"Settings has no field named {', '.join(unknown)}")
        if "data_dir" not in values:
            try:
                values["data_dir"] = default_data_dir(env)
            except RuntimeError as error:
                problems.append(
                    f"{PREFIX}DATA_DIR is not set and {error}: set it to a directory of your own."
                )
        if problems:
            raise SettingsError(problems)
        return cls.model_validate({**values, "warnings": tuple(_warnings(env))})

    def secrets(self) -> tuple[str, ...]:
        """Every secret text of these settings, for `safety.redact`; the write-only project token is none."""
        given = (
            self.personal_api_key,
            self.project_secret_key,
            self.redis_url,
            self.proxy,
            *self.http_tokens,
        )
        return tuple(secret.get_secret_value() for secret in given if secret)


@dataclass(frozen=True)
class Variable:
    """One variable of the environment.

    Attributes:
        name: Its name.
        field: The field of `Settings` it fills; the flag of the same name wins over it.
        parse: Text to value; a ValueError says what is valid.
        about: One line for people, shown in the documentation.
        secret: True when the value must never be shown.
    """

    name: str
    field: str
    parse: Callable[[str], object]
    about: str
    secret: bool = False


def environment() -> dict[str, str]:
    """A copy of the process's environment, the only place of the package that reads it."""
    return dict(os.environ)


def default_data_dir(env: Mapping[str, str], platform: str = sys.platform) -> Path:
    """The directory a user's programs keep state in, by the platform's own rule; it is not created.

    Raises:
        RuntimeError: There is no home directory to put it in.
    """
    if platform == "win32":
        local = env.get("LOCALAPPDATA", "")
        return (Path(local) if local else _home(env) / "AppData" / "Local") / "posthog-mcp"
    if platform == "darwin":
        return _home(env) / "Library" / "Application Support" / "posthog-mcp"
    state = env.get("XDG_STATE_HOME", "")
    # the XDG rule: a relative path is to be ignored
    base = Path(state) if state.startswith("/") else _home(env) / ".local" / "state"
    return base / "posthog-mcp"


def _home(env: Mapping[str, str]) -> Path:
    named = env.get("HOME") or env.get("USERPROFILE")
    return Path(named) if named else Path.home()


def _given(env: Mapping[str, str], name: str) -> str | None:
    """The value of a variable, or None when it is blank or a template nobody filled in."""
    value = env.get(name, "").strip()
    unfilled = "${" in value if name == "POSTHOG_HOST" else _UNEXPANDED.match(value)
    return None if not value or unfilled else value


def _option(field: str) -> str:
    return "--project" if field == "pinned_project_id" else "--" + field.replace("_", "-")


def _problem(shown: str, given: object, variable: Variable, why: str) -> str:
    value = "has a value that cannot be used" if variable.secret else f"is {given!r}"
    return f"{shown} {value}: {why}."


def _unknown_variables(env: Mapping[str, str]) -> list[str]:
    """A misspelt variable may be the one that was to keep the server safe, so it stops the start."""
    known = {variable.name for variable in VARIABLES}
    # compared without the prefix, which would make any two names look alike
    endings = [name.removeprefix(PREFIX) for name in known if name.startswith(PREFIX)]
    problems: list[str] = []
    for name in sorted(env):
        if name.startswith(PREFIX) and name not in known and _given(env, name) is not None:
            near = difflib.get_close_matches(name.removeprefix(PREFIX), endings, n=1)
            hint = (
                f"did you mean {PREFIX}{near[0]}?" if near else f"the names are {', '.join(sorted(known))}."
            )
            problems.append(f"{name} is not a setting of posthog-mcp: {hint}")
    return problems


def _warnings(env: Mapping[str, str]) -> list[str]:
    """What was set but not used: names of PostHog that only look right, templates nobody filled in."""
    plain = [variable.name for variable in VARIABLES if not variable.name.startswith(PREFIX)]
    warnings: list[str] = []
    for name in sorted(env):
        if name.startswith("POSTHOG_") and not name.startswith(PREFIX) and name not in plain:
            near = difflib.get_close_matches(name, plain, n=1, cutoff=0.75)
            if near:
                warnings.append(f"{name} is not read; posthog-mcp reads {near[0]}.")
    if "${" in env.get("POSTHOG_HOST", ""):
        warnings.append(
            "POSTHOG_HOST still holds an unexpanded ${...} and counts as unset: US Cloud is used."
        )
    return warnings


VARIABLES: tuple[Variable, ...] = (
    Variable("POSTHOG_API_KEY", "project_token", SecretStr, "project token, phc_…", secret=True),
    Variable(
        "POSTHOG_PERSONAL_API_KEY", "personal_api_key", SecretStr, "personal API key, phx_…", secret=True
    ),
    Variable(
        "POSTHOG_PROJECT_SECRET_KEY",
        "project_secret_key",
        SecretStr,
        "project secret key, phs_…",
        secret=True,
    ),
    Variable("POSTHOG_HOST", "host", str, "us (default), eu, or the URL of your PostHog"),
    Variable("POSTHOG_PROJECT_ID", "project_id", read.project, "project of tools that were given none"),
    Variable(PREFIX + "PROJECT", "pinned_project_id", read.project, "the only project of this server"),
    Variable(PREFIX + "ACCESS", "access", read.one_of(Access), "read, write (default) or full"),
    Variable(PREFIX + "AREAS", "areas", read.areas, "areas of tools, comma-separated, or all"),
    Variable(PREFIX + "TOOLS", "tools", read.tools, "single tools: +name,-name"),
    Variable(PREFIX + "DATA_DIR", "data_dir", read.directory, "directory for all state"),
    Variable(
        PREFIX + "REDIS_URL",
        "redis_url",
        read.redis_url,
        "Redis or Valkey shared by several machines",
        secret=True,
    ),
    Variable(
        PREFIX + "HTTP_TOKENS",
        "http_tokens",
        read.secrets,
        "tokens of callers over HTTP, commas between",
        secret=True,
    ),
    Variable(
        PREFIX + "OAUTH_ISSUER",
        "oauth_issuer",
        read.url("https", "http"),
        "OAuth issuer of callers' access tokens over HTTP, exactly as in their iss",
    ),
    Variable(PREFIX + "OAUTH_SCOPES", "oauth_scopes", read.names, "scopes that those tokens must have"),
    Variable(PREFIX + "ALLOWED_HOSTS", "allowed_hosts", read.names, "Host headers taken over HTTP"),
    Variable(PREFIX + "ALLOWED_ORIGINS", "allowed_origins", read.names, "Origin headers taken over HTTP"),
    Variable(
        PREFIX + "FLAG_POLL_SECONDS",
        "flag_poll_seconds",
        read.seconds(1, 86_400),
        "age at which flag definitions are fetched again (300)",
    ),
    Variable(PREFIX + "CALL_SECONDS", "call_seconds", read.seconds(1, 600), "time of a whole tool call (45)"),
    Variable(
        PREFIX + "LIMITS", "limits", parse_limits, "rates: crud=480/60s,4800/3600s;query=240/60s; or off"
    ),
    Variable(
        PREFIX + "LIMIT_SCOPE", "limit_scope", read.one_of(LimitScope), "host, organization (default) or key"
    ),
    Variable(PREFIX + "OUTBOX", "outbox", read.one_of(OutboxPlace), "disk (default) or memory"),
    Variable(
        PREFIX + "OUTBOX_EVENTS",
        "outbox_events",
        read.count(100, 100_000_000),
        "events the outbox keeps at most (1000000); more are refused until PostHog takes some",
    ),
    Variable(
        PREFIX + "PROXY",
        "proxy",
        read.secret_url("http", "https"),
        "HTTP proxy for calls to PostHog and to the OAuth issuer",
        secret=True,
    ),
    Variable(PREFIX + "CA_FILE", "ca_file", read.file, "PEM file of certificate authorities to trust"),
    Variable(PREFIX + "MASK_PII", "mask_pii", read.boolean, "hide mail and IP addresses in results (false)"),
    Variable(
        PREFIX + "UNATTENDED_DELETES",
        "unattended_deletes",
        read.boolean,
        "delete without asking where a client cannot ask (false)",
    ),
    Variable(
        PREFIX + "LOG_LEVEL", "log_level", read.one_of(LogLevel), "debug, info, warning (default), error"
    ),
)

__all__ = [
    "AREAS",
    "LIMIT_CLASSES",
    "PREFIX",
    "VARIABLES",
    "Access",
    "LimitScope",
    "LogLevel",
    "OutboxPlace",
    "Rate",
    "Settings",
    "SettingsError",
    "Variable",
    "default_data_dir",
    "environment",
    "parse_limits",
]
