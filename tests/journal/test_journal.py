"""The journal keeps every change, for all processes, no longer and no larger than it may."""

import asyncio
import json
import logging
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_mcp.journal import Change, Journal, JournalUnusable, Noted

HOST = "https://eu.posthog.com"
DAY = 86_400.0
NOW = 1_800_000_000.0
KEY = "phx_" + "a1B2" * 10
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(params=["file", "redis"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[], Journal]]:
    """Opens journals that share what they keep, as two processes would."""
    # Asked for late: where there is no Redis, the tests of the file still run.
    url = request.getfixturevalue("own_redis").url if request.param == "redis" else ""
    made: list[Journal] = []

    def make() -> Journal:
        made.append(Journal(None if url else tmp_path, redis_url=url))
        return made[-1]

    yield make
    for journal in made:
        assert journal.caveat == ""
        await journal.close()


def change(**fields: Any) -> Change:
    made = Change(NOW, HOST, 1, "feature_flag", "7", "new-cart", "updated", tool="update_flag", caller="c 1")
    return replace(made, **fields)


async def note(journal: Journal, *changes: Change) -> list[int]:
    numbers = []
    for each in changes:
        numbers.append(await journal.begin(each))
        await journal.confirm(numbers[-1], each)
    return numbers


async def listed(journal: Journal, **asked: Any) -> list[Noted]:
    given = {"now": NOW, "limit": 20_000, "skip": 0, **asked}
    found, total = await journal.changes(HOST, 1, **given)
    assert total >= len(found)
    return found


async def test_a_change_is_found_by_another_process_as_it_was_noted(opened):
    made = change(before={"active": True, "filters": {"b": 1, "a": [None, "é"]}}, after={"active": False})
    first, second = opened(), opened()
    [number] = await note(first, made)
    found = await second.find(number, HOST, NOW)
    assert found == Noted(number, made, confirmed=True, undone_by=0)
    assert json.dumps(found.change.before) == json.dumps(made.before)


async def test_a_change_whose_process_dies_stays_unconfirmed(opened):
    journal = opened()
    number = await journal.begin(change())
    found = await opened().find(number, HOST, NOW)
    assert found is not None
    assert not found.confirmed


async def test_a_change_that_was_not_made_is_forgotten_and_its_number_not_given_again(opened):
    journal = opened()
    dropped = await journal.begin(change())
    await journal.drop(dropped)
    assert await journal.find(dropped, HOST, NOW) is None
    assert await note(journal, change()) > [dropped]


async def test_changes_are_listed_newest_first_by_project_host_kind_and_time(opened):
    journal = opened()
    a, b, c, *_ = await note(
        journal,
        change(at=NOW - 3 * DAY),
        change(at=NOW - 2 * DAY, kind="annotation"),
        change(at=NOW - 1 * DAY),
        change(project_id=2),
        change(host="https://us.posthog.com"),
    )
    assert [each.id for each in await listed(journal)] == [c, b, a]
    assert [each.id for each in await listed(journal, kind="annotation")] == [b]
    assert [each.id for each in await listed(journal, since=NOW - 2.5 * DAY)] == [c, b]
    assert [each.id for each in await listed(journal, limit=1, skip=1)] == [b]
    assert await journal.find(a, "https://us.posthog.com", NOW) is None


async def test_an_undoing_is_named_with_what_it_undid(opened):
    journal = opened()
    [number] = await note(journal, change())
    unconfirmed = await journal.begin(change(undoes=number))
    assert (await listed(journal))[-1].undone_by == 0
    await journal.confirm(unconfirmed, change(undoes=number))
    assert (await listed(journal))[-1].undone_by == unconfirmed


async def test_after_ninety_days_a_change_is_neither_shown_nor_kept(opened):
    journal = opened()
    old, young = await note(journal, change(name="old-flag"), change(at=NOW + DAY))
    later = NOW + 90 * DAY
    assert [each.id for each in await listed(journal, now=later)] == [young, old]
    assert [each.id for each in await listed(journal, now=later + 1)] == [young]
    assert await journal.find(old, HOST, later + 1) is None
    await note(journal, change(at=later + 1))
    assert old not in [each.id for each in await listed(journal)]


async def test_the_oldest_of_ten_thousand_make_room(opened, monkeypatch):
    for store in ("local", "redis"):
        monkeypatch.setattr(f"posthog_mcp.journal.{store}.MOST", 5)
    journal = opened()
    numbers = await note(journal, *(change(object_id=str(n)) for n in range(8)))
    assert [each.id for each in await listed(journal)] == numbers[:2:-1]


async def test_one_at_a_time_undoes_a_change_and_none_that_was_undone_since(opened):
    first, second = opened(), opened()
    [number] = await note(first, change())
    noted = await first.find(number, HOST, NOW)
    assert noted is not None
    assert sorted(await asyncio.gather(*(each.claim(noted, 45) for each in (first, second) * 4))) == [
        *[False] * 7,
        True,
    ]
    await note(second, change(undoes=number))
    await first.release(noted)
    assert not await second.claim(noted, 45)
    again = await second.find(number, HOST, NOW)
    assert again is not None
    assert await second.claim(again, 0.05)
    await asyncio.sleep(0.1)  # whoever claimed it is gone
    assert await first.claim(again, 45)


