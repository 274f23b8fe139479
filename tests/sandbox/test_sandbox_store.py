"""The store of documents."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from posthog_mcp.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    one = Store(tmp_path / "sandbox.sqlite")
    yield one
    one.close()


def test_a_document_gets_the_next_id_of_its_kind(store: Store):
    assert store.create("cohort", {"name": "a"}) == {"name": "a", "id": 1}
    assert store.create("cohort", {"name": "b"})["id"] == 2
    assert store.create("action", {"name": "c"})["id"] == 1
    assert [one["name"] for one in store.all("cohort")] == ["a", "b"]


def test_an_id_is_never_given_out_twice(store: Store):
    store.create("cohort", {})
    assert store.remove("cohort", 1) is True
    assert store.remove("cohort", 1) is False
    assert store.get("cohort", 1) is None
    assert store.create("cohort", {})["id"] == 2


def test_a_failed_transaction_leaves_nothing_behind(store: Store):
    def fail() -> None:
        with store.transaction():
            store.create("cohort", {"name": "gone"})
            with store.transaction():
                store.put("cohort", 7, {"name": "gone too"})
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fail()
    assert store.all("cohort") == []
    assert store.create("cohort", {})["id"] == 1


def test_what_was_written_is_there_again_after_opening(store: Store, tmp_path: Path):
    store.put("cohort", 3, {"name": "\u2028é🚀"})
    again = Store(tmp_path / "sandbox.sqlite")
    assert again.get("cohort", 3) == {"name": "\u2028é🚀"}
    again.close()


def test_only_the_owner_can_read_the_file(store: Store, tmp_path: Path):
    store.create("cohort", {})
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
