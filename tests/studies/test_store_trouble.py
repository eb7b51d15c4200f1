"""The store in trouble: full disk, read-only folder, another run, damage, older versions."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from normcraft._core.errors import StoreError
from normcraft.studies import Store
from studies.test_store import ARM, RECORD, SPEC

OLDER = Path(__file__).parent / "stores" / "version_1.db"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


def pragma(path, name):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_store_of_version_1_is_brought_up_to_date(path):
    shutil.copy(OLDER, path)
    assert pragma(path, "user_version") == 1
    with Store(path) as store:
        assert store.records([SPEC]) == {SPEC.hash: RECORD}
        assert store.latest_study() == ((ARM,), (SPEC,), {"note": "first"})
    assert pragma(path, "user_version") == 2
    with Store(path) as store:
        assert store.records([SPEC]) == {SPEC.hash: RECORD}


def test_a_store_that_is_only_read_stays_as_it_is(path):
    shutil.copy(OLDER, path)
    before = path.read_bytes()
    with Store(path, read_only=True) as store:
        assert store.latest_study() == ((ARM,), (SPEC,), {"note": "first"})
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["store.db"]


def test_a_failed_migration_leaves_the_store_as_it_was(path, monkeypatch):
    shutil.copy(OLDER, path)
    steps = ("", "CREATE TABLE more (x); CREATE TABLE study (x);")
    monkeypatch.setattr("normcraft.studies.store.MIGRATIONS", steps)
    with pytest.raises(StoreError, match="table study already exists"):
        Store(path)
    monkeypatch.undo()
    with Store(path) as store:
        assert store.records([SPEC]) == {SPEC.hash: RECORD}


def test_one_run_at_a_time_writes_and_others_may_read(path):
    with Store(path) as first:
        first.save_study("a", arms=[ARM], specs=[SPEC], about={})
        first.add(RECORD)
        with pytest.raises(StoreError, match="another run is writing store .*normcraft report"):
            Store(path)
        with Store(path, read_only=True) as reader:
            assert reader.records([SPEC]) == {SPEC.hash: RECORD}
    Store(path).close()


def test_a_killed_run_leaves_no_lock(path):
    code = f"""
import os, signal
from normcraft.studies.store import Store
store = Store({str(path)!r})
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    Store(path).close()


def test_a_database_that_another_program_writes_is_one_clear_line(path, monkeypatch):
    Store(path).close()
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0}))
    with closing(connect(path)) as other, Store(path) as store:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="cannot be used: received database is locked"):
            store.add(RECORD)
        other.rollback()
        store.add(RECORD)


def test_a_full_disk_is_one_clear_line_and_loses_nothing(path):
    with Store(path) as store:
        store.add(RECORD)
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        large = replace(RECORD, spec=replace(SPEC, seed=1), reason="x" * 100_000)
        with pytest.raises(StoreError, match="database or disk is full.*make room"):
            store.add(large)
        store._connection.execute("PRAGMA max_page_count = 100000")
        store.add(large)
    with Store(path) as store:
        assert len(store.records([SPEC, large.spec])) == 2


@pytest.mark.parametrize("folder", ["/proc", "/proc/nothing/there"])
def test_a_folder_that_cannot_be_written_is_one_clear_line(folder):
    with pytest.raises(StoreError, match=r"store '/proc.*store.db' cannot be used"):
        Store(f"{folder}/store.db")


@pytest.mark.parametrize("place", [100, 20_000, 40_000, 60_000])
def test_damage_is_one_clear_line(path, place):
    with Store(path) as store:
        for seed in range(50):
            store.add(replace(RECORD, spec=replace(SPEC, seed=seed)))
    damaged = bytearray(path.read_bytes())
    damaged[place : place + 600] = b"\xff" * 600
    path.write_bytes(damaged)
    with pytest.raises(StoreError, match="is damaged|cannot be used"), Store(path) as store:
        store.records([replace(SPEC, seed=seed) for seed in range(50)])
    assert path.read_bytes() == damaged, "nothing is mended behind the user's back"


def test_a_store_cut_short_is_one_clear_line(path):
    with Store(path) as store:
        for seed in range(50):
            store.add(replace(RECORD, spec=replace(SPEC, seed=seed)))
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(StoreError, match="is damaged|cannot be used"):
        Store(path)


def test_no_write_ahead_log_which_network_file_systems_cannot_share(path):
    Store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal"
    with Store(path) as store:
        store.add(RECORD)
    assert pragma(path, "journal_mode") == "delete"


def test_no_result_hangs_on_the_wall_clock():
    source = Path(__file__).parents[2] / "src"
    clocks = ("time.time(", "datetime.now", "datetime.today", "utcnow", "localtime")
    found = [
        file.name
        for file in source.rglob("*.py")
        if any(clock in file.read_text(encoding="utf-8") for clock in clocks)
    ]
    assert not found, "a clock that is set back would make times negative"
