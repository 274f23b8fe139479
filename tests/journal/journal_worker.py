"""A process that notes changes as long as it may, and prints the number of each that was confirmed.

python journal_worker.py DIR NAME COUNT
"""

import asyncio
import sys
import time
from pathlib import Path

from posthog_mcp.journal import Change, Journal


async def main() -> None:
    folder, name, count = sys.argv[1:4]
    journal = Journal(Path(folder))
    for n in range(int(count)):
        change = Change(time.time(), "https://h", 1, "feature_flag", str(n), name, "updated", after={"n": n})
        number = await journal.begin(change)
        await journal.confirm(number, change)
        print(number, flush=True)
    await journal.close()


asyncio.run(main())
