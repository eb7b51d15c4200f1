"""The store: records survive, are never replaced once final, and foreign files are left alone."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from normcraft._core.errors import MissingFileError, StoreError
from normcraft.records import Arm, Epoch, TrialRecord, TrialSpec
from normcraft.studies import Store

SPEC = TrialSpec(
    "none", "none", None, None, 32, 0.1, 0, 2, None, True, "m", "reinitialize", "d", "accuracy",
    "fit", "one process", "jax 1", "float32", 1,
)  # fmt: skip
RECORD = TrialRecord(
    SPEC, "finished", curve=(Epoch(1, 0.5, None, 0.25, 0.125, 1.0),), score=0.1 + 0.2
)
ARM = Arm("none", "none", None, None, 32, "{}", 10, None, (("a", "batch"),), (("b", "why"),), 1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "store.db"


def test_records_come_back_as_they_were(path):
    with Store(path) as store:
        store.add(RECORD)
    with Store(path) as store:
        assert store.records([SPEC]) == {SPEC.hash: RECORD}


def test_a_record_is_found_under_another_label_of_the_arm(path):
    other = replace(SPEC, arm="baseline")
    with Store(path) as store:
        store.add(RECORD)
        assert store.records([other])[SPEC.hash].spec.arm == "baseline"


@pytest.mark.parametrize("outcome", ["finished", "diverged"])
def test_a_final_record_is_never_replaced(path, outcome):
    first = replace(RECORD, outcome=outcome)
    with Store(path) as store:
        store.add(first)
        store.add(replace(RECORD, outcome="failed", reason="later"))
        assert store.records([SPEC])[SPEC.hash] == first


def test_a_failed_record_is_replaced(path):
    with Store(path) as store:
        store.add(replace(RECORD, outcome="failed", reason="out of memory"))
        store.add(RECORD)
        assert store.records([SPEC])[SPEC.hash] == RECORD


def test_the_study_saved_last_is_the_latest(path):
    with Store(path) as store:
        for identity, note in (("a", "first"), ("b", "second"), ("a", "third")):
            store.save_study(identity, arms=[ARM], specs=[SPEC], about={"note": note})
        assert store.latest_study() == ((ARM,), (SPEC,), {"note": "third"})


def test_a_missing_store_is_an_error_where_it_must_exist(path):
    with pytest.raises(MissingFileError, match="no store there.*normcraft compare"):
        Store(path, read_only=True)
    assert not path.exists()


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    path = tmp_path / "notes.db"
    path.write_text("my notes, which are no database at all" * 50)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="cannot be used.*not a database"):
        Store(path)
    assert path.read_bytes() == before


def test_a_foreign_database_is_left_alone(tmp_path):
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
    with pytest.raises(StoreError, match="a database, but not a store.*'customers'"):
        Store(path)


def test_a_newer_store_is_refused(path):
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="written by a newer normcraft: received version 99"):
        Store(path)


def test_an_empty_store_has_no_study(path):
    with Store(path) as store, pytest.raises(StoreError, match="holds no study yet"):
        store.latest_study()


def test_a_damaged_record_is_one_clear_line(path):
    with Store(path) as store:
        store.add(RECORD)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE trial SET record = '{\"spec\": 3}'")
    with Store(path) as store, pytest.raises(StoreError, match="cannot be used"):
        store.records([SPEC])


def test_the_hash_covers_every_field_but_the_label():
    changed = {
        "placement": "input", "kind": "batch", "activation": "relu", "batch_size": 16,
        "learning_rate": 0.2, "seed": 1, "epochs": 3, "steps_per_epoch": 5, "shuffle": False,
        "model": "n", "initial": "digest", "data": "e", "metric": "loss", "trainer": "fused",
        "plan": "two", "backend": "torch 2", "precision": "bfloat16", "numerics": 2,
    }  # fmt: skip
    hashes = {replace(SPEC, **{name: value}).hash for name, value in changed.items()}
    assert len(hashes | {SPEC.hash}) == len(changed) + 1
    assert replace(SPEC, arm="other").hash == SPEC.hash
