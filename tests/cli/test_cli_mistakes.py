"""Whoever mistypes a command reads what to do instead."""

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from cli_done import Run

from posthog_mcp.cli import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("serve --acess read", "there is no argument --acess read (did you mean --access?)"),
        ("call get_status --sandbx", "there is no argument --sandbx (did you mean --sandbox?)"),
        ("doctor --quick", "there is no argument --quick"),
        ("--acess read", "there is no argument --acess read (did you mean --access?)"),
        ("serve --transport http --port 99999", "99999 is no port; valid are 0 to 65535"),
        ("serve --transport http --port -5", "-5 is no port; valid are 0 to 65535"),
        ("sandbox --port 70000", "70000 is no port; valid are 0 to 65535"),
        ("setup", "the following arguments are required: CLIENT"),
        ("outbox status --jsn", "there is no argument --jsn"),
    ],
)
def test_a_wrong_argument_is_named_with_where_help_is(
    capsys: pytest.CaptureFixture[str], arguments: str, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.run(arguments.split())
    printed = capsys.readouterr().err
    assert ended.value.code == 2
    assert said in printed
    assert "--help` says more." in printed


@pytest.mark.parametrize("arguments", ["date_from=-7d", "[1]"])
def test_arguments_of_a_call_that_are_no_object_are_answered_with_one(run: Run, arguments: str) -> None:
    done = run("call", "get_status", arguments)
    assert done.code == 2
    assert """such as '{"limit": 5}'""" in done.err


def test_a_directory_that_cannot_be_used_is_said_with_what_to_do(run: Run, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text('{"event":"a","distinct_id":"b","timestamp":"2026-03-01T10:00:00Z"}\n')
    there = {"POSTHOG_API_KEY": "phc_sandbox", "POSTHOG_MCP_DATA_DIR": str(events)}
    for command in (("outbox", "status"), ("import", str(events))):
        done = run(*command, **there)
        assert done.code
        assert "set POSTHOG_MCP_DATA_DIR to a directory that can be written." in done.out + done.err
    done = run("sandbox", "--data", str(events))
    assert (done.code, done.err) == (
        1,
        f"Cannot use {events}: File exists. Choose a directory that can be written.\n",
    )


def test_a_file_without_names_of_events_says_how_to_give_them(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text("name,user,when\nx,y,2026-03-01\n")
    done = run("import", str(file), POSTHOG_API_KEY="phc_sandbox", POSTHOG_HOST="http://127.0.0.1:9")
    said = done.out + done.err
    assert "has no `event`; --event NAME gives one to all that have none, --map event=COLUMN says" in said


def test_a_redis_without_its_client_is_said_at_the_start(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def without_redis(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "redis" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_redis)
    done = run("call", "get_status", POSTHOG_MCP_REDIS_URL="redis://127.0.0.1:1")
    assert done.code == 2
    assert "pip install 'posthog-mcp[redis]'" in done.err