@pytest.mark.parametrize("size", [100, 40_000, 200_000])
async def test_an_entry_is_cut_to_64_kib_by_whole_fields(opened, size):
    journal = opened()
    big = "ä" * (size // 2)  # two bytes each
    made = change(before={"filters": big, "active": True}, after={"filters": big[1:], "active": False})
    [number] = await note(journal, made)
    found = await journal.find(number, HOST, NOW)
    assert found is not None
    assert (found.change.before["active"], found.change.after["active"]) == (True, False)
    if size == 100:
        assert found.change.before["filters"] == big
        assert found.change.withheld == {}
    else:
        assert "filters" not in found.change.before | found.change.after
        assert "64 KiB" in found.change.withheld["filters"]
    assert len(found.change.written().encode()) <= 64 << 10


@given(st.dictionaries(st.text(), JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=4))
def test_what_is_kept_is_what_was_or_named_as_left_out(before, after):
    kept = Change.read(change(before=before, after=after).kept([KEY]).written())
    for fields, told in ((before, kept.before), (after, kept.after)):
        assert {name: value for name, value in fields.items() if name not in kept.withheld} == told


@given(st.text(), JSON, st.sampled_from(["before", "after"]))
def test_a_secret_reaches_no_entry_wherever_it_stands(name, around, side):
    fields = {name: [around, {"deep": f"x {KEY} y"}], "active": True}
    told = change(**{side: fields}, name=f"flag {KEY}", caller=KEY).kept().written()
    assert KEY not in told
    assert '"active":true' in told


async def test_a_configured_secret_of_any_shape_is_left_out(tmp_path):
    journal = Journal(tmp_path, ["correct horse"])
    [number] = await note(journal, change(before={"name": "the correct horse"}, after={"name": ""}))
    found = await journal.find(number, HOST, NOW)
    assert found is not None
    assert found.change.withheld == {"name": "it holds a secret, which is never kept"}
    await journal.close()


async def test_several_processes_write_and_nothing_is_lost(tmp_path):
    async def run(name: str) -> list[int]:
        worker = Path(__file__).with_name("journal_worker.py")
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(worker), str(tmp_path), name, "100", stdout=asyncio.subprocess.PIPE
        )
        with anyio.fail_after(30):
            out, _ = await process.communicate()
        assert process.returncode == 0
        return [int(line) for line in out.split()]

    numbers = await asyncio.gather(run("one"), run("two"), run("three"))
    journal = Journal(tmp_path)
    found, total = await journal.changes("https://h", 1, now=NOW - 365 * DAY, limit=1_000, skip=0)
    assert total == 300
    assert sorted(number for own in numbers for number in own) == [each.id for each in reversed(found)]
    for name in ("one", "two", "three"):
        own = [each.change.after["n"] for each in reversed(found) if each.change.name == name]
        assert own == list(range(100))
    await journal.close()


async def test_without_a_directory_changes_are_kept_in_memory():
    journal = Journal(None)
    numbers = await note(journal, change(), change())
    assert [each.id for each in await listed(journal)] == numbers[::-1]
    assert "memory of this process" in journal.caveat
    await journal.close()


async def test_where_the_directory_cannot_be_used_they_are_kept_in_memory_and_the_log_says_so(
    tmp_path, caplog
):
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file")
    with caplog.at_level(logging.WARNING):
        [number] = await note(journal, change())
    assert await journal.find(number, HOST, NOW) is not None
    assert "memory of this process" in journal.caveat
    assert "kept in the memory of this process alone" in caplog.text
    await journal.close()


async def test_a_damaged_file_is_set_aside_and_another_begun(tmp_path, caplog):
    (tmp_path / "journal.db").write_bytes(b"no database at all" * 100)
    journal = Journal(tmp_path)
    await note(journal, change())
    assert len(await listed(journal)) == 1
    assert [path.read_bytes()[:11] for path in tmp_path.glob("*.damaged-*")] == [b"no database"]
    assert "was damaged" in caplog.text
    await journal.close()


async def test_a_file_that_breaks_later_is_an_error_that_names_it(tmp_path):
    journal = Journal(tmp_path)
    await note(journal, change())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("posthog_mcp.journal.file._in_transaction", _full)
        with pytest.raises(JournalUnusable, match=r"journal\.db cannot be used: database or disk is full"):
            await journal.begin(change())
    assert await note(journal, change())
    await journal.close()


def _full(*_: Any) -> None:
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.skipif(sys.platform == "win32", reason="no such rights there")
async def test_nobody_else_can_read_it(tmp_path):
    journal = Journal(tmp_path / "state")
    await note(journal, change())
    for path in (tmp_path / "state").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    await journal.close()
