"""One server process among several: evaluates a flag again and again until its input ends.

python definitions_worker.py POLL_SECONDS, with the environment of a server. Prints `ready`, starts with the
first line of its input, prints `value` after its first evaluation, and how many it made when its input ends.
"""

import asyncio
import sys
import threading

from posthog_mcp.api import PostHogClient
from posthog_mcp.flags.definitions import DefinitionsSource
from posthog_mcp.settings import Settings, environment

PAUSE = 0.02


async def main() -> None:
    settings = Settings.load(environment())
    async with PostHogClient.from_settings(settings) as api:
        source = DefinitionsSource(api, settings.data_dir, poll_seconds=settings.flag_poll_seconds)
        print("ready", flush=True)
        sys.stdin.readline()
        over = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
        evaluated = 0
        while not over.is_set():
            definitions = await source.current()
            value = definitions.flags.evaluate("shared", "u1").value
            evaluated += 1
            if evaluated == 1:
                print(value, flush=True)
            await asyncio.sleep(PAUSE)
        await source.close()
    print(evaluated, flush=True)


asyncio.run(main())
