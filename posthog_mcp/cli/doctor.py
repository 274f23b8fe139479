"""`posthog-mcp doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import anyio

from posthog_mcp import __version__
from posthog_mcp.cli import _doctor as local
from posthog_mcp.cli._doctor import Check
from posthog_mcp.cli._outbox import open_outbox
from posthog_mcp.outbox import OutboxUnusable
from posthog_mcp.safety.redact import redact
from posthog_mcp.settings import Settings, SettingsError, environment

if TYPE_CHECKING:
    import argparse

    from posthog_mcp.cli import Subparsers

_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "broken": "bold red"}


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "doctor",
        help="check the installation, the keys and the way to PostHog",
        description="Check the installation, the keys and the way to PostHog, and say what to do about what "
        "is wrong. Exit code 1 when something is broken. No key is shown.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check everything; 1 when something is broken."""
    logging.getLogger("posthog_mcp").setLevel(logging.ERROR)  # what is wrong is said in the checks' words
    checks = anyio.run(examine)
    broken = any(check.state == "broken" for check in checks)
    if args.json:
        shown = {"ok": not broken, "version": __version__, "checks": [asdict(check) for check in checks]}
        print(json.dumps(shown, ensure_ascii=False, indent=2))
    else:
        _print(checks)
    return 1 if broken else 0


async def examine() -> list[Check]:
    """Every check, in an order that tells causes before what follows from them; keys are taken out."""
    try:
        settings = Settings.load(environment())
    except SettingsError as error:
        step = "Correct or unset the variables named; docs/settings.md has them all."
        return [local.python(), Check("settings", "broken", " ".join(error.problems), step), local.sandbox()]
    # Its imports take a tenth of a second, and settings that do not fit need none of it.
    from posthog_mcp.cli._doctor_posthog import PostHog  # noqa: PLC0415

    checks = [local.python(), _settings(settings), local.data_dir(settings.data_dir), *local.keys(settings)]
    checks += await PostHog(settings).checks()
    checks += [await _outbox(settings), local.sandbox()]
    token = settings.project_token
    hidden = (*settings.secrets(), *([token.get_secret_value()] if token else []))
    return [
        replace(check, found=redact(check.found, hidden), next_step=redact(check.next_step, hidden))
        for check in checks
    ]


def _settings(settings: Settings) -> Check:
    if settings.warnings:
        return Check("settings", "warning", " ".join(settings.warnings), "Correct the names or the values.")
    return Check("settings", "ok", f"Access {settings.access}, calls of {settings.call_seconds:g} s at most.")


async def _outbox(settings: Settings) -> Check:
    box = open_outbox(settings, delivers=False)
    try:
        return local.outbox(settings, box)
    except OutboxUnusable as error:
        step = "Make the directory writable, or move the file away: it is made anew."
        return Check("outbox", "broken", str(error), step)
    finally:
        await box.close()


def _print(checks: list[Check]) -> None:
    width = max(len(check.name) for check in checks)
    styled = _console() if sys.stdout.isatty() else None
    for check in checks:
        lines = [f"{check.state:7}  {check.name:{width}}  {check.found}"]
        lines += [f"{'':{width + 9}}  -> {check.next_step}"] if check.next_step else []
        for line in lines:
            if styled is None:
                print(line)
            else:
                styled.print(line, style=_STYLES[check.state])


def _console():  # noqa: ANN202 - a type of an extra that may not be there
    """A console with colours; None where the package for them is not installed."""
    try:
        from rich.console import Console  # noqa: PLC0415 - only for terminals
    except ImportError:
        return None
    return Console(highlight=False, markup=False, soft_wrap=True)
