"""What the commands share that work on the outbox of this machine."""

import argparse
import logging

from posthog_mcp.outbox import Outbox
from posthog_mcp.settings import OutboxPlace, Settings, SettingsError, environment

ROOM = "Make room on the disk, or set POSTHOG_MCP_DATA_DIR to a directory that can be written."


def load() -> Settings:
    """The settings of the environment.

    Raises:
        SettingsError: They do not fit, or there is no outbox on disk.
    """
    settings = Settings.load(environment())
    if settings.outbox is not OutboxPlace.DISK:
        raise SettingsError(["POSTHOG_MCP_OUTBOX is memory: there is no outbox that outlives a process."])
    logging.getLogger("posthog_mcp.outbox").setLevel(logging.ERROR)  # the command says it in its own words
    return settings


def open_outbox(settings: Settings, token: str = "", *, delivers: bool = True) -> Outbox:
    """The outbox, with the project token to send with or none to look after it."""
    return Outbox(
        token,
        settings.host,
        settings.data_dir,
        most_events=settings.outbox_events,
        delivers=delivers,
        proxy=settings.proxy.get_secret_value() if settings.proxy else "",
        ca_file=settings.ca_file,
    )


def seconds(text: str) -> float:
    """A time in seconds, for argparse."""
    value = float(text)
    if not 0 <= value <= 86_400:  # noqa: PLR2004 - a day
        raise argparse.ArgumentTypeError("must be from 0 to 86400 seconds")
    return value
