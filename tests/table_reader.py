"""Reads a table back from an answer, as an agent has to."""

import re

_COUNT = re.compile(r"\d+ (of .+ )?rows?\.")
_TIMES = re.compile(r"(.+): cells show the … of (.*)…(.*)\.")
_SAME = "The same in every row below:"


def read_table(text: str) -> tuple[list[str], list[list[str]]]:
    """The columns and the rows of a table, whole: what was said once stands first in each row."""
    lines = text.split("\n")
    counted = next(place for place, line in enumerate(lines) if _COUNT.match(line))
    below = lines[counted + 1 :]
    parts: dict[str, tuple[str, str]] = {}
    while read := _TIMES.fullmatch(below[0]):
        parts |= dict.fromkeys(read[1].split(", "), (read[2], read[3]))
        below = below[1:]
    if below[0].startswith("<data "):
        below = below[1 : below.index(f"</data {below[0][6:18]}>")]
    elif below[-1] == lines[counted]:  # said once more below a table that was cut
        below = below[:-1]
    said: list[list[str]] = []
    if below[0] == _SAME:
        end = below.index("")
        said, below = [line.split("\t") for line in below[1:end]], below[end + 1 :]
    names = below[0].split("\t")
    around = [parts.get(name, ("", "")) for name in names]
    rows = [
        [value and start + value + end for value, (start, end) in zip(line.split("\t"), around, strict=True)]
        for line in below[1:]
    ]
    return [*(name for name, _ in said), *names], [[*(value for _, value in said), *row] for row in rows]
