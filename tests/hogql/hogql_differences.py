"""The list of what PostHog reads and we refuse, from the document that lists it."""

import re
from pathlib import Path

_DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "hogql-differences.md"


def _examples() -> list[str]:
    text = _DOCUMENT.read_text(encoding="utf-8")
    return [
        example
        for block in re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
        for example in block.splitlines()
    ]


DIFFERENCES = _examples()
