"""The file: private, shared, and set aside when it is damaged, with what can still be read of it."""

import sqlite3
import stat
import sys
import time
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_outbox_delivery import NOW, events

from posthog_mcp.outbox import Outbox, OutboxUnusable, made, persons

NOWHERE = "http://127.0.0.1:9"


def file_of(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.db"


def spoil(path: Path, start: float, length: int = 8192) -> None:
    """Overwrite part of the file, after what its log holds was written into it."""
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    overwrite(path, int(path.stat().st_size * start), length)


def overwrite(path: Path, start: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xa5" * length)


@pytest.mark.skipif(sys.platform == "win32", reason="no such modes")
async def test_nobody_else_may_read_it(open_box, tmp_path):
    box = open_box(host=NOWHERE)
    await box.append(events(1))
    folder = tmp_path / "state"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.skipif(sys.platform == "win32", reason="no such modes")
async def test_what_others_were_allowed_is_taken_back(open_box, tmp_path):
    await open_box(host=NOWHERE).append(events(1))
    file_of(tmp_path).chmod(0o644)
    open_box(host=NOWHERE).status()
    assert stat.S_IMODE(file_of(tmp_path).stat().st_mode) == 0o600


async def test_a_directory_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "file").touch()
    box = Outbox("phc_x", NOWHERE, tmp_path / "file" / "state")
    with pytest.raises(OutboxUnusable, match=r"outbox\.db cannot be used"):
        await box.capture("ada", "seen")
    assert box.person("ada") == {}


async def test_a_file_that_is_no_database_is_set_aside_and_reported(open_box, tmp_path, caplog):
    file_of(tmp_path).parent.mkdir()
    file_of(tmp_path).write_bytes(b"scribble" * 1_000)
    box = open_box()
    await box.capture("ada", "seen", wait=True)
    (aside,) = box.status().damaged
    assert await anyio.Path(aside).read_bytes() == b"scribble" * 1_000
    assert "damaged" in caplog.text


async def test_what_can_be_read_of_a_damaged_file_waits_again(open_box, tmp_path):
    first = open_box(host=NOWHERE, delivers=False)
    before = events(3_000, size=200)
    await first.append(before)
    await first.close(0)
    spoil(file_of(tmp_path), 0.5)
    box = open_box(host=NOWHERE, delivers=False)
    for place in range(0, 3_000, 100):  # sooner or later something meets the damage
        await box.append(events(10, f"new {place}"))
        box._parts().queue.next_batch(box._target(), 5_000, 1 << 30, lane=0)
    assert len(box.status().damaged) == 1
    saved = sum(box.state_of(event.uuid) == "waiting" for event in before)
    assert 2_800 < saved < 3_000
    assert box.status().events == saved + 300


async def test_damage_that_shows_later_is_set_aside_and_everything_after_it_is_kept(open_box, tmp_path):
    box = open_box(host=NOWHERE, delivers=False)
    await box.append(events(500, size=200))
    box._parts().file.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite(file_of(tmp_path), 0, file_of(tmp_path).stat().st_size)
    taken = events(20, "later")
    for event in taken:
        await box.append([event])
        box._parts().file.db.execute("PRAGMA shrink_memory")  # what is read next comes from the disk
    (aside,) = box.status().damaged
    # Until it showed, events went into the log of the file that is kept aside.
    hidden = [event for event in taken if box.state_of(event.uuid) != "waiting"]
    assert hidden == taken[: len(hidden)]
    assert len(hidden) <= 1
    log = await anyio.Path(f"{aside}-wal").read_bytes()
    assert all(event.uuid.bytes in log for event in hidden)


async def test_another_process_goes_along_to_the_new_file(open_box):
    one, two = open_box(host=NOWHERE, delivers=False), open_box(host=NOWHERE, delivers=False)
    await one.append(events(1))
    await two.append(events(1, "two"))
    one._parts().file.set_aside(sqlite3.DatabaseError("as a test wants it"))
    await two.append(events(1, "three"))
    assert one.status().events == two.status().events == 3
    assert len(one.status().damaged) == 1


async def test_a_directory_deleted_under_it_is_made_anew(open_box, tmp_path):
    box = open_box()
    await box.capture("ada", "seen", wait=True)
    for path in (tmp_path / "state").iterdir():
        path.unlink()
    (tmp_path / "state").rmdir()
    uuid = await box.capture("ada", "seen", wait=True)
    assert box.state_of(uuid) == "delivered"


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(start=st.floats(0, 0.99), length=st.integers(1, 20_000))
async def test_wherever_a_file_is_damaged_new_events_are_kept(tmp_path_factory, start, length):
    folder = tmp_path_factory.mktemp("damaged")
    before = Outbox("phc_x", NOWHERE, folder, delivers=False)
    await before.append(events(300, size=150))
    await before.close(0)
    spoil(folder / "outbox.db", start, length)
    box = Outbox("phc_x", NOWHERE, folder, delivers=False)
    taken = events(200, "new")
    for place in range(0, 200, 20):
        await box.append(taken[place : place + 20])
    kept = sum(box.state_of(event.uuid) == "waiting" for event in taken)
    # Events of before may be what was damaged; of the new ones none may be missing.
    assert kept == 200
    await box.close(0)


async def test_the_disk_gets_its_room_back(open_box):
    box = open_box()
    await box.append(events(2_000, size=2_000))
    assert await box.flush()
    await box.capture("ada", "seen", wait=True)
    with anyio.fail_after(5):
        while box._parts().file.db.execute("PRAGMA page_count").fetchone()[0] > 400:  # noqa: ASYNC110
            await anyio.sleep(0.05)


async def test_what_was_set_lately_is_known_for_ten_minutes(open_box, monkeypatch):
    box = open_box(host=NOWHERE, delivers=False)
    await box.append([made("$set", "ada", {"$set": {"plan": "free", "seats": 1}}, NOW)])
    await box.append([made("seen", "ada", {"$set": {"plan": "pro"}, "$unset": ["seats"]}, NOW)])
    assert box.person("ada") == {"plan": "pro"}
    assert box.person("bob") == {}
    later = time.time() + persons.SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert box.person("ada") == {}


async def test_linked_ids_are_one_person_whose_own_properties_win(open_box):
    box = open_box(host=NOWHERE, delivers=False)
    await box.append(
        [
            made("seen", "visitor", {"$set": {"plan": "free", "from": "ad"}}, NOW),
            made("$identify", "ada", {"$anon_distinct_id": "visitor", "$set": {"plan": "pro"}}, NOW),
            made("$create_alias", "ada", {"alias": "ada@work"}, NOW),
        ]
    )
    assert box.person("ada") == {"plan": "pro", "from": "ad"}
    assert box.person("visitor") == {"plan": "free", "from": "ad"} | {"plan": "free"}
    assert box.person("ada@work") == {"plan": "pro"}
    assert box.anonymous_id("ada") == "ada@work"
    assert box.anonymous_id("visitor") == ""
