"""`posthog-mcp setup`: put this server into an MCP client's configuration."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.cli._clients import CLIENTS, KEYS, NAME, SECRETS, Client, Place
from posthog_mcp.cli._start import refuse
from posthog_mcp.settings import VARIABLES, Settings, SettingsError, environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from posthog_mcp.cli import Subparsers

Json = dict[str, Any]
_FOR_THE_OWNER = 0o600


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "setup",
        help="add the server to an MCP client",
        description="Add this server to the configuration of an MCP client, or bring its entry up to date. "
        "Keys are taken from the environment; the others are left as placeholders. What else is in the file "
        "stays as it is, and a copy of it is kept beside it.",
        allow_abbrev=False,
    )
    parser.add_argument("client", metavar="CLIENT", choices=tuple(CLIENTS), help=", ".join(CLIENTS))
    parser.add_argument(
        "--print", action="store_true", dest="show", help="show the entry, without keys, and write nothing"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write or show the entry; 1 when the file cannot be changed, 2 when the environment does not fit."""
    client, place = CLIENTS[args.client], Place(environment(), Path.cwd())
    try:
        given = _given(Settings.load(place.env))
    except SettingsError as error:
        return refuse(error)
    # Links are followed: a file that is kept elsewhere stays there.
    file = client.file(place).resolve()
    try:
        text = _text(file)
        entry = _merged(client, client.entry(text), given)
        changed = client.with_entry(text, entry)
    except (OSError, ValueError) as error:
        print(
            f"posthog-mcp: {file} was not changed. It cannot be read as {client.title} reads it: "
            f"{_why(error)}. Correct it, or add what `posthog-mcp setup {args.client} --print` shows.",
            file=sys.stderr,
        )
        return 1 if not args.show else _show(client, file, _merged(client, {}, given))
    if args.show:
        return _show(client, file, entry)
    return _write(client, file, text, changed, entry)


def _show(client: Client, file: Path, entry: Json) -> int:
    secret = {variable.name for variable in VARIABLES if variable.secret}
    env = {name: client.stands_for(name) if name in secret else value for name, value in entry["env"].items()}
    print(f"For {file}; keys are shown as placeholders:", file=sys.stderr)
    print(client.fragment({**entry, "env": env}), end="")
    return 0


def _write(client: Client, file: Path, text: str, changed: str, entry: Json) -> int:
    if changed == text:
        print(f"{file} has the server `{NAME}` as it should be.")
        return 0
    try:
        copy = _replace(file, changed)
    except OSError as error:
        print(
            f"posthog-mcp: {file} was not changed. It cannot be written: {_why(error)}. Make it writable, or "
            "add the entry by hand, as --print shows it.",
            file=sys.stderr,
        )
        return 1
    print(f"{file} has the server `{NAME}` now{f'; {copy.name} is what it was' if copy else ''}.")
    missing = [name for name in KEYS if entry["env"][name] == client.stands_for(name)]
    if missing and not client.refers:
        print(f"Put in its place, or set in the client's environment: {' and '.join(missing)}.")
    print(client.then)
    return 0


def _given(settings: Settings) -> dict[str, str]:
    """What the environment says that an entry can hold."""
    secrets = (settings.project_token, settings.personal_api_key, settings.project_secret_key)
    held = {name: key.get_secret_value() for name, key in zip(SECRETS, secrets, strict=True) if key}
    if settings.host:
        held["POSTHOG_HOST"] = settings.host
    if settings.project_id:
        held["POSTHOG_PROJECT_ID"] = str(settings.project_id)
    return held


def _merged(client: Client, before: Json, given: Mapping[str, str]) -> Json:
    """The entry as it should be: what a person added to it stays, what the environment says wins."""
    command, args = _program()
    env: Json = {name: client.stands_for(name) for name in KEYS}
    env |= cast("Json", before.get("env") or {})
    for name, value in given.items():
        env[name] = client.stands_for(name) if client.refers and name in SECRETS else value
    if not args and Path(str(before.get("command", ""))).stem == "posthog-mcp":
        args = cast("list[str]", before.get("args") or [])
    return {**client.extra, **before, "command": command, "args": args, "env": env}


def _program() -> tuple[str, list[str]]:
    """How this program is started by one who has another PATH."""
    here = Path(sys.executable)
    uvx = shutil.which("uvx")
    if uvx and any(part.startswith("archive-v") for part in here.parts):
        return uvx, ["posthog-mcp"]  # an environment of uv's cache, which goes when the cache is cleared
    for name in ("posthog-mcp", "posthog-mcp.exe"):
        if (here.parent / name).is_file():
            return str(here.parent / name), []
    return str(here), ["-P", "-m", "posthog_mcp"]


def _text(file: Path) -> str:
    # The ends of its lines stay what they are, so they are not translated.
    return file.read_bytes().decode() if file.exists() else ""


def _replace(file: Path, text: str) -> Path | None:
    """Put a text in a file's place as a whole, and keep what was there; gives the copy.

    Raises:
        OSError: The directory cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    copy, mode = None, _FOR_THE_OWNER
    if file.exists():
        mode = file.stat().st_mode & 0o777
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        copy = file.with_name(f"{file.name}.{now}.bak")
        _made(copy, file.read_bytes())
    written = Path(f"{file}.{os.getpid()}.new")
    try:
        _made(written, text.encode())
        written.chmod(mode)
        written.replace(file)
    finally:
        written.unlink(missing_ok=True)
    return copy


def _made(file: Path, content: bytes) -> None:
    """A new file for its owner alone, on the disk when this returns."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FOR_THE_OWNER), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _why(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) else str(error)
    return (said or type(error).__name__).rstrip(".")
