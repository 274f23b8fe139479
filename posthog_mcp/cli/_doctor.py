"""What `posthog-mcp doctor` looks at on this machine: the interpreter, the state on disk, keys, extras."""

from __future__ import annotations

import importlib.util
import platform
import stat
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from posthog_mcp.api.errors import WrongHost, WrongKey
from posthog_mcp.api.hosts import Hosts
from posthog_mcp.api.keys import Keys, KeyType, key_type, key_variable
from posthog_mcp.outbox.outbox import FILE
from posthog_mcp.settings import OutboxPlace, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

    from posthog_mcp.outbox import Outbox, Status

State = Literal["ok", "note", "warning", "broken"]
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_LEAST = (3, 11)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: `broken` when something cannot work, `warning` when it may go wrong, `note` for what is only
            missed by those who want it.
        found: What there is, in words.
        next_step: What to do; empty when nothing is.
    """

    name: str
    state: State
    found: str
    next_step: str = ""


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """The interpreter that runs this."""
    found = f"{'.'.join(map(str, version))} at {sys.executable}, {platform.system()} {platform.machine()}"
    if version >= _LEAST:
        return Check("python", "ok", found)
    return Check("python", "broken", found, "Install posthog-mcp with Python 3.11 or newer.")


def data_dir(path: Path) -> Check:
    """The directory for all state: there or possible, writable, closed to others."""
    if not path.exists():
        home = next(parent for parent in path.parents if parent.exists())
        problem = _unwritable(home)
        if problem:
            return Check("data directory", "broken", f"{path} cannot be made: {problem}", _ELSEWHERE)
        return Check("data directory", "ok", f"{path} will be made when it is first needed.")
    problem = _unwritable(path)
    if problem:
        return Check("data directory", "broken", f"{path} cannot be written: {problem}", _ELSEWHERE)
    if sys.platform == "win32":
        return Check("data directory", "ok", f"{path}, writable.")
    if path.stat().st_mode & _OTHERS_WRITE:
        return Check(
            "data directory", "broken", f"Others can change what is in {path}.", f"Run `chmod 700 {path}`."
        )
    open_files = sorted(
        file.name for file in path.iterdir() if file.is_file() and file.stat().st_mode & _OTHERS
    )
    if open_files:
        return Check(
            "data directory",
            "warning",
            f"Others can read {', '.join(open_files[:5])} in {path}.",
            f"Run `chmod 700 {path}` and `chmod 600` on the files in it.",
        )
    return Check("data directory", "ok", f"{path}, writable, its files for you alone.")


_ELSEWHERE = "Make it writable, or set POSTHOG_MCP_DATA_DIR to a directory of your own."


def _unwritable(path: Path) -> str:
    """Why nothing can be written there, or an empty text."""
    try:
        with tempfile.TemporaryFile(dir=path):
            return ""
    except OSError as error:
        return f"{error.strerror or type(error).__name__}."


def keys(settings: Settings) -> list[Check]:
    """Each kind of key: there, and of its kind. None is ever shown."""
    hosts = _hosts(settings)
    held = Keys(settings.project_token, settings.personal_api_key, settings.project_secret_key)
    return [
        _key(held, hosts, settings.project_token, (KeyType.PROJECT,), "Sending events and evaluating flags"),
        _key(
            held,
            hosts,
            settings.personal_api_key,
            (KeyType.PERSONAL, KeyType.OAUTH),
            "Everything but sending events and evaluating flags",
        ),
        _secret_key(held, hosts, settings),
    ]


def _hosts(settings: Settings) -> Hosts:
    """Where keys would be made: of a host that cannot be one, another check tells."""
    try:
        return Hosts.of(settings.host)
    except WrongHost:
        return Hosts.of("")


def _key(
    held: Keys, hosts: Hosts, given: SecretStr | None, wanted: tuple[KeyType, ...], purpose: str
) -> Check:
    kind = wanted[0]
    try:
        key = held.choose(wanted, purpose, (), hosts)
    except WrongKey as error:
        # Without a key the rest still works; a wrong one was meant to.
        return Check(kind, "broken" if given else "warning", f"{error.what} {error.why}", error.next_step)
    return Check(kind, "ok", f"{key_variable(kind)} holds {_kind(key)}.")


def _secret_key(held: Keys, hosts: Hosts, settings: Settings) -> Check:
    if settings.project_secret_key is None:
        return Check(
            KeyType.SECRET,
            "note",
            "Not set: the personal API key fetches flag definitions for local evaluation instead.",
        )
    return _key(held, hosts, settings.project_secret_key, (KeyType.SECRET,), "Fetching flag definitions")


def _kind(key: str) -> str:
    kind = key_type(key)
    return "a key without a prefix, as old ones are" if kind is KeyType.UNPREFIXED else f"the {kind}"


def outbox(settings: Settings, opened: Outbox) -> Check:
    """What waits on this machine, and what failed. The file is not made where there is none."""
    if settings.outbox is not OutboxPlace.DISK:
        return Check("outbox", "note", "In memory, as POSTHOG_MCP_OUTBOX says: a killed server loses events.")
    if not (settings.data_dir / FILE).exists():
        return Check("outbox", "ok", "Empty: no event was sent from here yet.")
    status = opened.status()
    found = f"{status.events:,} events wait, {status.dead:,} failed."
    stopped = [item.stopped for item in status.waiting if item.stopped]
    if stopped:
        return Check("outbox", "broken", f"{found} {stopped[0]}", _outbox_step(status))
    if status.dead or status.damaged:
        damaged = f" {len(status.damaged)} damaged files were set aside." if status.damaged else ""
        return Check("outbox", "warning", found + damaged, _outbox_step(status))
    return Check("outbox", "ok", found, "They are sent by the next server." if status.events else "")


def _outbox_step(status: Status) -> str:
    step = "Run `posthog-mcp outbox status` for the reasons"
    return f"{step}, then `posthog-mcp outbox retry` or `drop`." if status.dead else f"{step}."


def sandbox() -> Check:
    """Whether the embedded PostHog can run here."""
    missing = [name for name in ("chdb", "scipy", "rich") if importlib.util.find_spec(name) is None]
    if not missing:
        return Check("sandbox", "ok", "The embedded PostHog can run here: `posthog-mcp demo`.")
    step = 'For the demo and the sandbox: pip install "posthog-mcp[sandbox]"'
    if sys.platform == "win32":
        step = "Its engine has no build for Windows: use it in WSL."
    return Check("sandbox", "note", f"Not installed ({', '.join(missing)} missing).", step)
