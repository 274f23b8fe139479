"""Real input: this project's own history, sent as events, answers what `git log` answers."""

import json
import statistics
import subprocess
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Commit:
    sha: str
    author: str
    at: datetime
    files: int
    lines: int

    @property
    def week(self) -> str:
        return (self.at - timedelta(days=self.at.weekday())).strftime("%Y-%m-%d")


def _history() -> list[Commit]:
    log = ["git", "-C", str(ROOT), "log", "--numstat", "--no-renames", "--format=%x1e%H%x1f%ae%x1f%at"]
    text = subprocess.run(log, check=True, capture_output=True, text=True).stdout
    commits: list[Commit] = []
    for record in text.split("\x1e")[1:]:
        head, *changes = record.strip().split("\n")
        sha, author, seconds = head.split("\x1f")
        counts = [line.split("\t")[:2] for line in changes if "\t" in line]
        lines = sum(int(number) for pair in counts for number in pair if number != "-")
        commits.append(Commit(sha, author, datetime.fromtimestamp(int(seconds), UTC), len(counts), lines))
    return commits


@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_the_history_answers_as_git_does(agent, name):
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the project has no history")
    commits = _history()
    events = [
        {
            "event": name,
            "distinct_id": f"{name}-{commit.author}",
            "timestamp": commit.at.isoformat(),
            "properties": {"sha": commit.sha, "files": commit.files, "lines": commit.lines},
        }
        for commit in commits
    ]
    sent = await agent.record("capture_events", wait=True, events=json.dumps(events), historical=True)
    assert sent["delivered"] == len(commits)

    weeks = await agent.rows(
        "query_hogql",
        query="SELECT toDate(dateTrunc('week', timestamp)) AS week, count() FROM events "
        "WHERE event = {e} GROUP BY week ORDER BY week LIMIT 1000",
        values={"e": name},
    )
    assert {week: int(count) for week, count in weeks} == Counter(commit.week for commit in commits)

    days_of = {
        author: {commit.at.date() for commit in commits if commit.author == author}
        for author in {commit.author for commit in commits}
    }
    [[came_back]] = await agent.rows(
        "query_hogql",
        query="SELECT countIf(days > 1) FROM (SELECT person_id, uniq(toDate(timestamp)) AS days FROM events "
        "WHERE event = {e} GROUP BY person_id)",
        values={"e": name},
    )
    assert int(came_back) == sum(len(days) > 1 for days in days_of.values())

    [[files, lines]] = await agent.rows(
        "query_hogql",
        query="SELECT median(toFloat(properties.files)), sum(toInt(properties.lines)) "
        "FROM events WHERE event = {e}",
        values={"e": name},
    )
    assert float(files) == statistics.median(commit.files for commit in commits)
    assert int(lines) == sum(commit.lines for commit in commits)
