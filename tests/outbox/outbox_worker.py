"""A process that captures until it is killed, and prints what was acknowledged: `uuid n`.

python outbox_worker.py HOST TOKEN DIR EVENT FIRST [BATCH]
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from posthog_mcp.outbox import Outbox, made


async def main() -> None:
    host, token, folder, name, first = sys.argv[1:6]
    size = int(sys.argv[6]) if len(sys.argv) > 6 else 1
    box = Outbox(token, host, Path(folder))
    n = int(first)
    while True:
        batch = [made(name, f"u{m % 3}", {"n": m}, datetime.now(UTC)) for m in range(n, n + size)]
        await box.append(batch)
        sys.stdout.write("".join(f"{event.uuid} {n + place}\n" for place, event in enumerate(batch)))
        sys.stdout.flush()
        n += size
        await asyncio.sleep(0.001)


asyncio.run(main())
