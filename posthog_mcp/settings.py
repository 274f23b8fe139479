"""What a start of posthog-mcp was told: the environment and the command line, checked once, then frozen.

Nothing else reads the environment. Keys are only carried here, never judged: a missing or wrong key must not
keep the server from answering its handshake, so `api.keys` judges them at the call that needs one.
"""

import difflib
import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, SecretStr

PREFIX = "POSTHOG_MCP_"

AREAS = (
    "events",
    "flags",
    "experiments",
    "annotations",
    "query",
    "insights",
    "persons",
    "surveys",
    "errors",
    "replay",
    "ai",
    "web",
    "project",
    "api",
)
LIMIT_CLASSES = ("crud", "analytics", "query", "values", "definitions")

_UNEXPANDED = re.compile(r"^\$\{.*\}$", re.DOTALL)
_RATE = re.compile(r"(\d{1,9})/(\d{1,9}(?:\.\d{1,3})?)([smh])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}


class Access(StrEnum):
    """How far a server may go: only look, also change what can be taken back, or everything."""

    READ = "read"
    WRITE = "write"
    FULL = "full"


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


class Rate(NamedTuple):
    """At most `permits` requests of one limit class within any `seconds`."""

    limit_class: str
    permits: int
    seconds: float


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
        flag_poll_seconds: Age at which flag definitions are fetched again.
        call_seconds: Time a whole tool call may take.
        limits: Rates that replace the known ones of their class.
        proxy: Proxy for calls to PostHog; proxy variables of the system are not read.
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
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    flag_poll_seconds: float = 300.0
    call_seconds: float = 45.0
    limits: tuple[Rate, ...] = ()
    limit_scope: LimitScope = LimitScope.ORGANIZATION
    outbox: OutboxPlace = OutboxPlace.DISK
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


def parse_limits(text: str) -> tuple[Rate, ...]:
    """Read `crud=480/60s,4800/3600s;query=240/60s` (units s, m, h).

    Raises:
        ValueError: It says what does not fit.
    """
    rates: list[Rate] = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        limit_class, equals, listed = (piece.strip() for piece in part.partition("="))
        if not equals or limit_class not in LIMIT_CLASSES:
            raise ValueError(
                f"{part!r} must start with one of {', '.join(LIMIT_CLASSES)} and an equals sign, "
                "as in crud=480/60s,4800/3600s"
            )
        for rate in listed.split(","):
            match = _RATE.fullmatch(rate.strip())
            if match is None or not int(match[1]) or not float(match[2]):
                raise ValueError(f"{rate.strip()!r} must be permits and window above zero, as in 480/60s")
            rates.append(Rate(limit_class, int(match[1]), float(match[2]) * _UNIT_SECONDS[match[3]]))
    return tuple(rates)


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


def _one_of(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    def parse(text: str) -> StrEnum:
        try:
            return kind(text.strip().lower())
        except ValueError:
            raise ValueError(f"valid are {', '.join(kind)}") from None

    return parse


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise ValueError(f"valid are numbers of seconds from {least:g} to {most:g}")
        return value

    return parse


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError("valid are true and false")


def _project(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text) or not int(text):
        raise ValueError("valid is a project's number, as in https://us.posthog.com/project/12345")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in re.split(r"[,\s]+", text) if name))


def _areas(text: str) -> tuple[str, ...]:
    names = _names(text.lower())
    valid = (*AREAS, "all")
    for name in names:
        if name not in valid:
            near = difflib.get_close_matches(name, valid, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"there is no area {name!r}{hint}; valid are {', '.join(valid)}")
    return names


def _tools(text: str) -> tuple[str, ...]:
    names = _names(text)
    for name in names:
        if not re.fullmatch(r"[+-][a-z][a-z0-9_]*", name):
            raise ValueError(f"{name!r} must be +name to add a tool or -name to take it out")
    return names


def _directory(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_absolute():
        # the working directory of a server that a desktop application starts is / or undefined
        raise ValueError("valid is an absolute path")
    return path


def _file(text: str) -> Path:
    path = _directory(text)
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        scheme, separator, rest = text.partition("://")
        if not separator or not rest or scheme.lower() not in schemes:
            raise ValueError(f"valid are URLs that start with {' or '.join(s + '://' for s in schemes)}")
        return text

    return parse


def _secret_url(*schemes: str) -> Callable[[str], SecretStr]:
    return lambda text: SecretStr(_url(*schemes)(text))


def _secrets(text: str) -> tuple[SecretStr, ...]:
    return tuple(SecretStr(name) for name in _names(text))


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
    Variable("POSTHOG_PROJECT_ID", "project_id", _project, "project of tools that were given none"),
    Variable(PREFIX + "PROJECT", "pinned_project_id", _project, "the only project of this server"),
    Variable(PREFIX + "ACCESS", "access", _one_of(Access), "read, write (default) or full"),
    Variable(PREFIX + "AREAS", "areas", _areas, "areas of tools, comma-separated, or all"),
    Variable(PREFIX + "TOOLS", "tools", _tools, "single tools: +name,-name"),
    Variable(PREFIX + "DATA_DIR", "data_dir", _directory, "directory for all state"),
    Variable(
        PREFIX + "REDIS_URL",
        "redis_url",
        _secret_url("redis", "rediss", "unix"),
        "Redis or Valkey shared by several machines",
        secret=True,
    ),
    Variable(
        PREFIX + "HTTP_TOKENS",
        "http_tokens",
        _secrets,
        "tokens of callers over HTTP, commas between",
        secret=True,
    ),
    Variable(PREFIX + "OAUTH_ISSUER", "oauth_issuer", _url("https", "http"), "issuer of callers' tokens"),
    Variable(PREFIX + "ALLOWED_HOSTS", "allowed_hosts", _names, "Host headers taken over HTTP"),
    Variable(PREFIX + "ALLOWED_ORIGINS", "allowed_origins", _names, "Origin headers taken over HTTP"),
    Variable(
        PREFIX + "FLAG_POLL_SECONDS",
        "flag_poll_seconds",
        _seconds(1, 86_400),
        "age at which flag definitions are fetched again (300)",
    ),
    Variable(PREFIX + "CALL_SECONDS", "call_seconds", _seconds(1, 600), "time of a whole tool call (45)"),
    Variable(PREFIX + "LIMITS", "limits", parse_limits, "rates: crud=480/60s,4800/3600s;query=240/60s"),
    Variable(
        PREFIX + "LIMIT_SCOPE", "limit_scope", _one_of(LimitScope), "host, organization (default) or key"
    ),
    Variable(PREFIX + "OUTBOX", "outbox", _one_of(OutboxPlace), "disk (default) or memory"),
    Variable(
        PREFIX + "PROXY",
        "proxy",
        _secret_url("http", "https"),
        "HTTP proxy for calls to PostHog",
        secret=True,
    ),
    Variable(PREFIX + "CA_FILE", "ca_file", _file, "PEM file of certificate authorities to trust"),
    Variable(PREFIX + "MASK_PII", "mask_pii", _boolean, "hide personal data in results (false)"),
    Variable(
        PREFIX + "UNATTENDED_DELETES",
        "unattended_deletes",
        _boolean,
        "delete without asking where a client cannot ask (false)",
    ),
    Variable(PREFIX + "LOG_LEVEL", "log_level", _one_of(LogLevel), "debug, info, warning (default), error"),
)
